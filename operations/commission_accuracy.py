"""Commissions computed again by the database, from the list price of each sale and the rate that
was promised: by none of the code that accrues them (KPI 3, requirement R186).
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, F, OuterRef, QuerySet, Subquery, Sum, Value, When

from affiliates.commissions import CAPPED
from affiliates.models import Commission
from enrollments.models import Enrollment
from maaledu.money import BASIS_POINTS, Money, rate_text, share

HALF = BASIS_POINTS // 2
RIGHT, CAPPED_TO_PAID, TOO_LITTLE, TOO_MUCH = "right", "capped", "too little", "too much"
# Half up: what is less than half a unit over, or half a unit and less under, is rounded away.
# Of a commission without a known sale nothing is right. The first case is that of nearly all, as
# each further one looks its sale up again.
VERDICT = Case(
    When(off__gte=-HALF, off__lt=HALF, then=Value(RIGHT)),
    When(off__gte=HALF, amount=F("paid"), then=Value(CAPPED_TO_PAID)),
    When(off__gte=HALF, then=Value(TOO_LITTLE)),
    default=Value(TOO_MUCH),
)


@dataclass(frozen=True)
class Sums:
    """The commissions in one currency; amounts in minor units."""

    currency: str
    number: int
    wrong: int
    capped: int
    amount: int
    reversed: int


@dataclass(frozen=True)
class Accuracy:
    """How many commissions there are, and how many of them are wrong."""

    sums: list[Sums]

    @property
    def number(self) -> int:
        return sum(each.number for each in self.sums)

    @property
    def wrong(self) -> int:
        return sum(each.wrong for each in self.sums)


def recompute(since: datetime, until: datetime) -> Accuracy:
    """Compute the commissions booked in this time again, in one statement."""
    rows = (
        _with_prices(since, until)
        .order_by()
        .values("currency", "verdict")
        .annotate(number=Count("pk"), earned=Sum("amount"), back=Sum("reversed"))
    )
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        totals[row["currency"]].update(
            {
                "number": row["number"],
                "amount": row["earned"],
                "reversed": row["back"],
                "wrong": row["number"] * (row["verdict"] in _wrong()),
                "capped": row["number"] * (row["verdict"] == CAPPED_TO_PAID),
            }
        )
    return Accuracy([Sums(currency, **totals[currency]) for currency in sorted(totals)])


def wrong_ones(since: datetime, until: datetime, *, most: int) -> list[str]:
    """Name the newest of those that are wrong, each with what it should be."""
    rows = _with_prices(since, until).filter(verdict__in=_wrong()).order_by("-created_at")[:most]
    return [_named(row) for row in rows]


def _wrong() -> list[str]:
    is_capped = settings.COMMISSION_CAP == CAPPED
    return [TOO_LITTLE, TOO_MUCH, *([] if is_capped else [CAPPED_TO_PAID])]


def _with_prices(since: datetime, until: datetime) -> QuerySet[Any]:
    sale = Enrollment.objects.filter(pk=OuterRef("enrollment_id"))
    rows = Commission.objects.filter(created_at__gte=since, created_at__lt=until)
    return (
        rows.annotate(
            price=Subquery(sale.values("list_price")[:1]),
            promised=Subquery(sale.values("commission_rate")[:1]),
            paid=Subquery(sale.values("amount")[:1]),
        )
        .annotate(
            off=Subquery(
                sale.annotate(due=F("list_price") * F("commission_rate")).values("due")[:1]
            )
            - F("amount") * BASIS_POINTS
        )
        .annotate(verdict=VERDICT)
    )


def _named(row: Any) -> str:
    said = f"Enrollment {row.enrollment_id}: its commission is {Money(row.amount, row.currency)}"
    if row.price is None or row.promised is None:
        return f"{said}, and no referred sale is known."
    due = Money(share(row.price, row.promised), row.currency)
    price = Money(row.price, row.currency)
    return f"{said}, and {rate_text(row.promised)} of {price} is {due}."
