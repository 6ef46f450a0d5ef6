"""`maaledu.db.atomic` means the same on every engine."""

import random
import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from maaledu.db import OutOfDate, atomic
from tests.concurrency import kinds, race
from tests.dbapp.models import Account, Claim, Note

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]


class Refused(Exception):
    pass


@atomic
def note(*texts: str) -> None:
    for text in texts:
        Note.objects.create(text=text)


@atomic
def note_and_refuse(*texts: str) -> None:
    for text in texts:
        Note.objects.create(text=text)
    raise Refused


def texts() -> list[str]:
    return sorted(Note.objects.values_list("text", flat=True))


def test_what_returns_is_stored_and_its_result_given_back():
    @atomic
    def both(first: str, *, second: str) -> int:
        Note.objects.create(text=first)
        Note.objects.create(text=second)
        return Note.objects.count()

    assert both("a", second="b") == 2
    assert texts() == ["a", "b"]


def test_what_raises_leaves_nothing():
    with pytest.raises(Refused):
        note_and_refuse("a", "b")
    assert texts() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_whatever_is_raised_leaves_nothing_and_the_next_one_works(error):
    @atomic
    def interrupted() -> None:
        Note.objects.create(text="lost")
        raise error

    with pytest.raises(error):
        interrupted()
    note("kept")
    assert texts() == ["kept"]


@pytest.mark.every_engine
def test_nothing_is_seen_by_others_before_the_commit():
    @atomic
    def written() -> list[int]:
        Note.objects.create(text="a")
        return race(lambda _: Note.objects.count(), threads=1)

    assert written() == [0]
    assert Note.objects.count() == 1


@pytest.mark.every_engine
def test_a_violated_constraint_takes_the_whole_block_back():
    Claim.objects.create(key="k", status="paid")

    @atomic
    def second_claim() -> None:
        Note.objects.create(text="lost")
        Claim.objects.create(key="k", status="pending")

    with pytest.raises(IntegrityError):
        second_claim()
    assert texts() == []


# --- nesting --------------------------------------------------------------------------------------


def test_a_nested_block_joins_the_outer_one():
    @atomic
    def outer() -> None:
        Note.objects.create(text="outer")
        note("inner")
        raise Refused

    with pytest.raises(Refused):
        outer()
    assert texts() == []


def test_nested_blocks_are_stored_together():
    @atomic
    def outer() -> None:
        note("inner")
        note("inner too")
        Note.objects.create(text="outer")

    outer()
    assert texts() == ["inner", "inner too", "outer"]


def test_a_nested_failure_that_is_caught_still_takes_everything_back():
    @atomic
    def outer() -> None:
        Note.objects.create(text="outer")
        try:
            note_and_refuse("inner")
        except Refused:
            Note.objects.create(text="went on")

    with pytest.raises(TransactionManagementError):
        outer()
    assert texts() == []
    note("next")
    assert texts() == ["next"]


@pytest.mark.every_engine
def test_a_nested_block_costs_no_statement_of_its_own():
    @atomic
    def outer() -> None:
        note("inner")

    with CaptureQueriesContext(connection) as nested:
        outer()
    with CaptureQueriesContext(connection) as alone:
        note("inner")
    assert len(nested) == len(alone) > 0


def test_inside_djangos_own_atomic_a_refusal_takes_back_only_this_block():
    """The admin opens Django's atomic (on MongoDB it does nothing); what it wrote before stays."""
    with transaction.atomic():
        Note.objects.create(text="admin")
        with pytest.raises(Refused):
            note_and_refuse("lost")
        note("kept")
    assert texts() == ["admin", "kept"]


# --- after the commit -----------------------------------------------------------------------------


def test_steps_after_the_commit_run_once_and_only_after_it():
    seen: list[list[str]] = []

    @atomic
    def write() -> None:
        transaction.on_commit(lambda: seen.append(texts()))
        Note.objects.create(text="a")
        assert seen == []

    write()
    assert seen == [["a"]]


def test_steps_after_the_commit_of_a_failed_block_never_run():
    seen: list[str] = []

    @atomic
    def write() -> None:
        transaction.on_commit(lambda: seen.append("lost"))
        raise Refused

    with pytest.raises(Refused):
        write()
    note("next")
    assert seen == []


def test_steps_of_a_nested_block_wait_for_the_outer_commit():
    seen: list[list[str]] = []

    @atomic
    def inner() -> None:
        transaction.on_commit(lambda: seen.append(texts()))

    @atomic
    def outer() -> None:
        inner()
        Note.objects.create(text="outer")
        assert seen == []

    outer()
    assert seen == [["outer"]]


