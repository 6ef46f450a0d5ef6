"""The old database as the source of what is brought: read only, and by its keys."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bson.errors import BSONError
from django.conf import settings
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from legacy.errors import SourceUnreadable
from legacy.sources import CODEC, Document


class LiveSource:
    """The old database itself, read only and by its keys; its address is a setting."""

    name = "the live database"

    def __init__(self) -> None:
        if not settings.LEGACY_DATABASE_URL:
            raise SourceUnreadable("Set LEGACY_DATABASE_URL to the old database's address.")
        with _old_database() as database:
            self._names = sorted(database.list_collection_names())

    def collections(self) -> list[str]:
        return [name for name in self._names if not name.startswith("system.")]

    def read(self, collection: str) -> Iterator[Document]:
        with _old_database(f"{collection}: ") as database:
            yield from database[collection].find(sort=[("_id", 1)], batch_size=500)

    def refuse_changes(self, counts: Mapping[str, int]) -> None:
        with _old_database() as database:
            there = {name: database[name].count_documents({}) for name in counts}
        for name, read in counts.items():
            if there[name] != read:
                raise SourceUnreadable(
                    f"{name}: {read} documents were read, and {there[name]} are there now. Run"
                    " this again, or stop the old shop first."
                )


@contextmanager
def _old_database(where: str = "") -> Iterator[Database[Document]]:
    """Connect for one question. Raises SourceUnreadable."""
    try:
        with MongoClient[Document](
            settings.LEGACY_DATABASE_URL, serverSelectionTimeoutMS=10_000
        ) as client:
            yield client.get_default_database(codec_options=CODEC)
    # Its message may hold the address, and with it a password.
    except (PyMongoError, BSONError, ValueError) as error:
        raise SourceUnreadable(where + _trouble(error)) from None


def _trouble(error: Exception) -> str:
    return (
        f"The old database at LEGACY_DATABASE_URL cannot be read ({type(error).__name__})."
        " Check the address, with the name of its database, and the rights of its user."
    )
