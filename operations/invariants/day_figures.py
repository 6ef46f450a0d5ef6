"""What must hold of the sums that the worker keeps of each day."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from operations import day_figures, heartbeats
from operations.invariants.reading import ALL, Scope
from operations.models import DayFigures, Heartbeat

Figures = dict[str, Any]


def check_day_figures(scope: Scope = ALL) -> list[str]:
    """R195: the figures of each day are what its rows come to, also of one that has no figures.

    A day of which something was written since the worker looked last is left to its next look.
    """
    looked = heartbeats.last_seen().get(day_figures.NAME)
    return list(_wrong(looked, scope, timezone.now())) if looked else []


def _wrong(looked: Heartbeat, scope: Scope, now: datetime) -> Iterator[str]:
    first = (now - day_figures.COUNTED_BACK + 2 * day_figures.DAY).date()
    rows = _counted().filter(day__gte=first)
    if scope.since:
        rows = rows.filter(counted_at__gte=scope.since)
    kept: dict[date, Figures] = dict(rows.values_list("day", "figures"))
    looked_at = set(kept) if scope.since else {first, now.date(), *kept}
    if not looked_at:
        return
    found = day_figures.count_days(min(looked_at), max(looked_at))
    days = sorted(kept if scope.since else found)
    differ = [day for day in days if not _agree(kept.get(day), found[day], day, now)]
    if not differ:
        return
    written = day_figures.due_days(now, since=looked.at - day_figures.OVERLAP)
    for day in differ:
        # Counted once more: it may have been summed up since.
        figures = _counted().filter(day=day).values_list("figures", flat=True).first()
        if day not in written and not _agree(figures, day_figures.count(day), day, now):
            yield f"the figures of {day} are not what its rows come to"


def _counted() -> QuerySet[DayFigures]:
    return DayFigures.objects.exclude(counted_at=None)


def _agree(kept: Figures | None, found: Figures, day: date, now: datetime) -> bool:
    if kept is None:
        return not _has_rows(found)
    # Where attempts were deleted since, what was counted of them stays.
    if not day_figures.is_whole(day, now):
        kept = {**kept, day_figures.SECOND: found[day_figures.SECOND]}
    return kept == found


def _has_rows(found: Figures) -> bool:
    """Return whether any row of the day was counted; those that got access are among its sales."""
    sums = (found[name] for name in found if name not in ("access", day_figures.SECOND))
    return any(sums) or any(found[day_figures.SECOND])
