"""What is on hold of an account: of each sale in doubt, what no payout has taken out of the
balance.

A sale is in doubt while it is disputed or under review. What went out with a released or paid
payout cannot be held back any more; when that payout is cancelled it is on hold again. Source:
decisions, "refunds and disputes".
"""

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from django.db.models import F, Q, QuerySet

from affiliates.models import Balance, Commission, Payout, PayoutItem

IN_DOUBT = Q(is_disputed=True) | Q(is_under_review=True)


def sales_in_doubt(affiliate_id: UUID) -> set[UUID]:
    """Return the enrollments whose commission is disputed or under review."""
    return set(
        Commission.objects.filter(IN_DOUBT, affiliate_id=affiliate_id).values_list(
            "enrollment_id", flat=True
        )
    )


def parts(affiliate_id: UUID, currency: str) -> dict[UUID, int]:
    """Return by enrollment what is on hold, in minor units: never less than 1, for a hold keeps no
    debt back.
    """
    rows = Commission.objects.filter(IN_DOUBT, affiliate_id=affiliate_id, currency=currency)
    nets = {commission.enrollment_id: commission.net for commission in rows}
    taken: Counter[UUID | None] = Counter()
    for enrollment_id, amount in (
        items_booked(nets).values_list("entry__enrollment_id", "amount") if nets else ()
    ):
        taken[enrollment_id] += amount
    return {key: net - taken[key] for key, net in nets.items() if net > taken[key]}


def items_booked(enrollment_ids: Collection[UUID]) -> QuerySet[PayoutItem]:
    """Return what released and paid payouts took of these sales: as the balance does, which a mere
    draft leaves alone.
    """
    return PayoutItem.objects.filter(
        is_live=True,
        payout__status__in=Payout.BOOKED,
        entry__enrollment_id__in=list(enrollment_ids),
    )


def recount(affiliate_id: UUID, currency: str) -> None:
    """Have the balance say what is on hold now.

    For transactions that have written to this balance before: whoever else books on it is done by
    then, or waits for them.
    """
    held = sum(parts(affiliate_id, currency).values())
    balance = Balance.objects.filter(affiliate_id=affiliate_id, currency=currency)
    balance.exclude(held=held).update(held=held, version=F("version") + 1)
