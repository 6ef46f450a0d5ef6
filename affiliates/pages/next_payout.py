"""When an affiliate is paid next, and what is missing for it."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings

from affiliates import visits
from affiliates.models import Affiliate
from affiliates.pages.figures import Account
from maaledu.money import Money

LATER, INACTIVE, TOO_LITTLE = "later", "inactive", "too little"


@dataclass(frozen=True)
class NextPayout:
    """What goes out on the next day for payouts in one currency, or why nothing does.

    `missing` has the reasons; `short` is how much must still become payable.
    """

    day: date
    due: Money
    missing: tuple[str, ...]
    short: Money


def next_day(today: date) -> date:
    """Return the next day on which payouts are prepared (PAYOUT_DAY), `today` included."""
    if today.day <= settings.PAYOUT_DAY:
        return _in_month(today.year, today.month)
    # For December 12 // 12 is one year on, and 12 % 12 + 1 is January.
    return _in_month(today.year + today.month // 12, today.month % 12 + 1)


def _in_month(year: int, month: int) -> date:
    return date(year, month, min(settings.PAYOUT_DAY, monthrange(year, month)[1]))


def of(account: Account) -> list[NextPayout]:
    """Return the next payout in each currency in which something was earned."""
    return [_of(account.affiliate, balance) for balance in account.balances]


def _of(affiliate: Affiliate, balance: Any) -> NextPayout:
    # What is on hold counts as payable or pending, and is not paid out; what is pending is not in
    # `payable`, and must not be taken off it.
    held = balance.held - (balance.held_pending or 0)
    due = max(balance.payable - held, 0)
    least = max(settings.PAYOUT_MINIMUM, 1)
    reasons = (
        (INACTIVE, not affiliate.is_active),
        (LATER, affiliate.payout_method == Affiliate.LATER),
        (TOO_LITTLE, due < least),
    )
    return NextPayout(
        day=next_day(visits.today()),
        due=Money(due, balance.currency),
        missing=tuple(reason for reason, is_missing in reasons if is_missing),
        short=Money(max(least - due, 0), balance.currency),
    )
