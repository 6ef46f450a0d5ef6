"""Fault O3: the last release goes on writing while this one's tables are there already, and when
it is put back.
"""

import pytest
from django.db import connection

from tests.releases.writes import COLUMNS, RECORDED, RENAMED, refusal

pytestmark = pytest.mark.django_db


def test_the_last_release_writes_beside_this_one() -> None:
    """A column that it does not know has a default in the database (`db_default`) or may be null,
    and none that it names is gone: docs/contributing.md, “A change of a table”.
    """
    said = {table: refusal(table, columns) for table, columns in COLUMNS.items()}
    assert {table: why for table, why in said.items() if why} == {}


@pytest.mark.any_engine
def test_the_columns_are_those_of_a_release_with_all_its_tables() -> None:
    assert RECORDED["version"] == "0.2.0"
    assert len(COLUMNS) == 39
    assert {"grants_grant", "enrollments_enrollment", "payments_payment"} <= set(COLUMNS)
    assert all(gone <= set(RECORDED["columns"][table]) for table, gone in RENAMED.items())


def test_control_a_column_without_a_default_is_noticed() -> None:
    columns = [name for name in COLUMNS["grants_grant"] if name != "created_at"]
    why = refusal("grants_grant", columns)
    assert "created_at" in why
    assert ("read as nothing" in why) == (connection.vendor == "mongodb")


@pytest.mark.any_engine
def test_control_what_is_gone_is_noticed() -> None:
    assert refusal("payments_dispute", ["told_at"]) == "columns are gone: told_at"
    assert refusal("payments_cheque", ["id"]) == "the table is gone"
