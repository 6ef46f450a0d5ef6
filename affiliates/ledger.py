"""The one way to write to the ledger: an entry and its balance change in one transaction.

An earning is counted in `pending` until `mature` moves it to `payable`, after its `available_at`.
The UPDATE of the balance itself decides which of the two it is added to, by `matured_through`, so
that no entry is counted in both or in neither.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import DateTimeField, F, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from affiliates.errors import BalanceTooLow
from affiliates.models import Affiliate, Balance, LedgerEntry
from affiliates.own_account import refuse_own
from maaledu.db import atomic

MATURED_AT_ONCE = 500


@dataclass(frozen=True)
class Adjustment:
    """A correction in signed minor units; `note` says why, and each `key` is booked once."""

    key: str
    amount: int
    currency: str
    by: str
    note: str


# --- writing --------------------------------------------------------------------------------------
@atomic
def write(entry: LedgerEntry) -> LedgerEntry:
    """Insert the entry and change its balance, together.

    Raises IntegrityError when its cause is booked already, and BalanceTooLow for a payout that
    `payable` does not cover.
    """
    entry.save()
    # The first entry in a currency finds no balance, which another transaction may create first.
    while not _change_balance(entry):
        ensure_balance(entry.affiliate_id, entry.currency)
    return entry


def ensure_balance(affiliate_id: UUID, currency: str) -> Balance:
    balance, _ = Balance.objects.get_or_create(affiliate_id=affiliate_id, currency=currency)
    return balance


def _change_balance(entry: LedgerEntry) -> bool:
    """Add the entry to its balance, and return False where there is no balance yet."""
    balance = Balance.objects.filter(affiliate_id=entry.affiliate_id, currency=entry.currency)
    version = F("version") + 1
    if entry.kind in LedgerEntry.PAYMENTS:
        return _change_paid(balance, entry)
    earliest = Value(entry.available_at, output_field=DateTimeField())
    matures_at = Least(Coalesce(F("matures_at"), earliest), earliest)
    pending, payable = F("pending") + entry.amount, F("payable") + entry.amount
    immature = balance.filter(matured_through__lt=entry.available_at)
    if immature.update(pending=pending, matures_at=matures_at, version=version):
        return True
    mature = balance.filter(matured_through__gte=entry.available_at)
    return mature.update(payable=payable, version=version) == 1


def _change_paid(balance: QuerySet[Balance], entry: LedgerEntry) -> bool:
    covered = balance.filter(payable__gte=-entry.amount)
    payable, paid = F("payable") + entry.amount, F("paid") - entry.amount
    if covered.update(payable=payable, paid=paid, version=F("version") + 1):
        return True
    raise BalanceTooLow(affiliate=str(entry.affiliate_id), amount=-entry.amount)


def lock_row(affiliate_id: UUID, currency: str) -> None:
    """Lock the balance by writing to it, before anything of this account is read.

    Two transactions that read first could each see a balance or a hold that the other is changing.
    """
    rows = Balance.objects.filter(affiliate_id=affiliate_id, currency=currency)
    rows.update(version=F("version") + 1)


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


# --- maturing -------------------------------------------------------------------------------------
def available_from(moment: datetime, hold_for: timedelta) -> datetime:
    """Return when an earning of this moment becomes payable, in whole milliseconds.

    MongoDB keeps no more than milliseconds; with microseconds the engines would disagree.
    """
    exact = moment + hold_for
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)


def mature() -> int:
    """Move what has become available from pending to payable; return how many balances changed."""
    due = Balance.objects.filter(matures_at__lte=timezone.now()).order_by("matures_at")
    return sum(mature_balance(pk) for pk in due.values_list("pk", flat=True)[:MATURED_AT_ONCE])


@atomic
def mature_balance(pk: UUID) -> bool:
    """Move one balance's available entries to payable, unless it changes meanwhile.

    In that case it stays due, and the next sweep does it.
    """
    now, balance = timezone.now(), Balance.objects.get(pk=pk)
    entries = LedgerEntry.objects.of(balance.affiliate_id, balance.currency).earnings()
    available = entries.filter(available_at__gt=balance.matured_through, available_at__lte=now)
    amount = available.aggregate(total=Sum("amount"))["total"] or 0
    later = entries.filter(available_at__gt=now).order_by("available_at")
    # An entry that is written between the sum and this UPDATE raises the version: without the
    # check its amount would stay in pending for good.
    rows = Balance.objects.filter(pk=pk, version=balance.version).update(
        pending=F("pending") - amount,
        payable=F("payable") + amount,
        matured_through=now,
        matures_at=later.values_list("available_at", flat=True).first(),
        version=F("version") + 1,
    )
    return rows == 1
