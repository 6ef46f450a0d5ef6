"""What can go wrong with a transaction on MongoDB, tried with the server's own fail points and a
killed client.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import F
from django_mongodb_backend.transaction import atomic as backend_atomic
from pymongo.errors import OperationFailure

from maaledu.db import atomic
from tests.concurrency import kinds, race
from tests.dbapp.models import Account, Note
from tests.processes import Proc

pytestmark = [pytest.mark.django_db, pytest.mark.engines("mongodb")]

UNAUTHORIZED = 13
WRITE_CONFLICT = 112
NOT_PRIMARY = 10107
TRANSIENT = {"errorCode": WRITE_CONFLICT, "errorLabels": ["TransientTransactionError"]}
UNKNOWN_RESULT = {"errorCode": 64, "errorLabels": ["UnknownTransactionCommitResult"]}


@contextmanager
def failing(commands: list[str], *, times: int, **how: Any) -> Iterator[None]:
    """Make the server fail the next `times` of these commands."""
    admin = connection.connection.admin
    point = {"configureFailPoint": "failCommand"}
    admin.command({**point, "mode": {"times": times}, "data": {"failCommands": commands, **how}})
    try:
        yield
    finally:
        admin.command({**point, "mode": "off"})


def counted() -> tuple[list[int], Callable[[], None]]:
    runs: list[int] = []

    @atomic
    def write() -> None:
        runs.append(1)
        Note.objects.create(text="once")
        Account.objects.create(name="once")

    return runs, write


def stored() -> tuple[int, int]:
    return Note.objects.count(), Account.objects.count()


def assert_clean() -> None:
    """A later transaction really is one: an exception takes everything back, and a success is
    stored.
    """

    @atomic
    def fails() -> None:
        Note.objects.create(text="must go")
        raise ZeroDivisionError

    before = stored()
    with pytest.raises(ZeroDivisionError):
        fails()
    assert stored() == before
    assert connection.session is None
    assert not connection.in_atomic_block_mongo
    assert connection.run_on_commit == []


@pytest.mark.parametrize("command", ["insert", "commitTransaction"])
def test_a_transient_conflict_runs_the_block_again(command):
    runs, write = counted()
    with failing([command], times=3, **TRANSIENT):
        write()
    assert (len(runs), stored()) == (4, (1, 1))
    assert_clean()


def test_a_connection_lost_inside_the_block_runs_it_again():
    runs, write = counted()
    with failing(["insert"], times=1, closeConnection=True):
        write()
    assert (len(runs), stored()) == (2, (1, 1))
    assert_clean()


def test_an_unknown_commit_result_repeats_the_commit_and_not_the_block():
    runs, write = counted()
    with failing(["commitTransaction"], times=4, **UNKNOWN_RESULT):
        write()
    assert (len(runs), stored()) == (1, (1, 1))
    assert_clean()


def test_a_connection_lost_at_the_commit_ends_with_one_row():
    runs, write = counted()
    with failing(["commitTransaction"], times=3, closeConnection=True):
        write()
    assert stored() == (1, 1)
    # once where the server still has the transaction, twice where it has dropped it
    assert len(runs) <= 2
    assert_clean()


def test_a_commit_that_is_refused_for_good_leaves_nothing_and_says_so():
    runs, write = counted()
    with (
        failing(["commitTransaction"], times=1, errorCode=UNAUTHORIZED, errorLabels=[]),
        pytest.raises(OperationalError) as caught,
    ):
        write()
    assert caught.value.__cause__.code == UNAUTHORIZED
    assert (len(runs), stored()) == (1, (0, 0))
    assert_clean()


def test_a_primary_that_steps_down_at_the_commit_leaves_one_row_or_an_error_and_none():
    _, write = counted()
    try:
        with failing(["commitTransaction"], times=2, errorCode=NOT_PRIMARY):
            write()
        outcome = (1, 1)
    except OperationalError:
        outcome = (0, 0)
    assert stored() == outcome
    assert_clean()


def test_control_the_backends_own_atomic_stays_poisoned_and_ours_cleans_up_after_it():
    """A defect of the backend (5.2.4) that maaledu.db avoids; it is fixed when this fails."""

    @backend_atomic
    def lost() -> None:
        Note.objects.create(text="lost")
        transaction.on_commit(
            lambda: pytest.fail("belongs to a transaction that was never committed")
        )

    with failing(["commitTransaction"], times=2, **TRANSIENT), pytest.raises(OperationFailure):
        lost()
    assert connection.session is not None
    assert_clean()


def test_conflicts_that_go_on_for_ever_end_with_the_databases_error(monkeypatch):
    monkeypatch.setattr("maaledu.db.CONFLICT_BUDGET", timedelta(seconds=0.3))
    runs, write = counted()
    with failing(["insert"], times=10_000, **TRANSIENT), pytest.raises(DatabaseError):
        write()
    assert len(runs) > 1
    assert stored() == (0, 0)
    assert_clean()


def test_a_conflict_arrives_as_an_empty_database_error_and_is_still_known():
    """Two transactions on one row: the second fails at its write, with an empty error."""
    account = Account.objects.create(name="cash")
    seen: list[tuple[Any, ...]] = []

    @atomic
    def outer() -> None:
        Account.objects.filter(pk=account.pk).update(balance=F("balance") + 1)
        seen.extend(race(rival, threads=1))

    def rival(_: int) -> tuple[Any, ...]:
        connection.start_transaction_mongo()
        try:
            Account.objects.filter(pk=account.pk).update(balance=F("balance") + 10)
            return ("no conflict",)
        except DatabaseError as error:
            return (*error.args, error.__cause__.has_error_label("TransientTransactionError"))
        finally:
            connection.rollback_mongo()

    outer()
    assert seen == [(True,)]
    assert Account.objects.get().balance == 1


HOLD_A_TRANSACTION = """
import django, time
django.setup()
from maaledu.db import atomic
from tests.dbapp.models import Account
from django.db.models import F
from django_mongodb_backend.transaction import atomic as backend_atomic
from pymongo.errors import OperationFailure
@atomic
def hold():
    Account.objects.filter(name="cash").update(balance=F("balance") + 100)
    print("holding", flush=True)
    time.sleep(600)
hold()
"""


def test_a_client_killed_inside_a_transaction_holds_nobody_up_for_good(process_env, tmp_path):
    Account.objects.create(name="cash")
    environment = {**process_env, "DJANGO_SETTINGS_MODULE": "tests.settings_of_process"}
    victim = Proc(
        [sys.executable, "-c", HOLD_A_TRANSACTION], env=environment, log=tmp_path / "victim.log"
    )
    try:
        victim.wait_line("holding")
        os.killpg(victim.pid, signal.SIGKILL)
        began = time.monotonic()

        @atomic
        def add(_: int) -> None:
            Account.objects.filter(name="cash").update(balance=F("balance") + 1)

        assert kinds(race(add, threads=4)) == {"ok": 4}
    finally:
        victim.stop()
    assert Account.objects.get().balance == 4
    assert time.monotonic() - began < 15


def test_a_row_is_found_by_its_key_without_a_look_at_all_others() -> None:
    for model in apps.get_models(include_auto_created=True):
        for field in (each for each in model._meta.local_concrete_fields if each.unique):
            asked = {"find": model._meta.db_table, "filter": {field.column: "x"}}
            found = connection.database.command("explain", asked)["queryPlanner"]
            assert "COLLSCAN" not in str(found["winningPlan"]), f"{model._meta.label} by {field}"
