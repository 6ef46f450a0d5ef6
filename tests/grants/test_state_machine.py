"""Applicants, staff, buyers, Stripe, the LMS and time in any order that Hypothesis finds.

A model beside them only counts.
"""

import contextlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from courses.models import Course
from enrollments import coupons
from enrollments.models import Enrollment
from grants import applications, redemption
from grants.applications import Application, Decision
from grants.errors import AlreadyDecided, ApplicationOpen, BudgetExceeded, CouponUnavailable
from grants.models import Grant, GrantEvent, Program
from maaledu.work.items import DONE
from notifications.models import Email
from payments import orders, settlement
from payments.models import Payment, Refund, StripeEvent
from tests.factories import completed, deliver, expired, make_course, refunded
from tests.grants.make import STAFF, refund, refuse_enrollment, run_out, with_session
from tests.state_machine import VerifiedMachine

pytestmark = pytest.mark.slow

EMAILS = ("ada@example.com", "bob@example.com", "cyn@example.com")
BUDGET, GRANTS = 120_000, 4
STRIPE_MINIMUM = 50
GOOD_AGAIN = timedelta(days=14)
COUNTED = (Grant.APPROVED, Grant.RESERVED, Grant.REDEEMED)
LEADS_TO = {
    "applied": Grant.PENDING,
    "approved": Grant.APPROVED,
    "rejected": Grant.REJECTED,
    "revoked": Grant.REVOKED,
    "reserved": Grant.RESERVED,
    "released": Grant.APPROVED,
    "redeemed": Grant.REDEEMED,
    "redeemed late": Grant.REDEEMED,
    "reinstated": Grant.APPROVED,
    "expired": Grant.EXPIRED,
}


def cost_of(price: int, percent: int) -> int:
    """What a grant takes of a budget, in the test's own arithmetic.

    Half up, and all of the price where too little is left to charge.
    """
    discount = (2 * price * percent + 100) // 200
    return price if price - discount < STRIPE_MINIMUM else discount


