"""Applicants, staff, buyers, Stripe and time in any order Hypothesis thinks of; beside them a model that only counts."""

import contextlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from courses.models import Course
from enrollments import checkout, granting, invariants, orders, settlement
from enrollments.models import Enrollment, Payment
from grants import applications, redemption
from grants.applications import Application, Decision
from grants.errors import AlreadyDecided, ApplicationOpen, BudgetExceeded, CouponUnavailable
from grants.models import Grant, Program
from tests.cleaning import empty_database
from tests.factories import completed, deliver, expired, make_course
from tests.grants.make import STAFF

EMAILS = ("ada@example.com", "bob@example.com", "cyn@example.com")
BUDGET = 120_000


class GrantDesk(RuleBasedStateMachine):
    """Checkout is taken as far as its rows: what Stripe would be asked is in `tests/grants/test_redemption.py`."""

    applied = Bundle("applied")
    approved = Bundle("approved")
    payments = Bundle("payments")

    @initialize()
    def open(self) -> None:
        empty_database()
        self.client = Client()
        self.course = make_course(price=49900)
        self.program = Program.objects.create(name="Fund", currency="usd", budget_amount=BUDGET, budget_places=4)

    @rule(target=applied, email=st.sampled_from(EMAILS))
    def apply(self, email: str) -> object:
        try:
            return applications.apply(self.course, Application("Somebody", email, "s", "m")).pk
        except ApplicationOpen:
            return Grant.objects.open().get(course=self.course, email=email).pk

    @rule(target=approved, key=consumes(applied), percent=st.sampled_from([10, 50, 99, 100]), funded=st.booleans())
    def approve(self, key: object, percent: int, funded: bool) -> object:
        decision = Decision(percent, timezone.now() + timedelta(days=9), self.program if funded else None)
        with contextlib.suppress(AlreadyDecided, BudgetExceeded):
            granting.approve(Grant.objects.get(pk=key), decision, by=STAFF)
        return key

    @rule(key=consumes(applied))
    def reject(self, key: object) -> None:
        self._tolerate(lambda: granting.reject(Grant.objects.get(pk=key), by=STAFF, reason="budget"))

    @rule(key=approved)
    def revoke(self, key: object) -> None:
        self._tolerate(lambda: applications.revoke(Grant.objects.get(pk=key), by=STAFF))

    @rule(key=approved)
    def reissue(self, key: object) -> None:
        self._tolerate(lambda: granting.reissue(Grant.objects.get(pk=key), by=STAFF))

    @rule(key=approved)
    def runs_out(self, key: object) -> None:
        Grant.objects.filter(pk=key, status=Grant.APPROVED).update(expires_at=timezone.now() - timedelta(seconds=1))

    @rule()
    def sweep(self) -> None:
        redemption.expire_overdue()

    @rule(price=st.sampled_from([49900, 19999, 4900]))
    def price_changes(self, price: int) -> None:
        Course.objects.filter(pk=self.course.pk).update(price=price)
        self.course.refresh_from_db()

    @rule(target=payments, key=approved)
    def check_out(self, key: object) -> object:
        """What checkout writes before Stripe is asked; a free place needs no more."""
        grant = Grant.objects.get(pk=key)
        held = Enrollment.objects.live().of_buyer(self.course, grant.email).first()
        if held is None and grant.code:
            try:
                quote = redemption.quote(code=grant.code, email=grant.email, course=self.course)
                _, payment = checkout._write(orders.Order(self.course, grant.email, "", quote.price, quote.grant))
            except CouponUnavailable:
                return None
            return self._with_session(payment)
        open_payment = Payment.objects.filter(enrollment=held, status=Payment.PENDING).first() if held else None
        return open_payment.pk if open_payment else None

    def _with_session(self, payment: Payment | None) -> object:
        if payment is None:
            return None
        Payment.objects.filter(pk=payment.pk).update(stripe_session_id=f"cs_test_{payment.pk.hex}", checkout_url="x")
        return payment.pk

    @rule(key=payments)
    def is_paid(self, key: object) -> None:
        if key:
            deliver(self.client, completed(Payment.objects.get(pk=key)))

    @rule(key=payments)
    def expires(self, key: object) -> None:
        if key:
            deliver(self.client, expired(Payment.objects.get(pk=key)))

    @rule(key=payments)
    def is_left(self, key: object) -> None:
        if key:
            settlement.abandon(Payment.objects.get(pk=key), ends_as=Payment.CANCELLED, actor="test")

    def _tolerate(self, act) -> None:
        with contextlib.suppress(AlreadyDecided):
            act()

    @invariant()
    def everything_holds(self) -> None:
        assert invariants.verify() == []

    @invariant()
    def the_budget_is_never_exceeded(self) -> None:
        if hasattr(self, "program"):
            funded = Grant.objects.filter(program=self.program, status__in=[Grant.APPROVED, Grant.RESERVED, Grant.REDEEMED])
            held = [grant.committed_amount for grant in funded if grant.committed_amount]
            assert sum(held) <= BUDGET
            assert len(held) <= 4


@pytest.mark.django_db
def test_a_coupon_is_used_once_and_the_budget_holds_whatever_happens() -> None:
    run_state_machine_as_test(
        GrantDesk,
        settings=settings(
            max_examples=12 if connection.vendor == "mongodb" else 40,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
