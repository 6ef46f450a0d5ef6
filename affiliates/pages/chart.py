"""A column for each day, laid out in whole units for an SVG that is stretched to the page."""

from datetime import date
from typing import Any

from django.utils.dateformat import format as format_date
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from maaledu.money import round_half_up

STEP, COLUMN, HEIGHT, LOWEST = 10, 8, 100, 2


def draw(name: str, counts: list[tuple[date, int]]) -> dict[str, Any]:
    """Return a chart of `counts`, a number for each day in order; a day without any has no column.

    `highest` is the number that a column of full height stands for; `x` and `y` are a column's
    upper left corner.
    """
    highest = max((number for _day, number in counts), default=0)
    columns = []
    for index, (day, number) in enumerate(counts):
        if not number:
            continue
        height = max(round_half_up(number * HEIGHT, highest), LOWEST)
        x, y = index * STEP + (STEP - COLUMN) // 2, HEIGHT - height
        columns.append({"x": x, "y": y, "height": height, "label": f"{_short(day)}: {number}"})
    return {
        "name": name,
        "width": STEP * len(counts),
        "highest": highest,
        "columns": columns,
        "summary": _summary(name, counts),
    }


def _summary(name: str, counts: list[tuple[date, int]]) -> str:
    total = sum(number for _day, number in counts)
    if not total:
        none = ngettext(
            "%(name)s: none on this day.", "%(name)s: none in these %(days)d days.", len(counts)
        )
        return none % {"name": name, "days": len(counts)}
    most = max(number for _day, number in counts)
    best = next(day for day, number in counts if number == most)
    words = ngettext(
        "%(name)s: %(total)s on %(day)s.",
        "%(name)s: %(total)s in %(days)d days, most on %(day)s: %(most)s.",
        len(counts),
    )
    return words % {
        "name": name,
        "total": number_format(total, force_grouping=True),
        "days": len(counts),
        "day": _short(best),
        "most": number_format(most, force_grouping=True),
    }


def _short(day: date) -> str:
    return format_date(day, gettext("M j"))
