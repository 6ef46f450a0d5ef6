"""The one way an entry gets into the ledger, and the balances that move with it in the same
transaction.

An earning stands in `pending` until its `available_at` has passed and `mature` has moved it; which
of the two sums an entry belongs to is decided by the balance row itself, inside the UPDATE, so that
no entry is counted in both or neither.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, F, Sum, Value
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from affiliates.errors import BalanceTooLow
from affiliates.models import Affiliate, Balance, LedgerEntry
from affiliates.own_account import refuse_own
from maaledu.db import atomic

MATURED_AT_ONCE = 500


@atomic
def write(entry: LedgerEntry) -> LedgerEntry:
    """Insert the entry and move its balance, together.

    Raises IntegrityError when its cause is booked already, and BalanceTooLow for a payout that
    payable does not cover.
    """
    entry.save()
    while not _move(entry):
        ensure_balance(entry.affiliate_id, entry.currency)
    return entry


def ensure_balance(affiliate_id: UUID, currency: str) -> Balance:
    balance, _ = Balance.objects.get_or_create(affiliate_id=affiliate_id, currency=currency)
    return balance


def _move(entry: LedgerEntry) -> bool:
    """Move the balance, and return False where there is none yet."""
    balance = Balance.objects.filter(affiliate_id=entry.affiliate_id, currency=entry.currency)
    common: dict[str, Any] = {"version": F("version") + 1}
    if entry.kind in LedgerEntry.PAYMENTS:
        return _move_payment(balance, entry, common)
    earliest = Value(entry.available_at, output_field=DateTimeField())
    matures_at = Least(Coalesce(F("matures_at"), earliest), earliest)
    pending = balance.filter(matured_through__lt=entry.available_at)
    if pending.update(pending=F("pending") + entry.amount, matures_at=matures_at, **common):
        return True
    return bool(
        balance.filter(matured_through__gte=entry.available_at).update(
            payable=F("payable") + entry.amount, **common
        )
    )


def _move_payment(balance: Any, entry: LedgerEntry, common: dict[str, Any]) -> bool:
    covered = balance.filter(payable__gte=-entry.amount)
    if covered.update(payable=F("payable") + entry.amount, paid=F("paid") - entry.amount, **common):
        return True
    raise BalanceTooLow(affiliate=str(entry.affiliate_id), amount=-entry.amount)


def take_turn(affiliate_id: UUID, currency: str) -> None:
    """Write to a balance before anything of it is read: whoever else books on it is done by then,
    or waits for us.
    """
    Balance.objects.filter(affiliate_id=affiliate_id, currency=currency).update(
        version=F("version") + 1
    )


def mature() -> int:
    """Move what has become available from pending to payable, and return how many balances
    moved.
    """
    due = (
        Balance.objects.filter(matures_at__lte=timezone.now())
        .order_by("matures_at")
        .values_list("pk", flat=True)
    )
    return sum(mature_balance(pk) for pk in due[:MATURED_AT_ONCE])


@atomic
def mature_balance(pk: UUID) -> bool:
    """Move one balance's available entries to payable, unless it changes meanwhile: then the next
    sweep does it.
    """
    now, balance = timezone.now(), Balance.objects.get(pk=pk)
    entries = LedgerEntry.objects.of(balance.affiliate_id, balance.currency).earnings()
    available = entries.filter(available_at__gt=balance.matured_through, available_at__lte=now)
    amount = available.aggregate(total=Sum("amount"))["total"] or 0
    following = (
        entries.filter(available_at__gt=now)
        .order_by("available_at")
        .values_list("available_at", flat=True)
        .first()
    )
    # The version makes sure that no entry was written between the sum and this.
    unchanged = Balance.objects.filter(pk=pk, version=balance.version)
    moved = {"pending": F("pending") - amount, "payable": F("payable") + amount}
    return (
        unchanged.update(
            **moved, matured_through=now, matures_at=following, version=F("version") + 1
        )
        == 1
    )


@dataclass(frozen=True)
class Adjustment:
    """What no sale explains: `amount` in signed minor units, `note` says why, `key` makes that it
    is booked once.
    """

    key: str
    amount: int
    currency: str
    by: str
    note: str


@atomic
def adjust(affiliate: Affiliate, adjustment: Adjustment) -> bool:
    """Book an adjustment, payable at once; return whether this call did. Raises OwnAccount."""
    refuse_own([affiliate], by=adjustment.by)
    source_key = f"adjustment:{adjustment.key}"[:120]
    if LedgerEntry.objects.filter(source_key=source_key).exists():
        return False
    balance = ensure_balance(affiliate.pk, adjustment.currency)
    mature_balance(balance.pk)
    balance.refresh_from_db(fields=["matured_through"])
    entry = LedgerEntry(
        affiliate=affiliate,
        kind=LedgerEntry.ADJUSTMENT,
        amount=adjustment.amount,
        currency=adjustment.currency,
        source_key=source_key,
        available_at=balance.matured_through,
        created_by=adjustment.by,
        note=adjustment.note[:300],
    )
    write(entry)
    return True


def available_from(moment: datetime, hold_for: Any) -> datetime:
    """Return when an earning of this moment becomes payable, in the milliseconds that every engine
    keeps.
    """
    exact = moment + hold_for
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)
