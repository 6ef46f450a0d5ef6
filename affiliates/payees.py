"""Whose money may go out: an affiliate's who is active. What is released for another one waits
until staff decide.

Source: decisions, "payouts": suspending holds what is unpaid.
"""

from collections.abc import Collection

from django.utils import timezone

from affiliates.errors import PayeeNotActive
from affiliates.models import Affiliate, Payout, PayoutBatch

MOST_NAMED = 5


def waiting(batch: PayoutBatch) -> list[Payout]:
    """Return the released payouts of a batch whose affiliate is not active."""
    released = (
        batch.payouts.filter(status=Payout.RELEASED)
        .select_related("affiliate")
        .order_by("affiliate_id")
    )
    return [payout for payout in released if waits(payout)]


def waits(payout: Payout) -> bool:
    return payout.status == Payout.RELEASED and not payout.affiliate.is_active


def words_about(payouts: Collection[Payout]) -> str:
    """Return which payouts wait and what can be done, for whoever works on their batch; "" for
    none.
    """
    if not payouts:
        return ""
    named = [
        f"{payout.affiliate} is {payout.affiliate.status}, {payout.amount_display}"
        for payout in list(payouts)[:MOST_NAMED]
    ]
    more = f", and {len(payouts) - MOST_NAMED} more" if len(payouts) > MOST_NAMED else ""
    return (
        f"Not to be paid for now: {'; '.join(named)}{more}. Cancel that payout, and its entries"
        " come back; or reinstate the affiliate."
    )


def refuse_waiting(payouts: Collection[Payout]) -> None:
    if payouts:
        raise PayeeNotActive(words_about(payouts), payouts=[str(payout.pk) for payout in payouts])


def stays_active(payout: Payout) -> bool:
    """Whether the affiliate is active, and nobody suspends them before this transaction has ended.
    The payout learns their status.
    """
    rows = Affiliate.objects.filter(pk=payout.affiliate_id)
    if rows.filter(status=Affiliate.ACTIVE).update(updated_at=timezone.now()):
        return True
    payout.affiliate.refresh_from_db(fields=["status"])
    return False
