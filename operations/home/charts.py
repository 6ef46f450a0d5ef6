"""The charts of the office's first page, laid out in whole units for an SVG, each with its table.

unfold's own charts are drawn by a script on a canvas, which says nothing without one.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils.dateformat import format as format_date

from maaledu.money import round_half_up
from operations.day_figures import DAY, QUEUE_STEP_MINUTES
from operations.home.periods import duration, seconds_within, totals_of
from operations.models import DayFigures

STEP, COLUMN, HEIGHT, LOWEST = 10, 8, 100, 2
DAYS = 30
MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True)
class Point:
    """One column: what it stands for, how high it is, and what is read of it."""

    label: str
    value: int
    text: str


def draw(key: str, title: str, points: list[Point], *, unit: str) -> dict[str, Any]:
    """Return a chart with a column for each point; one without a value has none."""
    highest = max((point.value for point in points), default=0)
    top = next((point for point in points if point.value == highest), None)
    none = f"{title}: none."
    return {
        "key": key,
        "title": title,
        "unit": unit,
        "width": STEP * len(points),
        "columns": [
            _column(number, point, highest) for number, point in enumerate(points) if point.value
        ],
        "first": points[0].label,
        "last": points[-1].label,
        "highest": top.text if top and highest else "",
        "summary": f"{title}. Most: {top.text}, {top.label}." if top and highest else none,
        "points": [point for point in points if point.value],
    }


def _column(number: int, point: Point, highest: int) -> dict[str, Any]:
    height = max(round_half_up(point.value * HEIGHT, highest), LOWEST)
    return {
        "x": number * STEP + (STEP - COLUMN) // 2,
        "y": HEIGHT - height,
        "height": height,
        "label": f"{point.label}: {point.text}",
    }


def all_of(rows: list[DayFigures], now: datetime) -> list[dict[str, Any]]:
    """Return the charts: sales and time to access day by day, and the queue over the day."""
    by_day = {row.day: row for row in rows}
    today = now.astimezone(UTC).date()
    days = [today - number * DAY for number in reversed(range(DAYS))]
    return [
        draw("sales", "Sales per day", [_sales(day, by_day) for day in days], unit="Sold"),
        draw(
            "access",
            "Time to access, 95 % within",
            [_access(day, by_day) for day in days],
            unit="95 % within",
        ),
        draw("queue", "LMS jobs due, last 24 hours (UTC)", _queue(by_day, now), unit="Jobs due"),
    ]


def _sales(day: date, by_day: dict[date, DayFigures]) -> Point:
    totals = totals_of([by_day[day]] if day in by_day else [])
    sold = sum(totals.sold.values())
    return Point(format_date(day, "M j"), sold, f"{sold:,}")


def _access(day: date, by_day: dict[date, DayFigures]) -> Point:
    totals = totals_of([by_day[day]] if day in by_day else [])
    seconds = seconds_within(totals.within, 95)
    return Point(format_date(day, "M j"), seconds, duration(seconds))


def _queue(by_day: dict[date, DayFigures], now: datetime) -> list[Point]:
    """Return the most jobs that were due at once in each ten minutes of the last day."""
    at = now.astimezone(UTC).replace(second=0, microsecond=0)
    last = at - timedelta(minutes=at.minute % QUEUE_STEP_MINUTES)
    steps = MINUTES_OF_DAY // QUEUE_STEP_MINUTES
    moments = [
        last - timedelta(minutes=QUEUE_STEP_MINUTES * number) for number in reversed(range(steps))
    ]
    points = []
    for moment in moments:
        row = by_day.get(moment.date())
        due = row.queue.get(f"{moment:%H%M}", 0) if row else 0
        points.append(Point(f"{moment:%H:%M}", due, f"{due:,}"))
    return points
