"""The ledger's triggers: UPDATE, DELETE, REPLACE (SQLite) and TRUNCATE (PostgreSQL) raise.

MongoDB has no triggers; there the model and the admin refuse, and `verify_invariants` detects a
change.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "affiliates_ledgerentry"
REFUSAL = "ledger entries are never changed or deleted"
POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$""",
    f"""CREATE OR REPLACE TRIGGER {TABLE}_no_change BEFORE UPDATE OR DELETE ON {TABLE}
    FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()""",
    f"""CREATE OR REPLACE TRIGGER {TABLE}_no_truncate BEFORE TRUNCATE ON {TABLE}
    FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()""",
)
# REPLACE deletes without firing the trigger of DELETE, so this one refuses an INSERT that would
# replace an entry.
SQLITE_REPLACES = "id = NEW.id OR source_key = NEW.source_key OR rowid = NEW.rowid"
SQLITE = (
    *(
        f"CREATE TRIGGER IF NOT EXISTS {TABLE}_no_{change.lower()} BEFORE {change} ON {TABLE} BEGIN"
        f" SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for change in ("UPDATE", "DELETE")
    ),
    f"""CREATE TRIGGER IF NOT EXISTS {TABLE}_no_replace BEFORE INSERT ON {TABLE}
    WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE {SQLITE_REPLACES})
    BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",  # noqa: S608 our own names
)
REMOVAL = {
    "postgresql": (
        f"DROP TRIGGER IF EXISTS {TABLE}_no_change ON {TABLE}",
        f"DROP TRIGGER IF EXISTS {TABLE}_no_truncate ON {TABLE}",
        f"DROP FUNCTION IF EXISTS {TABLE}_refuse()",
    ),
    "sqlite": tuple(
        f"DROP TRIGGER IF EXISTS {TABLE}_no_{change}" for change in ("update", "delete", "replace")
    ),
}
STATEMENTS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers where the engine has any; calling it again changes nothing."""
    _run(connection, STATEMENTS.get(connection.vendor, ()))


def remove(connection: BaseDatabaseWrapper) -> None:
    _run(connection, REMOVAL.get(connection.vendor, ()))


def _run(connection: BaseDatabaseWrapper, statements: tuple[str, ...]) -> None:
    if statements:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
