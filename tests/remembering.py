"""Puts back rows that many tests start from, instead of making them again by dozens of requests."""

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connection, transaction

from tests.cleaning import filled_tables

T = TypeVar("T")

# What each function has made in this run: its value, and by table what its rows are kept in, which
# is a table beside it or, on MongoDB, the documents themselves.
_made: dict[Callable[[], Any], tuple[bytes, dict[str, Any]]] = {}


def remembered(make: Callable[[], T]) -> T:
    """Return what `make` returns, and leave the rows that it leaves: by calling it the first time,
    by putting its rows back after that.

    So they have the same ids and times in every test. Only rows are put back: `make` puts nothing
    else anywhere, such as in the cache, the sandbox or the session of a client that goes on.
    """
    assert filled_tables() == [], "rows are put back into an empty database"
    if make not in _made:
        value = make()
        _made[make] = pickle.dumps(value), {table: _keep(table) for table in filled_tables()}
        return value
    value, kept = _made[make]
    with transaction.atomic():  # where there are foreign keys, they are checked at its end
        for table, rows in kept.items():
            _put_back(table, rows)
    return pickle.loads(value)


def _keep(table: str) -> Any:
    if connection.vendor == "mongodb":
        return list(connection.database[table].find())
    kept = f"kept_{len(_made)}_{table}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {kept} AS SELECT * FROM {table}")
    return kept


def _put_back(table: str, kept: Any) -> None:
    if connection.vendor == "mongodb":
        connection.database[table].insert_many(kept)
        return
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} SELECT * FROM {kept}")
