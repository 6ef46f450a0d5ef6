"""Sales, refunds, disputes and payouts in any order Hypothesis thinks of; beside them a model with
arithmetic of its own.
"""

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import override_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from affiliates import commissions, ledger, memberships, payout_drafts, payout_files, payouts
from affiliates.errors import NothingToPay, PayoutRefused
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
)
from affiliates.payout_drafts import Run
from enrollments.models import Enrollment
from payments.models import Payment
from tests.affiliates.make import make_affiliate, make_referred, make_staff, tomorrow
from tests.affiliates.sale_model import REFUND_RANKS, SaleModel, half_up
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    refund_of,
    refunded,
)
from tests.payments.test_fraud_warnings import warned
from tests.state_machine import VerifiedMachine

pytestmark = pytest.mark.slow

PRICES = (49900, 19999, 5001, 99)


@dataclass
class Sale(SaleModel):
    """A sale with its payment, and whether its commission is past the hold from the beginning."""

    payment: Payment = field(kw_only=True)
    is_settled: bool = field(kw_only=True)


class AffiliateBusiness(VerifiedMachine):
    sales = Bundle("sales")
    batches = Bundle("batches")

    @initialize()
    def open(self) -> None:
        self.client = Client()
        self.affiliate = make_affiliate()
        self.staff = [make_staff(), make_staff()]
        self.known: dict[Any, Sale] = {}
        self.sent: list[dict[str, Any]] = []
        self.paid_out = 0
        self.is_suspended = False
        for price in (49900, 19999):
            self.sell(price=price, percent=0, settled=True)

    def deliver(self, event: dict[str, Any]) -> None:
        self.sent.append(event)
        assert deliver(self.client, event).status_code == 200

    @rule(target=sales)
    def an_older_sale(self) -> Any:
        return next(iter(self.known))

    @rule(
        target=sales,
        price=st.sampled_from(PRICES),
        percent=st.sampled_from([0, 33, 50]),
        settled=st.booleans(),
    )
    def sell(self, price: int, percent: int, settled: bool) -> Any:
        """A sale, with or without a grant, payable at once or in thirty days."""
        amount = price - half_up(Fraction(price * percent, 100))
        with override_settings(COMMISSION_HOLD=timedelta(0) if settled else timedelta(days=30)):
            enrollment, payment = make_referred(
                self.affiliate, make_course(price=price), amount=amount
            )
            self.deliver(completed(payment))
        self.known[enrollment.pk] = Sale(
            amount, half_up(Fraction(price, 10)), payment=payment, is_settled=settled
        )
        return enrollment.pk

    @rule(
        key=sales,
        share=st.sampled_from([100, 100, 50, 33, 1]),
        status=st.sampled_from(["succeeded", "succeeded", "pending", "failed"]),
    )
    def refund(self, key: Any, share: int, status: str) -> None:
        sale = self.known[key]
        amount = min(max(sale.paid * share // 100, 1), sale.paid - sale.committed)
        if amount:
            refund = refund_of(sale.payment, amount, status=status)
            sale.record_refund(refund["id"], amount, status)
            self.deliver(refunded(refund))

    @rule(key=sales, pick=st.integers(0, 5), status=st.sampled_from(list(REFUND_RANKS)))
    def refund_goes_on(self, key: Any, pick: int, status: str) -> None:
        """A later, or an older, word about a refund: only a later one counts."""
        sale = self.known[key]
        if not sale.refunds:
            return
        refund_id = sorted(sale.refunds)[pick % len(sale.refunds)]
        amount, _ = sale.refunds[refund_id]
        self.deliver(
            refunded(refund_of(sale.payment, amount, id=refund_id, status=status), "refund.updated")
        )
        sale.record_refund(refund_id, amount, status)

    @rule(
        key=sales,
        status=st.sampled_from(
            [
                "warning_needs_response",
                "needs_response",
                "under_review",
                "won",
                "lost",
                "warning_closed",
                "prevented",
                "appeal_under_review",
            ]
        ),
        moved=st.integers(0, 3),
    )
    def dispute(self, key: Any, status: str, moved: int = 0) -> None:
        """A report of the dispute whose money went to the bank and back so often by then."""
        sale = self.known[key]
        amounts = [{"amount": sale.paid * (1 if back else -1)} for back in (0, 1, 0)[:moved]]
        report = dispute_of(sale.payment, status, balance_transactions=amounts)
        self.deliver(disputed(report, "charge.dispute.updated"))
        sale.record_dispute(status)
        sale.movements = max(sale.movements, moved)

    @rule(key=sales, at=st.integers(0, 3), actionable=st.booleans())
    def warn(self, key: Any, at: int, actionable: bool) -> None:
        """A report of the issuer's warning, which may be older than the one before."""
        sale = self.known[key]
        self.deliver(warned(at, actionable=actionable)(sale.payment))
        sale.record_warning(at, actionable=actionable)

    @rule(key=sales, hold=st.booleans())
    def review(self, key: Any, hold: bool) -> None:
        assert commissions.review(key, hold=hold, by="boss@example.com", note="A look") is (
            self.known[key].is_under_review != hold
        )
        self.known[key].is_under_review = hold

    @rule()
    def suspend_or_reinstate(self) -> None:
        affiliate = Affiliate.objects.get()
        assert (
            memberships.approve(affiliate, by="staff@example.com")
            if self.is_suspended
            else memberships.suspend(affiliate, by="staff@example.com", reason="test")
        )
        self.is_suspended = not self.is_suspended

    @rule(pick=st.integers(0, 1000))
    def an_event_comes_again(self, pick: int) -> None:
        if self.sent:
            event = self.sent[pick % len(self.sent)]
            deliver(self.client, event)
            deliver(self.client, {**event, "id": f"{event['id']}_again"})

    @rule(target=batches, who=st.integers(0, 1))
    def draft(self, who: int) -> Any:
        with contextlib.suppress(NothingToPay), override_settings(PAYOUT_MINIMUM=100):
            return payout_drafts.draft(
                Run("usd", Affiliate.BANK, tomorrow()), by=self.staff[who]
            ).pk
        return None

    @rule(target=batches, who=st.integers(0, 1), same=st.booleans())
    def draft_and_release(self, who: int, same: bool) -> Any:
        key = self.draft(who)
        self.release(key, who if same else 1 - who)
        return key

    @rule(key=batches, who=st.integers(0, 1))
    def release(self, key: Any, who: int) -> None:
        if key is None:
            return
        batch, payable = PayoutBatch.objects.get(pk=key), Balance.objects.get().payable
        with contextlib.suppress(PayoutRefused):
            released = payouts.release(batch, by=self.staff[who])
            assert batch.drafted_by_id != self.staff[who].pk
            amount = sum(payout.amount for payout in released.payouts)
            assert amount <= payable
            assert not (self.is_suspended and amount)
            self.goes_out(released.payouts, 1)

    def goes_out(self, paid: list[Payout], sign: int) -> None:
        """Money leaves the account (1), or comes back (-1): so much of each sale as the payout was
        made of.
        """
        for payout in paid:
            self.paid_out += sign * payout.amount
            for key, amount in PayoutItem.objects.filter(payout=payout).values_list(
                "entry__enrollment_id", "amount"
            ):
                self.known[key].gone += sign * amount

    @rule(target=batches, disputed=st.booleans())
    def pay_out_and_doubt(self, disputed: bool) -> Any:
        """What went out a moment ago comes into doubt: nothing of it is on hold, until it comes
        back.
        """
        key = self.draft(0)
        self.release(key, 1)
        for sale in self.known:
            if disputed:
                self.dispute(sale, "needs_response")
            else:
                self.review(sale, hold=True)
        return key

    @rule(key=batches)
    def mark_paid(self, key: Any) -> None:
        if key is not None:
            with contextlib.suppress(PayoutRefused):
                payouts.mark_paid(
                    PayoutBatch.objects.get(pk=key), by=self.staff[0], reference="B-1"
                )
                assert not self.is_suspended

    @rule(key=batches)
    def make_file(self, key: Any) -> None:
        if key is not None:
            batch = PayoutBatch.objects.get(pk=key)
            with contextlib.suppress(PayoutRefused):
                payout_files.make_file(batch, by=self.staff[0])
                assert batch.status == PayoutBatch.PAID or not self.is_suspended

    @rule(key=batches, whole=st.booleans(), not_sent=st.booleans())
    def cancel(self, key: Any, whole: bool, not_sent: bool) -> None:
        if key is None:
            return
        batch = PayoutBatch.objects.get(pk=key)
        may_be_sent = batch.exported_at is not None and not not_sent
        before = set(
            batch.payouts.filter(status__in=[Payout.RELEASED, Payout.PAID]).values_list(
                "pk", flat=True
            )
        )
        with contextlib.suppress(PayoutRefused):
            said = {"by": self.staff[1], "reason": "test", "not_sent": not_sent}
            lines = list(batch.payouts.all())
            stopped = (
                payouts.cancel_batch(batch, **said)
                if whole
                else [line for line in lines if payouts.cancel(line, **said)]
            )
            assert not (may_be_sent and stopped)
            self.goes_out([payout for payout in stopped if payout.pk in before], -1)

    @invariant()
    def everything_holds(self) -> None:
        assert self.verify() == []

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        if not getattr(self, "known", None):
            return
        ledger.mature()
        balance = Balance.objects.get()
        pending = sum(sale.left for sale in self.known.values() if not sale.is_settled)
        earned = sum(sale.left for sale in self.known.values() if sale.is_settled)
        held = sum(sale.held for sale in self.known.values())
        assert (balance.pending, balance.payable + balance.paid, balance.held) == (
            pending,
            earned,
            held,
        )
        assert balance.paid == self.paid_out
        assert (
            sum(LedgerEntry.objects.values_list("amount", flat=True))
            == balance.pending + balance.payable
        )

    @invariant()
    def each_sale_keeps_between_nothing_and_its_commission(self) -> None:
        for key, sale in getattr(self, "known", {}).items():
            booked = sum(
                LedgerEntry.objects.filter(enrollment_id=key).values_list("amount", flat=True)
            )
            assert booked == sale.left == Commission.objects.get(enrollment_id=key).net
            assert 0 <= booked <= sale.commission
            status = Enrollment.objects.values_list("status", flat=True).get(pk=key)
            assert status == (Enrollment.REFUNDED if sale.is_reversed else Enrollment.PAID)


@pytest.mark.django_db
def test_the_books_are_right_whatever_happens() -> None:
    run_state_machine_as_test(
        AffiliateBusiness,
        settings=settings(
            # Hypothesis thinks of the same ones every time: all are tried on SQLite.
            max_examples={"sqlite": 20, "postgresql": 6, "mongodb": 3}[connection.vendor],
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
