"""Messages to an affiliate, each staged once for its cause."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from affiliates.models import Affiliate, Payout, PayoutBatch
from maaledu.language import in_shop_language, long_day
from maaledu.money import Money, rate_text
from notifications import outgoing

WELCOME, APPLIED = "affiliate_welcome", "affiliate_applied"
DETAILS_CHANGED, PAID_OUT = "affiliate_details_changed", "affiliate_payout"
MINIMUM_SHOWN_IN = "usd"


@in_shop_language
def stage(kind: str, affiliate: Affiliate, *, key: str = "") -> bool:
    """Stage a message to the account's present address. It holds no account number, only a hint."""
    context = {
        "customer_name": affiliate.name,
        "code": affiliate.code,
        "link": affiliate.link,
        "rate": rate_text(affiliate.rate_basis_points),
        "method": affiliate.get_payout_method_display(),
        "hint": affiliate.payout_hint,
        "is_undecided": affiliate.payout_method == Affiliate.LATER,
        "dashboard_link": settings.SITE_URL + reverse("affiliate_dashboard"),
        "details_link": settings.SITE_URL + reverse("affiliate_details"),
        **terms(),
    }
    dedupe_key = f"{kind}:{affiliate.pk}:{key}"[:120]
    return outgoing.stage(
        kind=kind, to=affiliate.user.email, dedupe_key=dedupe_key, context=context
    )


def terms() -> dict[str, Any]:
    """Return the program's terms, as the settings say."""
    return {
        "attribution_days": settings.ATTRIBUTION_LIFETIME.days,
        "hold_days": settings.COMMISSION_HOLD.days,
        "minimum": str(Money(settings.PAYOUT_MINIMUM, MINIMUM_SHOWN_IN)),
    }


@in_shop_language
def stage_payout(payout: Payout, batch: PayoutBatch) -> bool:
    """Stage the message about a payout that was made: amount, account and reference."""
    context = {
        "payee_name": payout.payee_name or payout.affiliate.name,
        "amount": str(Money(payout.amount, payout.currency)),
        "method": batch.get_method_display(),
        "hint": payout.details_hint,
        "reference": batch.reference,
        "paid_on": long_day(batch.paid_at),
        "dashboard_link": settings.SITE_URL + reverse("affiliate_dashboard"),
    }
    return outgoing.stage(
        kind=PAID_OUT,
        to=payout.affiliate.user.email,
        dedupe_key=f"{PAID_OUT}:{payout.pk}",
        context=context,
    )
