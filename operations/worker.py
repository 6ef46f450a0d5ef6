"""The embedded worker: a few threads that run the queues, and one that sweeps. No broker, no other
process.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import close_old_connections, connection

from maaledu import notify, work
from maaledu.work import Queue
from operations import queues

logger = logging.getLogger(__name__)

AFTER_A_FAULT = timedelta(seconds=2)


def run_forever(stop: threading.Event) -> None:
    """Run every queue until `stop` is set; what is being run then is finished first."""
    threads = [
        _thread(_serve, queue, stop)
        for queue in queues.QUEUES.values()
        for _ in range(queue.threads)
    ]
    threads.append(_thread(_sweep_forever, None, stop))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _thread(
    target: Callable[..., None], queue: Queue | None, stop: threading.Event
) -> threading.Thread:
    args = (stop,) if queue is None else (queue, stop)
    return threading.Thread(
        target=target, args=args, name=queue.name if queue else "sweep", daemon=True
    )


def _serve(queue: Queue, stop: threading.Event) -> None:
    due = notify.local_events.setdefault(queue.name, threading.Event())
    while not stop.is_set():
        due.clear()
        if not _guarded(lambda: work.drain(queue), stop):
            due.wait(settings.WORK_POLL.total_seconds())


def _sweep_forever(stop: threading.Event) -> None:
    while not stop.is_set():
        started = time.monotonic()
        _guarded(_sweep, stop)
        stop.wait(
            max(0.1, settings.WORK_SWEEP_EVERY.total_seconds() - (time.monotonic() - started))
        )


def _sweep() -> int:
    queues.reap()
    queues.run_chores()
    return 0


def _guarded(step: Callable[[], int], stop: threading.Event) -> int:
    """Run one step; a fault, such as a lost database, is logged and waited out, and never ends the
    thread.
    """
    try:
        close_old_connections()
        return step()
    except Exception:
        logger.exception("worker step failed")
        connection.close()
        stop.wait(AFTER_A_FAULT.total_seconds())
        return 0
