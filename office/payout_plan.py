"""What staff see before they draft payouts: who is payable, who is not, and the next runs."""

from datetime import date, timedelta
from itertools import islice
from typing import Any

from django.utils import timezone

from affiliates import payout_overview
from affiliates.pages.next_payout import next_day
from affiliates.payout_overview import MOST, Group, Payee
from maaledu.money import Money

RUNS_SHOWN, NAMES_SHOWN = 3, 50


def context() -> dict[str, Any]:
    found = payout_overview.payees()
    payable = [each for each in found[:MOST] if not each.left_out]
    left_out = [each for each in found[:MOST] if each.left_out]
    days = runs_after(timezone.now().date())
    becoming = payout_overview.becoming_payable(days)
    return {
        "groups": [_group(each) for each in payout_overview.groups(payable)],
        "payable": [_line(each, each.due) for each in payable[:NAMES_SHOWN]],
        "payable_beyond": max(len(payable) - NAMES_SHOWN, 0),
        "left_out": [_line(each, each.payable) for each in left_out[:NAMES_SHOWN]],
        "left_out_beyond": max(len(left_out) - NAMES_SHOWN, 0),
        "is_cut": len(found) > MOST,
        "most": MOST,
        "runs": [{"day": day, "amounts": _amounts(becoming[day])} for day in days],
    }


def runs_after(today: date) -> list[date]:
    """Return the next days on which payouts are prepared, today included."""

    def days() -> Any:
        day = today
        while True:
            day = next_day(day)
            yield day
            day += timedelta(days=1)

    return list(islice(days(), RUNS_SHOWN))


def _group(group: Group) -> dict[str, Any]:
    return {"of": group, "amount": Money(group.amount, group.currency)}


def _line(payee: Payee, amount: int) -> dict[str, Any]:
    parts = ((payee.held, "on hold"), (payee.drafted, "in a draft already"))
    kept_back = (f"{Money(part, payee.currency)} more is {why}" for part, why in parts if part)
    return {
        "payee": payee,
        "amount": Money(amount, payee.currency),
        "kept_back": ", ".join(kept_back),
    }


def _amounts(sums: dict[str, int]) -> str:
    return " + ".join(str(Money(sums[currency], currency)) for currency in sorted(sums))
