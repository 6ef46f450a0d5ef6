"""Whoever paid and has no access yet gets one e-mail that it follows, after a time that is set."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from enrollments import late_access
from enrollments.late_access import mail_buyers_without_access
from enrollments.models import Enrollment
from notifications import outgoing
from notifications.models import Email
from operations import queues
from tests.concurrency import race
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import deliver, make_course, make_pending, refund_of, refunded
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

AFTER = timedelta(minutes=10)


def paid_ago(enrollment: Enrollment, ago: timedelta = AFTER) -> None:
    Enrollment.objects.filter(pk=enrollment.pk).update(paid_at=timezone.now() - ago)


def received() -> list[Email]:
    return list(Email.objects.filter(kind="payment_received"))


@pytest.mark.every_engine
def test_a_buyer_without_access_is_mailed_once_with_the_link(buyer: Client) -> None:
    enrollment = buy(buyer)
    paid_ago(enrollment)
    assert [mail_buyers_without_access() for _ in range(3)] == [1, 0, 0]
    [email] = received()
    message = outgoing.compose(email)
    assert email.to == enrollment.email
    assert message.subject == f"We have your payment, and access follows: {enrollment.course_title}"
    for said in ("$499.00", "longer than usual", enrollment.status_link):
        assert said in message.body


@pytest.mark.parametrize(
    ("ago", "mails"),
    [
        (timedelta(), 0),
        (AFTER - timedelta(seconds=5), 0),
        (AFTER + timedelta(seconds=1), 1),
        (timedelta(days=80), 1),
        (settings.WORK_KEEP_FINISHED, 0),
    ],
)
def test_the_mail_comes_after_the_time_and_never_when_its_row_may_be_gone(
    buyer: Client, ago: timedelta, mails: int
) -> None:
    paid_ago(buy(buyer), ago)
    assert mail_buyers_without_access() == len(received()) == mails


def test_zero_minutes_switch_the_mail_off(buyer: Client, settings) -> None:
    settings.PAID_WITHOUT_ACCESS_MAIL_AFTER = 0
    paid_ago(buy(buyer), timedelta(days=1))
    assert (mail_buyers_without_access(), received()) == (0, [])


def test_another_time_can_be_set(buyer: Client, settings) -> None:
    settings.PAID_WITHOUT_ACCESS_MAIL_AFTER = 60
    enrollment = buy(buyer)
    paid_ago(enrollment, timedelta(minutes=59))
    assert mail_buyers_without_access() == 0
    paid_ago(enrollment, timedelta(minutes=61))
    assert mail_buyers_without_access() == 1


def test_who_has_access_is_not_mailed(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = buy(buyer)
    run_lms_job()
    paid_ago(enrollment, timedelta(hours=1))
    assert (mail_buyers_without_access(), received()) == (0, [])


def test_access_that_was_given_before_and_is_given_anew_is_not_mailed(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    run_lms_job()
    paid_ago(enrollment, timedelta(hours=1))
    payment = enrollment.payments.get()
    refund = refund_of(payment)
    deliver(buyer, refunded(refund))
    deliver(buyer, refunded({**refund, "status": "failed"}, "refund.failed"))
    enrollment.refresh_from_db()
    assert enrollment.status == "paid"
    assert (mail_buyers_without_access(), received()) == (0, [])


@pytest.mark.every_engine
def test_what_was_free_and_what_is_not_paid_or_refunded_is_not_mailed(buyer: Client) -> None:
    course = make_course(price=0)
    buyer.post(f"/checkout/{course.slug}/", {"email": "a@example.com", "accept_terms": "on"})
    make_pending()
    enrollment = buy(buyer)
    deliver(buyer, refunded(refund_of(enrollment.payments.get())))
    Enrollment.objects.filter(status__in=["paid", "refunded"]).update(
        paid_at=timezone.now() - timedelta(hours=1)
    )
    assert (mail_buyers_without_access(), received()) == (0, [])


@pytest.mark.every_engine
def test_an_access_given_between_the_look_and_the_write_is_not_mailed(buyer: Client) -> None:
    enrollment = buy(buyer)
    paid_ago(enrollment)
    seen = late_access._waiting().get()
    now = timezone.now()
    waiting = Enrollment.objects.filter(pk=enrollment.pk)
    waiting.update(lms_status="success", lms_synced_at=now, lms_enrollment_id="x")
    assert (late_access._mail(seen), received()) == (False, [])
    waiting.update(lms_status="pending", lms_synced_at=None, lms_enrollment_id="")


@pytest.mark.every_engine
def test_sweeps_at_the_same_time_mail_once(buyer: Client) -> None:
    paid_ago(buy(buyer))
    assert sum(race(lambda _: mail_buyers_without_access(), threads=4)) == 1
    assert len(received()) == 1


def test_the_sweep_mails_while_the_lms_is_down(buyer: Client, sandbox: Sandbox) -> None:
    sandbox.fault("lms", "503")
    paid_ago(buy(buyer))
    assert queues.sweep().failed == []
    assert [email.status for email in received()] == ["done"]
    assert len(sandbox.mails(received()[0].to)) == 1


def test_the_page_says_to_keep_its_address_while_access_is_awaited(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    sandbox.fault("lms", "503")
    run_lms_job()
    html = buyer.get(enrollment.get_absolute_url()).content.decode()
    assert 'data-state="retrying"' in html
    assert "Keep the address of this page" in html
    assert str(enrollment.pk) in html
