"""Messages about sales, for affiliates who want them: one for each, or one a day with all of it."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate, Commission, LedgerEntry
from maaledu.direction import isolated
from maaledu.language import in_shop_language, long_day
from maaledu.money import Money
from notifications import outgoing

ONE, DAY = "affiliate_sale", "affiliate_sales_day"
MOST_NAMED = 50


def choose(affiliate: Affiliate, wanted: str) -> bool:
    """Keep which messages the affiliate wants; return whether it is another choice.

    `wanted` is one of Affiliate.SALE_MAILS.
    """
    rows = Affiliate.objects.filter(pk=affiliate.pk).exclude(sale_mails=wanted)
    return rows.update(sale_mails=wanted, updated_at=timezone.now()) == 1


@in_shop_language
def stage_one(affiliate_id: UUID, entry: LedgerEntry) -> bool:
    """Stage the message about a sale, in the transaction that books it."""
    affiliate = Affiliate.objects.select_related("user").get(pk=affiliate_id)
    return outgoing.stage(
        kind=ONE,
        to=affiliate.user.email,
        dedupe_key=f"{ONE}:{entry.enrollment_id}",
        context={
            **_common(affiliate),
            "course_title": entry.note,
            "amount": str(Money(entry.amount, entry.currency)),
        },
    )


def stage_daily(*, days: int = 1) -> int:
    """Stage what was sold on each of the last days (UTC) for who wants one message a day.

    Return how many; a day that is staged already is left out.
    """
    today = timezone.now().astimezone(UTC).date()
    ends = [_start(today - timedelta(days=before)) for before in reversed(range(days))]
    wanting = Affiliate.objects.filter(sale_mails=Affiliate.DAILY).select_related("user")
    return sum(_stage_day(each, end) for each in wanting.iterator(500) for end in ends)


def _start(day: Any) -> datetime:
    return datetime.combine(day, time.min, UTC)


@in_shop_language
def _stage_day(affiliate: Affiliate, until: datetime) -> bool:
    since = until - timedelta(days=1)
    sold = Commission.objects.filter(
        affiliate_id=affiliate.pk, created_at__gte=since, created_at__lt=until
    )
    rows = list(sold.order_by("created_at", "id")[: MOST_NAMED + 1])
    if not rows:
        return False
    sales = [
        (isolated(row.course_title), str(Money(row.amount, row.currency)))
        for row in rows[:MOST_NAMED]
    ]
    return outgoing.stage(
        kind=DAY,
        to=affiliate.user.email,
        dedupe_key=f"{DAY}:{affiliate.pk}:{since:%Y%m%d}",
        context={
            **_common(affiliate),
            "sales": sales,
            "has_more": len(rows) > MOST_NAMED,
            "sold_on": long_day(since),
        },
    )


def _common(affiliate: Affiliate) -> dict[str, Any]:
    return {
        "customer_name": affiliate.name,
        "dashboard_link": settings.SITE_URL + reverse("affiliate_dashboard"),
    }
