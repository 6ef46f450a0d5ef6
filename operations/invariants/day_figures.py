"""What must hold of the sums that the worker keeps of each day."""

from collections.abc import Iterator
from datetime import date, datetime

from django.utils import timezone

from operations import day_figures, heartbeats
from operations.invariants.reading import ALL, Scope
from operations.models import DayFigures


def check_day_figures(scope: Scope = ALL) -> list[str]:
    """R195: the figures of each day are what its rows come to.

    A day of which something was written since the worker looked last is left to its next look.
    """
    kept = DayFigures.objects.exclude(counted_at=None)
    if scope.since:
        kept = kept.filter(counted_at__gte=scope.since)
    return sorted(set(_wrong(list(kept.values_list("day", flat=True)))))


def _wrong(days: list[date]) -> Iterator[str]:
    looked = heartbeats.last_seen().get(day_figures.NAME) if days else None
    if looked is None:
        return
    now = timezone.now()
    first = now - day_figures.COUNTED_BACK + day_figures.DAY
    for day in days:
        if day > first.date() and not _agrees(day, now):
            written = day_figures.due_days(now, since=looked.at - day_figures.OVERLAP)
            if day not in written and not _agrees(day, now):
                yield f"the figures of {day} are not what its rows come to"


def _agrees(day: date, now: datetime) -> bool:
    kept, found = DayFigures.objects.get(day=day).figures, day_figures.count(day)
    # Where attempts were deleted since, what was counted of them stays.
    if not day_figures.is_whole(day, now):
        kept = {**kept, day_figures.SECOND: found[day_figures.SECOND]}
    return kept == found
