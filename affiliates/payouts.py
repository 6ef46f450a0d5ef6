"""Paying affiliates: one person drafts (`payout_drafts`), another releases, then it is marked paid.

A release books each payout, guarded by the balance; a cancellation books it back. Source:
decisions, "payouts".
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from affiliates import holds, ledger, mails, payees
from affiliates.errors import FileWasMade, PayoutRefused, SamePerson
from affiliates.models import Balance, LedgerEntry, Payout, PayoutBatch, PayoutItem
from affiliates.own_account import refuse_own
from maaledu.db import atomic, transition
from maaledu.money import Money

logger = logging.getLogger(__name__)

CHANGED = "The affiliate's sales or account changed after the draft."


# --- releasing ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Released:
    """The payouts of a release that go out, and those that were cancelled as not covered."""

    payouts: list[Payout]
    cancelled: list[Payout]


@atomic
def release(batch: PayoutBatch, *, by: User) -> Released:
    """Release a drafted batch and book its payouts. Raises SamePerson, OwnAccount, PayoutRefused.

    A payout that the affiliate's balance, holds or status no longer cover is cancelled instead,
    which frees its entries. Where none is left, so is the batch.
    """
    # In the WHERE, so that it also holds on MongoDB, which has no CHECK constraints.
    now, another = timezone.now(), ~Q(drafted_by=by)
    if not transition(batch, PayoutBatch.RELEASED, only=another, released_by=by, released_at=now):
        raise _not_released(batch, by)
    payouts = _by_affiliate(batch, Payout.DRAFT)
    refuse_own((payout.affiliate for payout in payouts), by=by.get_username())
    going = [
        payout for payout in payouts if _is_covered(payout) and transition(payout, Payout.RELEASED)
    ]
    for payout in going:
        _book(payout, LedgerEntry.PAYOUT, -payout.amount, by=by)
    stopped = [
        payout for payout in payouts if payout not in going and _free(payout, reason=CHANGED)
    ]
    if not going:
        transition(batch, PayoutBatch.CANCELLED, cancelled_by=by, cancel_reason=CHANGED)
    log_payouts("released", batch, going, by)
    return Released(going, stopped)


def _not_released(batch: PayoutBatch, by: User) -> PayoutRefused:
    drafted_by = PayoutBatch.objects.values_list("drafted_by_id", flat=True).get(pk=batch.pk)
    if drafted_by == by.pk:
        return SamePerson(batch=str(batch.pk))
    return PayoutRefused(f"This batch is {batch.status} already.")


def _by_affiliate(batch: PayoutBatch, status: str) -> list[Payout]:
    """Return the batch's payouts, in the one order in which every step locks rows of affiliates.

    In two orders, two steps could each wait for a row that the other one has locked.
    """
    payouts = batch.payouts.filter(status=status).select_related("affiliate__user")
    return list(payouts.order_by("affiliate_id"))


def _is_covered(payout: Payout) -> bool:
    """Whether the account covers this payout, and does until this transaction ends."""
    # Before the reads: a reversal or a hold that is booked meanwhile waits for this transaction.
    ledger.lock_row(payout.affiliate_id, payout.currency)
    items = payout.items.filter(is_live=True).values_list("amount", flat=True)
    is_unchanged = payout.affiliate.is_active and sum(items) == payout.amount
    if not is_unchanged or _has_held_sales(payout):
        return False
    balance = Balance.objects.filter(affiliate_id=payout.affiliate_id, currency=payout.currency)
    return balance.filter(payable__gte=payout.amount).exists()


def _has_held_sales(payout: Payout) -> bool:
    on_hold = holds.sales_in_doubt(payout.affiliate_id)
    if not on_hold:
        return False
    parts: Counter[UUID | None] = Counter()
    items = payout.items.filter(entry__enrollment_id__in=on_hold)
    for enrollment_id, amount in items.values_list("entry__enrollment_id", "amount"):
        parts[enrollment_id] += amount
    return any(amount > 0 for amount in parts.values())


# --- paid, or cancelled ---------------------------------------------------------------------------
@atomic
def mark_paid(batch: PayoutBatch, *, by: User, reference: str) -> list[Payout]:
    """Record that a released batch was paid, send each affiliate a message, return its payouts.

    `reference` is the bank's or PayPal's. Raises PayoutRefused, PayeeNotActive.
    """
    now, reference = timezone.now(), reference.strip()[:80]
    if not reference:
        raise PayoutRefused("Enter the reference of the bank or of PayPal.")
    if not transition(batch, PayoutBatch.PAID, paid_by=by, paid_at=now, reference=reference):
        raise PayoutRefused(
            f"This batch is {batch.status}; only a released one can be marked paid."
        )
    released = _by_affiliate(batch, Payout.RELEASED)
    payees.refuse_waiting([payout for payout in released if not payees.stays_active(payout)])
    paid = [payout for payout in released if transition(payout, Payout.PAID)]
    if not paid:
        raise PayoutRefused("Every payout of this batch was cancelled. Cancel the batch, too.")
    for payout in paid:
        mails.stage_payout(payout, batch)
    log_payouts("paid", batch, paid, by)
    return paid


@atomic
def cancel_batch(
    batch: PayoutBatch, *, by: User, reason: str, not_sent: bool = False
) -> list[Payout]:
    """Cancel a batch before it is paid, which frees its entries; return the cancelled payouts.

    Once its file was made it may be at the bank: whoever cancels has to say that it was `not_sent`.
    Raises PayoutRefused, FileWasMade.
    """
    # In the WHERE: the file may be made between a page that was shown and this decision.
    only, reason = Q() if not_sent else Q(exported_at=None), reason[:300]
    if not transition(
        batch, PayoutBatch.CANCELLED, only=only, cancelled_by=by, cancel_reason=reason
    ):
        if batch.status in PayoutBatch.TRANSITIONS[PayoutBatch.CANCELLED]:
            raise FileWasMade
        raise PayoutRefused(f"This batch is {batch.status} and cannot be cancelled.")
    live = list(batch.payouts.exclude(status=Payout.CANCELLED).order_by("affiliate_id"))
    cancelled = [payout for payout in live if _cancel(payout, by=by, reason=reason)]
    log_payouts("cancelled", batch, cancelled, by)
    return cancelled


@atomic
def cancel(payout: Payout, *, by: User, reason: str, not_sent: bool = False) -> bool:
    """Cancel one payout, also one that the bank sent back; return whether this call did.

    Once the file of its batch was made, whoever cancels has to say that it was `not_sent`, or sent
    back. Raises FileWasMade.
    """
    # A write, not a read: a file that is being made is finished by now, or waits for us.
    batch = PayoutBatch.objects.filter(Q() if not_sent else Q(exported_at=None), pk=payout.batch_id)
    is_free = batch.update(updated_at=timezone.now()) == 1
    if not is_free and Payout.objects.filter(pk=payout.pk, status__in=Payout.LIVE).exists():
        raise FileWasMade
    return _cancel(payout, by=by, reason=reason)


def _cancel(payout: Payout, *, by: User, reason: str) -> bool:
    if not _free(payout, reason=reason):
        return False
    # Read after the move: a release that was quicker has booked it by now.
    if LedgerEntry.objects.filter(source_key=_key(payout, LedgerEntry.PAYOUT)).exists():
        _book(payout, LedgerEntry.PAYOUT_CANCELLED, payout.amount, by=by)
    facts = {"payout": str(payout.pk), "amount": payout.amount, "by": str(by.pk)}
    logger.info("payout cancelled", extra=facts)
    return True


def _free(payout: Payout, *, reason: str) -> bool:
    if not transition(payout, Payout.CANCELLED, cancel_reason=reason[:300]):
        return False
    PayoutItem.objects.filter(payout_id=payout.pk).update(is_live=False)
    return True


def _key(payout: Payout, kind: str) -> str:
    return f"{kind}:{payout.pk}"


def _book(payout: Payout, kind: str, amount: int, *, by: User) -> None:
    entries = "entry" if payout.entry_count == 1 else "entries"
    entry = LedgerEntry(
        affiliate_id=payout.affiliate_id,
        kind=kind,
        amount=amount,
        currency=payout.currency,
        payout_id=payout.pk,
        source_key=_key(payout, kind),
        available_at=ledger.available_from(timezone.now(), timedelta()),
        created_by=by.get_username(),
        note=f"{payout.details_hint} ({payout.entry_count} {entries})",
    )
    ledger.write(entry)
    holds.recount(payout.affiliate_id, payout.currency)


def log_payouts(what: str, batch: PayoutBatch, payouts: Iterable[Payout], by: User) -> None:
    amount = sum(payout.amount for payout in payouts)
    facts = {"batch": str(batch.pk), "amount": amount, "by": str(by.pk)}
    logger.info("payouts %s", what, extra=facts)


def sum_of(payouts: Iterable[Payout], batch: PayoutBatch) -> str:
    """Return how many payouts these are and what they add up to: "2 payouts, $130.00"."""
    amounts = [payout.amount for payout in payouts]
    noun = "payout" if len(amounts) == 1 else "payouts"
    return f"{len(amounts)} {noun}, {Money(sum(amounts), batch.currency)}"
