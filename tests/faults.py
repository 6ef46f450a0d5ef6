"""Cuts a real process at its n-th write to the database, on every engine, without a hook in the
product.

A process with `tests.settings_faulty` watches a plan file. While the file is there, each INSERT,
UPDATE, DELETE and COMMIT is noted in the journal beside it; at the n-th one the process is killed,
or gets an error, or loses its connection:

    kill   SIGKILL instead of the write
    raise  the database refuses the write
    drop   the connection is lost before the write
    lost   the write is made, and its answer is lost with the connection

The test counts the writes of one clean run (`faults.arm(0)`), then sweeps n over them.
"""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

PLAN = "FAULT_PLAN"
KINDS = ("kill", "raise", "drop", "lost")
WRITES = ("INSERT", "UPDATE", "DELETE")
# Whoever calls an LMS reserves its next moments, as often as the time passes: no part of a step.
RESERVES = 'UPDATE "lms_sync_platformstate" SET "next_call_at" ='
RESERVED = {"next_call_at"}
# In the journal, of a write that its transaction's end will keep or take back.
UNCOMMITTED = " (uncommitted)"


class Faults:
    """The test's side: writes the plan, reads the journal."""

    def __init__(self, directory: Path) -> None:
        self.plan = directory / "fault-plan"
        self.journal = journal_of(self.plan)

    @property
    def environment(self) -> dict[str, str]:
        return {PLAN: str(self.plan), "DJANGO_SETTINGS_MODULE": "tests.settings_faulty"}

    def arm(self, at: int, kind: str = "kill") -> None:
        """Cut at the `at`-th write from now on, once; 0 only counts."""
        self.disarm()
        self.journal.unlink(missing_ok=True)
        draft = self.plan.with_suffix(".new")
        draft.write_text(f"{at} {kind}")
        draft.rename(self.plan)

    def disarm(self) -> None:
        self.plan.unlink(missing_ok=True)

    @property
    def writes(self) -> list[str]:
        """The writes since it was armed, in order, the cut one last (where the process did not go
        on).
        """
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    @property
    def lasting(self) -> list[int]:
        """The numbers of the writes that stay when the process dies right after them: commits, and
        writes outside of any transaction.
        """
        writes = enumerate(self.writes, 1)
        return [number for number, what in writes if not what.endswith(UNCOMMITTED)]

    @property
    def has_cut(self) -> bool:
        at = int(self.plan.read_text().split()[0]) if self.plan.exists() else 0
        return 0 < at <= len(self.writes)


def journal_of(plan: Path) -> Path:
    return plan.with_suffix(".journal")


def due(what: str) -> str:
    """Note a write and return the kind of fault that is due at it, or nothing. Counts over all
    threads and processes.
    """
    plan = Path(os.environ[PLAN])
    if not plan.exists():
        return ""
    with journal_of(plan).open("a+") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        journal.seek(0)
        number = len(journal.readlines()) + 1
        journal.write(f"{what}\n")
    at, kind = plan.read_text().split()
    return kind if number == int(at) else ""


def cut(
    kind: str,
    refuse: Callable[[], Exception],
    lose: Callable[[], Exception],
    write: Callable[[], Any],
) -> Any:
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "raise":
        raise refuse()
    if kind == "drop":
        raise lose()
    result = write()
    if kind == "lost":
        raise lose()
    return result


def install() -> None:
    """Called once, by the settings of the faulty process."""
    connection_created.connect(_watch_statements, weak=False)
    _watch_commits()
    if os.environ.get("DATABASE_URL", "").startswith("mongodb"):
        _watch_mongodb()


# --- SQLite and PostgreSQL ------------------------------------------------------------------------


def _watch_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor != "mongodb" and _on_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_on_statement)


def _on_statement(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    if not sql.lstrip().upper().startswith(WRITES) or sql.startswith(RESERVES):
        return execute(sql, params, many, context)
    inside = context["connection"].in_atomic_block
    kind = due(" ".join(sql.split()[:3]) + UNCOMMITTED * inside)
    return cut(
        kind,
        _refused,
        lambda: _lost(context["connection"]),
        lambda: execute(sql, params, many, context),
    )


def _watch_commits() -> None:
    commit = BaseDatabaseWrapper._commit

    def watched(self: BaseDatabaseWrapper) -> Any:
        return cut(due("COMMIT"), _refused, lambda: _lost(self), lambda: commit(self))

    BaseDatabaseWrapper._commit = watched


def _refused() -> Exception:
    return OperationalError("the database refused this write")


def _lost(connection: BaseDatabaseWrapper) -> Exception:
    """PostgreSQL closes the socket; SQLite, which has none, forgets the open transaction as after a
    disk error.
    """
    if connection.vendor == "postgresql":
        connection.connection.close()
    elif connection.connection is not None and connection.connection.in_transaction:
        connection.connection.rollback()
    return OperationalError("the connection was lost")


# --- MongoDB --------------------------------------------------------------------------------------


def _watch_mongodb() -> None:
    from pymongo.collection import Collection
    from pymongo.synchronous.client_session import ClientSession

    for name in ("insert_many", "update_many", "delete_many"):
        setattr(Collection, name, _watched_method(getattr(Collection, name)))
    ClientSession.commit_transaction = _watched_commit(ClientSession.commit_transaction)


def _watched_method(method: Callable[..., Any]) -> Callable[..., Any]:
    def watched(collection: Any, *args: Any, session: Any = None, **kwargs: Any) -> Any:
        if _only_reserves(collection, args):
            return method(collection, *args, session=session, **kwargs)
        inside = session is not None and session.in_transaction
        kind = due(f"{method.__name__} {collection.name}" + UNCOMMITTED * inside)
        label = "TransientTransactionError" if inside else "RetryableWriteError"
        return cut(
            kind,
            _mongodb_refused,
            lambda: _mongodb_lost(label),
            lambda: method(collection, *args, session=session, **kwargs),
        )

    return watched


def _only_reserves(collection: Any, args: tuple[Any, ...]) -> bool:
    changes = args[1] if len(args) > 1 else {}
    steps = changes if isinstance(changes, list) else [changes]
    fields = {name for step in steps if isinstance(step, dict) for name in step.get("$set", {})}
    return collection.name == "lms_sync_platformstate" and fields == RESERVED


def _watched_commit(commit: Callable[[Any], None]) -> Callable[[Any], None]:
    def watched(session: Any) -> None:
        cut(
            due("COMMIT"),
            _mongodb_refused,
            lambda: _mongodb_lost("UnknownTransactionCommitResult"),
            lambda: commit(session),
        )

    return watched


def _mongodb_refused() -> Exception:
    from pymongo.errors import OperationFailure

    return OperationFailure("the database refused this write", code=11600)


def _mongodb_lost(label: str) -> Exception:
    """What the driver raises when the socket breaks, with the label it gives."""
    from pymongo.errors import AutoReconnect

    error = AutoReconnect("the connection was lost")
    error._add_error_label(label)
    return error
