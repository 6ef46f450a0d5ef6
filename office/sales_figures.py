"""Figures of sales per kind of enrollment and per affiliate, balances, and what waits for staff.

A sale belongs to the day of its checkout, a commission to the day it was earned. Everything is
counted by the database, and for the affiliates with the most sales only. Source: requirement R190.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.utils import timezone

from affiliates.models import Affiliate, Balance, Commission, FraudSignal, PayoutBatch, ReferralDay
from enrollments.models import SALE_COUNTS, SOLD, Enrollment
from maaledu.money import Money, percent
from payments.models import Payment, Refund

MOST_AFFILIATES = 50
KIND, CURRENCY = "payment__enrollment__kind", "currency"
BALANCE_LABELS = {"pending": "pending", "payable": "payable", "paid": "paid", "held": "on hold"}


@dataclass(frozen=True)
class KindFigures:
    """The enrollments of one kind in one currency; `revenue` and `reversed` in minor units.

    `refunded` counts those that were refunded in full or lost to a dispute; `reversed` has partial
    refunds in it as well.
    """

    kind: str
    currency: str
    count: int
    refunded: int
    revenue: int
    reversed: int

    @property
    def net(self) -> int:
        return self.revenue - self.reversed

    @property
    def name(self) -> str:
        return self.kind.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Sales:
    """How many enrollments an affiliate brought: all, the paid ones, and the refunded of those."""

    referrals: int = 0
    paid: int = 0
    refunded: int = 0

    @property
    def refund_rate(self) -> str:
        return percent(self.refunded, self.paid)


@dataclass
class AffiliateFigures:
    """The figures of one affiliate; `earned` and `reversed` are minor units by currency."""

    affiliate: Affiliate
    sales: Sales
    visits: int = 0
    checkouts: int = 0
    earned: dict[str, int] = field(default_factory=dict)
    reversed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SalesFigures:
    """The figures of a period; `days` is None for all there ever was."""

    days: int | None
    kinds: list[KindFigures]
    affiliates: list[AffiliateFigures]

    def as_json(self) -> dict[str, Any]:
        return {
            "days": self.days,
            "kinds": [asdict(kind) for kind in self.kinds],
            "affiliates": [_as_json(row) for row in self.affiliates],
        }


def _as_json(row: AffiliateFigures) -> dict[str, Any]:
    return {
        "code": row.affiliate.code,
        "status": row.affiliate.status,
        "visits": row.visits,
        "checkouts": row.checkouts,
        **asdict(row.sales),
        "refund_rate": row.sales.refund_rate,
        "earned": row.earned,
        "reversed": row.reversed,
    }


def sales_figures(days: int | None = None) -> SalesFigures:
    """Return the figures of the last `days` days, or of all time."""
    since = _since(days)
    sold = Q(status__in=SOLD) & (Q(created_at__gte=since) if since else Q())
    return SalesFigures(days, _kinds(sold, since), _affiliates(sold, since))


def _since(days: int | None) -> Any:
    return None if days is None else timezone.now() - timedelta(days=days)


# --- by kind --------------------------------------------------------------------------------------
def _kinds(sold: Q, since: Any) -> list[KindFigures]:
    """Count by kind and currency.

    A refunded enrollment reverses its whole price; a paid one what was refunded of it in part.
    """
    totals: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    rows = (
        Enrollment.objects.filter(sold)
        .order_by()
        .values("kind", "currency", "status")
        .annotate(rows=Count("pk"), total=Sum("amount"))
    )
    for row in rows:
        refunded = row["status"] == Enrollment.REFUNDED
        revenue = row["total"] or 0
        found = {
            "count": row["rows"],
            "refunded": row["rows"] * refunded,
            "revenue": revenue,
            "reversed": revenue * refunded,
        }
        totals[row["kind"], row["currency"]].update(found)
    for row in _partial_refunds(since):
        totals[row[KIND], row[CURRENCY]]["reversed"] += row["total"]
    return [
        KindFigures(
            kind, currency, total["count"], total["refunded"], total["revenue"], total["reversed"]
        )
        for (kind, currency), total in sorted(totals.items())
    ]


def _partial_refunds(since: Any) -> Any:
    refunds = Refund.objects.filter(
        status=Refund.SUCCEEDED,
        payment__enrollment__status=Enrollment.PAID,
        payment__status=Payment.PAID,
    )
    of_period = refunds.filter(payment__enrollment__created_at__gte=since) if since else refunds
    fulfilling = of_period.filter(payment__review_reason__in=["", Payment.LATE])
    return fulfilling.order_by().values(KIND, CURRENCY).annotate(total=Sum("amount"))


# --- by affiliate ---------------------------------------------------------------------------------
def sales_by_affiliate(sold: Q, *, most: int) -> dict[UUID, Sales]:
    """Return what each affiliate brought, those with the most first."""
    rows: Any = (
        Enrollment.objects.filter(sold)
        .exclude(affiliate_id=None)
        .order_by()
        .values("affiliate_id")
        .annotate(**SALE_COUNTS)
    )
    top = rows.order_by("-referrals", "affiliate_id")[:most]
    return {
        row["affiliate_id"]: Sales(row["referrals"], row["paid"], row["refunded"]) for row in top
    }


def _affiliates(sold: Q, since: Any) -> list[AffiliateFigures]:
    sales = sales_by_affiliate(sold, most=MOST_AFFILIATES)
    known = Affiliate.objects.in_bulk(list(sales))
    found = {
        key: AffiliateFigures(known[key], brought) for key, brought in sales.items() if key in known
    }
    for row in _funnels(list(found), since):
        found[row["affiliate_id"]].visits = row["seen"]
        found[row["affiliate_id"]].checkouts = row["begun"]
    for row in _commissions(list(found), since):
        found[row["affiliate_id"]].earned[row["currency"]] = row["earned"]
        found[row["affiliate_id"]].reversed[row["currency"]] = row["back"]
    return list(found.values())


def _funnels(ids: Sequence[UUID], since: Any) -> Any:
    days = ReferralDay.objects.filter(affiliate_id__in=ids)
    of_period = days.filter(day__gte=since.date()) if since else days
    return (
        of_period.order_by()
        .values("affiliate_id")
        .annotate(seen=Sum("visits"), begun=Sum("checkouts"))
    )


def _commissions(ids: Sequence[UUID], since: Any) -> Any:
    rows = Commission.objects.filter(affiliate_id__in=ids)
    of_period = rows.filter(created_at__gte=since) if since else rows
    return (
        of_period.order_by("currency")
        .values("affiliate_id", "currency")
        .annotate(earned=Sum("amount"), back=Sum("reversed"))
    )


def sales_of(affiliate: Affiliate, *, days: int) -> Sales:
    sold = Q(affiliate_id=affiliate.pk, status__in=SOLD, created_at__gte=_since(days))
    return sales_by_affiliate(sold, most=1).get(affiliate.pk, Sales())


# --- now ------------------------------------------------------------------------------------------
def affiliate_figures() -> list[tuple[str, str]]:
    """Return label and value of each figure of the affiliates now, for a page or a terminal."""
    signals = FraudSignal.objects.filter(status=FraudSignal.OPEN)
    batches = PayoutBatch.objects.filter(status__in=[PayoutBatch.DRAFT, PayoutBatch.RELEASED])
    waiting = Counter(batches.values_list("status", flat=True))
    return [
        *((f"affiliates {status}", str(number)) for status, number in _by_status().items()),
        *(figure for balance in _balances() for figure in _of_balance(balance)),
        ("fraud signals to review", str(signals.count())),
        ("payout batches to release", str(waiting[PayoutBatch.DRAFT])),
        ("payout batches to mark paid", str(waiting[PayoutBatch.RELEASED])),
    ]


def _by_status() -> dict[str, int]:
    rows = Affiliate.objects.order_by().values("status").annotate(rows=Count("pk"))
    found = {row["status"]: row["rows"] for row in rows}
    return {status: found.get(status, 0) for status in Affiliate.TRANSITIONS}


def _balances() -> Any:
    # The sums have other names than the columns: an annotation must not be named like a field.
    sums = {f"{column}_sum": Sum(column) for column in BALANCE_LABELS}
    return Balance.objects.order_by("currency").values("currency").annotate(**sums)


def _of_balance(row: dict[str, Any]) -> list[tuple[str, str]]:
    currency = row["currency"]
    return [
        (f"{label} in {currency.upper()}", str(Money(row[f"{column}_sum"], currency)))
        for column, label in BALANCE_LABELS.items()
    ]
