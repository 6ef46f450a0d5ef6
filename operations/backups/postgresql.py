"""PostgreSQL: pg_dump and pg_restore, which must not be older than the server."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient
from psycopg.sql import SQL, Identifier

from operations.backups.errors import BackupDamaged, BackupImpossible, RestoreRefused

FILE = "database.pgdump"
TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    " ORDER BY relname"
)
OTHERS = """SELECT count(*), string_agg(DISTINCT coalesce(host(client_addr), 'this machine'), ', ')
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'"""
COPY = re.compile(rb"COPY (?:public\.)?\"?(\w+)\"? \(.*\) FROM stdin;\n")
REPLACING = ("--clean", "--if-exists", "--no-owner", "--no-privileges")
PSQL = ("--quiet", "--no-psqlrc", "--output", os.devnull, "--set", "ON_ERROR_STOP=1")
NO_LIMITS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=15s"
REASON_SHOWN = 500
LEAVING_SECONDS = 3


def dump(folder: Path) -> dict[str, int]:
    """Write what one snapshot sees, and count it in the same snapshot."""
    try:
        return _dump(folder)
    except psycopg.Error as error:
        raise BackupImpossible(f"PostgreSQL did not let the rows be read: {error}") from error


def _dump(folder: Path) -> dict[str, int]:
    with _connect() as alone:
        alone.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # The dump takes as long as it takes, and this snapshot must outlast it; so do the counts.
        alone.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        alone.execute("SET LOCAL statement_timeout = 0")
        snapshot = _only(alone.execute("SELECT pg_export_snapshot()"))
        rows = {name: _count(alone, name) for name in _tables(alone)}
        target = str(folder / FILE)
        _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", "--file", target)
    return rows


def _connect() -> psycopg.Connection:
    """Return a connection beside the pool, whose limits are not made for this."""
    backend: Any = connection
    return psycopg.connect(**backend.get_connection_params())


def _only(cursor: psycopg.Cursor) -> Any:
    return (cursor.fetchone() or [None])[0]


def _count(alone: psycopg.Connection, table: str) -> int:
    return _only(alone.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))))


def _tables(alone: psycopg.Connection) -> list[str]:
    return [row[0] for row in alone.execute(TABLES)]


def read_back(folder: Path) -> dict[str, int]:
    """Read the whole archive as a restore would, and count its rows."""
    with tempfile.TemporaryFile() as script:
        _write_script(folder, script)
        script.seek(0)
        return dict(_copied(script))


def _copied(script: IO[bytes]) -> Iterator[tuple[str, int]]:
    r"""Yield each table with its rows, of which every one is a line up to `\.`"""
    for line in script:
        if begun := COPY.fullmatch(line):
            count = 0
            while script.readline() not in (b"\\.\n", b""):
                count += 1
            yield begun[1].decode(), count


def others() -> str:
    """Say who else is connected to the database; the server takes a moment to let go of those that
    have just left. On a connection of its own: the pool may open several.
    """
    _close()
    until = time.monotonic() + LEAVING_SECONDS
    with _connect() as alone:
        alone.autocommit = True
        while True:
            count, where = alone.execute(OTHERS).fetchone() or (0, "")
            if not count:
                return ""
            if time.monotonic() > until:
                return f"{count} other connections to the database, from {where}"
            time.sleep(0.1)


def load(folder: Path) -> None:
    """Make the database what the archive holds, in one transaction.

    Tables that the archive does not know go: they are of a later version.
    """
    known = read_back(folder)
    with _connect() as alone:
        later = [name for name in _tables(alone) if name not in known]
    _close()
    with tempfile.NamedTemporaryFile() as script:
        for name in later:
            quoted = connection.ops.quote_name(name)
            script.write(f"DROP TABLE public.{quoted} CASCADE;\n".encode())
        _write_script(folder, script)
        script.flush()
        _run("psql", "--single-transaction", "--file", script.name, *PSQL)


def _close() -> None:
    """Close the pool's connections too, which would count as somebody else's."""
    backend: Any = connection
    backend.close()
    backend.close_pool()


def _write_script(folder: Path, script: IO[bytes]) -> None:
    """Append what restores the archive, and replaces what is there. Raises BackupDamaged."""
    script.flush()
    done = subprocess.run(  # noqa: S603 a program of PostgreSQL's
        [_program("pg_restore"), *REPLACING, "--file=-", str(folder / FILE)],
        stdout=script,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise BackupDamaged(f"{folder / FILE} cannot be read: {_reason(done.stderr)}")


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on our database; the password is in its environment only."""
    (_, *where), env = DatabaseClient.settings_to_cmd_args_env(_settings(), [])
    done = subprocess.run(  # noqa: S603 a program of PostgreSQL's
        [_program(program), *where[:-1], "--dbname", where[-1], *arguments],
        env={**os.environ, **(env or {}), "PGOPTIONS": NO_LIMITS},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        refusal = BackupImpossible if program == "pg_dump" else RestoreRefused
        raise refusal(f"{program} failed: {_reason(done.stderr)}")


def _settings() -> dict:
    """Return where the database is, without the pool and limits, which are the product's."""
    options = connection.settings_dict.get("OPTIONS", {})
    ours = {"pool", "options", "connect_timeout"}
    kept = {name: value for name, value in options.items() if name not in ours}
    return {**connection.settings_dict, "OPTIONS": kept}


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise BackupImpossible(
            f"{name} was not found. Install PostgreSQL's client programs of the server's version"
            " (Debian and Ubuntu: apt-get install postgresql-client)."
        )
    return found


def _reason(errors: bytes) -> str:
    return errors.decode(errors="replace").strip()[:REASON_SHOWN]