class GrantDesk(VerifiedMachine):
    """Only the rows of a checkout: `tests/grants/test_redemption.py` has the requests to Stripe."""

    applied = Bundle("applied")
    approved = Bundle("approved")
    payments = Bundle("payments")
    repaid = Bundle("repaid")

    @initialize(target=approved)
    def open(self) -> Any:
        """Start with a coupon of each kind approved, so that few steps lead far."""
        self.client = Client()
        self.course = make_course(price=49900)
        self.program = Program.objects.create(
            name="Fund", currency="usd", budget_amount=BUDGET, budget_grants=GRANTS
        )
        # of the grants that the program pays, at the price of their approval
        self.costs: dict[UUID, int] = {}
        self.dropped: set[UUID] = set()  # of those, the used ones that could not be reinstated
        self.was_overdrawn = False
        return multiple(self.grant(EMAILS[0], 50), self.grant(EMAILS[1], 100))

    # --- applicants and staff ---------------------------------------------------------------------
    @rule(target=applied, email=st.sampled_from(EMAILS))
    def apply(self, email: str) -> UUID:
        try:
            return applications.file(self.course, Application("Somebody", email, "s", "m")).pk
        except ApplicationOpen:
            return Grant.objects.open().get(course=self.course, email=email).pk

    @rule(target=applied, key=approved)
    def apply_again(self, key: UUID) -> UUID:
        """Whoever has used a coupon may ask for another one."""
        return self.apply(Grant.objects.get(pk=key).email)

    @rule(
        target=approved,
        key=consumes(applied),
        percent=st.sampled_from([10, 50, 99, 100]),
        funded=st.booleans(),
    )
    def approve(self, key: UUID, percent: int, funded: bool) -> UUID:
        decision = Decision(
            percent, timezone.now() + timedelta(days=9), self.program if funded else None
        )
        with contextlib.suppress(AlreadyDecided, BudgetExceeded):
            applications.approve(Grant.objects.get(pk=key), decision, by=STAFF)
            if funded:
                self.costs[key] = cost_of(self.course.price, percent)
                assert not self._is_overdrawn()
        return key

    @rule(target=approved, email=st.sampled_from(EMAILS), percent=st.sampled_from([50, 100]))
    def grant(self, email: str, percent: int) -> UUID:
        return self.approve(self.apply(email), percent, funded=True)

    @rule(key=consumes(applied))
    def reject(self, key: UUID) -> None:
        with contextlib.suppress(AlreadyDecided):
            applications.reject(Grant.objects.get(pk=key), by=STAFF, reason="budget")

    @rule(key=approved)
    def revoke(self, key: UUID) -> None:
        with contextlib.suppress(AlreadyDecided):
            applications.revoke(Grant.objects.get(pk=key), by=STAFF)

    @rule(key=approved)
    def reissue(self, key: UUID) -> None:
        with contextlib.suppress(AlreadyDecided):
            applications.reissue(Grant.objects.get(pk=key), by=STAFF)

    # --- time -------------------------------------------------------------------------------------
    @rule(key=approved, is_swept=st.booleans())
    def runs_out(self, key: UUID, is_swept: bool) -> None:
        run_out(Grant.objects.get(pk=key))
        if is_swept:
            self.sweep()

    def sweep(self) -> None:
        overdue = Grant.objects.overdue(timezone.now()).count()
        assert redemption.expire_overdue() == overdue

    @rule(price=st.sampled_from([49900, 19999, 4900]), key=approved)
    def price_changes(self, price: int, key: UUID) -> None:
        Course.objects.filter(pk=self.course.pk).update(price=price)
        self.course.refresh_from_db()

    # --- buyers and Stripe ------------------------------------------------------------------------
    @rule(target=payments, key=approved)
    def check_out(self, key: UUID) -> Any:
        """What checkout writes before Stripe is asked; a free enrollment needs no more."""
        grant = Grant.objects.get(pk=key)
        held = Enrollment.objects.live().of_buyer(self.course, grant.email).first()
        if held is None and grant.code:
            try:
                quote = redemption.quote(code=grant.code, email=grant.email, course=self.course)
                order = orders.Order(self.course, grant.email, "", quote.price, quote.grant)
                payment = orders.write(order).payment
            except CouponUnavailable:
                return multiple()
            return with_session(payment).pk if payment else multiple()
        open_payment = (
            Payment.objects.filter(enrollment=held, status=Payment.PENDING).first()
            if held
            else None
        )
        return open_payment.pk if open_payment else multiple()

    @rule(key=payments)
    def is_paid(self, key: UUID) -> None:
        """Perhaps late: the checkout has ended, or its coupon expired, or somebody paid already."""
        deliver(self.client, completed(Payment.objects.get(pk=key)))
        self._note_counted_again(Payment.objects.get(pk=key))

    @rule(target=payments, key=approved)
    def buys(self, key: UUID) -> Any:
        payment = self.check_out(key)
        if isinstance(payment, UUID):
            self.is_paid(payment)
        return payment

    @rule(target=payments, key=approved)
    def pays_too_late(self, key: UUID) -> Any:
        """The checkout ends, the coupon expires, the sweep runs, and then the money arrives."""
        payment = self.check_out(key)
        if isinstance(payment, UUID):
            self.expires(payment)
            self.runs_out(key, is_swept=True)
            self.is_paid(payment)
        return payment

    @rule(key=payments)
    def expires(self, key: UUID) -> None:
        deliver(self.client, expired(Payment.objects.get(pk=key)))

    @rule(key=payments)
    def is_left(self, key: UUID) -> None:
        settlement.abandon(
            Payment.objects.get(pk=key), unpaid=settlement.LEARNER_CANCELLED, actor="test"
        )

    # --- enrollments that end ---------------------------------------------------------------------
    @rule(
        target=repaid,
        key=payments,
        gives_back=st.sampled_from([True, True, False]),
        has_applied_again=st.booleans(),
    )
    def is_refunded(self, key: UUID, gives_back: bool, has_applied_again: bool) -> Any:
        payment = Payment.objects.get(pk=key)
        if payment.status != Payment.PAID or payment.refund_committed:
            return multiple()
        if has_applied_again:
            self.apply(payment.enrollment.email)
        used = Grant.objects.filter(
            enrollment_id=payment.enrollment_id, status=Grant.REDEEMED
        ).first()
        is_blocked = used is not None and self._has_open(used)
        payload = refund(payment, gives_coupon_back=gives_back)
        assert Refund.objects.get(stripe_refund_id=payload["id"]).status == Refund.SUCCEEDED
        if payment.is_fulfilling:
            assert Enrollment.objects.get(pk=payment.enrollment_id).status == Enrollment.REFUNDED
            if used and gives_back:
                self._comes_back(used, is_blocked=is_blocked)
        return key, payload

    @rule(what=consumes(repaid))
    def refund_fails(self, what: tuple[UUID, dict[str, Any]]) -> None:
        key, payload = what
        deliver(self.client, refunded({**payload, "status": "failed"}, "refund.failed"))
        self._note_counted_again(Payment.objects.get(pk=key))

    @rule(key=approved, has_applied_again=st.booleans())
    def is_rolled_back(self, key: UUID, has_applied_again: bool) -> None:
        enrollment = (
            Enrollment.objects.paid().filter(grant_id=key, kind=Enrollment.KIND_GRANT).first()
        )
        if enrollment is None:
            return
        grant = Grant.objects.get(pk=key)
        if has_applied_again:
            self.apply(grant.email)
        is_blocked = self._has_open(grant)
        refuse_enrollment(enrollment)
        assert coupons.roll_back(enrollment, by=STAFF)
        self._comes_back(grant, is_blocked=is_blocked)
        grant.refresh_from_db()
        payload = Email.objects.get(dedupe_key=f"grant_rolled_back:{key}:{enrollment.pk}").context
        assert payload["is_reinstated"] == (not is_blocked)
        assert (
            is_blocked
            or payload["expires_on"]
            == f"{grant.expires_at:%B} {grant.expires_at.day}, {grant.expires_at:%Y, %H:%M} UTC"
        )

    def _has_open(self, grant: Grant) -> bool:
        return Grant.objects.open().filter(course=self.course, email=grant.email).exists()

    def _comes_back(self, grant: Grant, *, is_blocked: bool) -> None:
        """It can be used again for two weeks at least, or stays used and is not counted.

        The latter if its holder has a newer one open.
        """
        enrollment = grant.enrollment_id
        grant.refresh_from_db()
        if is_blocked:
            assert (grant.status, grant.enrollment_id) == (Grant.REDEEMED, enrollment)
            self.dropped.add(grant.pk)
        else:
            assert (grant.status, grant.enrollment_id) == (Grant.APPROVED, None)
            assert grant.expires_at > timezone.now() + GOOD_AGAIN - timedelta(minutes=1)
            self.dropped.discard(grant.pk)

    def _note_counted_again(self, payment: Payment) -> None:
        """A coupon that a paid enrollment has used is counted, whatever was before."""
        used = Grant.objects.filter(
            enrollment_id=payment.enrollment_id, status=Grant.REDEEMED
        ).first()
        if used and Enrollment.objects.paid().filter(pk=payment.enrollment_id).exists():
            self.dropped.discard(used.pk)

    # --- what holds after every step --------------------------------------------------------------
    def _counted(self) -> list[int]:
        status = dict(Grant.objects.filter(pk__in=list(self.costs)).values_list("pk", "status"))
        return [
            cost
            for key, cost in self.costs.items()
            if status[key] in COUNTED and key not in self.dropped
        ]

    def _is_overdrawn(self) -> bool:
        held = self._counted()
        return sum(held) > BUDGET or len(held) > GRANTS

    @invariant()
    def everything_holds(self) -> None:
        """But for a budget that late payments have exceeded, which is named."""
        if hasattr(self, "program"):
            over = (
                [f"check_budgets: program {self.program.pk} is over its budget"]
                if self._is_overdrawn()
                else []
            )
            assert self.verify() == over

    @invariant()
    def the_program_has_committed_what_its_grants_take(self) -> None:
        if hasattr(self, "program"):
            held = self._counted()
            self.program.refresh_from_db()
            assert (self.program.committed_amount, self.program.committed_grants) == (
                sum(held),
                len(held),
            )

    @invariant()
    def staff_are_alerted_of_what_exceeds_the_budget(self) -> None:
        """Only what has been paid can: no approval does (see `approve`)."""
        if hasattr(self, "program"):
            self.was_overdrawn = self.was_overdrawn or self._is_overdrawn()
            assert (
                Email.objects.filter(dedupe_key__startswith="alert:over-budget:").exists()
                == self.was_overdrawn
            )

    @invariant()
    def no_event_of_stripe_is_stuck(self) -> None:
        assert set(StripeEvent.objects.values_list("status", flat=True)) <= {DONE}

    @invariant()
    def every_move_has_left_its_row(self) -> None:
        at: dict[UUID, str] = {}
        for event in GrantEvent.objects.order_by("created_at", "pk"):
            to = LEADS_TO.get(event.what.partition(" at ")[0].partition(":")[0])
            if to:
                assert to == Grant.PENDING or at[event.grant_id] in Grant.TRANSITIONS[to]
                at[event.grant_id] = to
        assert at == dict(Grant.objects.values_list("pk", "status"))


@pytest.mark.django_db
@pytest.mark.breaks_invariants
def test_a_coupon_is_used_once_and_the_budget_holds_whatever_happens() -> None:
    run_state_machine_as_test(
        GrantDesk,
        settings=settings(
            # Hypothesis thinks of the same ones every time: all are tried on SQLite.
            max_examples={"sqlite": 24, "postgresql": 8, "mongodb": 4}[connection.vendor],
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
