"""Empties the test database after a test: only what has rows, so that it costs next to nothing.

Every test runs without a surrounding transaction, on every engine alike: threads and other
processes see its rows, `on_commit` runs, and a rollback means what it means in production.
"""

from typing import Any

from django.apps import apps
from django.db import connection, transaction

from affiliates import immutability

# Filled once, after migrations; the same for every test.
KEPT = {"django_content_type", "auth_permission", "django_migrations", "django_site"}


def empty_database() -> None:
    if connection.vendor == "mongodb":
        connection.session, connection.in_atomic_block_mongo, connection.nested_atomics = (
            None,
            False,
            0,
        )
    filled = filled_tables()
    if not filled:
        return
    if connection.vendor == "mongodb":
        _empty_mongodb(filled)
    else:
        _empty_sql(filled)


def tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    return sorted(
        {m._meta.db_table for m in models if m._meta.managed and not m._meta.proxy} - KEPT
    )


def filled_tables() -> list[str]:
    """Return which tables hold anything, asked for at once: a question about each takes longer than
    many a test.
    """
    if connection.vendor == "mongodb":
        return _filled_collections(tables())
    quote = connection.ops.quote_name
    probes = [f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quote(table)})" for table in tables()]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(probes))
        return [row[0] for row in cursor.fetchall()]


def _empty_sql(filled: list[str]) -> None:
    quote = connection.ops.quote_name
    # Foreign keys are checked at the commit, so the order of the tables does not matter.
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL lock_timeout = '15s'")
        if immutability.TABLE in filled:
            immutability.remove(connection)
        for table in filled:
            cursor.execute(f"DELETE FROM {quote(table)}")
        if immutability.TABLE in filled:
            immutability.install(connection)


def _empty_mongodb(filled: list[str]) -> None:
    for table in filled:
        connection.database[table].delete_many({})


def _filled_collections(names: list[str]) -> list[str]:
    first, *others = names
    pipeline = [
        *_name_if_filled(first),
        *({"$unionWith": {"coll": name, "pipeline": _name_if_filled(name)}} for name in others),
    ]
    return [found["name"] for found in connection.database[first].aggregate(pipeline)]


def _name_if_filled(name: str) -> list[dict[str, Any]]:
    return [{"$limit": 1}, {"$project": {"_id": 0, "name": {"$literal": name}}}]
