"""What an affiliate is told; each message once for its cause."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from affiliates.models import Affiliate, Payout, PayoutBatch
from maaledu.money import format_money, rate_text
from notifications import outgoing

WELCOME, APPLIED, DETAILS_CHANGED = (
    "affiliate_welcome",
    "affiliate_applied",
    "affiliate_details_changed",
)
PAID_OUT = "affiliate_payout"
MINIMUM_SHOWN_IN = "usd"


def stage(kind: str, affiliate: Affiliate, *, key: str = "") -> bool:
    """Stage a message to where the account is reached now. No account number is ever in it, only
    its hint.
    """
    to, dedupe_key = affiliate.user.email, f"{kind}:{affiliate.pk}:{key}"
    return outgoing.stage(
        kind=kind, to=to, dedupe_key=dedupe_key[:120], context=mail_context(affiliate)
    )


def mail_context(affiliate: Affiliate) -> dict[str, Any]:
    return {
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


def terms() -> dict[str, Any]:
    """Return the program's figures as they are set, in words."""
    return {
        "attribution_days": settings.ATTRIBUTION_LIFETIME.days,
        "hold_days": settings.COMMISSION_HOLD.days,
        "minimum": format_money(settings.PAYOUT_MINIMUM, MINIMUM_SHOWN_IN),
    }


def stage_payout(payout: Payout, batch: PayoutBatch) -> bool:
    """Say what was paid out, to where, and with which reference; once for each payout."""
    paid_at = batch.paid_at
    context = {
        "payee_name": payout.payee_name or payout.affiliate.name,
        "amount": payout.amount_display,
        "method": batch.get_method_display(),
        "hint": payout.details_hint,
        "reference": batch.reference,
        "paid_on": f"{paid_at:%B} {paid_at.day}, {paid_at.year}" if paid_at else "",
        "dashboard_link": settings.SITE_URL + reverse("affiliate_dashboard"),
    }
    return outgoing.stage(
        kind=PAID_OUT,
        to=payout.affiliate.user.email,
        dedupe_key=f"{PAID_OUT}:{payout.pk}",
        context=context,
    )
