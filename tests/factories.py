"""Rows and messages that tests start from. Statuses are reached through the product's own functions
where that matters.
"""

import json
import time
import uuid
from datetime import timedelta
from typing import Any

import factory
import stripe
from django.conf import settings
from django.test import Client
from django.utils import timezone
from factory.django import DjangoModelFactory

from courses.models import Course
from enrollments.models import Enrollment
from payments.models import Payment


class CourseFactory(DjangoModelFactory):
    """A course on sale; checked as the back office would check it."""

    class Meta:
        model = Course

    slug = factory.Sequence("course-{}".format)
    title = factory.Sequence("Course {}".format)
    summary = "A course for a test."
    description = "Everything about it."
    category = Course.Category.DATA
    price = 49900
    currency = "usd"
    status = Course.Status.PUBLISHED
    lms_platform = Course.Platform.FRAPPE
    lms_course_id = factory.SelfAttribute("slug")

    @classmethod
    def _create(cls, model_class: type[Course], *args: Any, **fields: Any) -> Course:
        course = model_class(*args, **fields)
        course.full_clean()
        course.save()
        return course


class EnrollmentFactory(DjangoModelFactory):
    """A pending enrollment at the course's price, as checkout leaves it behind."""

    class Meta:
        model = Enrollment

    course = factory.SubFactory(CourseFactory)
    email = factory.Sequence("learner{}@example.com".format)
    kind = Enrollment.KIND_PAID
    course_title = factory.SelfAttribute("course.title")
    course_slug = factory.SelfAttribute("course.slug")
    lms_platform = factory.SelfAttribute("course.lms_platform")
    lms_course_id = factory.SelfAttribute("course.lms_course_id")
    list_price = factory.SelfAttribute("course.price")
    amount = factory.SelfAttribute("course.price")
    currency = factory.SelfAttribute("course.currency")


class PaymentFactory(DjangoModelFactory):
    """An open payment of the whole amount."""

    class Meta:
        model = Payment

    enrollment = factory.SubFactory(EnrollmentFactory)
    amount = factory.SelfAttribute("enrollment.amount")
    currency = factory.SelfAttribute("enrollment.currency")
    idempotency_key = factory.LazyFunction(lambda: f"checkout-{uuid.uuid4()}")
    stripe_session_id = factory.LazyFunction(lambda: f"cs_test_{uuid.uuid4().hex}")
    checkout_url = factory.LazyAttribute(
        lambda payment: f"http://sandbox.example/pay/{payment.stripe_session_id}"
    )
    expires_at = factory.LazyFunction(
        lambda: timezone.now().replace(microsecond=0) + timedelta(minutes=36)
    )


make_course = CourseFactory.create
# What a course on sale has been asked for when it was put there.
COMPLETE: dict[str, Any] = {
    "description": "About it.",
    "outcomes": ["Do it"],
    "syllabus": [{"title": "One", "lessons": ["a"]}],
    "lms_facts_at": timezone.now(),
}


def taught_by(*lines: str) -> list[dict[str, str]]:
    """Return the instructors of lines such as `Ada, Analyst`."""
    people = (line.partition(", ") for line in lines)
    return [{"name": name, "role": role} for name, _, role in people]


def make_pending(course: Course | None = None, **fields: Any) -> tuple[Enrollment, Payment]:
    """Return a pending enrollment with an open payment, as checkout leaves them behind."""
    enrollment = EnrollmentFactory.create(course=course or make_course(), **fields)
    return enrollment, make_payment(enrollment)


def make_payment(enrollment: Enrollment, **fields: Any) -> Payment:
    return PaymentFactory.create(enrollment=enrollment, **fields)


def session_of(payment: Payment, **fields: Any) -> dict[str, Any]:
    """Return the Checkout Session as Stripe shows it, paid unless said otherwise."""
    return {
        "id": payment.stripe_session_id,
        "object": "checkout.session",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": payment.amount,
        "currency": payment.currency,
        "payment_intent": intent_of(payment),
        "client_reference_id": str(payment.enrollment_id),
        "metadata": _ids_of(payment),
        "livemode": False,
        **fields,
    }


def _ids_of(payment: Payment) -> dict[str, str]:
    ids = {"payment_id": str(payment.pk), "enrollment_id": str(payment.enrollment_id)}
    began = payment.enrollment.request_id
    return {**ids, "request_id": began} if began else ids


def event_of(
    session: dict[str, Any], kind: str = "checkout.session.completed", **fields: Any
) -> dict[str, Any]:
    return {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": kind,
        "api_version": settings.STRIPE_API_VERSION,
        "created": int(time.time()),
        "livemode": False,
        "pending_webhooks": 1,
        "data": {"object": session},
        **fields,
    }


COMPLETED = "checkout.session.completed"
ASYNC_SUCCEEDED = "checkout.session.async_payment_succeeded"
ASYNC_FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"


def completed(payment: Payment, **fields: Any) -> dict[str, Any]:
    return event_of(session_of(payment, **fields), COMPLETED)


def unpaid(payment: Payment) -> dict[str, Any]:
    return completed(payment, payment_status="unpaid")


def async_succeeded(payment: Payment) -> dict[str, Any]:
    return event_of(session_of(payment), ASYNC_SUCCEEDED)


def async_failed(payment: Payment) -> dict[str, Any]:
    return event_of(session_of(payment, payment_status="unpaid"), ASYNC_FAILED)


def expired(payment: Payment) -> dict[str, Any]:
    return event_of(
        session_of(payment, status="expired", payment_status="unpaid", payment_intent=None), EXPIRED
    )


def refund_of(payment: Payment, amount: int | None = None, **fields: Any) -> dict[str, Any]:
    """Return a refund as Stripe shows it: whole and succeeded unless said otherwise."""
    return {
        "id": f"re_{uuid.uuid4().hex}",
        "object": "refund",
        "amount": payment.amount if amount is None else amount,
        "currency": payment.currency,
        "payment_intent": intent_of(payment),
        "status": "succeeded",
        "reason": "requested_by_customer",
        "metadata": {},
        **fields,
    }


def dispute_of(payment: Payment, status: str = "needs_response", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"du_{payment.pk.hex}",
        "object": "dispute",
        "amount": payment.amount,
        "currency": payment.currency,
        "payment_intent": intent_of(payment),
        "status": status,
        "reason": "fraudulent",
        "evidence_details": {"due_by": 2_000_000_000},
        **fields,
    }


def refunded(refund: dict[str, Any], kind: str = "refund.created") -> dict[str, Any]:
    return event_of(refund, kind)


def disputed(dispute: dict[str, Any], kind: str = "charge.dispute.created") -> dict[str, Any]:
    return event_of(dispute, kind)


def intent_of(payment: Payment) -> str:
    return f"pi_{payment.pk.hex[-12:]}"


def signed(body: str, *, secret: str | None = None, timestamp: int | None = None) -> str:
    return stripe.WebhookSignature.generate_signature_header(
        payload=body, secret=secret or settings.STRIPE_WEBHOOK_SECRETS[0], timestamp=timestamp
    )


def deliver(
    client: Client, event: Any, *, path: str = "/api/webhook", header: str | None = None
) -> Any:
    """POST an event as Stripe would, rightly signed unless `header` says otherwise."""
    body = event if isinstance(event, str) else json.dumps(event)
    signature = signed(body) if header is None else header
    return client.post(
        path, data=body, content_type="application/json", headers={"Stripe-Signature": signature}
    )
