"""The ledger is insert only, and its balances move with it."""

import time
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from affiliates import immutability, ledger
from affiliates.errors import LedgerIsAppendOnly
from affiliates.ledger import Adjustment
from affiliates.models import Balance, LedgerEntry
from tests.affiliates.make import make_affiliate, sell
from tests.factories import completed, deliver, make_course

pytestmark = pytest.mark.any_engine

TABLE = LedgerEntry._meta.db_table


def balance_of(affiliate) -> tuple[int, int, int, int]:
    balance = Balance.objects.get(affiliate=affiliate)
    return balance.pending, balance.payable, balance.paid, balance.held


def test_a_sale_books_its_commission_once(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate, make_course(price=49900))
    for _ in range(3):
        deliver(client, completed(payment))
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.amount, entry.base, entry.rate_basis_points) == (
        "commission",
        4990,
        49900,
        1000,
    )
    assert (entry.enrollment_id, entry.source_key) == (enrollment.pk, f"commission:{enrollment.pk}")
    assert balance_of(affiliate) == (4990, 0, 0, 0)


def test_a_commission_becomes_payable_after_its_hold(client: Client, settings):
    settings.COMMISSION_HOLD = timedelta(milliseconds=300)
    affiliate = make_affiliate()
    sell(client, affiliate)
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    time.sleep(0.35)
    assert ledger.mature() == 1
    assert balance_of(affiliate) == (0, 4990, 0, 0)
    assert ledger.mature() == 0


def test_what_is_not_available_yet_stays_pending(client: Client):
    affiliate = make_affiliate()
    sell(client, affiliate)
    balance = Balance.objects.get()
    assert balance.matures_at == LedgerEntry.objects.get().available_at
    assert balance.matures_at > timezone.now() + timedelta(days=29)
    assert ledger.mature() == 0
    assert balance_of(affiliate) == (4990, 0, 0, 0)


def test_an_adjustment_is_payable_at_once_and_booked_once(client: Client):
    affiliate = make_affiliate()
    sell(client, affiliate)
    fee = Adjustment(key="a", amount=-150, currency="usd", by="staff@example.com", note="Bank fee")
    assert ledger.adjust(affiliate, fee)
    assert not ledger.adjust(affiliate, fee)
    assert balance_of(affiliate) == (4990, -150, 0, 0)


@pytest.mark.parametrize("change", ["save", "delete", "update", "delete_all", "bulk_update"])
def test_no_entry_is_changed_or_deleted_through_the_models(client: Client, change: str):
    sell(client, make_affiliate())
    entry = LedgerEntry.objects.get()
    tries = {
        "save": entry.save,
        "delete": entry.delete,
        "update": lambda: LedgerEntry.objects.update(amount=1),
        "delete_all": lambda: LedgerEntry.objects.all().delete(),
        "bulk_update": lambda: LedgerEntry.objects.bulk_update([entry], ["amount"]),
    }
    entry.amount = 1
    with pytest.raises(LedgerIsAppendOnly):
        tries[change]()
    assert LedgerEntry.objects.get().amount == 4990


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize("statement", [f"UPDATE {TABLE} SET amount = 1", f"DELETE FROM {TABLE}"])
def test_the_database_refuses_to_change_or_delete_an_entry(client: Client, statement: str):
    sell(client, make_affiliate())
    with (
        pytest.raises(DatabaseError, match="never changed or deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert LedgerEntry.objects.get().amount == 4990


@pytest.mark.engines("postgres")
def test_postgresql_refuses_to_truncate_the_ledger(client: Client):
    sell(client, make_affiliate())
    with (
        pytest.raises(DatabaseError, match="never changed or deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"TRUNCATE {TABLE} CASCADE")
    assert LedgerEntry.objects.count() == 1


COLUMNS = [field.column for field in LedgerEntry._meta.fields]
OTHERS = {"amount": "1", "id": f"'{'0' * 32}'", "source_key": "'another'"}
REFUSED = "never changed or deleted"


def copied(head: str, tail: str = "", **changed: str) -> str:
    """Return an INSERT of the one entry that there is, with these columns changed."""
    values = ", ".join(changed.get(column, column) for column in COLUMNS)
    return (
        f"{head} INTO {TABLE} ({', '.join(COLUMNS)}) SELECT {values} FROM {TABLE} WHERE true {tail}"
    )


BY_ID = {name: OTHERS[name] for name in ("amount", "source_key")}
BY_CAUSE = {name: OTHERS[name] for name in ("amount", "id")}
REPLACING = [
    copied("INSERT OR REPLACE", amount="1"),
    copied("INSERT OR REPLACE", **BY_ID),
    copied("INSERT OR REPLACE", **BY_CAUSE),
    copied("REPLACE", **BY_CAUSE),
    (
        f"REPLACE INTO {TABLE} (rowid, {', '.join(COLUMNS)}) SELECT rowid,"
        f" {', '.join(OTHERS.get(c, c) for c in COLUMNS)} FROM {TABLE}"
    ),
    f"UPDATE OR REPLACE {TABLE} SET amount = 1",
]


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("statement", REPLACING)
def test_sqlite_refuses_to_replace_an_entry(client: Client, statement: str):
    """REPLACE deletes without asking the triggers of DELETE."""
    _refuses(client, statement)


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize(
    ("column", "changed"), [("id", BY_ID), ("source_key", BY_CAUSE)], ids=["id", "cause"]
)
def test_the_database_refuses_to_merge_into_an_entry(
    client: Client, column: str, changed: dict[str, str]
):
    if connection.vendor == "postgresql" and "id" in changed:
        changed = {**changed, "id": "gen_random_uuid()"}
    _refuses(
        client, copied("INSERT", f"ON CONFLICT ({column}) DO UPDATE SET amount = 1", **changed)
    )


def _refuses(client: Client, statement: str) -> None:
    sell(client, make_affiliate())
    before = list(LedgerEntry.objects.values())
    with (
        pytest.raises(DatabaseError, match=REFUSED),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert list(LedgerEntry.objects.values()) == before


@pytest.mark.every_engine
def test_a_cause_that_is_booked_already_is_an_integrity_error(client: Client):
    """The product's own way to notice it, whatever in the database notices first."""
    affiliate = make_affiliate()
    sell(client, affiliate)
    entry = LedgerEntry.objects.get()
    before = balance_of(affiliate)
    again = LedgerEntry(
        affiliate=affiliate,
        kind=entry.kind,
        amount=1,
        currency="usd",
        source_key=entry.source_key,
        available_at=entry.available_at,
    )
    with pytest.raises(IntegrityError):
        ledger.write(again)
    assert (LedgerEntry.objects.get().amount, balance_of(affiliate)) == (4990, before)


@pytest.mark.engines("sqlite", "postgres")
def test_the_triggers_can_be_removed_and_installed_again(client: Client):
    sell(client, make_affiliate())
    immutability.LEDGER.remove(connection)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET note = 'changed'")
    for _ in range(2):
        immutability.LEDGER.install(connection)
    with (
        pytest.raises(DatabaseError, match=REFUSED),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE {TABLE} SET note = 'changed again'")
