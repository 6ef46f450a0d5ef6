"""What is on hold: of a sale in doubt, what is still in the balance. What was paid out is not, and
a debt never is.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from affiliates import commissions, ledger, payouts
from affiliates.errors import PayoutRefused
from affiliates.models import Affiliate, Balance, Payout, PayoutBatch
from affiliates.pages import entries
from affiliates.pages.figures import account_of
from enrollments.models import Enrollment
from maaledu.money import Money
from operations import invariants
from payments.models import Payment
from tests.affiliates.history import signed_in
from tests.affiliates.make import make_affiliate, make_staff
from tests.affiliates.payday import batch_in, draft, earn, refund
from tests.affiliates.rivals import rival_before
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import race
from tests.factories import deliver, dispute_of, disputed, refund_of, refunded

pytestmark = pytest.mark.any_engine

ROUNDS = 6
DASHBOARD, ENTRIES = "/affiliates/dashboard/", "/affiliates/entries/"


def dispute(payment: Payment, status: str = "needs_response") -> None:
    assert (
        deliver(
            Client(), disputed(dispute_of(payment, status), "charge.dispute.updated")
        ).status_code
        == 200
    )


def review(enrollment: Enrollment, *, hold: bool) -> None:
    assert commissions.review(enrollment.pk, hold=hold, by="boss@example.com", note="A look")


def sold(price: int = 100_000, **fields: Any) -> tuple[Affiliate, Enrollment, Payment]:
    affiliate = make_affiliate()
    ((enrollment, payment),) = earn(affiliate, price, **fields)
    return affiliate, enrollment, payment


def shown(affiliate: Affiliate, address: str) -> str:
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", "", signed_in(affiliate).get(address).content.decode())
    )


def assert_on_hold(affiliate: Affiliate, amount: int) -> None:
    """The balance, the entries that explain it and the dashboard agree, and so do the
    invariants.
    """
    assert balance_of(affiliate)[3] == amount
    account = account_of(affiliate.user_id)
    assert account
    balance = entries.balance_of(account, entries.HELD, "usd")
    shown_entries = entries.entries_of(balance, entries.HELD).rows
    assert sum(entry.amount for entry in shown_entries) == amount
    page = shown(affiliate, DASHBOARD)
    held = Money(balance.held, balance.currency)
    assert (
        f"{held} is on hold while a dispute or a review is decided; until then it counts as" in page
    ) == bool(amount)
    assert ("on hold" in page) == bool(amount)
    assert invariants.verify() == []


@pytest.mark.parametrize("status", [PayoutBatch.RELEASED, PayoutBatch.PAID])
def test_a_dispute_after_the_payout_holds_nothing(status: str):
    affiliate, _, payment = sold()
    batch_in(status)
    dispute(payment)
    assert balance_of(affiliate) == (0, 0, 10_000, 0)
    assert_on_hold(affiliate, 0)
    entry = affiliate.entries.get(kind="commission")
    assert "On hold" not in shown(affiliate, f"{ENTRIES}{entry.pk}/")
    earn(affiliate, 60_000)
    assert_on_hold(affiliate, 0)


def test_a_sale_in_doubt_is_on_hold_while_it_is_in_a_mere_draft():
    """Its amount is payable still, and the release leaves it out."""
    affiliate, _, payment = sold()
    batch = draft()
    dispute(payment)
    assert balance_of(affiliate) == (0, 10_000, 0, 10_000)
    assert_on_hold(affiliate, 10_000)
    assert payouts.release(batch, by=make_staff()).payouts == []
    assert_on_hold(affiliate, 10_000)
    dispute(payment, "won")
    assert_on_hold(affiliate, 0)


@pytest.mark.parametrize("status", [PayoutBatch.RELEASED, PayoutBatch.PAID])
def test_a_payout_that_comes_back_is_on_hold_again(status: str):
    affiliate, _, payment = sold()
    batch_in(status)
    dispute(payment)
    assert payouts.cancel(affiliate.payouts.get(), by=make_staff(), reason="The bank sent it back")
    assert balance_of(affiliate) == (0, 10_000, 0, 10_000)
    assert_on_hold(affiliate, 10_000)
    assert "On hold" in shown(affiliate, f"{ENTRIES}{affiliate.entries.get(kind='commission').pk}/")
    dispute(payment, "won")
    assert_on_hold(affiliate, 0)


def test_a_batch_that_is_cancelled_brings_its_holds_back():
    affiliate, enrollment, _ = sold()
    batch = batch_in(PayoutBatch.RELEASED)
    review(enrollment, hold=True)
    assert_on_hold(affiliate, 0)
    payouts.cancel_batch(batch, by=make_staff(), reason="Wrong month")
    assert_on_hold(affiliate, 10_000)
    review(enrollment, hold=False)
    assert_on_hold(affiliate, 0)


def test_a_hold_goes_with_its_sale_when_that_becomes_payable(settings):
    affiliate, enrollment, _ = sold(payable=timedelta(milliseconds=400))
    review(enrollment, hold=True)
    assert balance_of(affiliate) == (10_000, 0, 0, 10_000)
    while not ledger.mature():
        pass
    assert balance_of(affiliate) == (0, 10_000, 0, 10_000)
    assert_on_hold(affiliate, 10_000)


def test_what_is_reversed_of_a_sale_is_not_on_hold():
    affiliate, enrollment, payment = sold()
    review(enrollment, hold=True)
    refund(payment, 30_000)
    assert balance_of(affiliate) == (0, 7000, 0, 7000)
    assert_on_hold(affiliate, 7000)
    refund(payment, 70_000)
    assert_on_hold(affiliate, 0)


def test_a_debt_is_not_on_hold():
    """Paid out, then refunded in part and disputed: the reversal is taken off the next payout."""
    affiliate, _, payment = sold()
    batch_in(PayoutBatch.PAID)
    dispute(payment)
    refund(payment, 40_000)
    assert balance_of(affiliate) == (0, -4000, 10_000, 0)
    assert_on_hold(affiliate, 0)
    dispute(payment, "lost")
    assert balance_of(affiliate) == (0, -10_000, 10_000, 0)
    assert_on_hold(affiliate, 0)


@pytest.mark.every_engine
def test_what_is_reinstated_of_a_sale_that_was_paid_out_is_on_hold():
    """Of the sale 60.00 are out for good: its commission less a reversal. The refund fails after
    all, and 40.00 come back.
    """
    affiliate, enrollment, payment = sold()
    batch_in(PayoutBatch.PAID)
    object_ = refund_of(payment, 40_000)
    deliver(Client(), refunded(object_))
    earn(affiliate, 100_000)
    assert [payout.amount for payout in payouts.release(draft(), by=make_staff()).payouts] == [6000]
    review(enrollment, hold=True)
    assert_on_hold(affiliate, 0)
    deliver(
        Client(),
        refunded(
            {**object_, "status": "failed", "failure_reason": "lost_or_stolen_card"},
            "refund.failed",
        ),
    )
    assert balance_of(affiliate) == (0, 4000, 16_000, 4000)
    assert_on_hold(affiliate, 4000)


def test_only_the_sales_in_doubt_are_on_hold_and_each_currency_by_itself():
    affiliate, enrollment, _ = sold()
    earn(affiliate, 20_000)
    ((euros, _),) = earn(affiliate, 30_000, currency="eur")
    review(enrollment, hold=True)
    review(euros, hold=True)
    assert dict(Balance.objects.values_list("currency", "held")) == {"usd": 10_000, "eur": 3000}


def against(first: Callable[[], Any], second: Callable[[], Any]) -> None:
    outcomes = race(lambda number: (first, second)[number % 2](), threads=2)
    assert [
        each
        for each in outcomes
        if isinstance(each, Exception) and not isinstance(each, PayoutRefused)
    ] == []


@pytest.mark.every_engine
def test_a_hold_at_the_moment_of_a_release_or_of_a_return_is_counted_once():
    affiliate, enrollment, _ = sold()
    staff = make_staff()
    for number in range(ROUNDS):
        batch = draft()
        hold = number % 2 == 0

        def let_out(key: Any = batch.pk) -> None:
            payouts.release(PayoutBatch.objects.get(pk=key), by=staff)

        def doubt(hold: bool = True) -> None:
            commissions.review(enrollment.pk, hold=hold, by="boss@example.com", note="A look")

        against(let_out, doubt)
        assert_on_hold(
            affiliate, 0 if Payout.objects.filter(status=Payout.RELEASED).exists() else 10_000
        )
        payout = batch.payouts.get()
        with suppress(PayoutRefused):
            against(
                lambda line=payout: payouts.cancel(line, by=staff, reason="Back"),
                lambda hold=hold: doubt(hold=hold),
            )
        assert_on_hold(affiliate, 10_000 if hold else 0)
        commissions.review(enrollment.pk, hold=False, by="boss@example.com", note="It is fine")


@pytest.mark.engines("postgres")
def test_a_hold_that_is_quicker_than_the_booking_of_a_release_stops_it():
    """The rival runs after the draft was read: only who waits for the account sees it."""
    affiliate, enrollment, _ = sold()
    batch = draft()
    with rival_before('UPDATE "affiliates_balance"', lambda: review(enrollment, hold=True)) as held:
        assert payouts.release(batch, by=make_staff()).payouts == []
    assert held == [None]
    assert_on_hold(affiliate, 10_000)
