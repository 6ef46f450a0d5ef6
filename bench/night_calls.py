"""What is measured in a grown shop: the steps of the night, and what is done and asked all day.

Imported in a process where the product is set up on a filled database.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from maaledu.work.queue import claim
from operations import day_figures, figures, heartbeats, invariants, levels
from operations.management.commands import nightly
from operations.queues import CHORES, QUEUES, reclaim

# The others ask Stripe or an LMS, and take as long as that does.
OUTSIDE = ("reconciling with Stripe", "asking ", "comparing enrollments with")
INVARIANTS = "checking the invariants"
Call = Callable[[], object]


def _changed() -> list[str]:
    """Check the invariants as in most nights: what changed since the one before."""
    yesterday = timezone.now() - timedelta(days=1)
    for name in (heartbeats.INVARIANTS, heartbeats.ALL_INVARIANTS):
        heartbeats.note(name, at=yesterday)
    return _held(invariants.verify_nightly)


def _held(verify: Callable[[], list[str]]) -> list[str]:
    found = verify()
    assert not found, found
    return found


def _part(part: Callable[[datetime], object]) -> object:
    return list(part(timezone.now()))  # type: ignore[call-overload]


def _once_summed_up() -> Call:
    """Sum up the days that were filled, so many at a time; the call has what an idle shop has."""
    while day_figures.keep() == day_figures.MOST_AT_ONCE:
        pass
    return day_figures.keep


NIGHT: dict[str, Call] = {
    f"{INVARIANTS} of what changed": _changed,
    f"{INVARIANTS} of everything, weekly": partial(_held, invariants.verify),
    **{
        name: step
        for name, step in nightly.STEPS.items()
        if not name.startswith((*OUTSIDE, INVARIANTS))
    },
}
IDLE: dict[str, Call] = {
    "reclaiming what lost workers held": reclaim,
    **CHORES,
    **{f"looking into the queue {name}": partial(claim, each) for name, each in QUEUES.items()},
}
ASKED: dict[str, Call] = {
    **{f"level: {look.__name__.strip('_')}": partial(_part, look) for look in levels.LOOKS},
    **{f"metrics: {part.__name__.strip('_')}": partial(_part, part) for part in figures.PARTS},
}
CALLS: dict[str, Callable[[], Call]] = {
    f"{kind}: {name}": partial(partial, call)
    for kind, calls in (("night", NIGHT), ("idle", IDLE), ("asked", ASKED))
    for name, call in calls.items()
} | {"idle: summing up days": _once_summed_up}
CASES: dict = {}
