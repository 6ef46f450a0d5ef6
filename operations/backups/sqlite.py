"""SQLite: its own online backup, and that file in place of the database."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from django.db import connection, connections

from operations.backups.errors import BackupDamaged, BackupImpossible, RestoreRefused

FILE = "database.sqlite3"
BESIDE = ("-wal", "-shm", "-journal")


def dump(folder: Path) -> dict[str, int]:
    """Copy the database while it is used; the copy is that of one moment.

    In one go: in parts it would begin again whenever somebody writes between two of them.
    """
    try:
        _copy(folder / FILE)
    except sqlite3.Error as error:
        raise BackupImpossible(f"SQLite could not make the copy: {error}") from error
    return _rows(folder / FILE)


def _copy(copy: Path) -> None:
    with closing(sqlite3.connect(_database())) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        # One file, which needs none beside it.
        target.execute("PRAGMA journal_mode=DELETE")


def read_back(folder: Path) -> dict[str, int]:
    """Let SQLite check each page and index of the copy, and count its rows."""
    with closing(_open(folder / FILE)) as copy:
        try:
            problems = [row[0] for row in copy.execute("PRAGMA integrity_check")]
            problems += [str(row) for row in copy.execute("PRAGMA foreign_key_check")]
        except sqlite3.DatabaseError as error:
            raise BackupDamaged(f"{folder / FILE} cannot be read: {error}") from error
    if problems != ["ok"]:
        raise BackupDamaged(f"{folder / FILE}: {'; '.join(problems[:3])}")
    return _rows(folder / FILE)


def others() -> str:
    """Say whether another process has the database open: then no exclusive lock can be had."""
    connections.close_all()
    if not _database().exists():
        return ""
    with closing(sqlite3.connect(_database(), timeout=0, isolation_level=None)) as database:
        try:
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return f"another process has {_database()} open ({error})"
    return ""


def load(folder: Path) -> None:
    """Put the copy in place of the database.

    What lies beside the old one belongs to it, and would be applied to the copy.
    """
    connections.close_all()
    database = _database()
    copy = database.with_name(f"{database.name}.restoring")
    try:
        shutil.copyfile(folder / FILE, copy)
        copy.chmod(database.stat().st_mode & 0o777 if database.exists() else 0o600)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise RestoreRefused(f"The disk did not take it: {error}. Nothing was changed.") from error
    for name in BESIDE:
        database.with_name(database.name + name).unlink(missing_ok=True)
    copy.replace(database)


def _database() -> Path:
    return Path(connection.settings_dict["NAME"])


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)


def _rows(path: Path) -> dict[str, int]:
    listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    with closing(_open(path)) as copy:
        names = [row[0] for row in copy.execute(listed)]
        return {
            name: copy.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608
            for name in names
        }
