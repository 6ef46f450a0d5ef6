"""Cheaper ways to the same answers for the MongoDB-wire server of the tests, which takes most of
the time of what runs on it.

Measured of its work before: 43 % was reading the list of a collection's indexes, anew for every
document that a $lookup joins; 30 % was packing keys, one character of their format at a time; 11 %
was copying what nothing changes, and a look through all recent writes at every write.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import NoneType
from typing import Any

import wiredtiger
from bson import Decimal128, Int64, ObjectId
from secantus import aggregate, projection, server, storage, transactions
from wiredtiger.intpacking import pack_int, unpack_int
from wiredtiger.packing import pack as pack_any
from wiredtiger.packing import unpack as unpack_any

from tests.mongo_joins import join_at_once

WRITES_BETWEEN_CLEANINGS = 500
A_FEW = 10
OF_ONE_FORM = {str, int, bool, NoneType, bytes, datetime, Decimal128, Int64, ObjectId}
CATALOGUE = (storage._IDX_TABLE, storage._COLL_TABLE)
END = b"\0"


# --- what a collection is, and its indexes --------------------------------------------------------
class Storage(storage.Storage):
    """Reads both once in a command of a client, each of which `release_thread_snapshot` begins.

    Whoever opens a cursor on them may change them, so they are read anew after that. It keeps no
    log of changes: none is followed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "enable_oplog": False})

    def release_thread_snapshot(self) -> None:
        super().release_thread_snapshot()
        self._tls.known = {}

    def _cursor(self, table: str, *, overwrite: bool = True) -> Any:
        if table in CATALOGUE and hasattr(self._tls, "known"):
            self._tls.known = {}
        return super()._cursor(table, overwrite=overwrite)

    def _once(self, read: Callable[[str, str], Any], db: str, coll: str) -> Any:
        known = getattr(self._tls, "known", None)
        if known is None:  # no command: the server's own clock
            return read(db, coll)
        key = read.__name__, db, coll
        if key not in known:
            known[key] = read(db, coll)
            self._tls.known = known  # reading alone changed nothing
        return known[key]

    def _iter_indexes(
        self, db: str, coll: str
    ) -> Iterable[tuple[str, dict[str, Any], dict[str, Any]]]:
        return iter(self._once(self._listed_indexes, db, coll))

    def _listed_indexes(self, db: str, coll: str) -> list[tuple[str, dict, dict]]:
        return list(super()._iter_indexes(db, coll))

    def _try_index_id_keys(
        self, db: str, coll: str, wanted: dict[str, Any], *, collation: Any = None
    ) -> list[bytes] | None:
        return super()._try_index_id_keys(db, coll, by_keys(wanted), collation=collation)

    def _coll_options(self, db: str, coll: str) -> dict[str, Any] | None:
        options = self._once(super()._coll_options, db, coll)
        return None if options is None else dict(options)

    def _update_matching_single_txn(self, db: str, coll: str, *args: Any, **options: Any) -> Any:
        with self._updating(db, coll):
            return super()._update_matching_single_txn(db, coll, *args, **options)

    def _update_chunk(self, db: str, coll: str, *args: Any, **options: Any) -> Any:
        with self._updating(db, coll):
            return super()._update_chunk(db, coll, *args, **options)

    @contextmanager
    def _updating(self, db: str, coll: str) -> Iterator[None]:
        """Each document is taken out of its indexes and put in again meanwhile, in this order."""
        is_capped = (self._coll_options(db, coll) or {}).get("capped")  # it may lose others, too
        self._tls.is_updating = not is_capped
        try:
            yield
        finally:
            self._tls.is_updating, self._tls.before = False, None

    def _delete_index_entries(
        self, db: str, coll: str, doc: dict, indexes: list, partials: Any = None, *, recordid: int
    ) -> None:
        if getattr(self._tls, "is_updating", False):
            self._tls.before = doc, recordid
        else:
            super()._delete_index_entries(db, coll, doc, indexes, partials, recordid=recordid)

    def _write_index_entries(
        self, db: str, coll: str, doc: dict, indexes: list, partials: Any = None, *, recordid: int
    ) -> None:
        """An update leaves those indexes alone of which it changes nothing."""
        before, of_record = getattr(self._tls, "before", None) or (None, None)
        self._tls.before = None
        if before is not None and of_record == recordid:
            rules = self._partial_filters(db, coll) if partials is None else partials
            indexes = [each for each in indexes if differs(before, doc, each, rules)]
            super()._delete_index_entries(db, coll, before, indexes, rules, recordid=recordid)
        super()._write_index_entries(db, coll, doc, indexes, partials, recordid=recordid)


