"""MongoDB: a folder as mongodump writes it, which mongorestore can read as well.

mongodump itself sees each collection at another moment, unless it may read the server's log of
changes. One transaction sees all of them at the same moment, for as long as the server lets it
live: 60 seconds unless set otherwise.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from bson import CodecOptions, decode_file_iter
from bson.errors import BSONError
from bson.json_util import dumps, loads
from bson.raw_bson import RawBSONDocument
from django.db import connection
from django.utils import timezone
from pymongo.errors import PyMongoError

from operations.backups.errors import BackupDamaged, BackupImpossible, RestoreRefused
from operations.models import Heartbeat

SUFFIX, METADATA = ".bson", ".metadata.json"
DOCUMENTS_AT_ONCE = 1000
STILL_THERE = timedelta(minutes=2)
AS_KEPT = CodecOptions(document_class=RawBSONDocument)


def dump(folder: Path) -> dict[str, int]:
    """Write each document as the database has it, all of the same moment."""
    names = _names()
    try:
        for name in names:
            _write_metadata(folder, name)
        with _database().client.start_session() as session, session.start_transaction():
            return {name: _write(folder, name, session) for name in names}
    except PyMongoError as error:
        raise BackupImpossible(
            f"MongoDB did not give all documents of one moment: {error}. For a database that takes"
            " longer than transactionLifetimeLimitSeconds, use the snapshots of its provider, or"
            " mongodump --oplog."
        ) from error


def _write(folder: Path, name: str, session: Any) -> int:
    collection = _database().get_collection(name, codec_options=AS_KEPT)
    with (folder / f"{name}{SUFFIX}").open("wb") as file:
        found = collection.find(session=session, batch_size=DOCUMENTS_AT_ONCE)
        return sum(1 for document in found if file.write(document.raw))


def _write_metadata(folder: Path, name: str) -> None:
    indexes = list(_database()[name].list_indexes())
    body = {"indexes": indexes, "collectionName": name, "type": "collection"}
    (folder / f"{name}{METADATA}").write_text(dumps(body), encoding="utf-8")


def read_back(folder: Path) -> dict[str, int]:
    """Decode every document, and count them."""
    rows = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with path.open("rb") as file:
                rows[path.stem] = sum(1 for _ in decode_file_iter(file))
        except BSONError as error:
            raise BackupDamaged(f"{path} cannot be read: {error}") from error
    return rows


def others() -> str:
    """Say who left a heartbeat just now: whom MongoDB itself may name depends on the rights of our
    user there.
    """
    lately = timezone.now() - STILL_THERE
    seen = Heartbeat.objects.filter(at__gt=lately).order_by("name").values_list("name", flat=True)
    return f"heartbeats within the last two minutes: {', '.join(seen)}" if seen else ""


def load(folder: Path) -> None:
    """Write the documents into collections beside those in use, then put these in their place.

    So whatever fails while documents are read and written leaves the database as it was.
    """
    names = [path.stem for path in sorted(folder.glob(f"*{SUFFIX}"))]
    try:
        for name in names:
            _load_beside(folder, name)
        database = _database()
        for name in names:
            database[_beside(name)].rename(name, dropTarget=True)
        for name in set(_names()) - set(names):
            database.drop_collection(name)
    except PyMongoError as error:
        raise RestoreRefused(f"MongoDB refused: {error}. Run it again.") from error


def _load_beside(folder: Path, name: str) -> None:
    database = _database()
    database.drop_collection(_beside(name))
    collection = database.create_collection(_beside(name))
    for lot in _lots(folder / f"{name}{SUFFIX}"):
        collection.insert_many(lot)
    for index in _indexes(folder, name):
        keys = list(index.pop("key").items())
        for told in ("v", "ns"):
            index.pop(told, None)
        collection.create_index(keys, **index)


def _indexes(folder: Path, name: str) -> list[dict[str, Any]]:
    body = loads((folder / f"{name}{METADATA}").read_text(encoding="utf-8"))
    return [dict(index) for index in body["indexes"] if index["name"] != "_id_"]


def _lots(path: Path) -> Iterator[list[Any]]:
    lot = []
    for document in _documents(path):
        lot.append(document)
        if len(lot) == DOCUMENTS_AT_ONCE:
            yield lot
            lot = []
    if lot:
        yield lot


def _documents(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from decode_file_iter(file, AS_KEPT)


def _names() -> list[str]:
    return sorted(
        name
        for name in _database().list_collection_names()
        if not name.startswith("system.") and not name.endswith(_beside(""))
    )


def _beside(name: str) -> str:
    return f"{name}.restoring"


def _database() -> Any:
    """Only MongoDB's connection has one."""
    backend: Any = connection
    backend.ensure_connection()
    return backend.database
