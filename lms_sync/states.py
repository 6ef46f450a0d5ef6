"""The platforms' rows as this process has just read them, so that a job need not read them again.

Whoever looks for due jobs reads them all. What this process learns of a failure makes them old.
"""

import time
from datetime import timedelta

from django.utils import timezone

from lms_sync.models import PlatformState

KNOWN_FOR = timedelta(seconds=1)
SAID_FOR = timedelta(seconds=5)  # that it answers, and how fast
_known: dict[str, tuple[float, PlatformState]] = {}


def read() -> list[PlatformState]:
    """Return the rows of all platforms, and keep them for a moment."""
    now, states = time.monotonic(), list(PlatformState.objects.all())
    _known.update({state.name: (now, state) for state in states})
    return states


def just_read(name: str) -> PlatformState | None:
    """Return a platform's row if this process read it a moment ago."""
    moment, state = _known.get(name, (0.0, None))
    return state if time.monotonic() - moment < KNOWN_FOR.total_seconds() else None


def is_known_well(name: str) -> bool:
    """Whether it answers, nothing is to be counted or said of it, and that was noted just now."""
    state = just_read(name)
    if state is None or state.last_ok_at is None:
        return False
    is_closed = state.state == PlatformState.State.CLOSED
    is_quiet = is_closed and not (state.failures or state.incident or state.alert_pending)
    return is_quiet and timezone.now() - state.last_ok_at < SAID_FOR


def forget(name: str) -> None:
    _known.pop(name, None)
