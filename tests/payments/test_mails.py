"""What a buyer is mailed about a bank's debit: once when it is on its way, once when it failed."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from enrollments.models import Enrollment
from grants.models import Grant
from notifications import outgoing
from notifications.models import Email
from payments import checkout_sessions, settlement
from payments.models import Payment
from tests.factories import (
    async_failed,
    async_succeeded,
    completed,
    deliver,
    expired,
    make_course,
    make_pending,
    unpaid,
)
from tests.grants.make import HOLDER, make_coupon
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine


def kinds(to: str) -> list[str]:
    return sorted(Email.objects.filter(to=to).values_list("kind", flat=True))


def test_a_debit_on_its_way_is_mailed_once_with_the_link(client: Client) -> None:
    enrollment, payment = make_pending()
    for _ in range(2):
        deliver(client, unpaid(payment))
    assert kinds(enrollment.email) == ["payment_processing"]
    message = outgoing.compose(Email.objects.get())
    assert message.subject == f"Your payment is on its way: {enrollment.course_title}"
    for said in ("$499.00", "a few working days", enrollment.status_link):
        assert said in message.body


def test_a_debit_that_failed_is_mailed_once_with_the_way_to_try_again(client: Client) -> None:
    enrollment, payment = make_pending()
    deliver(client, unpaid(payment))
    for _ in range(2):
        deliver(client, async_failed(payment))
    assert kinds(enrollment.email) == ["payment_failed", "payment_processing"]
    message = outgoing.compose(Email.objects.get(kind="payment_failed"))
    assert message.subject == f"Your payment did not go through: {enrollment.course_title}"
    link = f"{settings.SITE_URL}/checkout/{enrollment.course_slug}/"
    assert link in message.body.splitlines()
    assert "Nothing was charged" in message.body
    assert client.get(link.removeprefix(settings.SITE_URL)).status_code == 200


def test_a_failure_that_arrives_before_the_debit_is_the_only_mail(client: Client) -> None:
    enrollment, payment = make_pending()
    deliver(client, async_failed(payment))
    deliver(client, unpaid(payment))
    assert kinds(enrollment.email) == ["payment_failed"]


def test_a_debit_that_arrived_is_not_followed_by_a_failure(client: Client) -> None:
    enrollment, payment = make_pending()
    for event in (unpaid(payment), async_succeeded(payment), async_failed(payment)):
        deliver(client, event)
    assert kinds(enrollment.email) == ["payment_processing"]
    assert Enrollment.objects.get().status == "paid"


@pytest.mark.parametrize("event", [completed, expired])
def test_a_card_and_a_session_that_ran_out_are_not_mailed_about(client: Client, event) -> None:
    _, payment = make_pending()
    deliver(client, event(payment))
    assert not Email.objects.exists()


def test_a_session_that_stripe_never_made_is_not_mailed_as_a_banks_refusal() -> None:
    _, payment = make_pending()
    settlement.fail(payment, code="STRIPE_UNAVAILABLE", actor="checkout")
    assert Enrollment.objects.get().status == "failed"
    assert not Email.objects.exists()


@pytest.mark.every_engine
def test_the_failed_debit_of_a_superseded_enrollment_is_not_mailed_about(client: Client) -> None:
    enrollment, payment = make_pending()
    deliver(client, unpaid(payment))
    Email.objects.all().delete()
    Payment.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    other = Payment.objects.get()
    other.pk, other.attempt, other.status = None, 2, "failed"
    other.idempotency_key, other.stripe_session_id = "checkout-other", "cs_other"
    other.save(force_insert=True)
    deliver(client, completed(other))
    deliver(client, async_failed(payment))
    assert Enrollment.objects.get().status == "paid"
    assert kinds(enrollment.email) == []


def test_trying_again_brings_the_grants_coupon_along(client: Client, sandbox: Sandbox) -> None:
    grant = make_coupon(make_course(price=49900), percent=50)
    form = {"email": HOLDER, "accept_terms": "on", "coupon": grant.code}
    assert client.post(f"/checkout/{grant.course.slug}/", form).status_code == 302
    payment = Payment.objects.get()
    sandbox.pay(payment.stripe_session_id, "delayed_failure", delay=3600)
    checkout_sessions.ask_stripe(payment, actor="test")
    sandbox.advance(3601)
    checkout_sessions.ask_stripe(Payment.objects.get(), actor="test")
    link = Email.objects.get(kind="payment_failed").context["retry_link"]
    assert link.endswith(f"/checkout/{grant.course.slug}/?grant={grant.token}")
    assert Grant.objects.get().status == "approved"
    assert grant.code in client.get(link.removeprefix(settings.SITE_URL)).content.decode()
