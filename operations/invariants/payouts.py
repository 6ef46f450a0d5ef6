"""What must hold of payouts: their entries, their bookings, and the two persons."""

from collections import Counter
from uuid import UUID

from django.db.models import Count, F

from affiliates.models import LedgerEntry, Payout, PayoutBatch, PayoutItem
from operations.invariants.reading import BATCH, confirmed


@confirmed
def check_payouts() -> list[str]:
    """I9: a live payout is the sum of its entries, and booked while it is released or paid.

    No entry is in two live payouts.
    """
    shared = (
        PayoutItem.objects.filter(is_live=True)
        .order_by()
        .values("entry_id")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    found = [f"entry {row['entry_id']} is in {row['rows']} live payouts" for row in shared]
    booked: Counter[UUID | None] = Counter()
    for entry in LedgerEntry.objects.payments().order_by().iterator(BATCH):
        booked[entry.payout_id] += entry.amount
    for payout in Payout.objects.select_related("batch").order_by().iterator(BATCH):
        problems = _problems(payout, booked[payout.pk])
        found += [f"payout {payout.pk} is {problem}" for problem in problems]
    return found


def _problems(payout: Payout, booked: int) -> list[str]:
    items = sum(item.amount for item in payout.items.filter(is_live=True))
    expected_items = payout.amount if payout.status in Payout.LIVE else 0
    expected_booking = -payout.amount if payout.status in Payout.BOOKED else 0
    found = []
    if payout.status not in (payout.batch.status, Payout.CANCELLED):
        found.append(f"{payout.status} and its batch {payout.batch.status}")
    if items != expected_items:
        found.append(f"{payout.amount} and its live entries add up to {items}")
    if booked != expected_booking:
        found.append(f"{payout.status} and booked with {booked}")
    return found


def check_two_persons() -> list[str]:
    """Decisions, "payouts": nobody released what they drafted, nor what pays themselves."""
    alone = PayoutBatch.objects.filter(released_by=F("drafted_by")).values_list("pk", flat=True)
    found = [f"payout batch {pk} was drafted and released by one person" for pk in alone]
    booked = (
        Payout.objects.filter(status__in=Payout.BOOKED)
        .select_related("batch", "affiliate")
        .order_by()
    )
    own = (
        payout
        for payout in booked.iterator(BATCH)
        if payout.batch.released_by_id == payout.affiliate.user_id
    )
    return found + [f"payout {payout.pk} was released by whoever it pays" for payout in own]
