"""Who may make a new user on an LMS now: one worker at a time, as two at once deadlock in Frappe,
and nobody while the LMS takes none. Only the jobs that need one wait, in their queue.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.utils import timezone

from lms_sync import locks
from lms_sync.errors import LONGEST_WAIT, LmsAccountWaits, LmsNoNewUsers
from lms_sync.models import QUEUE, PlatformState
from maaledu import notify

REST = timedelta(milliseconds=500)
_busy_until: dict[str, float] = {}


def is_closed(state: PlatformState, now: datetime) -> bool:
    """Whether the LMS makes no new users."""
    return state.no_new_users_before is not None and state.no_new_users_before > now


def are_made(state: PlatformState, now: datetime) -> bool:
    """Whether a job that needs a new user may be claimed."""
    return not is_closed(state, now) and time.monotonic() >= _busy_until.get(state.name, 0)


@contextmanager
def turn(platform: str, *, lease: timedelta) -> Iterator[None]:
    """Be the only one who makes users there inside the block.

    Raises LmsAccountWaits, before anything is sent, while another worker makes one or the LMS takes
    none. Both are looked at and written inside the lock, so that the LMS refuses one call only.
    """
    owner = uuid.uuid4().hex
    if not locks.acquire(turn_at(platform), owner=owner, lease=lease):
        _busy_until[platform] = time.monotonic() + REST.total_seconds()
        raise LmsAccountWaits
    try:
        _refuse_while_closed(platform)
        yield
    except LmsNoNewUsers as error:
        close(platform, until=timezone.now() + (error.retry_after or LONGEST_WAIT))
        raise
    finally:
        locks.release(turn_at(platform), owner=owner)
        # Whoever of this process has met the lock may be claimed at once.
        _busy_until.pop(platform, None)
        notify.notify_workers(QUEUE)


def _refuse_while_closed(platform: str) -> None:
    now = timezone.now()
    closed = PlatformState.objects.filter(name=platform, no_new_users_before__gt=now)
    if until := closed.values_list("no_new_users_before", flat=True).first():
        raise LmsAccountWaits(until - now)


def turn_at(platform: str) -> str:
    """Return the name of the lock on the making of users."""
    return f"accounts:{platform}"


def close(platform: str, *, until: datetime) -> None:
    """Have no user made before that; never sooner than was known."""
    rows = PlatformState.objects.filter(name=platform)
    rows.exclude(no_new_users_before__gt=until).update(no_new_users_before=until)
