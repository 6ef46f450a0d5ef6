"""Who a draft of today would pay, who is left out and why, and what becomes payable when.

It says beforehand what `payout_drafts` would do, and writes nothing.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, Sum
from django.utils import timezone

from affiliates.holds import IN_DOUBT
from affiliates.models import Affiliate, Balance, Commission, LedgerEntry, Payout

MOST = 500  # accounts that are looked at, those with the most first
TOO_LITTLE, NO_ACCOUNT = "below the minimum", "has not said where the money goes"
ON_HOLD, DRAFTED = "on hold: a dispute, a fraud warning or a review", "in a draft already"
Account = tuple[UUID, str]  # of an affiliate, in a currency


@dataclass(frozen=True)
class Payee:
    """What a draft would pay to an affiliate now, in minor units, or why it would not.

    `held` and `drafted` are the parts of what is payable that are on hold, or in drafts.
    """

    affiliate: Affiliate
    currency: str
    payable: int
    held: int
    drafted: int

    @property
    def due(self) -> int:
        return self.payable - self.held - self.drafted

    @property
    def left_out(self) -> str:
        """Return why nothing would be drafted; "" where it would."""
        least = max(settings.PAYOUT_MINIMUM, 1)
        reasons = (
            (self.affiliate.status, not self.affiliate.is_active),
            (NO_ACCOUNT, not self.affiliate.payout_sealed),
            ("", self.due >= least),
            (DRAFTED, self.payable - self.held >= least),
            (ON_HOLD, self.payable - self.drafted >= least),
        )
        return next((reason for reason, applies in reasons if applies), TOO_LITTLE)


@dataclass(frozen=True)
class Group:
    """The payouts that one draft would have: a currency and a method."""

    currency: str
    method: str
    number: int
    amount: int

    @property
    def method_name(self) -> str:
        return str(dict(Affiliate.METHODS)[self.method])


def payees() -> list[Payee]:
    """Return all to whom something is payable, the most first: at most one more than MOST."""
    owed = Balance.objects.filter(payable__gt=0).select_related("affiliate")
    balances = list(owed.order_by("-payable", "pk")[: MOST + 1])
    drafted = _drafted([balance.affiliate_id for balance in balances])
    held = _held([balance for balance in balances if balance.held])
    return [
        Payee(
            balance.affiliate,
            balance.currency,
            balance.payable,
            held=held.get(account_of(balance), 0),
            drafted=drafted.get(account_of(balance), 0),
        )
        for balance in balances
    ]


def account_of(balance: Balance) -> Account:
    return balance.affiliate_id, balance.currency


def groups(found: Collection[Payee]) -> list[Group]:
    """Return what each draft would have, by currency and method."""
    dues: dict[tuple[str, str], list[int]] = defaultdict(list)
    for payee in found:
        if not payee.left_out:
            dues[payee.currency, payee.affiliate.payout_method].append(payee.due)
    return [
        Group(currency, method, len(amounts), sum(amounts))
        for (currency, method), amounts in sorted(dues.items())
    ]


def becoming_payable(days: Collection[date]) -> dict[date, dict[str, int]]:
    """Return what more is payable by the end of each day (UTC), by currency in minor units.

    Of what was earned or reversed since the longest hold began.
    """
    now = timezone.now()
    since = now - settings.COMMISSION_HOLD - timedelta(days=1)
    waiting = LedgerEntry.objects.earnings().filter(created_at__gte=since, available_at__gt=now)
    sums: dict[str, Any] = {
        f"by_{place}": Sum("amount", filter=Q(available_at__lt=_end_of(day)))
        for place, day in enumerate(days)
    }
    rows: list[Any] = list(waiting.order_by().values("currency").annotate(**sums))
    return {
        day: {row["currency"]: row[f"by_{place}"] for row in rows if row[f"by_{place}"]}
        for place, day in enumerate(days)
    }


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, UTC)


def _drafted(affiliate_ids: list[UUID]) -> dict[Account, int]:
    drafts = Payout.objects.filter(status=Payout.DRAFT, affiliate_id__in=affiliate_ids)
    rows = drafts.order_by().values("affiliate_id", "currency").annotate(amount=Sum("amount"))
    return {(row["affiliate_id"], row["currency"]): row["amount"] for row in rows}


def _held(balances: list[Balance]) -> dict[Account, int]:
    """Return what a draft would leave out of each account, as `payout_drafts` does.

    That is the sales in doubt that no live payout has, but not one that lowers the balance.
    """
    if not balances:
        return {}
    through = {account_of(balance): balance.matured_through for balance in balances}
    ids = [balance.affiliate_id for balance in balances]
    doubted = Commission.objects.filter(IN_DOUBT, affiliate_id__in=ids).values("enrollment_id")
    entries = LedgerEntry.objects.earnings().filter(affiliate_id__in=ids, enrollment_id__in=doubted)
    sales: dict[tuple[Account, UUID], int] = defaultdict(int)
    for entry in entries.exclude(payout_items__is_live=True):
        account = (entry.affiliate_id, entry.currency)
        if account in through and entry.available_at <= through[account] and entry.enrollment_id:
            sales[account, entry.enrollment_id] += entry.amount
    held: dict[Account, int] = defaultdict(int)
    for (account, _), amount in sales.items():
        held[account] += max(amount, 0)
    return held
