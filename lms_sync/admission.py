"""Which jobs may be claimed now: none of an LMS that is down, or called as often as it may be."""

from django.db.models import Q
from django.utils import timezone

from courses.models import Course
from lms_sync import accounts, breaker, pace, seats, states


def claimable() -> Q:
    """Match the jobs that may be claimed now.

    Those of blocked platforms use up no attempt, and those of a platform that is called as often as
    it may be would only take up a worker. Where no new users are made, those that need one wait.
    """
    now = timezone.now()
    rows = states.read()
    closed = {
        state.name
        for state in rows
        if state.is_blocked or pace.is_behind(state, now) or seats.seem_taken(state.name)
    }
    open_ones = [name for name in Course.Platform.values if name not in closed]
    if not open_ones:
        return Q(pk__in=())  # which asks the database nothing
    jobs = Q(platform__in=open_ones) if closed else Q()
    # Only platforms that make users one at a time have jobs that need one.
    are_made = all(accounts.are_made(state, now) for state in rows if state.name not in closed)
    # As a list: SQLite looks for `NOT needs_account` in no index, and would read all that wait.
    return jobs if are_made else jobs & Q(needs_account__in=[False])


def has_room(name: str) -> bool:
    """Whether a platform answers, and may be called for what nobody waits for."""
    state = breaker.state_of(name)
    return not state.is_blocked and pace.has_room(state, timezone.now())
