"""The figures of today and of the last days, beside the same time before, from what is kept of each
day.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from maaledu.money import Money, percent
from operations.day_figures import DAY, SECOND, WITHIN_SECONDS
from operations.models import DayFigures

PERIODS = {1: "Today", 7: "7 days", 30: "30 days", 90: "90 days"}
LONGEST = 2 * max(PERIODS)
MOST_NAMED = 10
NEVER = "over a day"


@dataclass
class Totals:
    """What some days came to together; money by currency, in minor units."""

    checkouts: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and course
    sold: Counter[tuple[str, str]] = field(default_factory=Counter)
    received: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refunds: Counter[str] = field(default_factory=Counter)
    withdrawn: Counter[str] = field(default_factory=Counter)
    commissions: Counter[str] = field(default_factory=Counter)
    grants: int = 0
    due: int = 0
    within: list[int] = field(default_factory=lambda: [0] * (len(WITHIN_SECONDS) + 1))
    second: int = 0
    healed: int = 0

    def add(self, figures: dict[str, Any]) -> None:
        for kind, course, begun, sold in figures.get("sales", []):
            self.checkouts[kind, course] += begun
            self.sold[kind, course] += sold
        for kind, course, currency, amount in figures.get("received", []):
            self.received[kind, course, currency] += amount
        for name in ("refunds", "withdrawn", "commissions"):
            getattr(self, name).update(dict(figures.get(name, [])))
        self.grants += figures.get("grants", 0)
        # A day of which only the queue was noted so far has no figures yet.
        access = figures.get("access", {"due": 0, "within": [0] * len(self.within)})
        self.due += access["due"]
        self.within = [a + b for a, b in zip(self.within, access["within"], strict=True)]
        second, healed = figures.get(SECOND, (0, 0))
        self.second, self.healed = self.second + second, self.healed + healed

    @property
    def gross(self) -> Counter[str]:
        return _added((key[2], amount) for key, amount in self.received.items())

    @property
    def net(self) -> Counter[str]:
        net = self.gross
        net.subtract(self.refunds)
        net.subtract(self.withdrawn)
        return net


def totals_of(rows: Iterable[DayFigures]) -> Totals:
    totals = Totals()
    for row in rows:
        totals.add(row.figures)
    return totals


def within_text(within: list[int], share: int) -> str:
    """Return within what time this share, in percent, of those who got access had it."""
    total, reached = sum(within), 0
    for seconds, number in zip(WITHIN_SECONDS, within, strict=False):
        reached += number
        if total and reached * 100 >= share * total:
            return duration(seconds)
    return NEVER if total else "–"


def seconds_within(within: list[int], share: int) -> int:
    """Return the same in seconds, for a chart; none is 0, and longer than counted twice a day."""
    total, reached = sum(within), 0
    for seconds, number in zip(WITHIN_SECONDS, within, strict=False):
        reached += number
        if total and reached * 100 >= share * total:
            return seconds
    return 2 * WITHIN_SECONDS[-1] if total else 0


def duration(seconds: int) -> str:
    if seconds >= 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


# --- the table ------------------------------------------------------------------------------------
def table(rows: list[DayFigures], today: date, *, money: bool) -> list[dict[str, Any]]:
    """Return the lines of the table: a label, and for each period its value and the one before."""
    spans = []
    for days in PERIODS:
        now, before = _span(rows, today, days), _span(rows, today - days * DAY, days)
        spans.append((dict(_lines(now, money=money)), dict(_lines(before, money=money))))
    labels = spans[0][0]
    return [
        {"label": label, "cells": [(now[label], before[label]) for now, before in spans]}
        for label in labels
    ]


def _span(rows: list[DayFigures], until: date, days: int) -> Totals:
    first = until - timedelta(days=days - 1)
    return totals_of(row for row in rows if first <= row.day <= until)


def _lines(totals: Totals, *, money: bool) -> list[tuple[str, str]]:
    checkouts, sold = sum(totals.checkouts.values()), sum(totals.sold.values())
    given = sum(totals.within)
    lines = [
        ("Checkouts", f"{checkouts:,}"),
        ("Sold", f"{sold:,}"),
        ("Conversion", percent(sold, checkouts)),
    ]
    if money:
        lines += [
            ("Gross", _money(totals.gross)),
            ("Refunds", _money(totals.refunds)),
            ("Withdrawn by banks", _money(totals.withdrawn)),
            ("Net", _money(totals.net)),
            ("Commission accrued", _money(totals.commissions)),
        ]
    return [
        *lines,
        ("Grants given", f"{totals.grants:,}"),
        ("Got access", percent(given, totals.due)),
        ("Half got access within", within_text(totals.within, 50)),
        ("95 % got access within", within_text(totals.within, 95)),
        ("Healed by the second attempt", percent(totals.healed, totals.second)),
    ]


def _money(amounts: Counter[str]) -> str:
    shown = [str(Money(amounts[currency], currency)) for currency in sorted(amounts)]
    return ", ".join(shown) or "–"


# --- by kind and by course ------------------------------------------------------------------------
def breakdown(totals: Totals, *, by: int, money: bool) -> list[dict[str, str]]:
    """Return checkouts, sales and money by kind (0) or by course (1), the most sold first."""
    checkouts = _added((key[by], number) for key, number in totals.checkouts.items())
    sold = _added((key[by], number) for key, number in totals.sold.items())
    amounts: dict[str, Counter[str]] = defaultdict(Counter)
    for key, amount in totals.received.items():
        amounts[key[by]][key[2]] += amount
    names = sorted({*checkouts, *amounts}, key=lambda name: (-sold[name], -checkouts[name], name))
    return [
        {
            "name": name if by else name.replace("_", " ").capitalize(),
            "checkouts": f"{checkouts[name]:,}",
            "sold": f"{sold[name]:,}",
            "conversion": percent(sold[name], checkouts[name]),
            "gross": _money(amounts[name]) if money else "",
        }
        for name in names[:MOST_NAMED]
    ]


def _added(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for name, number in pairs:
        totals[name] += number
    return totals
