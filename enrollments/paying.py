"""Payouts and their e-mails, together: what was paid is written in `affiliates`, and its messages staged in one transaction."""

from collections.abc import Iterable

from django.conf import settings
from django.urls import reverse

from accounts.models import User
from affiliates import payouts
from affiliates.models import Payout, PayoutBatch
from maaledu.db import atomic
from maaledu.money import format_money
from notifications import outgoing

PAID_OUT = "affiliate_payout"


@atomic
def mark_paid(batch: PayoutBatch, *, by: User, reference: str) -> list[Payout]:
    """Record that a released batch is paid, and tell each affiliate once. Raises PayoutRefused."""
    paid = payouts.mark_paid(batch, by=by, reference=reference)
    for payout in paid:
        _mail(payout, batch)
    return paid


def sum_of(lines: Iterable[Payout], batch: PayoutBatch) -> str:
    """Return how many payouts these are and what they come to, in words: "2 payouts, $130.00"."""
    amounts = [line.amount for line in lines]
    return f"{len(amounts)} {'payout' if len(amounts) == 1 else 'payouts'}, {format_money(sum(amounts), batch.currency)}"


def _mail(payout: Payout, batch: PayoutBatch) -> bool:
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
    return outgoing.stage(kind=PAID_OUT, to=payout.affiliate.user.email, dedupe_key=f"{PAID_OUT}:{payout.pk}", context=context)
