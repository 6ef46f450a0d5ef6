"""The embedded worker: threads that run the queues, and one that sweeps, without a broker."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import close_old_connections, connection

from maaledu import notify
from maaledu.work.queue import Queue, drain
from operations import queues

logger = logging.getLogger(__name__)

PAUSE_AFTER_FAULT = timedelta(seconds=2)
SHORTEST_PAUSE_SECONDS = 0.1


def run_forever(stop: threading.Event) -> None:
    """Run every queue until `stop` is set; what is being run then is finished first."""
    threads = [
        threading.Thread(target=_serve, args=(queue, stop), name=queue.name, daemon=True)
        for queue in queues.QUEUES.values()
        for _ in range(queue.threads)
    ]
    threads.append(threading.Thread(target=_sweep_forever, args=(stop,), name="sweep", daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(queue: Queue, stop: threading.Event) -> None:
    due = notify.local_events.setdefault(queue.name, threading.Event())
    while not stop.is_set():
        # Cleared before the look: what is added during it sets the event again and is not missed.
        due.clear()
        if not _guarded(partial(drain, queue), stop):
            due.wait(settings.WORK_POLL.total_seconds())


def _sweep_forever(stop: threading.Event) -> None:
    while not stop.is_set():
        started = time.monotonic()
        _guarded(queues.run_chores, stop)
        left = settings.WORK_SWEEP_EVERY.total_seconds() - (time.monotonic() - started)
        stop.wait(max(SHORTEST_PAUSE_SECONDS, left))


def _guarded(step: Callable[[], object], stop: threading.Event) -> object:
    """Run one step and return its result.

    A fault, such as a lost database, is logged and followed by a pause; it never ends the thread.
    """
    try:
        close_old_connections()
        return step()
    except Exception:
        logger.exception("worker step failed")
        connection.close()
        stop.wait(PAUSE_AFTER_FAULT.total_seconds())
        return None
