"""The nightly look at the affiliates' sales for what a person should review.

It refuses nothing and changes no sale. Each signal is recorded once a month for its cause, so that
one that staff cleared is recorded again only if its cause goes on. Source: settings FRAUD_*.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from affiliates import fraud
from affiliates.models import Affiliate, FraudSignal
from enrollments.models import SALE_COUNTS, SOLD, Enrollment

logger = logging.getLogger(__name__)

ONE_ADDRESS_DAYS = 30
LOOK_BACK_DAYS = 90
MOST_SIGNALS = 500


@dataclass(frozen=True)
class Finding:
    """What speaks against the sales of an affiliate.

    `part` distinguishes two findings of one kind.
    """

    affiliate_id: UUID
    kind: str
    detail: str
    part: str = ""


def review() -> int:
    """Record what the sales of the last months show, and return how many signals are new.

    Safe to repeat: the key of a signal names its cause and its month.
    """
    found = [*_many_from_one_address(), *_unusual_sales()]
    affiliates = Affiliate.objects.in_bulk([finding.affiliate_id for finding in found])
    recorded = sum(
        _record(affiliates[finding.affiliate_id], finding)
        for finding in found
        if finding.affiliate_id in affiliates
    )
    logger.info("sales reviewed for fraud", extra={"signals": len(found), "recorded": recorded})
    return recorded


def _record(affiliate: Affiliate, finding: Finding) -> bool:
    key = f"{affiliate.pk}:{finding.part}:{timezone.now():%Y-%m}"
    return fraud.note(affiliate, finding.kind, key=key, detail=finding.detail)


def _sold(days: int) -> Any:
    since = timezone.now() - timedelta(days=days)
    return (
        Enrollment.objects.filter(status__in=SOLD, created_at__gte=since)
        .exclude(affiliate_id=None)
        .order_by()
    )


def _many_from_one_address() -> list[Finding]:
    groups = (
        _sold(ONE_ADDRESS_DAYS)
        .exclude(network_key="")
        .values("affiliate_id", "network_key")
        .annotate(rows=Count("pk"))
    )
    many = groups.filter(rows__gte=settings.FRAUD_PURCHASES_OF_ONE_ADDRESS).order_by(
        "-rows", "affiliate_id"
    )[:MOST_SIGNALS]
    return [
        Finding(
            row["affiliate_id"],
            FraudSignal.ONE_ADDRESS,
            f"{row['rows']} purchases in {ONE_ADDRESS_DAYS} days",
            part=row["network_key"][:16],
        )
        for row in many
    ]


def _unusual_sales() -> list[Finding]:
    """Find affiliates whose sales are often refunded, or all made with a grant for nearly all.

    Only affiliates with enough sales for a share to mean something are looked at.
    """
    granted = Count("pk", filter=Q(discount_percent__gte=settings.FRAUD_GRANT_PERCENT))
    rows = _sold(LOOK_BACK_DAYS).values("affiliate_id").annotate(**SALE_COUNTS, granted=granted)
    enough = rows.filter(referrals__gte=settings.FRAUD_LEAST_SALES).order_by(
        "-referrals", "affiliate_id"
    )
    return [finding for row in enough for finding in _findings_in(row)][:MOST_SIGNALS]


def _findings_in(row: dict[str, Any]) -> list[Finding]:
    found, period = [], f"in {LOOK_BACK_DAYS} days"
    if (
        row["paid"] >= settings.FRAUD_LEAST_SALES
        and 100 * row["refunded"] >= settings.FRAUD_REFUND_PERCENT * row["paid"]
    ):
        detail = f"{row['refunded']} of {row['paid']} paid sales refunded {period}"
        found.append(Finding(row["affiliate_id"], FraudSignal.REFUND_RATE, detail))
    if row["granted"] == row["referrals"]:
        detail = (
            f"All {row['referrals']} sales {period} with a grant of {settings.FRAUD_GRANT_PERCENT}"
            " % or more"
        )
        found.append(Finding(row["affiliate_id"], FraudSignal.GRANTS_ONLY, detail))
    return found
