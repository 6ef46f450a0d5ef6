"""What is timed as the ledger grows.

Imported in a process where the product is set up on a filled database.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

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
    return partial(figures.account_of, _affiliate().user_id)


def _dashboard() -> Callable[[], object]:
    return partial(_dashboard_figures, _affiliate().user_id)


def _dashboard_figures(user_id: UUID) -> object:
    return figures.dashboard_of(figures.account_of(user_id))


def _page() -> Callable[[], object]:
    client = Client(SERVER_NAME="127.0.0.1", headers={"User-Agent": "Mozilla/5.0"})
    client.force_login(_affiliate().user)
    assert client.get(DASHBOARD).status_code == 200
    return partial(client.get, DASHBOARD)


def _explained(key: str) -> Callable[[], object]:
    balance = entries.balance_of(_account(), key, "usd")
    return partial(entries.entries_of, balance, key)


def _deep() -> Callable[[], object]:
    """Return the call of a page in the middle of the whole list, after another one's cursor."""
    account = _account()
    half_way = timezone.now() - timedelta(days=550)
    cursor = paginate(
        LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk, created_at__lt=half_way)
    ).next_cursor
    return partial(entries.all_entries, account, cursor=cursor)


def _months() -> Callable[[], object]:
    return partial(statements.months_with_entries, _account())


def _month() -> Callable[[], object]:
    return partial(statements.sections, _account(), Month.of(timezone.now()))


CALLS = {
    "balance": _balance,
    "dashboard figures": _dashboard,
    "dashboard page, session and user besides": _page,
    "payable, explained": partial(_explained, "payable"),
    "pending, explained": partial(_explained, "pending"),
    "paid, explained": partial(_explained, "paid"),
    "all entries, half-way": _deep,
    "list of statements": _months,
    "statement of this month": _month,
}
CASES: dict = {}
