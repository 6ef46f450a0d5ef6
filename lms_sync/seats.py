"""How many calls one LMS has in hand: at most LMS_CALLS_AT_ONCE of all processes, each in a seat.

A seat is a lock, so that what a lost worker held is free after its lease. A process that finds none
looks for no further one for a moment, and claims no job that would need it.
"""

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings

from lms_sync import locks
from lms_sync.connection import CALLS_IN_BUDGET
from lms_sync.errors import LmsPaced

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


@contextmanager
def taken(platform: str) -> Iterator[None]:
    """Sit in a seat inside the block. Raises LmsPaced where none is free."""
    owner = uuid.uuid4().hex
    name = _take(platform, owner)
    try:
        yield
    finally:
        locks.release(name, owner=owner)


def of(platform: str) -> list[str]:
    """Return the names of all seats."""
    return [f"seat:{platform}:{number}" for number in range(settings.LMS_CALLS_AT_ONCE)]


def in_use(platform: str) -> int:
    return settings.LMS_CALLS_AT_ONCE - len(locks.free(of(platform)))


def _take(platform: str, owner: str) -> str:
    """Return the name of a seat that was free and is the owner's now."""
    free = of(platform)
    for _ in range(LOOKS):
        if free and locks.acquire(name := random.choice(free), owner=owner, lease=lease()):
            return name
        free = locks.free(of(platform))
    _full_until[platform] = time.monotonic() + REST.total_seconds()
    raise LmsPaced(retry_after=REST)