def test_a_failing_step_after_the_commit_does_not_run_the_block_again():
    runs: list[int] = []

    def fail() -> None:
        raise Refused

    @atomic
    def write() -> None:
        runs.append(1)
        Note.objects.create(text="a")
        transaction.on_commit(fail)

    with pytest.raises(Refused):
        write()
    assert (runs, texts()) == ([1], ["a"])
    note("b")
    assert texts() == ["a", "b"]


def test_a_step_after_the_commit_may_open_its_own_block():
    @atomic
    def write() -> None:
        Note.objects.create(text="a")
        transaction.on_commit(lambda: note("b"))

    write()
    assert texts() == ["a", "b"]


# --- under contention -----------------------------------------------------------------------------


@pytest.mark.every_engine
def test_transfers_between_accounts_keep_the_sum():
    """Rows are written in one order, as everywhere: crosswise ones make PostgreSQL wait a second
    for each deadlock.
    """
    names = [f"account {number}" for number in range(4)]
    for name in names:
        Account.objects.create(name=name, balance=100)

    @atomic
    def transfer(source: str, target: str) -> None:
        for name, amount in sorted([(source, -1), (target, 1)]):
            Account.objects.filter(name=name).update(balance=F("balance") + amount)

    def transfers(number: int) -> None:
        dice = random.Random(number)
        for _ in range(12):
            transfer(*dice.sample(names, 2))

    assert kinds(race(transfers, threads=16)) == {"ok": 16}
    assert sum(Account.objects.values_list("balance", flat=True)) == 400


@pytest.mark.every_engine
def test_get_or_create_inside_a_block_makes_one_row_under_contention():
    @atomic
    def ensure(number: int) -> bool:
        Note.objects.create(text=str(number))
        return Account.objects.get_or_create(name="cash")[1]

    results = race(ensure)
    assert kinds(results) == {"ok": 8}
    assert (sum(results), Account.objects.count(), Note.objects.count()) == (1, 1, 8)


@pytest.mark.every_engine
def test_a_guard_inside_a_block_lets_one_through_and_its_effect_happens_once():
    account = Account.objects.create(name="cash", balance=1)

    @atomic
    def spend(number: int) -> bool:
        won = (
            Account.objects.filter(pk=account.pk, balance__gte=1).update(balance=F("balance") - 1)
            == 1
        )
        if won:
            Note.objects.create(text=str(number))
        return won

    results = race(spend, threads=16)
    assert kinds(results) == {"ok": 16}
    assert (sum(results), Note.objects.count(), Account.objects.get().balance) == (1, 1, 0)


@pytest.mark.every_engine
def test_two_blocks_that_lock_crosswise_both_end_well():
    """PostgreSQL resolves it by a deadlock error, MongoDB by a write conflict, SQLite never lets it
    come to that.
    """
    for name in ("a", "b"):
        Account.objects.create(name=name)
    both_hold_one = threading.Barrier(2)
    tries: list[int] = []

    def crosswise(number: int) -> None:
        first, second = ("a", "b") if number == 0 else ("b", "a")

        @atomic
        def lock_both() -> None:
            tries.append(number)
            Account.objects.filter(name=first).update(balance=F("balance") + 1)
            if connection.vendor != "sqlite" and tries.count(number) == 1:
                both_hold_one.wait(30)
            Account.objects.filter(name=second).update(balance=F("balance") + 1)

        lock_both()

    assert kinds(race(crosswise, threads=2)) == {"ok": 2}
    assert list(Account.objects.order_by("name").values_list("balance", flat=True)) == [2, 2]
    assert len(tries) == 2 if connection.vendor == "sqlite" else len(tries) > 2


@pytest.mark.every_engine
def test_control_a_block_that_reads_and_then_writes_loses_updates_or_meets_a_conflict():
    """Why guards are single UPDATEs: on PostgreSQL this loses updates although every block is
    atomic.
    """
    account = Account.objects.create(name="cash")

    @atomic
    def naive_increment() -> None:
        mine = Account.objects.get(pk=account.pk)
        Account.objects.filter(pk=account.pk).update(balance=mine.balance + 1)

    def increment(_: int) -> None:
        for _ in range(10):
            naive_increment()

    assert kinds(race(increment)) == {"ok": 8}
    balance = Account.objects.get().balance
    assert balance < 80 if connection.vendor == "postgresql" else balance == 80


def test_what_is_out_of_date_runs_again_as_a_whole_on_every_engine():
    """What was read before a constraint spoke is read afresh; nothing of the first try stays."""
    tries: list[int] = []

    @atomic
    def inner() -> None:
        if len(tries) == 1:
            raise OutOfDate from IntegrityError("somebody was faster")

    @atomic
    def outer() -> int:
        tries.append(1)
        Note.objects.create(text="once")
        inner()
        return len(tries)

    assert outer() == 2
    assert texts() == ["once"]
