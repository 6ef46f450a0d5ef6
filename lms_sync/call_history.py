"""What the figures of LMS calls say (requirements R115, R116), and how long they are kept.

Hours are kept for two weeks, and days, into which they are merged then, for a year and more.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.utils import timezone

from lms_sync import call_counts
from lms_sync.call_figure import COUNTED, WITHIN_MS, CallFigure
from maaledu.db import atomic
from maaledu.forgetting import forget

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Figures:
    """The calls of one step, or of one period."""

    name: Any
    calls: int
    failed: int
    refused: int
    total_ms: int
    within: tuple[int, ...]

    @property
    def failed_percent(self) -> float:
        return round(100 * self.failed / self.calls, 1)

    @property
    def mean_ms(self) -> int:
        return self.total_ms // self.calls

    def within_ms(self, share: float) -> int | None:
        """Return within which of the counted times this share was answered; None: beyond all."""
        reached = 0
        for most, number in zip(WITHIN_MS, self.within, strict=True):
            reached += number
            if reached >= share * self.calls:
                return most
        return None

    @property
    def usual(self) -> str:
        return in_words(self.within_ms(0.5))

    @property
    def slow(self) -> str:
        return in_words(self.within_ms(0.95))


def in_words(milliseconds: int | None) -> str:
    if milliseconds is None:
        return f"over {WITHIN_MS[-1] // 1000} s"
    is_short = milliseconds < 1000
    return f"{milliseconds} ms" if is_short else f"{milliseconds // 1000} s"


def read(platform: str, since: datetime) -> list[dict[str, Any]]:
    """Return what was counted of a platform since then: a row for each step and hour, or day."""
    rows = CallFigure.objects.filter(platform=platform, starts_at__gte=since)
    return list(rows.values("step", "starts_at", *COUNTED))


def by_step(rows: Iterable[dict[str, Any]]) -> list[Figures]:
    """Return the figures of each step, most calls first."""
    found = [_figures(step, counts) for step, counts in _totals(rows, itemgetter("step")).items()]
    return sorted(found, key=lambda each: (-each.calls, each.name))


def by_period(rows: Iterable[dict[str, Any]], *, days: bool = False) -> list[Figures]:
    """Return the figures of all steps of each hour, or day; latest first."""
    totals = _totals(rows, lambda row: _midnight(row["starts_at"]) if days else row["starts_at"])
    return [_figures(at, totals[at]) for at in sorted(totals, reverse=True)]


def _totals(
    rows: Iterable[dict[str, Any]], of: Callable[[dict[str, Any]], Any]
) -> dict[Any, Counter[str]]:
    totals: dict[Any, Counter[str]] = {}
    for row in rows:
        totals.setdefault(of(row), Counter()).update({name: row[name] for name in COUNTED})
    return totals


def _figures(name: Any, counts: Counter[str]) -> Figures:
    within = tuple(counts[f"within_{most}"] for most in WITHIN_MS)
    plain = (counts["calls"], counts["failed"], counts["refused"], counts["total_ms"])
    return Figures(name, *plain, within)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def thin() -> int:
    """Merge hours past their retention into days, delete days past theirs; return how many went."""
    now = timezone.now()
    old_days = CallFigure.objects.filter(
        span=CallFigure.DAY, starts_at__lt=now - settings.LMS_FIGURES_DAYS_KEPT
    )
    gone = forget(old_days, by="starts_at")
    limit_at = _midnight(now - settings.LMS_FIGURES_HOURS_KEPT)
    hours = CallFigure.objects.filter(span=CallFigure.HOUR, starts_at__lt=limit_at)
    while oldest := hours.order_by("starts_at").first():
        gone += _merge(oldest)
    return gone


@atomic
def _merge(oldest: CallFigure) -> int:
    """Add the hours of this one's day to the day's rows and delete them, both or neither."""
    # Who deletes the oldest merges its day: of two nights at once, both would count it.
    if not CallFigure.objects.filter(pk=oldest.pk).delete()[0]:
        return 0
    day = _midnight(oldest.starts_at)
    hours = CallFigure.objects.filter(
        span=CallFigure.HOUR, starts_at__gte=day, starts_at__lt=day + DAY
    )
    rows = [oldest, *hours]
    for key, counts in _summed(rows, day).items():
        call_counts.add(CallFigure.DAY, key, counts)
    CallFigure.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _summed(rows: Iterable[CallFigure], day: datetime) -> dict[call_counts.Key, Counter[str]]:
    sums: dict[call_counts.Key, Counter[str]] = {}
    for row in rows:
        key = call_counts.Key(row.platform, row.step, day)
        sums.setdefault(key, Counter()).update({name: getattr(row, name) for name in COUNTED})
    return sums
