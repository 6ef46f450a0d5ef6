"""One attempt at a transaction on MongoDB, which `maaledu.db.atomic` repeats after a conflict.

Source: contracts/reliability, section 6.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from django.db import OperationalError, connection
from django.db.backends.utils import debug_transaction

logger = logging.getLogger(__name__)

T = TypeVar("T")

COMMIT_BUDGET = timedelta(seconds=10)
COMMIT_PAUSE_SECONDS = 0.02
TRANSIENT = "TransientTransactionError"
UNKNOWN_COMMIT = "UnknownTransactionCommitResult"


class Conflict(Exception):
    """The database dropped this transaction in favor of another one."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()


def attempt(body: Callable[[], T]) -> T:
    """Run the body once in a transaction.

    Raises Conflict where the database dropped it in favor of another one. The backend's own Atomic
    (5.2.4) leaves its session open when a commit fails; this function always ends it.
    """
    backend = _mongodb()
    _forget_session()
    backend.run_on_commit = []
    try:
        backend.start_transaction_mongo()
        backend.in_atomic_block_mongo = True
        result = body()
        _commit()
    except BaseException:
        _abort()
        raise
    hooks, backend.run_on_commit = backend.run_on_commit, []
    _forget_session()
    _run_hooks(hooks)
    return result


def _run_hooks(hooks: list[tuple[Any, Callable[[], object], bool]]) -> None:
    """Run what was left for after the commit.

    Django's own runner refuses to run inside its atomic, which the admin may have open and which
    does nothing on MongoDB.
    """
    for _, hook, robust in hooks:
        try:
            hook()
        except Exception:
            if not robust:
                raise
            logger.exception("a step after the commit failed")


def _mongodb() -> Any:
    """Return the connection, with the attributes that only the MongoDB backend has."""
    return connection


def _commit() -> None:
    deadline = time.monotonic() + COMMIT_BUDGET.total_seconds()
    while True:
        try:
            with debug_transaction(connection, "session.commit_transaction()"):
                _mongodb().session.commit_transaction()
            return
        # These are pymongo's own errors, and pymongo is only there on MongoDB.
        except Exception as error:  # noqa: BLE001
            if not has_label(error, UNKNOWN_COMMIT) or time.monotonic() > deadline:
                _refuse_commit(error)
        time.sleep(COMMIT_PAUSE_SECONDS)


def _refuse_commit(error: Exception) -> NoReturn:
    refusal = OperationalError("the transaction could not be committed")
    refusal.__cause__ = error
    if has_label(error, TRANSIENT) and not has_label(error, UNKNOWN_COMMIT):
        raise Conflict(refusal)
    raise refusal


def _abort() -> None:
    backend = _mongodb()
    backend.run_on_commit = []
    try:
        if backend.session is not None and backend.session.in_transaction:
            with debug_transaction(connection, "session.abort_transaction()"):
                backend.session.abort_transaction()
    finally:
        _forget_session()


def _forget_session() -> None:
    backend = _mongodb()
    session, backend.session = backend.session, None
    backend.in_atomic_block_mongo = False
    backend.nested_atomics = 0
    if session is not None:
        session.end_session()


def has_label(error: BaseException, label: str) -> bool:
    has_error_label = getattr(error, "has_error_label", None)
    return bool(has_error_label and has_error_label(label))
