"""Buyers, Stripe and the sweep in any order Hypothesis thinks of: at every step everything holds,
and money is never lost.
"""

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    invariant,
    rule,
    run_state_machine_as_test,
)

from enrollments.models import Enrollment
from payments import settlement
from payments.models import Payment
from tests.factories import (
    async_failed,
    async_succeeded,
    completed,
    deliver,
    expired,
    make_course,
    make_payment,
    make_pending,
    unpaid,
)
from tests.state_machine import VerifiedMachine

pytestmark = pytest.mark.slow

EMAILS = ("ada@example.com", "bob@example.com")


class Shop(VerifiedMachine):
    """The model beside the product: which sessions were paid, by whom."""

    payments = Bundle("payments")

    def __init__(self) -> None:
        super().__init__()
        self.client = Client()
        self.course = make_course()
        self.paid: dict[str, set[object]] = {email: set() for email in EMAILS}

    @rule(target=payments, email=st.sampled_from(EMAILS))
    def begin(self, email: str) -> Payment:
        """What checkout writes: a pending enrollment when none is live, else its next payment."""
        live = Enrollment.objects.live().filter(email=email).first()
        if live is None:
            return make_pending(self.course, email=email)[1]
        open_payment = live.payments.filter(status__in=Payment.OPEN).first()
        if live.status == Enrollment.PENDING and open_payment is None:
            return make_payment(live, attempt=live.payments.count() + 1)
        return open_payment or live.payments.first()

    @rule(payment=payments)
    def is_paid(self, payment: Payment) -> None:
        self.paid[payment.enrollment.email].add(payment.pk)
        assert deliver(self.client, completed(payment)).status_code == 200

    @rule(payment=payments)
    def is_delayed(self, payment: Payment) -> None:
        assert deliver(self.client, unpaid(payment)).status_code == 200

    @rule(payment=payments)
    def is_paid_by_the_bank(self, payment: Payment) -> None:
        self.paid[payment.enrollment.email].add(payment.pk)
        assert deliver(self.client, async_succeeded(payment)).status_code == 200

    @rule(payment=payments)
    def is_refused_by_the_bank(self, payment: Payment) -> None:
        assert deliver(self.client, async_failed(payment)).status_code == 200

    @rule(payment=payments)
    def expires(self, payment: Payment) -> None:
        assert deliver(self.client, expired(payment)).status_code == 200

    @rule(payment=payments)
    def is_cut_off(self, payment: Payment) -> None:
        if Payment.objects.filter(pk=payment.pk, status=Payment.PENDING).exists():
            settlement.abandon(payment)

    @rule(payment=payments)
    def cannot_be_started(self, payment: Payment) -> None:
        settlement.fail(payment, code="STRIPE_UNAVAILABLE", actor="test")

    @invariant()
    def everything_holds(self) -> None:
        assert self.verify() == []

    @invariant()
    def who_paid_is_enrolled_once_and_who_did_not_is_not(self) -> None:
        for email, paid in self.paid.items():
            assert Enrollment.objects.paid().filter(email=email).count() == min(1, len(paid)), email

    @invariant()
    def every_payment_is_kept_and_only_one_is_not_set_aside(self) -> None:
        for email, paid in self.paid.items():
            kept = Payment.objects.filter(
                status=Payment.PAID, enrollment__in=Enrollment.objects.filter(email=email)
            )
            assert set(kept.values_list("pk", flat=True)) == paid
            used = [payment for payment in kept if payment.review_reason not in Payment.UNFULFILLED]
            assert len(used) == min(1, len(paid))


@pytest.mark.django_db
def test_whatever_happens_in_whatever_order_who_paid_is_enrolled_exactly_once() -> None:
    run_state_machine_as_test(
        Shop,
        settings=settings(
            # Hypothesis thinks of the same ones every time: all are tried on SQLite.
            max_examples={"sqlite": 14, "postgresql": 6, "mongodb": 3}[connection.vendor],
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
