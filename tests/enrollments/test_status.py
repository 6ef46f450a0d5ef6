from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from enrollments import settlement
from enrollments.models import Enrollment, Payment
from enrollments.provisioning import LMS_JOBS
from enrollments.status import describe
from lms_sync.models import PlatformState, SyncJob
from maaledu import work
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import async_failed, completed, deliver, expired, make_pending, unpaid
from tests.sandbox_client import Sandbox


def page(client: Client, enrollment: Enrollment) -> str:
    answer = client.get(enrollment.get_absolute_url())
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    fragment = client.get(f"{enrollment.get_absolute_url()}status/")
    assert fragment.status_code == 200
    assert "<html" not in fragment.content.decode()
    return answer.content.decode()


def state_of(enrollment: Enrollment) -> str:
    enrollment.refresh_from_db()
    return describe(enrollment, enrollment.payments.order_by("-attempt").first()).state


def test_the_page_tells_the_truth_from_payment_to_course(buyer: Client, sandbox: Sandbox) -> None:
    enrollment, payment = make_pending()
    assert state_of(enrollment) == "awaiting_payment"
    assert "Waiting for your payment" in page(buyer, enrollment)
    deliver(buyer, completed(payment))
    assert state_of(enrollment) == "paid_setting_up"
    html = page(buyer, enrollment)
    assert "Payment received" in html
    assert enrollment.course_link not in html
    run_lms_job()
    assert state_of(enrollment) == "ready"
    html = page(buyer, enrollment)
    assert "Your course is ready" in html
    enrollment.refresh_from_db()
    assert f'href="{enrollment.course_link}"' in html
    assert "every" not in html.split('id="main"')[1]


def test_a_delayed_payment_says_so_and_then_how_it_ended(buyer: Client) -> None:
    enrollment, payment = make_pending()
    deliver(buyer, unpaid(payment))
    assert state_of(enrollment) == "processing"
    assert "Your payment is on its way" in page(buyer, enrollment)
    deliver(buyer, async_failed(payment))
    assert state_of(enrollment) == "failed"
    html = page(buyer, enrollment)
    assert "did not go through" in html
    assert f"/checkout/{enrollment.course_slug}/" in html


def test_an_outage_is_named_with_its_start_and_the_next_try(buyer: Client, sandbox: Sandbox, settings) -> None:
    settings.LMS_BREAKER_FAILURES = 1
    enrollment = buy(buyer)
    sandbox.fault("lms", "503")
    run_lms_job()
    enrollment.refresh_from_db()
    view = describe(enrollment)
    platform = PlatformState.objects.get()
    assert (view.state, view.unavailable_since, view.next_attempt_at) == ("lms_unavailable", platform.opened_at, platform.retry_at)
    html = page(buyer, enrollment)
    assert "not answering" in html
    assert settings.SUPPORT_EMAIL in html


def test_a_slow_set_up_names_the_next_try(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = buy(buyer)
    sandbox.fault("lms", "500", times=1)
    job = run_lms_job()
    enrollment.refresh_from_db()
    view = describe(enrollment)
    assert (view.state, view.next_attempt_at, view.poll) == ("retrying", job.next_attempt_at, True)


def test_a_dead_letter_is_told_to_the_learner_as_it_is(buyer: Client, sandbox: Sandbox, settings) -> None:
    enrollment = buy(buyer)
    sandbox.lms(courses_any=False, courses=[])
    run_lms_job()
    sandbox.lms(courses_any=True)
    assert state_of(enrollment) == "attention"
    html = page(buyer, enrollment)
    assert settings.SUPPORT_EMAIL in html
    assert "ready" not in describe(enrollment).headline


@pytest.mark.parametrize(
    ("make", "state", "words"),
    [
        (lambda client, payment: deliver(client, expired(payment)), "expired", "has expired"),
        (lambda client, payment: deliver(client, completed(payment, amount_total=1)), "attention", "looking into your payment"),
        (lambda client, payment: settlement.fail(payment, code="STRIPE_UNAVAILABLE", actor="test"), "failed", "could not be started"),
        (
            lambda client, payment: settlement.abandon(payment, ends_as=Payment.CANCELLED, actor="test"),
            "cancelled",
            "You left the checkout",
        ),
    ],
    ids=["expired", "mismatch", "stripe down", "cancelled"],
)
def test_every_ending_has_its_words(client: Client, make, state: str, words: str) -> None:
    enrollment, payment = make_pending()
    make(client, payment)
    assert state_of(enrollment) == state
    assert words in page(client, enrollment)


def test_a_replaced_checkout_points_nobody_to_a_second_payment(client: Client) -> None:
    first, late = make_pending()
    deliver(client, expired(late))
    second, _ = make_pending(first.course, email=first.email)
    deliver(client, completed(late))
    second.refresh_from_db()
    view = describe(second)
    assert (view.state, view.retry_url) == ("cancelled", "")


def test_polling_slows_down_for_a_page_that_was_left_open(client: Client) -> None:
    enrollment, payment = make_pending()
    assert describe(enrollment, payment).poll_seconds == 2
    enrollment.created_at = timezone.now() - timedelta(minutes=5)
    assert describe(enrollment, payment).poll_seconds == 15


def test_nothing_is_called_ready_without_an_lms_enrollment(buyer: Client, sandbox: Sandbox) -> None:
    """Requirements R023, R039."""
    enrollment = buy(buyer)
    assert describe(enrollment).course_link == ""
    assert SyncJob.objects.get().status == "pending"
    work.drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert describe(enrollment).course_link == enrollment.course_link
