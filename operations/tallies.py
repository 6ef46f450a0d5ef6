"""Counts and sums of all rows, of which only the weeks that changed are looked at again.

The sums of each week are kept in the cache. A week is summed up anew when a row that was made in it
has been written since, and all of them once a day, or when the cache has lost them.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import or_
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, TruncWeek

WEEK, ANEW_EVERY = timedelta(days=7), timedelta(days=1)
# A transaction that was open at the last look may have written since, as of a moment before it.
OVERLAP = timedelta(minutes=5)
Values = tuple[Any, ...]
Sums = list[tuple[Values, int, int]]  # each with how many rows and their sum


@dataclass(frozen=True)
class Kept:
    """The sums of each week, as they were at `looked_at`."""

    built_at: datetime
    looked_at: datetime
    weeks: dict[datetime, Sums]


@dataclass(frozen=True)
class Tally:
    """The rows of a model by the values that some of its fields have together.

    Each write of a row must set its `updated_at`.
    """

    rows: Callable[[], QuerySet[Any]]
    by: tuple[str, ...]
    summed: str = ""

    def current(self, now: datetime) -> Kept:
        """Return the sums of all weeks as they are now."""
        kept = cache.get(self._key)
        if kept is None or now - kept.built_at > ANEW_EVERY:
            kept = Kept(now, now, self._sums(self.rows()))
        else:
            kept = Kept(kept.built_at, now, self._brought_up_to_date(kept))
        cache.set(self._key, kept, ANEW_EVERY.total_seconds())
        return kept

    @property
    def _key(self) -> str:
        return f"tally:{self.rows().model._meta.label}:{','.join(self.by)}:{self.summed}"

    def _brought_up_to_date(self, kept: Kept) -> dict[datetime, Sums]:
        written = self.rows().filter(updated_at__gte=kept.looked_at - OVERLAP)
        weeks = set(written.order_by().values_list(TruncWeek("created_at"), flat=True).distinct())
        if not weeks:
            return kept.weeks
        made_in = (Q(created_at__gte=week, created_at__lt=week + WEEK) for week in weeks)
        anew = self._sums(self.rows().filter(functools.reduce(or_, made_in)))
        return {**kept.weeks, **{week: anew.get(week, []) for week in weeks}}

    def _sums(self, rows: QuerySet[Any]) -> dict[datetime, Sums]:
        amount = Coalesce(Sum(self.summed), 0) if self.summed else Value(0)
        grouped = rows.order_by().annotate(week=TruncWeek("created_at")).values("week", *self.by)
        found: dict[datetime, Sums] = {}
        for row in grouped.annotate(number=Count("pk"), amount=amount):
            values = tuple(row[field] for field in self.by)
            found.setdefault(row["week"], []).append((values, row["number"], row["amount"]))
        return found


def counted(kept: Kept, *, by: Callable[[Values], Values | None]) -> list[tuple[Values, int]]:
    """Return how many rows there are for what `by` makes of their values; None leaves one out."""
    return _added((by(values), number) for values, number, _ in _all(kept))


def summed(kept: Kept, *, by: Callable[[Values], Values | None]) -> list[tuple[Values, int]]:
    """Return the sums for what `by` makes of the rows' values; None leaves one out."""
    return _added((by(values), amount) for values, _, amount in _all(kept))


def _all(kept: Kept) -> Iterable[tuple[Values, int, int]]:
    return (sums for week in kept.weeks.values() for sums in week)


def _added(numbers: Iterable[tuple[Values | None, int]]) -> list[tuple[Values, int]]:
    totals: Counter[Values] = Counter()
    for values, number in numbers:
        if values is not None:
            totals[values] += number
    return sorted(totals.items())
