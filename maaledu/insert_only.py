"""Tables whose rows are written once: triggers by which UPDATE, DELETE, REPLACE (SQLite) and
TRUNCATE (PostgreSQL) raise.

MongoDB has no triggers; there the model and the admin refuse.
"""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

ENGINES = ("postgresql", "sqlite")


@dataclass(frozen=True)
class InsertOnly:
    """The triggers of one table; `keys` are its unique columns."""

    table: str
    refusal: str
    keys: tuple[str, ...]

    def install(self, connection: BaseDatabaseWrapper) -> None:
        """Create the triggers where the engine has any; calling it again changes nothing."""
        made = {"postgresql": self._postgresql(), "sqlite": self._sqlite()}
        _run(connection, made.get(connection.vendor, ()))

    def remove(self, connection: BaseDatabaseWrapper) -> None:
        made = {"postgresql": self._postgresql_removal(), "sqlite": self._sqlite_removal()}
        _run(connection, made.get(connection.vendor, ()))

    def _postgresql(self) -> tuple[str, ...]:
        table = self.table
        return (
            f"""CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '{self.refusal}' USING ERRCODE = 'restrict_violation'; END $$""",
            f"""CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""",
            f"""CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
        )

    def _sqlite(self) -> tuple[str, ...]:
        table = self.table
        # REPLACE deletes without firing the trigger of DELETE, so the last one refuses an INSERT
        # that would replace a row.
        replaces = " OR ".join(f"{key} = NEW.{key}" for key in (*self.keys, "rowid"))
        return (
            *(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{change.lower()} BEFORE {change} ON"
                f" {table} BEGIN SELECT RAISE(ABORT, '{self.refusal}'); END"
                for change in ("UPDATE", "DELETE")
            ),
            f"""CREATE TRIGGER IF NOT EXISTS {table}_no_replace BEFORE INSERT ON {table}
            WHEN EXISTS (SELECT 1 FROM {table} WHERE {replaces})
            BEGIN SELECT RAISE(ABORT, '{self.refusal}'); END""",  # noqa: S608 our own names
        )

    def _postgresql_removal(self) -> tuple[str, ...]:
        return (
            f"DROP TRIGGER IF EXISTS {self.table}_no_change ON {self.table}",
            f"DROP TRIGGER IF EXISTS {self.table}_no_truncate ON {self.table}",
            f"DROP FUNCTION IF EXISTS {self.table}_refuse()",
        )

    def _sqlite_removal(self) -> tuple[str, ...]:
        changes = ("update", "delete", "replace")
        return tuple(f"DROP TRIGGER IF EXISTS {self.table}_no_{change}" for change in changes)


def _run(connection: BaseDatabaseWrapper, statements: tuple[str, ...]) -> None:
    if statements:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
