"""Empties the test database after a test: only what has rows, so that it costs next to nothing.

Every test runs without a surrounding transaction, on every engine alike: threads and other
processes see its rows, `on_commit` runs, and a rollback means what it means in production.
"""

import functools
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from pymongo.errors import OperationFailure

from accounts.audit import AUDIT
from affiliates.immutability import LEDGER

INSERT_ONLY = (LEDGER, AUDIT)
# Filled once, after migrations; the same for every test.
KEPT = {"django_content_type", "auth_permission", "django_migrations", "django_site"}


def empty_database() -> None:
    if connection.vendor == "mongodb":
        connection.session, connection.in_atomic_block_mongo, connection.nested_atomics = (
            None,
            False,
            0,
        )
        if _is_ours():
            connection.database.command("emptyCollections", names=tables())
            return
    filled = filled_tables()
    if not filled:
        return
    if connection.vendor == "mongodb":
        _empty_mongodb(filled)
    else:
        _empty_sql(filled)


@functools.cache
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
    """Foreign keys are checked at the commit, so the order of the tables does not matter."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL lock_timeout = '15s'")
        guarded = [each for each in INSERT_ONLY if each.table in filled]
        guarded = [] if guarded and _triggers_are_off() else guarded
        for each in guarded:
            each.remove(connection)
        for table in filled:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        for each in guarded:
            each.install(connection)


def _triggers_are_off() -> bool:
    """Turn them off for this transaction, where PostgreSQL lets us: that is a tenth of removing and
    making them.
    """
    if not _may_turn_triggers_off():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
    return True


@functools.cache
def _may_turn_triggers_off() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


def _empty_mongodb(filled: list[str]) -> None:
    for table in filled:
        connection.database[table].delete_many({})


def _filled_collections(names: list[str]) -> list[str]:
    if _is_ours():
        return connection.database.command("filledCollections", names=names)["filled"]
    return filled_by_pipeline(names)


@functools.cache
def _is_ours() -> bool:
    """Whether the server knows the commands of tests.mongo_server, which say what is filled and
    empty it at once.
    """
    try:
        return bool(connection.database.command("filledCollections", names=[])["ok"])
    except OperationFailure:
        return False


def filled_by_pipeline(names: list[str]) -> list[str]:
    first, *others = names
    pipeline = [
        *_name_if_filled(first),
        *({"$unionWith": {"coll": name, "pipeline": _name_if_filled(name)}} for name in others),
    ]
    return [found["name"] for found in connection.database[first].aggregate(pipeline)]


def _name_if_filled(name: str) -> list[dict[str, Any]]:
    return [{"$limit": 1}, {"$project": {"_id": 0, "name": {"$literal": name}}}]
