"""How many calls one LMS has in hand: at most LMS_CALLS_AT_ONCE of all processes, each in a seat.

A seat is a lock, so that what a lost worker held is free after its lease. A process that finds none
looks for no further one for a moment, and claims no job that would need it.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings

from lms_sync import locks
from lms_sync.connection import CALLS_IN_BUDGET
from lms_sync.errors import LmsBusy, LmsPaced

LOOKS = 3
REST = timedelta(milliseconds=500)
_full_until: dict[str, float] = {}


def lease() -> timedelta:
    """Return for how long a seat is kept: longer than all calls of one delivery take."""
    # Shorter than the lease of the job, so that a worker that takes it over finds all free.
    return CALLS_IN_BUDGET * settings.LMS_TIMEOUT_WORKER + settings.WORK_LEASE_MARGIN / 4


def seem_taken(platform: str) -> bool:
    """Whether this process has just found no free seat."""
    return time.monotonic() < _full_until.get(platform, 0)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.seats: dict[str, str] = {}  # by platform, the one that it had last


_thread = _Thread()


@contextmanager
def taken(platform: str, *, lock: str = "") -> Iterator[None]:
    """Sit in a seat inside the block, and hold the lock on what is dealt with there, if any.

    Raises LmsPaced where no seat is free, and LmsBusy where another worker has the lock.
    """
    owner = uuid.uuid4().hex
    names = _take(platform, owner, [lock] if lock else [])
    try:
        yield
    finally:
        locks.release(*names, owner=owner)


def of(platform: str) -> list[str]:
    """Return the names of all seats."""
    return [f"seat:{platform}:{number}" for number in range(settings.LMS_CALLS_AT_ONCE)]


def in_use(platform: str) -> int:
    return settings.LMS_CALLS_AT_ONCE - len(locks.free(of(platform)))


def _take(platform: str, owner: str, held: list[str]) -> list[str]:
    """Return a seat that was free with the locks that are the owner's now, too."""
    names = [_usual(platform), *held]
    if locks.acquire_all(names, owner=owner, lease=lease()):
        return names
    names = [_find(platform, owner), *held]
    for name in held:
        if not locks.acquire(name, owner=owner, lease=lease()):
            locks.release(*names, owner=owner)
            raise LmsBusy
    return names


def _usual(platform: str) -> str:
    """Return the seat that this thread had last: where each has its own, all are free at once."""
    seat = _thread.seats.get(platform, "")
    return seat if seat in of(platform) else _choose(platform, of(platform))


def _choose(platform: str, free: Sequence[str]) -> str:
    seat = _thread.seats[platform] = random.choice(free)
    return seat


def _find(platform: str, owner: str) -> str:
    """Return the name of a seat that was free and is the owner's now."""
    free = locks.free(of(platform))
    for _ in range(LOOKS):
        if free and locks.acquire(seat := _choose(platform, free), owner=owner, lease=lease()):
            return seat
        free = locks.free(of(platform))
    _full_until[platform] = time.monotonic() + REST.total_seconds()
    raise LmsPaced(retry_after=REST)
