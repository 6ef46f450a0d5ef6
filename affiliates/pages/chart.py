"""A column for each day, laid out in whole units for an SVG that is stretched to the width there
is.
"""

from dataclasses import dataclass
from datetime import date

from django.utils.dateformat import format as format_date

from maaledu.money import round_half_up

STEP, COLUMN, HEIGHT, LOWEST = 10, 8, 100, 2


@dataclass(frozen=True)
class Column:
    """One day that has anything; `x` and `y` are its upper left corner."""

    x: int
    y: int
    height: int
    label: str


@dataclass(frozen=True)
class Chart:
    """`highest` is what a column of the full height stands for; `summary` says in words what the
    columns show.
    """

    name: str
    width: int
    highest: int
    columns: list[Column]
    summary: str


def draw(name: str, counts: list[tuple[date, int]]) -> Chart:
    """Return the columns of `counts`, a number for each day in order; days without any have no
    column.
    """
    highest = max((number for _day, number in counts), default=0)
    columns = [
        _column(place, day, number, highest) for place, (day, number) in enumerate(counts) if number
    ]
    return Chart(name, STEP * len(counts), highest, columns, _summary(name, counts))


def _column(place: int, day: date, number: int, highest: int) -> Column:
    height = max(round_half_up(number * HEIGHT, highest), LOWEST)
    return Column(
        place * STEP + (STEP - COLUMN) // 2, HEIGHT - height, height, f"{short(day)}: {number}"
    )


def _summary(name: str, counts: list[tuple[date, int]]) -> str:
    total = sum(number for _day, number in counts)
    if not total:
        return f"{name}: none in these {len(counts)} days."
    best, most = max(counts, key=lambda pair: pair[1])
    return f"{name}: {total:,} in {len(counts)} days, most on {short(best)}: {most:,}."


def short(day: date) -> str:
    return format_date(day, "M j")
