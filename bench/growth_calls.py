"""What is timed as the ledger grows. Imported in a process where the product is set up on a filled
database.
"""

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate, LedgerEntry
from affiliates.pages import entries, figures, statements
from affiliates.pages.figures import Account
from affiliates.pages.statements import Month
from bench.growth_data import EMAIL
from maaledu.paging import paginate

DASHBOARD = "/affiliates/dashboard/"


def _affiliate() -> Affiliate:
    return Affiliate.objects.get(email=EMAIL)


def _account() -> Account:
    account = figures.account_of(_affiliate().user_id)
    assert account
    return account


def _balance() -> Callable[[], object]:
    user_id = _affiliate().user_id
    return lambda: figures.account_of(user_id)


def _dashboard() -> Callable[[], object]:
    balance = _balance()
    return lambda: figures.dashboard_of(balance())


def _page() -> Callable[[], object]:
    client = Client(SERVER_NAME="127.0.0.1", headers={"User-Agent": "Mozilla/5.0"})
    client.force_login(_affiliate().user)
    assert client.get(DASHBOARD).status_code == 200
    return lambda: client.get(DASHBOARD)


def _explained(key: str) -> Callable[[], object]:
    balance = entries.balance_of(_account(), key, "usd")
    return lambda: entries.entries_of(balance, key)


def _deep() -> Callable[[], object]:
    """A page in the middle of the whole list, where its cursor comes from a page before it."""
    account = _account()
    half_way = timezone.now() - timedelta(days=550)
    cursor = paginate(
        LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk, created_at__lt=half_way)
    ).next_cursor
    return lambda: entries.all_entries(account, cursor=cursor)


def _months() -> Callable[[], object]:
    account = _account()
    return lambda: statements.months_with_entries(account)


def _month() -> Callable[[], object]:
    account = _account()
    month = Month.of(timezone.now())
    return lambda: statements.sections(account, month)


MAKERS = {
    "balance": _balance,
    "dashboard figures": _dashboard,
    "dashboard page, session and user besides": _page,
    "payable, explained": lambda: _explained("payable"),
    "pending, explained": lambda: _explained("pending"),
    "paid, explained": lambda: _explained("paid"),
    "all entries, half-way": _deep,
    "list of statements": _months,
    "statement of this month": _month,
}


def _repeated(
    make: Callable[[], Callable[[], object]],
) -> Callable[[int], list[Callable[[], object]]]:
    return lambda count: [make()] * count


CALLS = {name: _repeated(make) for name, make in MAKERS.items()}
CASES: dict = {}
