"""The ledger is insert only, and its balances move with it."""

import time
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from affiliates import ledger
from affiliates.errors import LedgerIsAppendOnly
from affiliates.ledger import Adjustment
from affiliates.models import Balance, LedgerEntry
from tests.affiliates.make import make_affiliate, sell
from tests.factories import completed, deliver, make_course

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
    assert (entry.kind, entry.amount, entry.base, entry.rate_basis_points) == ("commission", 4990, 49900, 1000)
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
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert LedgerEntry.objects.get().amount == 4990


@pytest.mark.engines("postgres")
def test_postgresql_refuses_to_truncate_the_ledger(client: Client):
    sell(client, make_affiliate())
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE} CASCADE")
    assert LedgerEntry.objects.count() == 1