def differs(before: dict, after: dict, index: tuple, partials: Mapping[str, Any]) -> bool:
    """Whether any field of which this index, or its condition, knows is not as it was."""
    condition = partials.get(index[0]) or {}
    if any(name.startswith("$") for name in condition):
        return True
    names = {name.partition(".")[0] for name in (*index[1], *condition)}
    return not all(is_as_it_was(before, after, name) for name in names)


def is_as_it_was(before: dict, after: dict, name: str) -> bool:
    if name not in before or name not in after:
        return name not in before and name not in after
    old, new = before[name], after[name]
    return type(old) is type(new) and type(old) in OF_ONE_FORM and old == new


def by_keys(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an `$and` that is a long list of keys, which an index serves; else all.

    What is found by it is compared with the whole filter afterwards. Without it the collection was
    read, and so it is for other filters of several parts: that is cheaper where there are few rows.
    """
    return next(
        (part for part in wanted.get("$and", ()) if any(map(_is_long, part.values()))), wanted
    )


def _is_long(terms: Any) -> bool:
    return isinstance(terms, dict) and len(terms.get("$in", ())) > A_FEW


# --- the keys of its tables -----------------------------------------------------------------------
FORMATS = {"SS", "SSS", "SSSu", "SSu", "SSq", "S", "u", "q"}  # texts, then a number or bytes


def pack(fmt: str, *values: Any) -> bytes:
    if fmt not in FORMATS:
        return pack_any(fmt, *values)
    texts = [value.encode() + END for value in values[: fmt.count("S")]]
    if fmt[-1] == "q":
        texts.append(pack_int(values[-1]))
    elif fmt[-1] == "u":
        texts.append(values[-1])
    return b"".join(texts)


def unpack(fmt: str, packed: bytes | None) -> list[Any]:
    if fmt not in FORMATS:
        return unpack_any(fmt, packed)
    *texts, rest = (packed or b"").split(END, fmt.count("S"))
    values: list[Any] = [text.decode() for text in texts]
    if fmt[-1] == "q":
        values.append(unpack_int(rest)[0])
    elif fmt[-1] == "u":
        values.append(rest)
    return values


# --- copies ---------------------------------------------------------------------------------------
def copied(value: Any) -> Any:
    """Return a document that shares nothing changeable with this one: BSON's other values never
    change.
    """
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    return value


class Copies:
    """Stands for the module `copy`."""

    deepcopy = staticmethod(copied)


# --- which fields are asked for -------------------------------------------------------------------
compile_projection = projection.compile_projection


def known_projection(spec: Mapping[str, Any], query: Any = None, **options: Any) -> Any:
    """A pipeline asks for the same fields of each document, and had it worked out for each."""
    if query is None and not options and all(type(value) is int for value in spec.values()):
        return _of_names(tuple(spec.items()))
    return compile_projection(spec, query, **options)


@functools.lru_cache
def _of_names(spec: tuple[tuple[str, int], ...]) -> Any:
    return compile_projection(dict(spec))


# --- recent writes --------------------------------------------------------------------------------
class Transactions(transactions.TransactionRegistry):
    """Looks for what is too old now and then, instead of at every write."""

    _writes = 0

    def _prune_retryable_locked(self) -> None:
        self._writes += 1
        if self._writes % WRITES_BETWEEN_CLEANINGS == 0:
            super()._prune_retryable_locked()


def take_cheaper_ways() -> None:
    server.Storage = Storage
    server.TransactionRegistry = Transactions
    generated = sys.modules[wiredtiger.Cursor.__module__]
    generated.pack, generated.unpack = pack, unpack
    aggregate.copy = transactions.copy = Copies
    projection.compile_projection = known_projection
    join_at_once()
