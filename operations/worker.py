"""The embedded worker: threads that run the queues and the chores, without a broker."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import close_old_connections, connection

from maaledu import notify, stuck_database
from maaledu.work.queue import Queue, drain
from operations import heartbeats, queues, watch

logger = logging.getLogger(__name__)

PAUSE_AFTER_FAULT = timedelta(seconds=2)
SHORTEST_PAUSE_SECONDS = 0.1


def run_forever(stop: threading.Event) -> None:
    """Run every queue until `stop` is set; what is being run then is finished first."""
    started = threads(stop)
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def threads(stop: threading.Event) -> list[threading.Thread]:
    """Return those of the worker; each has a connection to the database of its own."""
    serving = [
        threading.Thread(target=_serve, args=(queue, stop), name=queue.name, daemon=True)
        for queue in queues.QUEUES.values()
        for _ in range(queue.threads)
    ]
    chores = {
        "sweep": (_sweep, settings.WORK_SWEEP_EVERY),
        "lms-chores": (queues.run_lms_chores, settings.LMS_CHORES_EVERY),
    }
    repeating = [
        threading.Thread(target=_repeat, args=(*chore, stop), name=name, daemon=True)
        for name, chore in chores.items()
    ]
    watching = threading.Thread(target=_watch, args=(stop,), name="watch", daemon=True)
    return [*serving, *repeating, watching]


def _serve(queue: Queue, stop: threading.Event) -> None:
    due = notify.local_events.setdefault(queue.name, threading.Event())
    while not stop.is_set():
        # Cleared before the look: what is added during it sets the event again and is not missed.
        due.clear()
        if not _guarded(partial(_drain, queue), stop):
            due.wait(settings.WORK_POLL.total_seconds())


def _drain(queue: Queue) -> int:
    heartbeats.beat(heartbeats.WORKER)
    return drain(queue)


def _sweep() -> None:
    # The scheduler of the embedded worker is the thread that runs this.
    heartbeats.beat(heartbeats.SCHEDULER)
    queues.run_chores()


def _watch(stop: threading.Event) -> None:
    # Not at once: after a longer stop, the heartbeats of this very process come first.
    stop.wait(settings.WATCH_EVERY.total_seconds())
    _repeat(partial(watch.look, by_scheduler=True), settings.WATCH_EVERY, stop)


def _repeat(step: Callable[[], object], every: timedelta, stop: threading.Event) -> None:
    while not stop.is_set():
        started = time.monotonic()
        _guarded(step, stop)
        left = every.total_seconds() - (time.monotonic() - started)
        stop.wait(max(SHORTEST_PAUSE_SECONDS, left))


def _guarded(step: Callable[[], object], stop: threading.Event) -> object:
    """Run one step and return its result.

    A fault, such as a lost database, is logged and followed by a pause. It never ends the thread,
    but for one that only a new process mends: whoever started this one starts it again.
    """
    try:
        close_old_connections()
        return step()
    except Exception as error:
        logger.exception("worker step failed")
        connection.close()
        if stuck_database.needs_new_process(error):
            stop.set()
        stop.wait(PAUSE_AFTER_FAULT.total_seconds())
        return None
