"""Guarded single-row writes and transactions that mean the same on all three databases.

Source: architecture, "Three databases, one rule"; contracts/reliability, section 6.
"""

import contextlib
import functools
import itertools
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import uuid_utils.compat
from django.db import IntegrityError, connection, models, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from maaledu import mongodb
from maaledu.mongodb import TRANSIENT, Conflict, has_label

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CONFLICT_BUDGET = timedelta(seconds=20)
LONGEST_PAUSE_SECONDS = 0.5
# PostgreSQL: serialization_failure, deadlock_detected.
RETRIED_SQLSTATES = {"40001", "40P01"}
DUPLICATE_SQLSTATE = "23505"  # unique_violation
DUPLICATE_IN_SQLITE = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}


def new_id() -> uuid.UUID:
    """Return a UUIDv7: hard to guess, and ordered by time, which keeps indexes compact."""
    return uuid_utils.compat.uuid7()


def transition(
    obj: models.Model,
    to: str,
    *,
    field: str = "status",
    edge: str = "",
    only: models.Q | None = None,
    **changes: Any,
) -> bool:
    """Move `obj.status` to `to` if the row still allows it, and return whether this call did.

    One guarded UPDATE over the model's `TRANSITIONS = {to: [from, ...]}` (`LMS_STATUS_TRANSITIONS`
    for the field `lms_status`, and so on), and over `only`, where the rule is more than the status.
    `edge` names one of the model's `EXCEPTIONS = {edge: {to: [from, ...]}}`, which are allowed only
    to a caller that asks for them by name. The loser reads the present status. Raises KeyError for
    a status or an edge that the model does not name, before anything is written.
    """
    model = type(obj)
    changes = {field: to, "updated_at": timezone.now(), **changes}
    allowed = _edges(model, field, edge)[to]
    rows = model._default_manager.filter(only or models.Q(), pk=obj.pk, **{f"{field}__in": allowed})
    won = rows.update(**changes) == 1
    if won:
        for name, value in changes.items():
            setattr(obj, name, value)
    else:
        obj.refresh_from_db(fields=[field])
    return won


def _edges(model: type[models.Model], field: str, edge: str) -> dict[str, list[str]]:
    prefix = "" if field == "status" else f"{field.upper()}_"
    if not edge:
        return getattr(model, f"{prefix}TRANSITIONS")
    return getattr(model, f"{prefix}EXCEPTIONS")[edge]


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether a row was refused because there is one like it.

    Not because a column lacks its value or a check fails, as on a schema that is newer than this
    code: whoever takes that for a duplicate loses the row without a word.
    """
    # MongoDB has no other constraint.
    return connection.vendor == "mongodb" or any(
        getattr(cause, "sqlstate", "") == DUPLICATE_SQLSTATE
        or getattr(cause, "sqlite_errorname", "") in DUPLICATE_IN_SQLITE
        for cause in _causes(error)
    )


@contextlib.contextmanager
def duplicate_means(meaning: Callable[[], Exception]) -> Iterator[None]:
    """Raise what it means when the block writes a row like one that is there."""
    try:
        yield
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise meaning() from error


def atomic(block: Callable[P, T]) -> Callable[P, T]:
    """Make a function all-or-nothing in the engine's own transaction.

    The whole function runs again after a conflict that the database resolved against it, so it must
    be safe to run twice. A call inside another atomic function joins that one's transaction; when
    the inner one fails the outer one cannot commit, whatever it catches. Make no network call in
    one: it would hold locks, and be made again after a conflict.
    """

    @functools.wraps(block)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(block, *args, **kwargs)
        return _join(call) if _here.inside else _until_no_conflict(call)

    return run


class _Here(threading.local):
    """Whether this thread is inside an atomic function, and whether an inner one has failed."""

    inside = False
    doomed = False


_here = _Here()


class OutOfDate(Exception):
    """Raised in an atomic function whose reads are out of date, so that all of it runs again."""


def _join(call: Callable[[], T]) -> T:
    try:
        return call()
    except BaseException:
        _here.doomed = True
        raise


def _until_no_conflict(call: Callable[[], T]) -> T:
    body = functools.partial(_body, call)
    deadline = time.monotonic() + CONFLICT_BUDGET.total_seconds()
    for tries in itertools.count():
        try:
            return mongodb.attempt(body) if connection.vendor == "mongodb" else _sql_attempt(body)
        except Conflict as conflict:
            if time.monotonic() > deadline or _in_foreign_transaction():
                raise conflict.error from conflict.error.__cause__
        time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.005 * 2 ** min(tries, 10))))
    raise AssertionError("unreachable")


def _in_foreign_transaction() -> bool:
    """Return whether Django's own atomic, such as the admin's, is open around ours.

    That transaction is lost with the conflict and cannot be run again from here. On MongoDB
    Django's atomic does nothing.
    """
    return connection.in_atomic_block and connection.vendor != "mongodb"


def _sql_attempt(body: Callable[[], T]) -> T:
    with transaction.atomic():
        return body()


def _body(call: Callable[[], T]) -> T:
    """Run the function, and turn the errors that mean another try into Conflict."""
    _here.inside, _here.doomed = True, False
    try:
        result = call()
    except Exception as error:
        if _is_conflict(error):
            raise Conflict(error) from error
        raise
    finally:
        _here.inside = False
    if _here.doomed:
        raise TransactionManagementError(
            "A nested atomic function failed and its error was caught: nothing is committed."
        )
    return result


def _is_conflict(error: BaseException) -> bool:
    return isinstance(error, OutOfDate) or any(
        has_label(e, TRANSIENT) or getattr(e, "sqlstate", "") in RETRIED_SQLSTATES
        for e in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
