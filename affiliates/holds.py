"""What is on hold of an account: the part of each sale in doubt that no payout has taken.

A sale is in doubt while it is disputed, warned of as fraud, or under review. What a released or
paid payout has taken cannot be held back any more; when that payout is cancelled it is on hold
again. Source: decisions, "refunds and disputes".
"""

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum

from affiliates.models import Balance, Commission, Payout, PayoutItem

IN_DOUBT = Q(is_disputed=True) | Q(is_under_review=True)


def sales_in_doubt(affiliate_id: UUID) -> set[UUID]:
    """Return the enrollments whose commission is on hold."""
    rows = Commission.objects.filter(IN_DOUBT, affiliate_id=affiliate_id)
    return set(rows.values_list("enrollment_id", flat=True))


def parts(affiliate_id: UUID, currency: str) -> dict[UUID, int]:
    """Return what is on hold by enrollment, in minor units; never a debt, so at least 1 of each."""
    rows = Commission.objects.filter(IN_DOUBT, affiliate_id=affiliate_id, currency=currency)
    nets = {commission.enrollment_id: commission.net for commission in rows}
    if not nets:
        return {}
    taken: Counter[UUID | None] = Counter()
    for enrollment_id, amount in booked_items(nets).values_list("entry__enrollment_id", "amount"):
        taken[enrollment_id] += amount
    return {key: net - taken[key] for key, net in nets.items() if net > taken[key]}


def with_pending(balances: QuerySet[Balance]) -> QuerySet[Balance]:
    """Add to each balance what it has on hold of sales that are not payable yet, as `held_pending`.

    Nothing of such a sale is in a payout, so that all of it is on hold.
    """
    pending = Commission.objects.filter(
        IN_DOUBT,
        affiliate_id=OuterRef("affiliate_id"),
        currency=OuterRef("currency"),
        available_at__gt=OuterRef("matured_through"),
    )
    sums = pending.order_by().values("currency").annotate(total=Sum(F("amount") - F("reversed")))
    return balances.annotate(held_pending=Subquery(sums.values("total")))


def booked_items(enrollment_ids: Collection[UUID]) -> QuerySet[PayoutItem]:
    """Return what released and paid payouts took of these sales; a draft takes nothing yet."""
    return PayoutItem.objects.filter(
        is_live=True,
        payout__status__in=Payout.BOOKED,
        entry__enrollment_id__in=list(enrollment_ids),
    )


def recount(affiliate_id: UUID, currency: str) -> None:
    """Compute anew what the balance has on hold.

    Only for transactions that have locked this balance: a payout booked at the same time would be
    counted as not taken yet.
    """
    held = sum(parts(affiliate_id, currency).values())
    balance = Balance.objects.filter(affiliate_id=affiliate_id, currency=currency)
    balance.exclude(held=held).update(held=held, version=F("version") + 1)
