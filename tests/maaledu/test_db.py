"""Guarded writes mean the same on every engine: contracts/reliability, section 6, with a naive
control beside each race.
"""

import threading
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError
from django.db.models import F

from maaledu.db import duplicate_means, new_id, transition
from tests.concurrency import kinds, race, winners
from tests.dbapp.models import Account, Claim, Note, Slot

pytestmark = pytest.mark.django_db

REPEATS = 8
PAIRS = [(start, to) for start in Slot.STATUSES for to in Slot.TRANSITIONS]


@pytest.mark.any_engine
def test_new_ids_are_distinct_and_ordered_by_time():
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert sorted(ids) == ids
    assert {one.version for one in ids} == {7}


# --- transition -----------------------------------------------------------------------------------


@pytest.mark.any_engine
@pytest.mark.parametrize(("start", "to"), PAIRS)
def test_a_transition_is_made_exactly_where_the_table_allows_it(start, to):
    # Not now: MongoDB keeps milliseconds, and a move within the same one would look older.
    before = datetime(2026, 1, 1, tzinfo=UTC)
    slot = Slot.objects.create(status=start, holder="before", updated_at=before)

    won = transition(slot, to, holder="after")

    stored = Slot.objects.get(pk=slot.pk)
    allowed = start in Slot.TRANSITIONS[to]
    assert won is allowed
    assert (stored.status, stored.holder) == ((to, "after") if allowed else (start, "before"))
    assert (stored.updated_at > before) is allowed


@pytest.mark.any_engine
def test_the_winner_has_the_new_values_in_hand():
    slot = Slot.objects.create()
    assert transition(slot, "held", holder="ann")
    assert (slot.status, slot.holder) == ("held", "ann")


@pytest.mark.any_engine
def test_the_loser_learns_what_the_row_is_now():
    slot = Slot.objects.create()
    rival = Slot.objects.get(pk=slot.pk)
    assert transition(rival, "held", holder="rival")
    assert not transition(slot, "held", holder="late")
    assert slot.status == "held"
    assert Slot.objects.get(pk=slot.pk).holder == "rival"


def test_another_field_than_status_moves_by_a_table_of_its_own():
    slot = Slot.objects.create()
    rival = Slot.objects.get(pk=slot.pk)
    assert transition(slot, "open", field="door")
    assert not transition(rival, "open", field="door")
    assert (slot.status, slot.door, rival.door) == ("free", "open", "open")
    assert (Slot.objects.get(pk=slot.pk).status, Slot.objects.get(pk=slot.pk).door) == (
        "free",
        "open",
    )


def test_a_transition_of_a_row_that_is_gone_says_so():
    slot = Slot.objects.create()
    Slot.objects.all().delete()
    with pytest.raises(Slot.DoesNotExist):
        transition(slot, "held")


@pytest.mark.any_engine
def test_an_unknown_status_is_a_mistake_and_writes_nothing():
    slot = Slot.objects.create()
    with pytest.raises(KeyError):
        transition(slot, "sold")
    assert Slot.objects.get(pk=slot.pk).status == "free"


@pytest.mark.any_engine
@pytest.mark.parametrize("start", Slot.STATUSES)
def test_an_exceptional_move_is_made_by_its_name_and_from_its_start_only(start):
    slot = Slot.objects.create(status=start, holder="before")

    assert transition(slot, "free", edge="reopen", holder="after") is (start == "closed")

    stored = Slot.objects.get(pk=slot.pk)
    moved = ("free", "after") if start == "closed" else (start, "before")
    assert (stored.status, stored.holder) == moved
    assert slot.status == stored.status


@pytest.mark.any_engine
def test_an_exceptional_move_is_not_made_without_its_name():
    slot = Slot.objects.create(status="closed")
    assert not transition(slot, "free")
    assert Slot.objects.get(pk=slot.pk).status == "closed"


@pytest.mark.any_engine
@pytest.mark.parametrize(("to", "edge"), [("used", "reopen"), ("free", "undo")])
def test_an_edge_that_does_not_end_there_is_a_mistake_and_writes_nothing(to, edge):
    slot = Slot.objects.create(status="closed")
    with pytest.raises(KeyError):
        transition(slot, to, edge=edge)
    assert Slot.objects.get(pk=slot.pk).status == "closed"


@pytest.mark.any_engine
def test_another_field_has_exceptions_of_its_own():
    slot = Slot.objects.create(door="stuck")
    assert not transition(slot, "open", field="door")
    assert transition(slot, "open", field="door", edge="force")
    assert Slot.objects.get(pk=slot.pk).door == "open"


@pytest.mark.parametrize("_repeat", range(REPEATS))
def test_of_many_who_take_one_slot_exactly_one_wins(_repeat):
    slot = Slot.objects.create()

    def take(number: int) -> bool:
        return transition(Slot.objects.get(pk=slot.pk), "held", holder=f"racer {number}")

    results = race(take, threads=16)
    assert winners(results) == 1
    assert Slot.objects.get(pk=slot.pk).holder == f"racer {results.index(True)}"


