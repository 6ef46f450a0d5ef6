"""The work machine loses nothing, does nothing twice that counts, and gives up only where it
must.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from maaledu.errors import AppError
from maaledu.work.inbox import accept
from maaledu.work.items import DEAD, DONE, MAX_ERROR_LENGTH, PENDING, RUNNING, replay, retry_now
from maaledu.work.queue import (
    Finish,
    Queue,
    claim,
    claim_one,
    drain,
    jittered,
    reap,
    run_item,
    settle_done,
    settle_failed,
)
from tests import tables
from tests.concurrency import kinds, race
from tests.dbapp.models import Account, Chore
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]

LEASE = timedelta(minutes=2)
STATUSES = [PENDING, RUNNING, DONE, DEAD]


class Unreachable(AppError):
    code = "UNREACHABLE"
    message = "Nobody answers."
    retryable = True
    consumes_attempt = False
    retry_after = timedelta(minutes=7)


class Busy(AppError):
    code = "BUSY"
    message = "Try later."
    retryable = True


class Refused(AppError):
    code = "REFUSED"
    message = "No."


def backoff(attempts: int) -> timedelta | None:
    return timedelta(minutes=attempts) if attempts < 3 else None


def effect(chore: Chore) -> Finish:
    return lambda: Chore.objects.filter(pk=chore.pk).update(effects=F("effects") + 1)


def raising(error: BaseException):
    def run(_: Chore) -> None:
        raise error

    return run


QUEUE = Queue(name="chores", model=Chore, run=effect, backoff=backoff, lease=LEASE)


def claimed(queue: Queue = QUEUE, **fields) -> Chore:
    chore = Chore.objects.create(**fields)
    assert claim_one(queue, chore)
    return chore


def lapse(chore: Chore) -> None:
    Chore.objects.filter(pk=chore.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def about(measured: timedelta, wanted: timedelta) -> bool:
    """MongoDB cuts moments to milliseconds, and a busy machine is late."""
    return timedelta(milliseconds=-2) < measured - wanted < timedelta(seconds=20)


def row(chore: Chore) -> Chore:
    return Chore.objects.get(pk=chore.pk)


# --- claiming -------------------------------------------------------------------------------------


def test_a_claim_takes_what_is_due_oldest_first_and_nothing_else():
    now = timezone.now()
    for name, wait in [("second", -1), ("later", 60), ("first", -2)]:
        Chore.objects.create(name=name, next_attempt_at=now + timedelta(seconds=wait))
    for status in [RUNNING, DONE, DEAD]:
        Chore.objects.create(name=status, status=status, lease_until=now + LEASE)

    items = claim(QUEUE)

    assert [item.name for item in items] == ["first", "second"]
    assert {(item.status, item.fence) for item in items} == {(RUNNING, 1)}
    assert all(now < item.lease_until <= timezone.now() + LEASE for item in items)
    assert claim(QUEUE) == []


def test_a_claim_takes_no_more_than_its_limit():
    Chore.objects.bulk_create(Chore() for _ in range(settings.WORK_BATCH + 3))
    assert len(claim(QUEUE, limit=2)) == 2
    assert len(claim(QUEUE)) == settings.WORK_BATCH
    assert len(claim(QUEUE)) == 1


@pytest.mark.every_engine
def test_with_both_ends_every_other_claim_takes_the_newest_and_the_oldest_are_not_forgotten():
    now = timezone.now()
    for number in range(6):
        due_at = now - timedelta(minutes=10 - number)
        Chore.objects.create(name=str(number), next_attempt_at=due_at)
    queue = replace(QUEUE, both_ends=True)
    assert [claim(queue, limit=1)[0].name for _ in range(4)] == ["0", "5", "1", "4"]
    assert [item.name for item in claim(QUEUE)] == ["2", "3"]


@pytest.mark.every_engine
def test_a_queue_may_narrow_what_is_claimed_now():
    Chore.objects.create(name="parked")
    wanted = Chore.objects.create(name="wanted")
    queue = replace(QUEUE, claimable=lambda: Q(name="wanted"))
    assert claim(queue) == [wanted]


@pytest.mark.every_engine
def test_what_is_due_waits_for_nothing_that_makes_more_due():
    order = []

    def prepare() -> int:
        order.append("prepared")
        Chore.objects.filter(status=DONE).update(status=PENDING)
        return len(order) == 2

    queue = replace(QUEUE, run=lambda chore: order.append("ran"), prepare=prepare)
    Chore.objects.create()
    assert drain(queue) == 2
    assert order == ["ran", "prepared", "ran"]
    assert drain(queue, limit=1) == 0
    assert order[3:] == ["prepared"]


@pytest.mark.every_engine
def test_many_workers_run_every_item_exactly_once():
    Chore.objects.bulk_create(Chore(name=str(number)) for number in range(300))
    results = race(lambda _: drain(QUEUE, budget=timedelta(minutes=2)), threads=8)
    assert kinds(results) == {"ok": 8}
    assert sum(results) == 300
    rows = Chore.objects.values_list("status", "effects", "fence", "attempts")
    assert Counter(rows) == {(DONE, 1, 1, 0): 300}


@pytest.mark.every_engine
def test_many_workers_claim_distinct_items_from_small_batches():
    Chore.objects.bulk_create(Chore() for _ in range(40))

    def claim_all(_: int) -> list:
        mine = []
        while batch := claim(QUEUE, limit=3):
            mine += [item.pk for item in batch]
        return mine

    taken = [pk for mine in race(claim_all) for pk in mine]
    assert len(taken) == len(set(taken)) == Chore.objects.filter(status=RUNNING).count()


@pytest.mark.every_engine
def test_of_many_who_want_one_item_exactly_one_gets_it():
    chore = Chore.objects.create(next_attempt_at=timezone.now() + timedelta(hours=1))
    results = race(lambda _: claim_one(QUEUE, row(chore)))
    assert sum(results) == 1
    assert row(chore).fence == 1


# --- leases and fences ----------------------------------------------------------------------------


def test_an_item_whose_lease_ran_out_is_due_again_and_counted():
    chore, fresh = claimed(), claimed()
    lapse(chore)
    assert reap(QUEUE) == 1
    assert (row(chore).status, row(chore).lapses) == (PENDING, 1)
    assert (row(fresh).status, row(fresh).lapses) == (RUNNING, 0)
    assert reap(QUEUE) == 0


def test_who_lost_the_lease_settles_nothing():
    stale = claimed()
    lapse(stale)
    reap(QUEUE)
    [current] = claim(QUEUE)

    assert not settle_done(stale, effect(stale))
    assert not settle_failed(QUEUE, stale, Busy())
    assert not settle_failed(QUEUE, stale, Refused())
    assert (row(current).status, row(current).effects, row(current).attempts) == (RUNNING, 0, 0)

    assert settle_done(current, effect(current))
    assert (row(current).status, row(current).effects) == (DONE, 1)


def test_who_lost_the_lease_settles_nothing_even_before_it_is_claimed_again():
    stale = claimed()
    lapse(stale)
    reap(QUEUE)
    assert not settle_done(stale, effect(stale))
    assert (row(stale).status, row(stale).effects) == (PENDING, 0)


def test_an_item_that_waited_too_long_in_its_batch_and_was_lost_is_not_run():
    stale = claimed()
    lapse(stale)
    reap(QUEUE)
    claim(QUEUE)
    stale.lease_until = timezone.now() + LEASE / 4

    run_item(replace(QUEUE, run=lambda _: pytest.fail("somebody else has it")), stale)
    assert row(stale).status == RUNNING


@pytest.mark.every_engine
def test_an_item_that_waited_in_its_batch_gets_its_lease_renewed_before_it_runs():
    waited = claimed()
    waited.lease_until = timezone.now() + LEASE / 4
    Chore.objects.update(lease_until=waited.lease_until)
    seen = []
    run_item(replace(QUEUE, run=lambda item: seen.append(row(item).lease_until)), waited)
    assert seen[0] > timezone.now() + LEASE / 2
    assert row(waited).status == DONE


def test_an_item_whose_workers_are_lost_again_and_again_ends_dead_without_a_run():
    chore = Chore.objects.create()
    for _ in range(settings.WORK_MAX_LAPSES + 1):
        assert claim_one(QUEUE, chore)
        lapse(chore)
        reap(QUEUE)
    assert drain(replace(QUEUE, run=lambda _: pytest.fail("it kills workers"))) == 1
    assert row(chore).status == DEAD
    assert row(chore).last_error.startswith("WORKER_LOST")


def test_a_few_lost_workers_do_not_end_an_item():
    chore = Chore.objects.create(lapses=settings.WORK_MAX_LAPSES)
    assert drain(QUEUE) == 1
    assert row(chore).status == DONE


# --- settling -------------------------------------------------------------------------------------


def test_done_and_what_follows_from_it_are_one():
    chore = claimed(last_error="BUSY: Try later.")
    run_item(QUEUE, chore)
    stored = row(chore)
    assert (stored.status, stored.effects, stored.attempts, stored.last_error) == (DONE, 1, 0, "")
    assert stored.lease_until is None
    assert stored.finished_at >= stored.created_at


def test_where_the_finish_fails_nothing_is_settled_and_it_comes_again():
    def run(chore: Chore) -> Finish:
        def finish() -> None:
            Account.objects.create(name="written by finish")
            raise ZeroDivisionError

        return finish

    chore = claimed()
    run_item(replace(QUEUE, run=run), chore)
    assert Account.objects.count() == 0
    stored = row(chore)
    assert (stored.status, stored.attempts) == (PENDING, 1)
    assert stored.last_error.startswith("UNEXPECTED_ERROR: ZeroDivisionError")
    assert stored.finished_at is None


def test_where_the_finish_refuses_the_item_is_dead_and_nothing_else_written():
    def finish() -> None:
        Account.objects.create(name="written by finish")
        raise Refused

    chore = claimed()
    run_item(replace(QUEUE, run=lambda _: finish), chore)
    assert (row(chore).status, Account.objects.count()) == (DEAD, 0)


def test_a_passing_failure_uses_an_attempt_up_and_waits_its_backoff():
    chore = claimed(attempts=1)
    before = timezone.now()
    run_item(replace(QUEUE, run=raising(Busy())), chore)
    stored = row(chore)
    assert (stored.status, stored.attempts, stored.last_error) == (PENDING, 2, "BUSY: Try later.")
    assert about(stored.next_attempt_at - before, timedelta(minutes=2))
    assert stored.lease_until is None
    assert claim(QUEUE) == []


def test_an_outage_uses_no_attempt_up_and_waits_as_asked():
    chore = claimed(attempts=2)
    before = timezone.now()
    run_item(replace(QUEUE, run=raising(Unreachable())), chore)
    stored = row(chore)
    assert (stored.status, stored.attempts) == (PENDING, 2)
    assert about(stored.next_attempt_at - before, timedelta(minutes=7))


def test_after_the_last_attempt_it_is_dead():
    chore = claimed(attempts=2)
    run_item(replace(QUEUE, run=raising(Busy())), chore)
    stored = row(chore)
    assert (stored.status, stored.attempts, stored.last_error) == (DEAD, 3, "BUSY: Try later.")
    assert stored.finished_at is not None


def test_a_retry_after_does_not_make_attempts_endless():
    error = Busy()
    error.retry_after = timedelta(minutes=1)
    chore = claimed(attempts=2)
    run_item(replace(QUEUE, run=raising(error)), chore)
    assert row(chore).status == DEAD


def test_a_refusal_makes_it_dead_and_calls_on_dead_in_the_same_transaction():
    calls = []

    def on_dead(chore: Chore, error: AppError) -> None:
        Account.objects.create(name="alert")
        calls.append((chore.pk, chore.attempts, error.code))

    chore = claimed()
    run_item(replace(QUEUE, run=raising(Refused()), on_dead=on_dead), chore)
    assert row(chore).status == DEAD
    assert calls == [(chore.pk, 1, "REFUSED")]
    assert Account.objects.count() == 1


def test_where_on_dead_fails_the_item_is_not_dead_either():
    def on_dead(*_: object) -> None:
        Account.objects.create(name="alert")
        raise ZeroDivisionError

    chore = claimed()
    with pytest.raises(ZeroDivisionError):
        run_item(replace(QUEUE, run=raising(Refused()), on_dead=on_dead), chore)
    assert (row(chore).status, Account.objects.count()) == (RUNNING, 0)


def test_a_long_error_is_shortened():
    chore = claimed()
    run_item(replace(QUEUE, run=raising(ValueError("x" * 5000))), chore)
    assert len(row(chore).last_error) == MAX_ERROR_LENGTH


@pytest.mark.every_engine
def test_a_poison_item_does_not_stop_the_others():
    poison = Chore.objects.create(
        name="poison", next_attempt_at=timezone.now() - timedelta(hours=1)
    )
    for _ in range(5):
        Chore.objects.create()

    def run(chore: Chore) -> Finish:
        if chore.name == "poison":
            raise RecursionError
        return effect(chore)

    assert drain(replace(QUEUE, run=run)) == 6
    assert row(poison).status == PENDING
    assert Chore.objects.filter(status=DONE, effects=1).count() == 5


# --- accepting what arrives -----------------------------------------------------------------------


def account(chore: Chore) -> Finish:
    """An effect that is a row of its own, so that two of them would be two rows."""
    return lambda: Account.objects.create(name=str(chore.pk))


ACCEPTING = replace(QUEUE, run=account)


def test_what_arrives_is_stored_done_with_its_effect():
    chore = Chore(key="evt_1")
    assert accept(ACCEPTING, chore, key="key") is None
    stored = row(chore)
    assert (stored.status, stored.attempts, stored.fence) == (DONE, 0, 1)
    assert stored.finished_at is not None
    assert Account.objects.get().name == str(chore.pk)


@pytest.mark.every_engine
def test_what_arrives_again_changes_nothing_and_gives_the_known_row():
    first = Chore(key="evt_1")
    accept(ACCEPTING, first, key="key")
    assert accept(ACCEPTING, Chore(key="evt_1"), key="key") == first
    assert (Chore.objects.count(), Account.objects.count()) == (1, 1)


@pytest.mark.every_engine
def test_of_many_deliveries_at_once_one_has_effects_and_all_are_accepted():
    results = race(lambda _: accept(ACCEPTING, Chore(key="evt_1"), key="key"), threads=12)
    assert kinds(results) == {"ok": 12}
    assert (results.count(None), Chore.objects.count(), Account.objects.count()) == (1, 1, 1)
    assert row(Chore.objects.get()).status == DONE


def fails_after_writing(chore: Chore) -> Finish:
    def finish() -> None:
        Account.objects.create(name=str(chore.pk))
        raise ZeroDivisionError

    return finish


def test_what_arrives_while_its_effects_fail_is_stored_by_itself_for_later():
    chore = Chore(key="evt_1")
    assert accept(replace(QUEUE, run=fails_after_writing), chore, key="key") is None
    stored = row(chore)
    assert (stored.status, stored.attempts, stored.finished_at, Account.objects.count()) == (
        PENDING,
        1,
        None,
        0,
    )
    assert stored.last_error.startswith("ZeroDivisionError")

    retry_now(stored)
    assert drain(ACCEPTING) == 1
    assert (row(chore).status, Account.objects.count()) == (DONE, 1)


@pytest.mark.every_engine
def test_of_many_deliveries_whose_effects_fail_one_is_stored_and_all_are_accepted():
    queue = replace(QUEUE, run=fails_after_writing)
    results = race(lambda _: accept(queue, Chore(key="evt_1"), key="key"), threads=8)
    assert kinds(results) == {"ok": 8}
    assert (Chore.objects.get().status, Account.objects.count()) == (PENDING, 0)


# --- by hand --------------------------------------------------------------------------------------


def test_a_replayed_item_has_all_its_attempts_again_and_replaying_twice_changes_nothing():
    chore = Chore.objects.create(status=DEAD, attempts=3, lapses=6, finished_at=timezone.now())
    assert replay(chore)
    first = row(chore)
    assert (first.status, first.attempts, first.lapses, first.finished_at) == (PENDING, 0, 0, None)
    assert not replay(chore)
    assert row(chore).next_attempt_at == first.next_attempt_at
    assert drain(QUEUE) == 1
    assert row(chore).effects == 1


@pytest.mark.every_engine
def test_two_who_replay_one_item_give_it_one_new_life():
    chore = Chore.objects.create(status=DEAD)
    assert sum(race(lambda _: replay(row(chore)))) == 1
    assert drain(QUEUE) == 1
    assert row(chore).effects == 1


def test_a_waiting_item_can_be_made_due():
    chore = Chore.objects.create(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert retry_now(chore)
    assert drain(QUEUE) == 1


OPERATIONS = {
    "claim_one": (lambda c: claim_one(QUEUE, c), RUNNING),
    "claim": (lambda _: claim(QUEUE), RUNNING),
    "reap": (lambda _: reap(QUEUE), PENDING),
    "settle_done": (lambda c: settle_done(c), DONE),
    "settle_retry": (lambda c: settle_failed(QUEUE, c, Busy()), PENDING),
    "settle_dead": (lambda c: settle_failed(QUEUE, c, Refused()), DEAD),
    "replay": (replay, PENDING),
    "retry_now": (retry_now, PENDING),
}
MOVES = {
    ("claim_one", PENDING),
    ("claim", PENDING),
    ("reap", RUNNING),
    ("settle_done", RUNNING),
    ("settle_retry", RUNNING),
    ("settle_dead", RUNNING),
    ("replay", DEAD),
}


@pytest.mark.parametrize("start", STATUSES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_moves_only_what_the_table_allows(operation, start):
    past = timezone.now() - timedelta(minutes=1)
    chore = Chore.objects.create(status=start, next_attempt_at=past, lease_until=past)
    call, target = OPERATIONS[operation]

    won = bool(call(chore))

    moves = (operation, start) in MOVES
    assert row(chore).status == (target if moves else start)
    assert won is (moves or (operation, start) == ("retry_now", PENDING))


def test_every_move_of_the_table_is_made_by_an_operation():
    assert {(start, OPERATIONS[name][1]) for name, start in MOVES} == tables.WORK


# --- draining -------------------------------------------------------------------------------------


def test_a_drain_stops_at_its_limit():
    Chore.objects.bulk_create(Chore() for _ in range(25))
    assert drain(QUEUE, limit=12) == 12
    assert Chore.objects.filter(status=DONE).count() == 12
    assert Chore.objects.filter(status=RUNNING).count() == 0


def test_a_drain_stops_when_its_budget_is_used_up():
    Chore.objects.bulk_create(Chore() for _ in range(5))
    assert drain(QUEUE, budget=timedelta(0)) == 0
    assert Chore.objects.filter(status=PENDING).count() == 5


def test_a_drain_does_not_run_again_what_it_has_just_put_off():
    chore = Chore.objects.create()
    assert drain(replace(QUEUE, run=raising(Busy()))) == 1
    assert row(chore).attempts == 1


def test_the_pause_is_jittered_within_its_share():
    pauses = {jittered(timedelta(minutes=2)) for _ in range(200)}
    assert len(pauses) > 100
    assert all(timedelta(seconds=108) <= pause <= timedelta(seconds=132) for pause in pauses)


@pytest.mark.every_engine
def test_what_is_due_lapsed_unfinished_or_stuck():
    now = timezone.now()
    old = now - settings.WORK_STUCK_AFTER - timedelta(minutes=1)
    due = Chore.objects.create(next_attempt_at=now)
    waiting = Chore.objects.create(next_attempt_at=now + timedelta(minutes=1), created_at=old)
    lapsed = Chore.objects.create(status=RUNNING, lease_until=now - timedelta(seconds=1))
    held = Chore.objects.create(
        status=RUNNING, lease_until=now + timedelta(seconds=1), created_at=old
    )
    Chore.objects.create(status=DONE, created_at=old)
    Chore.objects.create(status=DEAD, created_at=old)
    chores = Chore.objects
    assert set(chores.all().due(now)) == {due}
    assert set(chores.all().lapsed(now)) == {lapsed}
    assert set(chores.all().unfinished()) == {due, waiting, lapsed, held}
    assert set(chores.all().stuck(now)) == {waiting, held}


# --- what it costs --------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_an_idle_look_at_the_queue_is_one_statement():
    with statements() as asked:
        claim(QUEUE)
    assert len(asked) == 1


@pytest.mark.every_engine
def test_a_batch_is_claimed_by_three_statements_and_an_item_settled_by_one():
    Chore.objects.bulk_create(Chore() for _ in range(settings.WORK_BATCH))
    with statements() as asked:
        items = claim(QUEUE)
    assert len(asked) == 3
    with statements() as asked:
        run_item(replace(QUEUE, run=lambda _: None), items[0])
    assert len(asked) == 1


@pytest.mark.every_engine
def test_putting_back_what_lapsed_is_one_statement_however_many():
    Chore.objects.bulk_create(
        Chore(status=RUNNING, lease_until=timezone.now() - timedelta(seconds=1)) for _ in range(20)
    )
    with statements() as asked:
        assert reap(QUEUE) == 20
    assert len(asked) == 1
