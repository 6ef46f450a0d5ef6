"""A backup of the test database that is really put back: afterwards it has the old rows alone."""

import io
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from django.core.cache import cache
from django.db import connection, connections, transaction

from tests.cleaning import INSERT_ONLY, tables

Restore = Callable[[], None]


def take_backup(directory: Path) -> Restore:
    """Take a backup as the engine does it; return what puts it back, as on a new machine."""
    restore = {"sqlite": _of_file, "postgresql": _of_tables, "mongodb": _of_collections}[
        connection.vendor
    ](directory)

    def put_back() -> None:
        restore()
        cache.clear()

    return put_back


def _of_file(directory: Path) -> Restore:
    """SQLite: its own online backup, and that file over the present one."""
    database, copy = Path(connection.settings_dict["NAME"]), directory / "backup.sqlite3"
    with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()

    def put_back() -> None:
        connections.close_all()
        for left_over in ("-wal", "-shm"):  # would be applied to the older file
            database.with_name(database.name + left_over).unlink(missing_ok=True)
        shutil.copy(copy, database)

    return put_back


def _of_tables(directory: Path) -> Restore:
    """PostgreSQL: each table copied out, and all of them emptied and copied in again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in tables():
            with cursor.copy(f'COPY "{table}" TO STDOUT') as copy:
                (directory / table).write_bytes(b"".join(copy))

    def put_back() -> None:
        for each in INSERT_ONLY:
            each.remove(connection)
        with transaction.atomic(), connection.cursor() as cursor:
            names = ", ".join(f'"{table}"' for table in tables())
            cursor.execute(f"TRUNCATE {names} CASCADE")
            for table in tables():
                with cursor.copy(f'COPY "{table}" FROM STDIN') as copy:
                    copy.write((directory / table).read_bytes())
        for each in INSERT_ONLY:
            each.install(connection)

    return put_back


def _of_collections(directory: Path) -> Restore:
    """MongoDB: each collection's documents, as they are kept."""
    from bson import decode_all, encode

    for name in tables():
        documents = io.BytesIO()
        for document in connection.database[name].find():
            documents.write(encode(document))
        (directory / name).write_bytes(documents.getvalue())

    def put_back() -> None:
        for name in tables():
            collection = connection.database[name]
            collection.delete_many({})
            documents = decode_all((directory / name).read_bytes(), collection.codec_options)
            if documents:
                collection.insert_many(documents)

    return put_back
