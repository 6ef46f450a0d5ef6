"""Notify workers that a queue has work, without delay for the caller and without harm if lost.

In the embedded worker this wakes the queue's own thread; with a broker, a background thread sends
one Celery message.
"""

import threading
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

local_events: dict[str, threading.Event] = {}


def notify_workers_on_commit(queue_name: str) -> None:
    """Notify the workers after the commit, or at once where there is no transaction."""
    transaction.on_commit(partial(notify_workers, queue_name))


def notify_workers(queue_name: str) -> None:
    """Wake the local thread of the queue, and have a Celery message sent; return at once."""
    local = local_events.get(queue_name)
    if local:
        local.set()
    if settings.CELERY_BROKER_URL:
        _sender.leave(queue_name)


class _Sender:
    """Sends messages from a thread of its own, so that a broker that hangs delays no request."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def leave(self, queue_name: str) -> None:
        with self._lock:
            self._waiting.add(queue_name)
            if self._thread is None or not self._thread.is_alive():  # also in the child of a fork
                self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            # Cleared before the names are taken: one that is left meanwhile sets it again.
            self._wake.clear()
            for name in self._taken():
                # By its name: only who has a broker loads Celery.
                import_string("maaledu.celery.call_workers")(name)

    def _taken(self) -> list[str]:
        with self._lock:
            names = sorted(self._waiting)
            self._waiting.clear()
            return names


_sender = _Sender()
