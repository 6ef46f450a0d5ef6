"""Payouts: one drafts, another releases, then it is marked paid; what is cancelled comes back."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from affiliates import commissions, ledger, memberships, payout_drafts, payouts
from affiliates.errors import NothingToPay, PayoutRefused, SamePerson
from affiliates.ledger import Adjustment
from affiliates.models import Affiliate, LedgerEntry, Payout, PayoutBatch, PayoutItem
from affiliates.payout_details import PayoutDetails
from affiliates.payout_drafts import Run
from maaledu.db import transition
from operations.invariants.payouts import check_two_persons
from tests import tables
from tests.affiliates.make import make_affiliate, make_staff, sell, tomorrow
from tests.affiliates.payday import (
    PAYPAL,
    amounts,
    assert_steps_agree,
    batch_in,
    draft,
    earn,
    owed,
    refund,
    run,
    state,
)
from tests.affiliates.test_ledger import balance_of
from tests.factories import deliver, dispute_of, disputed

pytestmark = pytest.mark.any_engine

STATUSES = ["draft", "released", "paid", "cancelled"]
TABLE = PayoutBatch._meta.db_table


@pytest.fixture(autouse=True)
def _steps_agree(request: pytest.FixtureRequest, db: None) -> Iterator[None]:
    yield
    if "breaks_invariants" not in request.keywords:
        assert_steps_agree()


def one_cent_more(affiliate: Affiliate) -> None:
    assert ledger.adjust(affiliate, Adjustment("a cent", 1, "usd", "boss@example.com", "A cent"))


# --- what is drafted ------------------------------------------------------------------------------
def test_a_draft_pays_each_affiliate_what_became_payable_and_books_nothing():
    affiliate, staff = owed(49900, 19999), make_staff()
    batch = draft(staff)
    assert (batch.status, batch.drafted_by, batch.minimum, batch.released_by) == (
        "draft",
        staff,
        5000,
        None,
    )
    payout = Payout.objects.get()
    assert (payout.affiliate, payout.amount, payout.entry_count, payout.status) == (
        affiliate,
        4990 + 2000,
        2,
        "draft",
    )
    assert (payout.payee_name, payout.details_hint) == ("Ada Partner", "DE•• •••• 3000")
    assert sorted(PayoutItem.objects.values_list("amount", "is_live")) == [
        (2000, True),
        (4990, True),
    ]
    assert balance_of(affiliate) == (0, 6990, 0, 0)
    assert LedgerEntry.objects.count() == 2


def test_less_than_the_minimum_stays_on_the_balance_and_leaves_no_batch():
    affiliate = owed(49990)
    with pytest.raises(NothingToPay):
        draft()
    assert balance_of(affiliate) == (0, 4999, 0, 0)
    assert PayoutBatch.objects.count() == 0
    one_cent_more(affiliate)
    assert amounts(draft()) == [5000]


def test_each_currency_and_method_has_its_own_minimum_and_its_own_batch():
    ada, bo = owed(60_000), owed(70_000, details=PAYPAL)
    earn(ada, 50_000, currency="eur")
    earn(bo, 49_000, currency="eur")
    earn(make_affiliate(), 49_000, currency="gbp")
    earn(make_affiliate(), 80_000, currency="cad")
    assert amounts(draft()) == [6000]
    assert amounts(draft(method="paypal")) == [7000]
    assert amounts(draft(currency="eur")) == [5000]
    with pytest.raises(NothingToPay):
        draft(currency="eur", method="paypal")
    assert PayoutBatch.objects.count() == 3


def test_only_active_affiliates_with_an_account_are_paid():
    suspended, closed, undecided, active = (owed() for _ in range(4))
    memberships.suspend(suspended, by="staff@example.com", reason="A question")
    memberships.close(closed, by="staff@example.com", reason="Over")
    memberships.change_details(undecided, PayoutDetails(Affiliate.LATER))
    assert list(draft().payouts.values_list("affiliate_id", flat=True)) == [active.pk]
    memberships.approve(suspended, by="staff@example.com")
    assert list(draft().payouts.values_list("affiliate_id", flat=True)) == [suspended.pk]


def test_what_is_not_payable_yet_is_not_paid():
    affiliate = owed(60_000)
    earn(affiliate, 90_000, payable=timedelta(days=30))
    in_two_months = Run("usd", "bank", timezone.now().date() + timedelta(days=60))
    assert amounts(payout_drafts.draft(in_two_months, by=make_staff())) == [6000]
    assert balance_of(affiliate) == (9000, 6000, 0, 0)


def test_what_became_payable_a_moment_ago_is_paid(client: Client, settings):
    settings.COMMISSION_HOLD = timedelta(0)
    affiliate = make_affiliate()
    for _ in range(2):
        sell(client, affiliate)
    assert balance_of(affiliate)[0] == 4990
    assert amounts(draft()) == [9980]


def test_the_day_decides_what_is_in():
    affiliate = make_affiliate()
    earn(affiliate, 60_000, payable=timedelta(days=-5))
    earn(affiliate, 70_000, payable=timedelta(days=-2))
    today = timezone.now().date()
    with pytest.raises(NothingToPay):
        payout_drafts.draft(Run("usd", "bank", today - timedelta(days=6)), by=make_staff())
    batch = payout_drafts.draft(Run("usd", "bank", today - timedelta(days=5)), by=make_staff())
    assert amounts(batch) == [6000]
    assert amounts(draft()) == [7000]


def test_a_cost_is_taken_off_whatever_the_day():
    """What lowers the balance counts at once: a payout of an earlier day is covered all the
    same.
    """
    affiliate = make_affiliate()
    earn(affiliate, 60_000, payable=timedelta(days=-5))
    ledger.adjust(affiliate, Adjustment("fee", -700, "usd", "boss@example.com", "Bank fee"))
    batch = payout_drafts.draft(
        Run("usd", "bank", timezone.now().date() - timedelta(days=3)), by=make_staff()
    )
    assert amounts(batch) == [5300]
    assert len(payouts.release(batch, by=make_staff()).payouts) == 1


@pytest.mark.every_engine
def test_an_entry_is_in_one_live_payout_only():
    affiliate, first = owed(60_000), draft()
    with pytest.raises(NothingToPay):
        draft()
    earn(affiliate, 55_000)
    assert amounts(draft()) == [5500]
    taken = PayoutItem.objects.filter(payout__batch=first).get()
    with pytest.raises(IntegrityError):
        PayoutItem.objects.create(
            payout=Payout.objects.last(),
            entry=taken.entry,
            affiliate_id=affiliate.pk,
            amount=taken.amount,
        )


def test_a_draft_pays_to_the_account_of_its_day():
    affiliate = owed()
    batch = draft()
    memberships.change_details(affiliate, PAYPAL)
    assert batch.payouts.get().details_hint == "DE•• •••• 3000"


# --- holds ----------------------------------------------------------------------------------------
def test_a_held_commission_is_in_no_draft_and_the_released_one_in_the_next():
    affiliate = make_affiliate()
    (held, _), _ = earn(affiliate, 90_000, 60_000)
    assert commissions.review(held.pk, hold=True, by="boss@example.com", note="Looks odd")
    assert balance_of(affiliate) == (0, 15_000, 0, 9000)
    assert amounts(draft()) == [6000]
    with pytest.raises(NothingToPay):
        draft()
    assert commissions.review(held.pk, hold=False, by="boss@example.com", note="It is fine")
    assert amounts(draft()) == [9000]
    assert balance_of(affiliate) == (0, 15_000, 0, 0)


def test_what_a_hold_leaves_has_to_reach_the_minimum():
    (held, _), _ = earn(make_affiliate(), 60_000, 49_000)
    commissions.review(held.pk, hold=True, by="boss@example.com", note="Looks odd")
    with pytest.raises(NothingToPay):
        draft()


def test_a_disputed_commission_is_in_no_draft_until_the_dispute_is_won(client: Client):
    affiliate = make_affiliate()
    _, (_, payment) = earn(affiliate, 60_000, 90_000)
    deliver(client, disputed(dispute_of(payment)))
    assert amounts(draft()) == [6000]
    deliver(client, disputed(dispute_of(payment, "won"), "charge.dispute.closed"))
    assert amounts(draft()) == [9000]


@pytest.mark.every_engine
def test_a_hold_never_makes_more_go_out(client: Client):
    """The reversal of a sale that was paid out is taken off the next payout also while that sale is
    disputed.
    """
    affiliate = make_affiliate()
    ((_, payment),) = earn(affiliate, 100_000)
    batch_in(PayoutBatch.PAID)
    refund(payment, 50_000)
    earn(affiliate, 110_000)
    deliver(client, disputed(dispute_of(payment)))
    assert balance_of(affiliate) == (0, 6000, 10_000, 0)
    batch = draft()
    assert amounts(batch) == [6000]
    assert len(payouts.release(batch, by=make_staff()).payouts) == 1
    assert balance_of(affiliate) == (0, 0, 16_000, 0)


# --- reversals after a payout ---------------------------------------------------------------------
def test_a_reversal_of_what_was_paid_reduces_the_next_payout():
    affiliate = make_affiliate()
    ((_, payment),) = earn(affiliate, 100_000)
    batch_in(PayoutBatch.PAID)
    refund(payment)
    assert balance_of(affiliate) == (0, -10_000, 10_000, 0)
    with pytest.raises(NothingToPay):
        draft()
    earn(affiliate, 149_990)
    with pytest.raises(NothingToPay):
        draft()
    assert balance_of(affiliate) == (0, 4999, 10_000, 0)
    one_cent_more(affiliate)
    batch = draft()
    assert amounts(batch) == [5000]
    assert batch.payouts.get().entry_count == 3
    payouts.release(batch, by=make_staff())
    assert balance_of(affiliate) == (0, 0, 15_000, 0)


# --- releasing ------------------------------------------------------------------------------------
def test_a_release_books_each_payout_once():
    ada, bo, colleague = owed(60_000), owed(70_000), make_staff()
    batch = draft()
    released = payouts.release(batch, by=colleague)
    assert [payout.amount for payout in released.payouts] == [6000, 7000]
    assert released.cancelled == []
    batch.refresh_from_db()
    assert (batch.status, batch.released_by) == ("released", colleague)
    assert (balance_of(ada), balance_of(bo)) == ((0, 0, 6000, 0), (0, 0, 7000, 0))
    entry = LedgerEntry.objects.get(affiliate=ada, kind="payout")
    assert (entry.amount, entry.created_by) == (-6000, colleague.email)
    assert entry.payout_id == ada.payouts.get().pk
    before = state()
    with pytest.raises(PayoutRefused, match="released already"):
        payouts.release(batch, by=make_staff())
    assert state() == before


def test_who_drafted_a_batch_cannot_release_it():
    staff, affiliate = make_staff(), owed()
    batch, before = draft(staff), state()
    with pytest.raises(SamePerson):
        payouts.release(batch, by=staff)
    with pytest.raises(SamePerson):
        payouts.release(PayoutBatch.objects.get(), by=staff)
    assert state() == before
    assert balance_of(affiliate) == (0, 10_000, 0, 0)


@pytest.mark.engines("sqlite", "postgres")
def test_who_drafted_a_batch_cannot_release_it_past_the_function():
    staff, _ = make_staff(), owed()
    batch, before = draft(staff), state()
    with pytest.raises(IntegrityError), transaction.atomic():
        transition(batch, PayoutBatch.RELEASED, released_by=staff)
    with pytest.raises(IntegrityError), transaction.atomic():
        transition(batch, PayoutBatch.RELEASED)
    with pytest.raises(IntegrityError), transaction.atomic():
        PayoutBatch.objects.filter(pk=batch.pk).update(released_by=staff)
    assert state() == before


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {TABLE} SET status = 'released', released_by_id = drafted_by_id",
        f"UPDATE {TABLE} SET released_by_id = drafted_by_id",
        f"UPDATE {TABLE} SET status = 'released'",
        f"UPDATE {TABLE} SET status = 'paid'",
    ],
)
def test_the_database_itself_refuses_a_release_by_who_drafted(statement: str):
    owed()
    draft()
    before = state()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert state() == before


@pytest.mark.engines("mongodb")
@pytest.mark.breaks_invariants
def test_where_the_database_cannot_refuse_it_the_invariants_name_it():
    staff, _ = make_staff(), owed()
    batch = draft(staff)
    assert transition(batch, PayoutBatch.RELEASED, released_by=staff)
    assert check_two_persons() == [
        f"payout batch {batch.pk} was drafted and released by one person"
    ]


def _refund(affiliate: Affiliate, payment: Any) -> None:
    refund(payment)


def _hold(affiliate: Affiliate, payment: Any) -> None:
    commissions.review(payment.enrollment_id, hold=True, by="boss@example.com", note="Looks odd")


def _dispute(affiliate: Affiliate, payment: Any) -> None:
    deliver(Client(), disputed(dispute_of(payment)))


def _suspend(affiliate: Affiliate, payment: Any) -> None:
    memberships.suspend(affiliate, by="staff@example.com", reason="A question")


CHANGES = [_refund, _hold, _dispute, _suspend]


@pytest.mark.every_engine
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_payout_that_is_not_covered_any_more_is_cancelled_at_the_release_and_the_others_go(
    change,
):
    changed, other = make_affiliate(), owed(60_000)
    ((_, payment),) = earn(changed, 100_000)
    batch = draft()
    change(changed, payment)
    released = payouts.release(batch, by=make_staff())
    assert [payout.affiliate for payout in released.payouts] == [other]
    assert [payout.affiliate for payout in released.cancelled] == [changed]
    stopped = changed.payouts.get()
    assert (stopped.status, stopped.cancel_reason) == ("cancelled", payouts.CHANGED)
    assert not stopped.items.filter(is_live=True).exists()
    assert not LedgerEntry.objects.filter(affiliate=changed, kind="payout").exists()
    assert balance_of(changed)[2] == 0
    assert balance_of(other) == (0, 0, 6000, 0)


def test_a_batch_of_which_nothing_is_covered_any_more_is_cancelled():
    affiliate, colleague = owed(), make_staff()
    batch = draft()
    memberships.suspend(affiliate, by="staff@example.com", reason="A question")
    assert payouts.release(batch, by=colleague).payouts == []
    batch.refresh_from_db()
    assert (batch.status, batch.cancelled_by, batch.cancel_reason) == (
        "cancelled",
        colleague,
        payouts.CHANGED,
    )


def test_two_drafts_never_pay_more_than_is_owed():
    """One sale is drafted, then refunded; a second draft takes the reversal into account, and both
    go out.
    """
    affiliate = make_affiliate()
    ((_, payment),) = earn(affiliate, 100_000)
    first = draft()
    refund(payment)
    earn(affiliate, 200_000)
    second = draft()
    assert (amounts(first), amounts(second)) == ([10_000], [10_000])
    for batch in (first, second):
        payouts.release(batch, by=make_staff())
    assert balance_of(affiliate) == (0, 0, 20_000, 0)


# --- paid, and back -------------------------------------------------------------------------------
def test_a_released_batch_is_marked_paid_with_its_reference():
    affiliate, staff = owed(), make_staff()
    batch = batch_in(PayoutBatch.RELEASED)
    assert [
        payout.affiliate for payout in payouts.mark_paid(batch, by=staff, reference=" BANK-77 ")
    ] == [affiliate]
    batch.refresh_from_db()
    assert (batch.status, batch.paid_by, batch.reference) == ("paid", staff, "BANK-77")
    assert batch.paid_at is not None
    assert affiliate.payouts.get().status == "paid"
    assert balance_of(affiliate) == (0, 0, 10_000, 0)


@pytest.mark.parametrize("reference", ["", "   "])
def test_nothing_is_paid_without_a_reference(reference: str):
    owed()
    batch = batch_in(PayoutBatch.RELEASED)
    before = state()
    with pytest.raises(PayoutRefused, match="reference"):
        payouts.mark_paid(batch, by=make_staff(), reference=reference)
    assert state() == before


def test_a_batch_whose_payouts_were_all_cancelled_is_not_marked_paid():
    affiliate = owed()
    batch = batch_in(PayoutBatch.RELEASED)
    payouts.cancel(affiliate.payouts.get(), by=make_staff(), reason="Account closed")
    with pytest.raises(PayoutRefused, match="Cancel the batch"):
        payouts.mark_paid(batch, by=make_staff(), reference="BANK-1")
    batch.refresh_from_db()
    assert (batch.status, batch.reference) == ("released", "")
    payouts.cancel_batch(batch, by=make_staff(), reason="Empty")
    assert batch.status == "cancelled"


STEPS = {
    "released": (lambda batch: payouts.release(batch, by=make_staff()), ["draft"]),
    "paid": (lambda batch: payouts.mark_paid(batch, by=make_staff(), reference="R"), ["released"]),
    "cancelled": (
        lambda batch: payouts.cancel_batch(batch, by=make_staff(), reason="R"),
        ["draft", "released"],
    ),
}


@pytest.mark.parametrize(("before", "to"), list(itertools.product(STATUSES, STEPS)))
def test_every_step_from_every_status(before: str, to: str):
    affiliate = owed()
    batch = batch_in(before)
    step, allowed = STEPS[to]
    unchanged = (state(), balance_of(affiliate))
    if before in allowed:
        step(batch)
        assert (batch.status, affiliate.payouts.get().status) == (to, to)
    else:
        with pytest.raises(PayoutRefused):
            step(batch)
        assert (state(), balance_of(affiliate)) == unchanged


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATUSES, repeat=2)))
def test_every_pair_of_statuses(before: str, after: str):
    owed()
    batch = batch_in(before)
    payout = batch.payouts.get()
    by = {"released_by": make_staff()} if after in (PayoutBatch.RELEASED, PayoutBatch.PAID) else {}
    for row, changes, moves in ((batch, by, tables.PAYOUT_BATCH), (payout, {}, tables.PAYOUT)):
        allowed = (before, after) in moves
        assert transition(row, after, **changes) is allowed
        row.refresh_from_db()
        assert row.status == (after if allowed else before)


@pytest.mark.every_engine
@pytest.mark.parametrize("status", [PayoutBatch.DRAFT, PayoutBatch.RELEASED, PayoutBatch.PAID])
def test_a_cancelled_payout_brings_its_entries_back(status: str):
    affiliate, other = owed(60_000, 1990), owed(70_000)
    batch = batch_in(status)
    paid_before = balance_of(other)
    payout = affiliate.payouts.get()
    assert payouts.cancel(payout, by=make_staff(), reason="The bank sent it back")
    assert not payouts.cancel(payout, by=make_staff(), reason="Again")
    payout.refresh_from_db()
    assert (payout.status, payout.cancel_reason) == ("cancelled", "The bank sent it back")
    booked = list(
        LedgerEntry.objects.filter(affiliate=affiliate, payout_id=payout.pk)
        .values_list("kind", "amount")
        .order_by("created_at")
    )
    assert booked == (
        [] if status == PayoutBatch.DRAFT else [("payout", -6199), ("payout_cancelled", 6199)]
    )
    assert balance_of(affiliate) == (0, 6199, 0, 0)
    assert balance_of(other) == paid_before
    again = draft()
    assert [(p.affiliate, p.amount, p.entry_count) for p in again.payouts.all()] == [
        (affiliate, 6199, 2)
    ]
    payouts.release(again, by=make_staff())
    assert balance_of(affiliate) == (0, 0, 6199, 0)
    batch.refresh_from_db()
    assert batch.status == status


@pytest.mark.every_engine
@pytest.mark.parametrize("status", [PayoutBatch.DRAFT, PayoutBatch.RELEASED])
def test_a_cancelled_batch_brings_all_its_entries_back(status: str):
    affiliates = [owed(60_000), owed(70_000)]
    batch, staff = batch_in(status), make_staff()
    assert len(payouts.cancel_batch(batch, by=staff, reason="Wrong month")) == 2
    batch.refresh_from_db()
    assert (batch.status, batch.cancelled_by, batch.cancel_reason) == (
        "cancelled",
        staff,
        "Wrong month",
    )
    assert [balance_of(affiliate) for affiliate in affiliates] == [(0, 6000, 0, 0), (0, 7000, 0, 0)]
    assert PayoutItem.objects.filter(is_live=True).count() == 0
    assert amounts(draft()) == [6000, 7000]


def test_the_next_draft_takes_what_a_batch_that_is_over_left_behind():
    """Cancelled by line, then paid: what was cancelled is paid once, later, and never with the
    first.
    """
    ada, bo = owed(60_000), owed(70_000)
    batch = batch_in(PayoutBatch.RELEASED)
    payouts.cancel(ada.payouts.get(), by=make_staff(), reason="A wrong account")
    payouts.mark_paid(batch, by=make_staff(), reference="R")
    assert sorted(batch.payouts.values_list("status", flat=True)) == ["cancelled", "paid"]
    assert (balance_of(ada), balance_of(bo)) == ((0, 6000, 0, 0), (0, 0, 7000, 0))
    assert amounts(draft()) == [6000]


def test_more_than_a_batch_holds_is_left_to_the_next_draft(monkeypatch):
    monkeypatch.setattr(payout_drafts, "MOST_PAYOUTS", 2)
    for _ in range(3):
        owed()
    assert (len(amounts(draft())), len(amounts(draft()))) == (2, 1)


def test_nothing_joins_a_batch_that_is_released_already():
    """Whoever releases while a draft is still being written releases what is in it; the rest is
    left to the next one.
    """
    first, late = owed(70_000), owed(60_000)
    batch = PayoutBatch(
        currency="usd", method="bank", payable_on=tomorrow(), minimum=5000, drafted_by=make_staff()
    )
    assert payout_drafts._draft_one(batch, first.pk, run()).amount == 7000
    payouts.release(PayoutBatch.objects.get(), by=make_staff())
    assert payout_drafts._draft_one(batch, late.pk, run()) is None
    assert amounts(draft()) == [6000]
