"""Paying affiliates: one person drafts (`payout_drafts`), another releases, then it is marked paid.

Releasing books the payout, guarded by the balance; what is cancelled comes back. Source: decisions,
"payouts".
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
from affiliates.models import Affiliate, Balance, LedgerEntry, Payout, PayoutBatch, PayoutItem
from affiliates.own_account import refuse_own
from maaledu.db import atomic, transition
from maaledu.money import format_money

logger = logging.getLogger(__name__)

CHANGED = "The affiliate's sales or account changed after the draft."


# --- releasing ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Released:
    """How a release went: what goes out, and what was cancelled because it is not covered any
    more.
    """

    payouts: list[Payout]
    cancelled: list[Payout]


@atomic
def release(batch: PayoutBatch, *, by: User) -> Released:
    """Commit to a drafted batch, and book its payouts. Raises SamePerson, OwnAccount, and
    PayoutRefused when it is not a draft.

    A payout that the affiliate's balance, holds or status no longer carry is cancelled instead, and
    its entries are free. Where none is left, so is the batch.
    """
    if not transition(
        batch,
        PayoutBatch.RELEASED,
        only=~Q(drafted_by=by),
        released_by=by,
        released_at=timezone.now(),
    ):
        raise _not_released(batch, by)
    # By affiliate, as every release does: two of them wait for each other's balances in one order.
    payouts = list(
        batch.payouts.filter(status=Payout.DRAFT)
        .select_related("affiliate")
        .order_by("affiliate_id")
    )
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
    return (
        SamePerson(batch=str(batch.pk))
        if drafted_by == by.pk
        else PayoutRefused(f"This batch is {batch.status} already.")
    )


def _is_covered(payout: Payout) -> bool:
    """Whether the account carries this payout, and goes on to: whoever else books on it waits from
    here on.
    """
    ledger.take_turn(payout.affiliate_id, payout.currency)
    items = payout.items.filter(is_live=True).values_list("amount", flat=True)
    if (
        payout.affiliate.status != Affiliate.ACTIVE
        or sum(items) != payout.amount
        or _has_held_sales(payout)
    ):
        return False
    balance = Balance.objects.filter(affiliate_id=payout.affiliate_id, currency=payout.currency)
    return balance.filter(payable__gte=payout.amount).exists()


def _has_held_sales(payout: Payout) -> bool:
    on_hold = holds.sales_in_doubt(payout.affiliate_id)
    parts: Counter[UUID | None] = Counter()
    if on_hold:
        items = payout.items.filter(entry__enrollment_id__in=on_hold).values_list(
            "entry__enrollment_id", "amount"
        )
        for enrollment_id, amount in items:
            parts[enrollment_id] += amount
    return any(amount > 0 for amount in parts.values())


# --- paid, or called off --------------------------------------------------------------------------
@atomic
def mark_paid(batch: PayoutBatch, *, by: User, reference: str) -> list[Payout]:
    """Record that the bank or PayPal has paid a released batch, and tell each affiliate once;
    return its payouts.

    Raises PayoutRefused, PayeeNotActive.
    """
    reference = reference.strip()[:80]
    if not reference:
        raise PayoutRefused("Enter the reference of the bank or of PayPal.")
    if not transition(
        batch, PayoutBatch.PAID, paid_by=by, paid_at=timezone.now(), reference=reference
    ):
        raise PayoutRefused(
            f"This batch is {batch.status}; only a released one can be marked paid."
        )
    released = list(
        batch.payouts.filter(status=Payout.RELEASED)
        .select_related("affiliate__user")
        .order_by("affiliate_id")
    )
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
    """Call a batch off before it is paid; its entries are free for the next one. Raises
    PayoutRefused.

    Once its file was made it may be at the bank: then whoever cancels has to say that it is
    `not_sent`. Raises FileWasMade.
    """
    only = Q() if not_sent else Q(exported_at=None)
    if not transition(
        batch, PayoutBatch.CANCELLED, only=only, cancelled_by=by, cancel_reason=reason[:300]
    ):
        can_be_cancelled = batch.status in PayoutBatch.TRANSITIONS[PayoutBatch.CANCELLED]
        raise (
            FileWasMade
            if can_be_cancelled
            else PayoutRefused(f"This batch is {batch.status} and cannot be cancelled.")
        )
    live = list(batch.payouts.exclude(status=Payout.CANCELLED).order_by("affiliate_id"))
    cancelled = [payout for payout in live if _cancel(payout, by=by, reason=reason)]
    log_payouts("cancelled", batch, cancelled, by)
    return cancelled


@atomic
def cancel(payout: Payout, *, by: User, reason: str, not_sent: bool = False) -> bool:
    """Take one payout back, also one that the bank returned; return whether this call did. Its
    entries are free again.

    Once the file of its batch was made, whoever cancels has to say that it is `not_sent`, or came
    back. Raises FileWasMade.
    """
    # A write, not a look: a file that is being made is finished by now, or waits for us.
    batch = PayoutBatch.objects.filter(Q() if not_sent else Q(exported_at=None), pk=payout.batch_id)
    is_free = batch.update(updated_at=timezone.now()) == 1
    if not is_free and Payout.objects.filter(pk=payout.pk, status__in=Payout.LIVE).exists():
        raise FileWasMade
    return _cancel(payout, by=by, reason=reason)


def _cancel(payout: Payout, *, by: User, reason: str) -> bool:
    if not _free(payout, reason=reason):
        return False
    # Looked at after the move: a release that was quicker has booked it by now.
    if LedgerEntry.objects.filter(source_key=_key(payout, LedgerEntry.PAYOUT)).exists():
        _book(payout, LedgerEntry.PAYOUT_CANCELLED, payout.amount, by=by)
    logger.info(
        "payout cancelled",
        extra={"payout": str(payout.pk), "amount": payout.amount, "by": str(by.pk)},
    )
    return True


def _free(payout: Payout, *, reason: str) -> bool:
    if not transition(payout, Payout.CANCELLED, cancel_reason=reason[:300]):
        return False
    PayoutItem.objects.filter(payout_id=payout.pk).update(is_live=False)
    return True


def _key(payout: Payout, kind: str) -> str:
    return f"{kind}:{payout.pk}"


def _book(payout: Payout, kind: str, amount: int, *, by: User) -> None:
    entry = LedgerEntry(
        affiliate_id=payout.affiliate_id,
        kind=kind,
        amount=amount,
        currency=payout.currency,
        payout_id=payout.pk,
        source_key=_key(payout, kind),
        available_at=ledger.available_from(timezone.now(), timedelta()),
        created_by=by.get_username(),
        note=(
            f"{payout.details_hint} ({payout.entry_count}"
            f" {'entry' if payout.entry_count == 1 else 'entries'})"
        ),
    )
    ledger.write(entry)
    holds.recount(payout.affiliate_id, payout.currency)


def log_payouts(what: str, batch: PayoutBatch, payouts: Iterable[Payout], by: User) -> None:
    amount = sum(payout.amount for payout in payouts)
    logger.info(
        "payouts %s", what, extra={"batch": str(batch.pk), "amount": amount, "by": str(by.pk)}
    )


def sum_of(lines: Iterable[Payout], batch: PayoutBatch) -> str:
    """Return how many payouts these are and what they come to, in words: "2 payouts, $130.00"."""
    amounts = [line.amount for line in lines]
    return (
        f"{len(amounts)} {'payout' if len(amounts) == 1 else 'payouts'},"
        f" {format_money(sum(amounts), batch.currency)}"
    )
