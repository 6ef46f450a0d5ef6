"""Payouts when several work on them at once, and when the process dies in the middle: no entry
twice, none lost.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from accounts.models import User
from affiliates import commissions, payout_drafts, payouts
from affiliates.errors import NothingToPay, PayoutRefused
from affiliates.models import Affiliate, LedgerEntry, Payout, PayoutBatch, PayoutItem
from operations import invariants
from tests.affiliates.make import make_affiliate, make_staff
from tests.affiliates.payday import (
    amounts,
    assert_steps_agree,
    batch_in,
    draft,
    earn,
    owed,
    refund,
    run,
)
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import kinds, race, winners
from tests.cutting import cut_step, faults, started
from tests.faults import Faults
from tests.state_machine import Verifier

__all__ = ["cut_step", "faults", "started"]

THREADS = 8
ROUNDS = 5


@pytest.fixture(autouse=True)
def _steps_agree(db: None) -> Iterator[None]:
    yield
    assert_steps_agree()


@pytest.fixture
def broken(db: None) -> Iterator[Callable[[], list[str]]]:
    """Return a function that says which invariants do not hold, whoever has written; in the end it
    is proved to have overlooked nothing.
    """
    verify = Verifier().verify_written_elsewhere
    yield verify
    assert verify() == invariants.verify()


def live_entries() -> list[Any]:
    return list(PayoutItem.objects.filter(is_live=True).values_list("entry_id", flat=True))


def earned_by(affiliate: Affiliate) -> int:
    return (
        LedgerEntry.objects.of(affiliate.pk, "usd")
        .earnings()
        .aggregate(total=Sum("amount"))["total"]
        or 0
    )


def payments_to(affiliate: Affiliate) -> list[tuple[str, int]]:
    entries = LedgerEntry.objects.of(affiliate.pk, "usd").payments()
    return list(entries.order_by("created_at", "pk").values_list("kind", "amount"))


def pay_what_is_left(staff: User, colleague: User) -> None:
    for batch in PayoutBatch.objects.filter(status=PayoutBatch.DRAFT):
        payouts.release(batch, by=colleague)
    with suppress(NothingToPay):
        payouts.release(payout_drafts.draft(run(), by=staff), by=colleague)


# --- drafting -------------------------------------------------------------------------------------
def test_many_who_draft_at_once_share_no_entry():
    affiliates = [owed(60_000 + 10_000 * number, 7_000) for number in range(5)]
    staff = [make_staff() for _ in range(THREADS)]
    outcomes = race(lambda number: payout_drafts.draft(run(), by=staff[number]), threads=THREADS)
    assert set(kinds(outcomes)) <= {"ok", "NothingToPay"}, outcomes
    live = live_entries()
    assert (len(live), len(set(live)), PayoutItem.objects.count()) == (10, 10, 10)
    assert PayoutBatch.objects.count() == kinds(outcomes)["ok"]
    assert sorted(Payout.objects.values_list("amount", flat=True)) == [
        earned_by(affiliate) for affiliate in affiliates
    ]
    for batch in PayoutBatch.objects.all():
        payouts.release(batch, by=make_staff())
    assert [balance_of(affiliate) for affiliate in affiliates] == [
        (0, 0, earned_by(affiliate), 0) for affiliate in affiliates
    ]


def test_the_control_a_draft_that_looks_and_then_writes_takes_an_entry_twice():
    """Without the unique row, all who have looked before the first one writes believe to have taken
    it.
    """
    affiliate, all_have_looked = owed(60_000), threading.Barrier(THREADS)
    batch = draft()
    payout = batch.payouts.get()
    payouts.cancel_batch(batch, by=make_staff(), reason="For the control")
    PayoutItem.objects.all().delete()
    entry = affiliate.entries.get()

    def naive(_: int) -> bool:
        is_free = not PayoutItem.objects.filter(entry=entry).exists()
        all_have_looked.wait(60)
        if is_free:
            PayoutItem.objects.create(
                payout=payout,
                entry=entry,
                affiliate_id=affiliate.pk,
                amount=entry.amount,
                is_live=False,
            )
        return is_free

    assert winners(race(naive, threads=THREADS)) == THREADS


# --- releasing ------------------------------------------------------------------------------------
def test_of_many_who_release_at_once_one_wins_and_each_payout_is_booked_once():
    affiliates = [owed(60_000), owed(70_000)]
    batch, staff = draft(), [make_staff() for _ in range(THREADS)]
    outcomes = race(
        lambda number: payouts.release(PayoutBatch.objects.get(), by=staff[number]), threads=THREADS
    )
    assert kinds(outcomes) == {"ok": 1, "PayoutRefused": THREADS - 1}
    batch.refresh_from_db()
    assert batch.released_by == next(
        by for by, each in zip(staff, outcomes, strict=True) if not isinstance(each, Exception)
    )
    assert [payments_to(affiliate) for affiliate in affiliates] == [
        [("payout", -6000)],
        [("payout", -7000)],
    ]


def test_who_drafted_does_not_slip_in_among_many_who_release():
    owed()
    staff, colleague = make_staff(), make_staff()
    draft(staff)
    outcomes = race(
        lambda number: payouts.release(
            PayoutBatch.objects.get(), by=colleague if number == 0 else staff
        ),
        threads=THREADS,
    )
    assert kinds(outcomes) == {"ok": 1, "SamePerson": THREADS - 1}
    assert PayoutBatch.objects.get().released_by == colleague


def test_of_many_who_mark_paid_at_once_one_wins():
    owed()
    batch_in(PayoutBatch.RELEASED)
    staff = [make_staff() for _ in range(THREADS)]
    outcomes = race(
        lambda number: payouts.mark_paid(
            PayoutBatch.objects.get(), by=staff[number], reference=f"BANK-{number}"
        ),
        threads=THREADS,
    )
    assert kinds(outcomes) == {"ok": 1, "PayoutRefused": THREADS - 1}


# --- one against the other ------------------------------------------------------------------------
def against(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """Run two steps at once, several threads of each; a refusal is an answer, anything else that is
    raised is not.
    """
    outcomes = race(lambda number: (first, second)[number % 2](), threads=4)
    assert all(
        isinstance(each, PayoutRefused) for each in outcomes if isinstance(each, Exception)
    ), outcomes
    return outcomes


@pytest.mark.parametrize("whole", [False, True], ids=["payout", "batch"])
@pytest.mark.parametrize("status", [PayoutBatch.DRAFT, PayoutBatch.RELEASED])
def test_a_step_and_a_cancellation_at_once_leave_a_payout_either_booked_or_free(
    broken, status: str, whole: bool
):
    """Drafted: released meanwhile. Released: marked paid meanwhile."""
    affiliate, staff, colleague = owed(), make_staff(), make_staff()
    for number in range(ROUNDS):
        batch = draft(staff)
        payout = batch.payouts.get()
        if status == PayoutBatch.RELEASED:
            payouts.release(batch, by=colleague)

        def step(key: Any = batch.pk) -> Any:
            at = PayoutBatch.objects.get(pk=key)
            if status == PayoutBatch.DRAFT:
                return payouts.release(at, by=colleague)
            return payouts.mark_paid(at, by=colleague, reference="BANK-1")

        def cancel(key: Any = batch.pk, line: Any = payout.pk) -> Any:
            if whole:
                return payouts.cancel_batch(
                    PayoutBatch.objects.get(pk=key), by=colleague, reason="Wrong month"
                )
            return payouts.cancel(Payout.objects.get(pk=line), by=colleague, reason="Wrong account")

        against(step, cancel)
        assert broken() == []
        assert_steps_agree()
        payout.refresh_from_db()
        paid = 0 if payout.status == Payout.CANCELLED else 10_000
        assert balance_of(affiliate) == (0, 10_000 - paid, paid, 0), number
        if paid:
            assert payouts.cancel(payout, by=colleague, reason="Back for the next round")


@pytest.mark.engines("postgres")
def test_a_release_that_is_quicker_than_a_cancellation_is_booked_back():
    """The rival runs between the cancellation's beginning and its move, where other engines let
    nobody in.
    """
    affiliate, colleague = owed(), make_staff()
    batch = draft()

    def release_first(execute: Any, sql: str, *rest: Any) -> Any:
        if (
            sql.startswith(f'UPDATE "{PayoutBatch._meta.db_table}"')
            and PayoutBatch.objects.filter(status=PayoutBatch.DRAFT).exists()
        ):
            race(lambda _: payouts.release(PayoutBatch.objects.get(), by=colleague), threads=1)
        return execute(sql, *rest)

    with connection.execute_wrapper(release_first):
        assert payouts.cancel(batch.payouts.get(), by=make_staff(), reason="Wrong account")
    assert payments_to(affiliate) == [("payout", -10_000), ("payout_cancelled", 10_000)]
    assert balance_of(affiliate) == (0, 10_000, 0, 0)


def test_nothing_is_left_behind_in_a_batch_that_is_released_or_cancelled_while_it_is_drafted(
    broken,
):
    affiliates = [owed(60_000 + 1000 * number) for number in range(6)]
    staff, colleague = make_staff(), make_staff()

    def end(number: int) -> None:
        while not (batches := list(PayoutBatch.objects.filter(status=PayoutBatch.DRAFT))):
            pass
        for batch in batches:
            with suppress(PayoutRefused):
                if number % 2:
                    payouts.release(batch, by=colleague)
                else:
                    payouts.cancel_batch(batch, by=colleague, reason="Too early")

    for number in range(ROUNDS):
        drafted, _ = race(
            lambda thread, n=number: end(n) if thread else payout_drafts.draft(run(), by=staff),
            threads=2,
        )
        assert isinstance(drafted, PayoutBatch), drafted
        assert broken() == []
        assert_steps_agree()
        for payout in Payout.objects.filter(status__in=Payout.LIVE):
            payouts.cancel(payout, by=colleague, reason="Back for the next round")
    pay_what_is_left(staff, colleague)
    assert [balance_of(affiliate) for affiliate in affiliates] == [
        (0, 0, earned_by(affiliate), 0) for affiliate in affiliates
    ]


def test_drafts_releases_refunds_and_holds_at_once_never_pay_more_than_is_owed():
    affiliates = [make_affiliate() for _ in range(3)]
    sales = [earn(affiliate, 60_000, 70_000, 80_000) for affiliate in affiliates]
    staff, colleague = make_staff(), make_staff()

    def hold_and_release(key: Any) -> None:
        commissions.review(key, hold=True, by="boss@example.com", note="Looks odd")
        commissions.review(key, hold=False, by="boss@example.com", note="It is fine")

    def work(number: int) -> None:
        mine = sales[number % 3]
        if number < 3:
            refund(mine[0][1], 30_000)
            hold_and_release(mine[1][0].pk)
            refund(mine[0][1], 30_000)
        for _ in range(2 if number < 6 else 4):
            with suppress(NothingToPay):
                payout_drafts.draft(run(), by=staff)
            for batch in PayoutBatch.objects.filter(status=PayoutBatch.DRAFT):
                with suppress(PayoutRefused):
                    payouts.release(batch, by=colleague)

    outcomes = race(work, threads=THREADS)
    assert kinds(outcomes) == {"ok": THREADS}, outcomes
    live = live_entries()
    assert len(live) == len(set(live))
    pay_what_is_left(staff, colleague)
    for affiliate in affiliates:
        _, payable, paid, _ = balance_of(affiliate)
        assert (earned_by(affiliate), payable + paid) == (15_000, 15_000)
        assert paid <= 21_000  # what was sold; a refund after the payout leaves a debt
        assert payable < 5000


# --- cut off --------------------------------------------------------------------------------------
@pytest.fixture
def cut(cut_step: Callable[..., int]) -> Callable[..., int]:
    """Return a function that runs the command in a process of its own and kills it at its n-th
    write.
    """
    return lambda at, *arguments: cut_step(at, "command", arguments=["payouts", *arguments])


def writes_of(cut: Callable[..., int], faults: Faults, *arguments: str) -> int:
    assert cut(0, *arguments) == 0
    return len(faults.writes)


@pytest.mark.slow
def test_a_draft_that_is_killed_at_any_write_leaves_a_smaller_batch_or_none(
    cut, faults: Faults, broken
):
    affiliates, staff, colleague = [owed(60_000), owed(70_000, 1990)], make_staff(), make_staff()
    command = ("draft", "--currency", "usd", "--method", "bank", "--by", staff.email)
    number = writes_of(cut, faults, *command)
    assert number >= 8, faults.writes
    sizes = []
    payouts.cancel_batch(PayoutBatch.objects.get(), by=colleague, reason="Clean run")
    for at in range(1, number + 1):
        assert cut(at, *command) == -signal.SIGKILL
        left = PayoutBatch.objects.filter(status=PayoutBatch.DRAFT)
        sizes += [len(amounts(batch)) for batch in left] or [0]
        assert broken() == []
        assert_steps_agree()
        with suppress(NothingToPay):
            payout_drafts.draft(run(), by=staff)
        assert sorted(payout.amount for payout in Payout.objects.filter(status=Payout.DRAFT)) == [
            6000,
            7199,
        ]
        for batch in PayoutBatch.objects.filter(status=PayoutBatch.DRAFT):
            payouts.cancel_batch(batch, by=colleague, reason="Next cut")
    assert sizes == sorted(sizes)
    assert set(sizes) == {0, 1, 2}
    assert [balance_of(affiliate) for affiliate in affiliates] == [(0, 6000, 0, 0), (0, 7199, 0, 0)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        "release",  # one transaction each; on MongoDB, where a cut takes longest, one step shows it
        *(
            pytest.param(each, marks=pytest.mark.engines("sqlite", "postgres"))
            for each in ("paid", "cancel")
        ),
    ],
)
def test_a_step_that_is_killed_at_any_write_is_done_whole_or_not_at_all(
    cut, faults: Faults, broken, step: str
):
    affiliates, staff = [owed(60_000), owed(70_000)], make_staff()
    before = PayoutBatch.DRAFT if step == "release" else PayoutBatch.RELEASED
    after = {"release": "released", "paid": "paid", "cancel": "cancelled"}[step]
    words = {
        "release": [],
        "paid": ["--reference", "BANK-1"],
        "cancel": ["--reason", "Wrong month"],
    }[step]
    batch = batch_in(before)
    number = writes_of(cut, faults, step, str(batch.pk), *words, "--by", staff.email)
    ends = []
    for at in range(1, number + 1):
        for payout in Payout.objects.filter(status__in=Payout.LIVE):
            payouts.cancel(payout, by=staff, reason="Next cut")
        batch = batch_in(before)
        assert cut(at, step, str(batch.pk), *words, "--by", staff.email) == -signal.SIGKILL
        batch.refresh_from_db()
        ends.append(batch.status)
        assert set(batch.payouts.values_list("status", flat=True)) == {batch.status}
        assert broken() == []
        is_booked = batch.status in (PayoutBatch.RELEASED, PayoutBatch.PAID)
        assert [balance_of(affiliate)[2] for affiliate in affiliates] == (
            [6000, 7000] if is_booked else [0, 0]
        )
    assert set(ends) == {before, after}