def test_control_looking_before_saving_lets_everybody_win():
    slot = Slot.objects.create()
    all_have_looked = threading.Barrier(8)

    def naive_take(number: int) -> bool:
        mine = Slot.objects.get(pk=slot.pk)
        free = mine.status == "free"
        all_have_looked.wait(60)
        if free:
            Slot.objects.filter(pk=slot.pk).update(status="held", holder=str(number))
        return free

    assert winners(race(naive_take)) == 8


# --- uniqueness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("_repeat", range(REPEATS))
def test_of_many_who_create_the_live_row_exactly_one_does(_repeat):
    def create(number: int) -> Claim:
        return Claim.objects.create(key="course/ann", status=["pending", "paid"][number % 2])

    assert kinds(race(create, threads=12)) == {"ok": 1, "IntegrityError": 11}
    assert Claim.objects.count() == 1


def test_rows_outside_the_condition_do_not_count():
    for status in ["failed", "failed", "expired", "pending"]:
        Claim.objects.create(key="k", status=status)
    Claim.objects.create(key="other", status="pending")
    with pytest.raises(IntegrityError):
        Claim.objects.create(key="k", status="paid")
    assert Claim.objects.count() == 5


class Taken(Exception):
    pass


@pytest.mark.parametrize(
    "write",
    [
        lambda: Claim.objects.create(key="k", status="pending"),
        lambda: Claim.objects.create(pk=Claim.objects.get().pk, key="other", status="failed"),
        lambda: Claim.objects.bulk_create([Claim(key="k", status="pending")]),
    ],
    ids=["unique", "key", "many"],
)
def test_a_row_like_one_that_is_there_is_a_duplicate(write):
    Claim.objects.create(key="k", status="paid")
    with pytest.raises(Taken), duplicate_means(Taken):
        write()


@pytest.mark.engines("sqlite", "postgres")
def test_a_column_without_its_value_is_no_duplicate():
    """As where this code writes into the schema of a newer release (fault O3)."""
    with pytest.raises(IntegrityError), duplicate_means(Taken):
        Claim.objects.create(key=None, status="paid")


def test_an_update_cannot_make_a_second_live_row():
    Claim.objects.create(key="k", status="paid")
    dead = Claim.objects.create(key="k", status="failed")
    with pytest.raises(IntegrityError):
        Claim.objects.filter(pk=dead.pk).update(status="pending")
    assert Claim.objects.get(pk=dead.pk).status == "failed"


@pytest.mark.parametrize("_repeat", range(REPEATS))
def test_get_or_create_on_a_unique_column_makes_one_row_and_gives_it_to_all(_repeat):
    results = race(lambda _: Account.objects.get_or_create(name="cash"), threads=12)
    assert kinds(results) == {"ok": 12}
    assert sum(created for _, created in results) == 1
    assert {account.pk for account, _ in results} == {Account.objects.get().pk}


def test_control_creating_after_a_look_without_a_unique_column_makes_many():
    all_have_looked = threading.Barrier(6)

    def naive_create(_: int) -> bool:
        missing = not Note.objects.filter(text="once").exists()
        all_have_looked.wait(60)
        if missing:
            Note.objects.create(text="once")
        return missing

    assert winners(race(naive_create, threads=6)) == 6
    assert Note.objects.count() == 6


# --- arithmetic in the database -------------------------------------------------------------------


def test_increments_in_the_database_are_all_counted():
    account = Account.objects.create(name="cash")

    def increment(_: int) -> None:
        for _ in range(20):
            Account.objects.filter(pk=account.pk).update(balance=F("balance") + 1)

    assert kinds(race(increment)) == {"ok": 8}
    assert Account.objects.get().balance == 160


def test_a_guarded_debit_never_overdraws():
    account = Account.objects.create(name="cash", balance=100)

    def debit(_: int) -> bool:
        return (
            Account.objects.filter(pk=account.pk, balance__gte=10).update(balance=F("balance") - 10)
            == 1
        )

    assert winners(race(debit, threads=16)) == 10
    assert Account.objects.get().balance == 0


def test_an_update_returns_how_many_rows_it_matched():
    account = Account.objects.create(name="cash", balance=1)
    assert Account.objects.filter(pk=account.pk).update(balance=1) == 1
    assert Account.objects.filter(pk=account.pk, balance=2).update(balance=1) == 0


def test_a_moment_read_back_finds_its_row_again():
    """MongoDB keeps milliseconds: what was written may read back shorter, and still finds the
    row.
    """
    moment = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    slot = Slot.objects.create(updated_at=moment)
    stored = Slot.objects.get(pk=slot.pk).updated_at
    assert abs(stored - moment).total_seconds() < 0.001
    assert Slot.objects.filter(updated_at=stored).exists()
    assert Slot.objects.filter(updated_at=moment).exists()


@pytest.mark.parametrize("text", ["course-v1:Maal+DS101+2026", "a.b_c", "100%", "x(y"])
def test_a_comparison_without_case_takes_every_sign_for_itself(text: str):
    """MongoDB's backend makes a pattern of it, in which some signs stand for others."""
    account = Account.objects.create(name=text)
    Account.objects.create(name=text.translate(str.maketrans("+._%(", "xxxxx")))
    assert list(Account.objects.filter(name__iexact=text.upper())) == [account]
