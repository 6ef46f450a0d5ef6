"""What a backup needs of each engine: write, read back, see who is connected, put in place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from operations.backups import mongodb, postgresql, sqlite

Rows = dict[str, int]


@dataclass(frozen=True)
class Engine:
    """`dump` returns the rows by table that it saw in one moment, `read_back` those that the folder
    has. `others` says who else is connected. `load` makes the database what the folder holds, all
    of it or nothing.
    """

    dump: Callable[[Path], Rows]
    read_back: Callable[[Path], Rows]
    others: Callable[[], str]
    load: Callable[[Path], None]


ENGINES = {
    "sqlite": Engine(sqlite.dump, sqlite.read_back, sqlite.others, sqlite.load),
    "postgresql": Engine(postgresql.dump, postgresql.read_back, postgresql.others, postgresql.load),
    "mongodb": Engine(mongodb.dump, mongodb.read_back, mongodb.others, mongodb.load),
}


def engine() -> Engine:
    return ENGINES[connection.vendor]
