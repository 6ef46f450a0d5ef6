"""A MongoDB-wire server for the tests, in a process of its own: `python -m tests.mongo_server`.

Prints its address, and ends when its standard input closes, so that it never outlives the test run,
however that ended.
"""

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from secantus import aggregate, commands, storage
from secantus.server import SecantusDBServer
from secantus.transactions import Transaction

from tests.mongo_speed import take_cheaper_ways

TRANSACTION_LIFETIME_SECONDS = 2
ORPHAN_SECONDS = 0.1
CONFLICT_SECONDS = 0.005
BESIDE_DOCUMENTS = (storage._NAT_SEQ_TABLE, storage._IDX_ENTRIES_TABLE, storage._UNIQ_TABLE)


class Server(SecantusDBServer):
    """Drops what a killed client had open at once: otherwise a plain write that meets it waits for
    ever on this server.

    A real server drops it after transactionLifetimeLimitSeconds (60 s), and lets the plain write go
    on then.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._last_of_thread: dict[int, Transaction] = {}
        self._for_statement = self.transactions.for_statement
        self.transactions.for_statement = self._note_statement

    @functools.cached_property
    def address(self) -> tuple[str, int]:
        """It is asked about at every message, and stays what it was at the start."""
        return super().address

    def _note_statement(self, *args: Any, **kwargs: Any) -> tuple[Transaction | None, Any]:
        found, refusal = self._for_statement(*args, **kwargs)
        if found is not None:
            self._last_of_thread[threading.get_ident()] = found
        return found, refusal

    def _handle_client(self, conn: Any, addr: Any) -> None:
        try:
            super()._handle_client(conn, addr)
        finally:
            left = self._last_of_thread.pop(threading.get_ident(), None)
            if left is not None:
                threading.Timer(ORPHAN_SECONDS, self._drop, [left, left.last_use]).start()

    def _drop(self, left: Transaction, last_use: float) -> None:
        """A live client that only lost its connection goes on within milliseconds."""
        if left.last_use == last_use:
            self.transactions.abort_in_progress(left)


def teach_nested_projections() -> None:
    """MongoDB reads `{$project: {a: {b: 1}}}` as `a.b: 1`, which `values("a__b")` rests on; this
    server takes it for a value.
    """
    project = aggregate._STAGES["$project"]

    def project_nested(spec: Any, docs: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
        return project(dict(flat(spec)) if isinstance(spec, Mapping) else spec, docs, context)

    aggregate._STAGES["$project"] = project_nested


def flat(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in spec.items():
        if isinstance(value, Mapping) and value and not any(key.startswith("$") for key in value):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def let_others_write_meanwhile() -> None:
    """A plain write of many documents that meets an open transaction waits for its end; here it
    kept the collection to itself meanwhile.

    The transaction's next write to that collection then waited for the plain one, and both for
    ever. A real server locks no collection.
    """
    for name in ("_update_chunk", "_delete_chunk"):
        setattr(
            storage.Storage, name, _waits_without_lock(getattr(storage.Storage, name).__wrapped__)
        )


def _waits_without_lock(chunk: Callable[..., Any]) -> Callable[..., Any]:
    """Both are called with the collection's lock held, and read their documents anew each time."""

    @functools.wraps(chunk)
    def tried(self: storage.Storage, db: str, coll: str, *args: Any, **kwargs: Any) -> Any:
        lock = self._coll_lock(db, coll)
        while True:
            try:
                return chunk(self, db, coll, *args, **kwargs)
            except (storage.WriteConflictError, storage.wt.WiredTigerError) as problem:
                if not isinstance(
                    problem, storage.WriteConflictError
                ) and not storage._is_wt_rollback(problem):
                    raise
            held = lock._release_save()  # however often this thread holds it
            try:
                time.sleep(CONFLICT_SECONDS)
            finally:
                lock._acquire_restore(held)

    return tried


def say_what_is_filled() -> None:
    """Know a command which returns those of these collections that hold anything.

    It is asked after every test; a real server is asked by a pipeline with a part for each, which
    took a seventh of this one's time.
    """
    commands._HANDLERS["filledCollections"] = _filled_collections


def _filled_collections(asked: dict[str, Any], context: commands.CommandContext) -> dict[str, Any]:
    store = context.storage
    store._refresh_read_snapshot()
    with store._lock:
        filled = [name for name in asked["names"] if any(store._scan_docs(asked["$db"], name))]
    return {"filled": filled, "ok": 1.0}


def empty_at_once() -> None:
    """Know a command which empties those of these collections that hold anything, and returns them.

    A `delete` for each took a tenth of this server's time: it takes each document out of each
    index.
    """
    commands._HANDLERS["emptyCollections"] = _empty_collections


def _empty_collections(asked: dict[str, Any], context: commands.CommandContext) -> dict[str, Any]:
    answer = _filled_collections(asked, context)
    for name in answer["filled"]:
        empty(context.storage, asked["$db"], name)
    return answer


@storage._retry_write_conflicts
def empty(store: storage.Storage, db: str, name: str) -> None:
    """Leave the collection and its indexes without any row; wait for transactions that hold one, as
    a `delete` does.
    """
    with store._coll_lock(db, name), store._lock, store._batch_transaction() as session:
        for table in (storage._doc_table_for(db, name), *BESIDE_DOCUMENTS):
            first = store._cursor(table)
            rest = store._smallest_for_kf(store._table_kf(table))[2:]
            first.set_key(db, name, *rest)
            last = session.open_cursor(table)
            last.set_key(db, f"{name}\1", *rest)
            session.truncate(None, first, last, None)
            first.reset()
            last.close()


def main() -> None:
    take_cheaper_ways()
    say_what_is_filled()
    empty_at_once()
    teach_nested_projections()
    let_others_write_meanwhile()
    server = Server(
        port=0, storage_path=":memory:", transaction_lifetime_seconds=TRANSACTION_LIFETIME_SECONDS
    )
    server.start()
    print(server.uri, flush=True)
    sys.stdin.read()
    os._exit(0)  # nothing is kept, so there is no need to wait for clients to leave


if __name__ == "__main__":
    main()
