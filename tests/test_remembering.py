"""Rows that are put back are the rows that were made, on every engine."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from enrollments.models import Enrollment
from tests.affiliates.make import make_affiliate, sell
from tests.cleaning import empty_database, filled_tables
from tests.remembering import remembered

calls: list[int] = []


def make_sale() -> Enrollment:
    calls.append(1)
    return sell(Client(), make_affiliate())[0]


def everything() -> dict[str, list[Any]]:
    return {table: rows_of(table) for table in filled_tables()}


def rows_of(table: str) -> list[Any]:
    if connection.vendor == "mongodb":
        return list(connection.database[table].find())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        return sorted(cursor.fetchall(), key=str)


@pytest.mark.django_db
def test_rows_are_put_back_as_they_were_made_and_damage_to_them_is_forgotten() -> None:
    sale = remembered(make_sale)
    made = everything()
    assert len(made) > 10, "courses, people, a payment, a ledger and more"
    assert all(made.values())
    Enrollment.objects.update(email="changed@example.com")
    empty_database()
    again = remembered(make_sale)
    assert everything() == made
    assert (again, again.email) == (sale, sale.email)
    assert calls == [1]
    again.refresh_from_db()
    with pytest.raises(AssertionError, match="empty database"):
        remembered(make_sale)
