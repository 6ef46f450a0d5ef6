"""What must hold of the sums that the worker keeps of each day."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from operations import day_figures, heartbeats
from operations.invariants.reading import ALL, Scope
from operations.models import DayFigures

Figures = dict[str, Any]


def check_day_figures(scope: Scope = ALL) -> list[str]:
    """R195: the figures of each day are what its rows come to.

    A day of which something was written since the worker looked last is left to its next look.
    """
    kept = DayFigures.objects.exclude(counted_at=None)
    if scope.since:
        kept = kept.filter(counted_at__gte=scope.since)
    now = timezone.now()
    first = (now - day_figures.COUNTED_BACK + day_figures.DAY).date()
    return list(_wrong(dict(kept.filter(day__gt=first).values_list("day", "figures")), now))


def _wrong(kept: dict[date, Figures], now: datetime) -> Iterator[str]:
    looked = heartbeats.last_seen().get(day_figures.NAME) if kept else None
    if looked is None:
        return
    found = day_figures.count_days(min(kept), max(kept))
    differ = [day for day in sorted(kept) if not _agree(kept[day], found[day], day, now)]
    if not differ:
        return
    written = day_figures.due_days(now, since=looked.at - day_figures.OVERLAP)
    for day in differ:
        # Counted once more: it may have been summed up since.
        figures = DayFigures.objects.get(day=day).figures
        if day not in written and not _agree(figures, day_figures.count(day), day, now):
            yield f"the figures of {day} are not what its rows come to"


def _agree(kept: Figures, found: Figures, day: date, now: datetime) -> bool:
    # Where attempts were deleted since, what was counted of them stays.
    if not day_figures.is_whole(day, now):
        kept = {**kept, day_figures.SECOND: found[day_figures.SECOND]}
    return kept == found
