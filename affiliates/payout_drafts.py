"""Drafting a payout batch: who is due how much, from the ledger.

A unique row allows an entry one live payout, so two drafts at once share none. Source: decisions,
"payouts".
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from affiliates import holds, ledger
from affiliates.errors import NothingToPay
from affiliates.models import Affiliate, Balance, LedgerEntry, Payout, PayoutBatch, PayoutItem
from affiliates.payouts import log_payouts
from maaledu.db import atomic, is_duplicate

MOST_PAYOUTS = 500


@dataclass(frozen=True)
class Run:
    """What a batch pays: one currency, one method, what is available by the end of a day (UTC)."""

    currency: str
    method: str
    payable_on: date

    @property
    def ends_at(self) -> datetime:
        return datetime.combine(self.payable_on + timedelta(days=1), time.min, UTC)


def draft(run: Run, *, by: User) -> PayoutBatch:
    """Draft a payout to every active affiliate who is owed the minimum. Raises NothingToPay.

    Each payout is a transaction of its own, so a draft that is cut off leaves a smaller batch. An
    affiliate whose entries another draft takes at this moment is left to that one, and nothing is
    added to a batch that is no draft any more.
    """
    # Whatever has become available by now belongs in this draft, not in the next one.
    while ledger.mature() >= ledger.MATURED_AT_ONCE:
        pass
    batch = PayoutBatch(
        currency=run.currency,
        method=run.method,
        payable_on=run.payable_on,
        minimum=settings.PAYOUT_MINIMUM,
        drafted_by=by,
    )
    tried = (_draft_or_leave(batch, affiliate_id, run) for affiliate_id in _candidates(run))
    drafted = list(islice(filter(None, tried), MOST_PAYOUTS))
    if not drafted:
        raise NothingToPay(currency=run.currency, method=run.method)
    log_payouts("drafted", batch, drafted, by)
    return batch


def _candidates(run: Run) -> list[UUID]:
    owed = Balance.objects.filter(currency=run.currency, payable__gte=_least())
    active = owed.filter(affiliate__status=Affiliate.ACTIVE, affiliate__payout_method=run.method)
    payees = active.exclude(affiliate__payout_sealed="").order_by("-payable", "pk")
    return list(payees.values_list("affiliate_id", flat=True))


def _least() -> int:
    return max(settings.PAYOUT_MINIMUM, 1)


def _draft_or_leave(batch: PayoutBatch, affiliate_id: UUID, run: Run) -> Payout | None:
    try:
        return _draft_one(batch, affiliate_id, run)
    except IntegrityError as error:  # another draft has one of these entries
        if not is_duplicate(error):
            raise
        return None


@atomic
def _draft_one(batch: PayoutBatch, affiliate_id: UUID, run: Run) -> Payout | None:
    active = Affiliate.objects.filter(
        pk=affiliate_id, status=Affiliate.ACTIVE, payout_method=run.method
    )
    affiliate, entries = active.exclude(payout_sealed="").first(), _due(affiliate_id, run)
    amount = sum(entry.amount for entry in entries)
    if affiliate is None or amount < _least() or not _is_open(batch):
        return None
    payout = Payout(
        batch_id=batch.pk,
        affiliate=affiliate,
        amount=amount,
        currency=run.currency,
        entry_count=len(entries),
        payee_name=affiliate.payee_name,
        details_sealed=affiliate.payout_sealed,
        details_hint=affiliate.payout_hint,
    )
    payout.save(force_insert=True)
    items = [
        PayoutItem(payout=payout, entry=entry, affiliate_id=affiliate.pk, amount=entry.amount)
        for entry in entries
    ]
    PayoutItem.objects.bulk_create(items, batch_size=500)
    return payout


def _is_open(batch: PayoutBatch) -> bool:
    """Whether the batch is a draft; insert it with its first payout.

    A draft that finds nothing to pay leaves no batch that way.
    """
    rows = PayoutBatch.objects.filter(pk=batch.pk)
    # A write, not a read: whoever releases or cancels the batch waits for this payout, or this
    # payout for them. Otherwise it could be added to a batch that is released.
    if rows.filter(status=PayoutBatch.DRAFT).update(updated_at=timezone.now()) == 1:
        return True
    if rows.exists():
        return False
    batch.save(force_insert=True)
    return True


def _due(affiliate_id: UUID, run: Run) -> list[LedgerEntry]:
    """Return the entries to pay, without sales that are on hold or available too late.

    A sale that lowers the balance is never left out: a hold or a date must not make more go out.
    """
    sales: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for entry in _unpaid(affiliate_id, run.currency):
        sales[entry.enrollment_id or entry.pk].append(entry)
    on_hold = holds.sales_in_doubt(affiliate_id)
    waiting = {
        key
        for key, entries in sales.items()
        if key in on_hold or any(entry.available_at >= run.ends_at for entry in entries)
    }
    return [
        entry
        for key, entries in sales.items()
        if key not in waiting or sum(entry.amount for entry in entries) < 0
        for entry in entries
    ]


def _unpaid(affiliate_id: UUID, currency: str) -> QuerySet[LedgerEntry]:
    """Return the earnings that the balance counts as payable and that no live payout has."""
    balance = Balance.objects.get(affiliate_id=affiliate_id, currency=currency)
    earnings = LedgerEntry.objects.of(affiliate_id, currency).earnings()
    payable = earnings.filter(available_at__lte=balance.matured_through)
    return payable.exclude(payout_items__is_live=True).order_by("created_at", "pk")
