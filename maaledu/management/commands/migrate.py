import time
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import LockNotAvailable

from maaledu.mongodb_engine import defaults

LOCK_SECONDS = 2
TRIES = 30
PAUSE_SECONDS = 1


class Command(migrate.Command):
    """Django's, safe while a release serves.

    Who waits for a table to change it makes all others wait behind: on PostgreSQL it lets go after
    LOCK_SECONDS, and tries again. On MongoDB it writes the defaults that others have by themselves.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor == "postgresql":
            self._migrate_politely(connection, *args, **options)
        else:
            super().handle(*args, **options)
        if connection.vendor == "mongodb" and not (options["plan"] or options["check_unapplied"]):
            self._fill(connection, options["verbosity"])

    def _migrate_politely(
        self, connection: BaseDatabaseWrapper, *args: Any, **options: Any
    ) -> None:
        _set_lock_timeout(connection, f"SET lock_timeout = '{LOCK_SECONDS}s'")
        try:
            for tries_left in reversed(range(TRIES)):
                if self._try(*args, may_fail=tries_left > 0, **options):
                    return
                time.sleep(PAUSE_SECONDS)
        finally:
            _set_lock_timeout(connection, "RESET lock_timeout")

    def _try(self, *args: Any, may_fail: bool, **options: Any) -> bool:
        try:
            super().handle(*args, **options)
        except OperationalError as error:
            if not (may_fail and isinstance(error.__cause__, LockNotAvailable)):
                raise
            self.stderr.write(" a table is busy: again in a moment")
            return False
        return True

    def _fill(self, connection: BaseDatabaseWrapper, verbosity: int) -> None:
        written = defaults.fill(connection)
        if verbosity >= 1:
            self.stdout.write(f"  Defaults written for another release: {written}")


def _set_lock_timeout(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
