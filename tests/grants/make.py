"""Grants that tests start from, made by the product's own functions."""

from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from courses.models import Course
from enrollments.models import Enrollment
from grants import applications, redemption
from grants.applications import Application, Decision
from grants.models import Grant, Program
from notifications.models import Email
from payments import orders, refund_requests
from payments.models import Payment
from payments.refund_requests import Request
from tests.factories import completed, deliver, make_course, refund_of, refunded

HOLDER = "holder@example.com"
STAFF = "staff@example.com"


def make_application(course: Course | None = None, *, email: str = HOLDER) -> Grant:
    application = Application("Grace Holder", email, "A situation.", "A motivation.")
    grant = applications.file(course or make_course(), application)
    # Its confirmation has tests of its own.
    Email.objects.filter(dedupe_key__contains=str(grant.pk)).delete()
    return grant


def make_coupon(
    course: Course | None = None,
    *,
    percent: int = 50,
    email: str = HOLDER,
    program: Program | None = None,
) -> Grant:
    decision = Decision(percent, timezone.now() + timedelta(days=30), program)
    return applications.approve(make_application(course, email=email), decision, by=STAFF)


def open_checkout(grant: Grant) -> Payment:
    """Return the open payment of a checkout with this coupon; only rows, Stripe is not asked."""
    course = Course.objects.get(pk=grant.course_id)
    quote = redemption.quote(code=grant.code or "", email=grant.email, course=course)
    order = orders.Order(course, grant.email, "", quote.price, quote.grant)
    payment = orders.write(order).payment
    assert payment is not None
    return with_session(payment)


def with_session(payment: Payment) -> Payment:
    Payment.objects.filter(pk=payment.pk).update(
        stripe_session_id=f"cs_test_{payment.pk.hex}", checkout_url="x"
    )
    return Payment.objects.get(pk=payment.pk)


def buy_with(grant: Grant) -> Payment:
    """Return the payment of an enrollment that was bought with this coupon."""
    payment = open_checkout(grant)
    deliver(Client(), completed(payment))
    return Payment.objects.get(pk=payment.pk)


def refund(payment: Payment, *, gives_coupon_back: bool) -> dict[str, Any]:
    """Have staff refund a payment in full; return the refund as Stripe's event shows it."""
    wanted = Request(
        payment.amount, "requested_by_customer", STAFF, gives_coupon_back=gives_coupon_back
    )
    payload = refund_of(
        payment,
        payment_intent=payment.stripe_payment_intent_id,
        metadata={"refund_id": str(refund_requests.write(payment, wanted).pk)},
    )
    assert deliver(Client(), refunded(payload)).status_code == 200
    return payload


def run_out(grant: Grant) -> None:
    """Let the coupon's time be over, without the sweep."""
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def refuse_enrollment(enrollment: Enrollment) -> None:
    """Write the rows of an enrollment that the LMS refused for good."""
    Enrollment.objects.filter(pk=enrollment.pk).update(lms_status=Enrollment.LMS_FAILED)
