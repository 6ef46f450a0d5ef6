"""Only an active affiliate is paid: a payout released for another one waits until staff decide.

Source: decisions, "payouts": suspending holds what is unpaid.
"""

from collections.abc import Collection

from django.utils import timezone

from affiliates.errors import PayeeNotActive
from affiliates.models import Affiliate, Payout, PayoutBatch
from maaledu.money import Money

MOST_NAMED = 5


def waiting(batch: PayoutBatch) -> list[Payout]:
    """Return the released payouts of a batch whose affiliate is not active."""
    released = batch.payouts.filter(status=Payout.RELEASED).select_related("affiliate")
    return list(released.exclude(affiliate__status=Affiliate.ACTIVE).order_by("affiliate_id"))


def describe_waiting(payouts: Collection[Payout]) -> str:
    """Return a sentence about the payouts that wait and what staff can do; "" for none."""
    if not payouts:
        return ""
    named = [
        f"{payout.affiliate} is {payout.affiliate.status}, {Money(payout.amount, payout.currency)}"
        for payout in list(payouts)[:MOST_NAMED]
    ]
    more = f", and {len(payouts) - MOST_NAMED} more" if len(payouts) > MOST_NAMED else ""
    return (
        f"Not to be paid for now: {'; '.join(named)}{more}. Cancel that payout, and its entries"
        " come back; or reinstate the affiliate."
    )


def refuse_waiting(payouts: Collection[Payout]) -> None:
    if payouts:
        ids = [str(payout.pk) for payout in payouts]
        raise PayeeNotActive(describe_waiting(payouts), payouts=ids)


def stays_active(payout: Payout) -> bool:
    """Whether the affiliate is active until this transaction ends; refresh the status if not."""
    # A write, not a read: it locks the row, so that nobody suspends the affiliate before the
    # payout is recorded as paid.
    rows = Affiliate.objects.filter(pk=payout.affiliate_id, status=Affiliate.ACTIVE)
    if rows.update(updated_at=timezone.now()):
        return True
    payout.affiliate.refresh_from_db(fields=["status"])
    return False
