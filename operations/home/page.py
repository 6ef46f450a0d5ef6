"""The office's first page: is money coming in, is anybody paid and without access, what waits.

Read anew at each visit, in eight statements at most, however much there is.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from operations import day_figures
from operations.home import charts, health, periods, waiting

SEES_SALES, SEES_MONEY = "enrollments.view_enrollment", "payments.view_payment"
DEFAULT_DAYS = 30


def add_home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what this user may see of the shop to the first page."""
    now = timezone.now()
    return {
        **context,
        "title": "Home",
        "now": now,
        "health": _health(request, now),
        "waiting": waiting.lines_for(request, waiting.counts_for(request)),
        **_figures(request, now),
    }


def _health(request: HttpRequest, now: datetime) -> health.Health:
    """Return how the parts are, with links to the lists that this user may look at alone."""
    found, may = health.assess(now), request.user.has_perm
    lines = [
        each if not each.page or may(waiting.view_permission(each.page)) else replace(each, page="")
        for each in found.lines
    ]
    return replace(found, lines=lines)


def _figures(request: HttpRequest, now: Any) -> dict[str, Any]:
    if not request.user.has_perm(SEES_SALES):
        return {}
    is_money_seen = request.user.has_perm(SEES_MONEY)
    today = now.astimezone(UTC).date()
    rows = list(day_figures.last(periods.LONGEST, today))
    days = _chosen(request)
    chosen = periods.totals_of(row for row in rows if row.day > today - days * day_figures.DAY)
    return {
        "periods": [
            {"days": number, "name": name, "is_chosen": number == days}
            for number, name in periods.PERIODS.items()
        ],
        "figures": periods.table(rows, today, money=is_money_seen),
        "charts": charts.all_of(rows, now),
        "sees_money": is_money_seen,
        "breakdowns": [
            ("kind", "By kind", periods.breakdown(chosen, by=0, money=is_money_seen)),
            ("course", "By course", periods.breakdown(chosen, by=1, money=is_money_seen)),
        ],
    }


def _chosen(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return next((days for days in periods.PERIODS if str(days) == asked), DEFAULT_DAYS)
