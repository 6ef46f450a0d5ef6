import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from courses import publishing
from enrollments import access_comparison, access_repairs
from enrollments.models import AccessDifference, Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from maaledu.work.queue import drain
from notifications.models import UndeliverableAddress
from payments import settlement
from payments.models import Payment
from storefront.status import describe
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import async_failed, completed, deliver, expired, make_pending, unpaid
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine


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
    return describe(enrollment).state


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


@pytest.mark.parametrize(
    ("reason", "says"),
    [("bounced", "come back"), ("complained", "as spam"), ("refused", "come back")],
)
def test_the_page_says_that_our_mails_do_not_arrive(
    buyer: Client, sandbox: Sandbox, reason: str, says: str
) -> None:
    """Fault E1: nothing promises a mail that is held."""
    enrollment = buy(buyer)
    run_lms_job()
    assert "We have sent the details to that address." in page(buyer, enrollment)
    UndeliverableAddress.objects.create(email=enrollment.email, reason=reason)
    html = page(buyer, enrollment)
    assert f"Our e-mails to {enrollment.email} " in html
    assert says in html
    assert "We have sent the details" not in html
    assert "at support@devhb.com, and we correct it" in html


def test_a_title_from_right_to_left_keeps_its_order_within_a_sentence(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Fault S2."""
    enrollment = buy(buyer)
    run_lms_job()
    Enrollment.objects.filter(pk=enrollment.pk).update(course_title="تعلم Python")
    assert "is enrolled in \u2068تعلم Python\u2069." in page(buyer, enrollment)


def test_the_page_names_the_shop_and_gives_its_moments_with_the_year(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    enrollment = buy(buyer)
    run_lms_job()
    enrollment.refresh_from_db()
    html = page(buyer, enrollment)
    assert (
        f"<title>Your course is ready · {enrollment.course_title} · {settings.SITE_NAME}</title>"
        in html
    )
    moments = re.findall(r"<time [^>]+>([^<]+)</time>", html)
    assert moments == [
        f"{at:%B} {at.day}, {at:%Y, %H:%M} UTC"
        for at in (enrollment.paid_at, *[enrollment.lms_synced_at] * 2)
    ]
    news = buyer.get(
        f"{enrollment.get_absolute_url()}status/?seen=paid_setting_up",
        headers={"HX-Request": "true"},
    ).content.decode()
    assert (
        f"<title>Your course is ready · {enrollment.course_title} · {settings.SITE_NAME}</title>"
        in news
    )


def test_a_step_is_called_done_only_when_it_is(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = buy(buyer)
    assert [step.label for step in describe(enrollment).steps] == [
        "Payment received",
        "Setting up your course",
        "Course ready",
    ]
    run_lms_job()
    enrollment.refresh_from_db()
    assert [step.label for step in describe(enrollment).steps] == [
        "Payment received",
        "Your course is set up",
        "Course ready",
    ]


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
    publishing.archive(enrollment.course)
    assert f"/checkout/{enrollment.course_slug}/" not in page(buyer, enrollment)


def test_an_outage_is_named_with_its_start_and_the_next_try(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.LMS_BREAKER_FAILURES = 1
    enrollment = buy(buyer)
    sandbox.fault("lms", "503")
    run_lms_job()
    enrollment.refresh_from_db()
    view = describe(enrollment)
    platform = PlatformState.objects.get()
    assert (view.state, view.unavailable_since, view.next_attempt_at) == (
        "lms_unavailable",
        platform.opened_at,
        platform.retry_at,
    )
    html = page(buyer, enrollment)
    assert "not answering" in html
    assert f'since <time datetime="{platform.opened_at:%Y-%m-%dT%H:%M}' in html
    assert (
        f"{platform.opened_at:%B} {platform.opened_at.day}, {platform.opened_at:%Y, %H:%M}"
        " UTC</time>" in html
    )
    assert settings.SUPPORT_EMAIL in html


def test_a_slow_set_up_names_the_next_try(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = buy(buyer)
    sandbox.fault("lms", "500", times=1)
    job = run_lms_job()
    enrollment.refresh_from_db()
    view = describe(enrollment)
    assert (view.state, view.next_attempt_at, view.poll) == ("retrying", job.next_attempt_at, True)


def test_a_dead_letter_is_shown_to_the_learner_as_it_is(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
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
        (
            lambda client, payment: deliver(client, completed(payment, amount_total=1)),
            "attention",
            "looking into your payment",
        ),
        (
            lambda client, payment: settlement.fail(
                payment, code="STRIPE_UNAVAILABLE", actor="test"
            ),
            "failed",
            "could not be started",
        ),
        (
            lambda client, payment: settlement.abandon(
                payment, unpaid=settlement.LEARNER_CANCELLED, actor="test"
            ),
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
    enrollment, _ = make_pending()
    found = []
    for minutes in (0, 5, 30, 180):
        enrollment.created_at = timezone.now() - timedelta(minutes=minutes)
        found.append(describe(enrollment).poll_seconds)
    assert found == [2, 5, 15, 60]


def let_pass(enrollment: Enrollment, minutes: int) -> Enrollment:
    """Return the enrollment as it is so many minutes after it was paid."""
    paid_at = timezone.now() - timedelta(minutes=minutes)
    Enrollment.objects.filter(pk=enrollment.pk).update(created_at=paid_at, paid_at=paid_at)
    enrollment.refresh_from_db()
    return enrollment


@pytest.mark.parametrize(
    ("state", "make"),
    [
        ("paid_setting_up", lambda: None),
        (
            "retrying",
            lambda: SyncJob.objects.update(attempts=2, fence=2, next_attempt_at=timezone.now()),
        ),
        (
            "lms_unavailable",
            lambda: PlatformState.objects.create(
                name="frappe", state="open", retry_at=timezone.now()
            ),
        ),
    ],
)
def test_a_page_that_waits_for_the_lms_asks_less_the_longer_it_waits(
    buyer: Client, state: str, make: Callable
) -> None:
    enrollment = buy(buyer)
    make()
    assert (describe(enrollment).state, describe(enrollment).poll_seconds) == (state, 2)
    assert [
        describe(let_pass(enrollment, minutes)).poll_seconds for minutes in (1, 9, 59, 61, 10_000)
    ] == [2, 5, 15, 60, 60]


@pytest.mark.every_engine
@pytest.mark.parametrize("failed", [True, False], ids=["refused", "bank at work"])
def test_a_page_that_waits_for_people_asks_slowly_and_then_slower(
    buyer: Client, failed: bool
) -> None:
    enrollment, _ = make_pending()
    if failed:
        enrollment = buy(buyer)
        SyncJob.objects.update(status="dead")
        DeadLetter.objects.create(
            job=SyncJob.objects.get(),
            first_attempt_at=timezone.now(),
            last_attempt_at=timezone.now(),
        )
        DeadLetter.objects.update(notification_sent_at=timezone.now())
    else:
        Payment.objects.update(status=Payment.PROCESSING)
    assert [describe(let_pass(enrollment, minutes)).poll_seconds for minutes in (0, 30, 61)] == [
        15,
        15,
        60,
    ]


def test_a_throttled_learner_reads_when_it_goes_on(buyer: Client, sandbox: Sandbox) -> None:
    """A stock LMS makes 60 users an hour: the next learner waits, which is no failed attempt, and
    not a few seconds either.
    """
    enrollment = buy(buyer)
    sandbox.fault("lms", "429", retry_after=1800)
    job = run_lms_job()
    assert (job.status, job.attempts) == ("pending", 0)
    view = describe(enrollment)
    assert (view.state, view.next_attempt_at, view.poll_seconds) == (
        "retrying",
        job.next_attempt_at,
        60,
    )
    assert "few seconds" not in view.detail
    assert f"{job.next_attempt_at:%H:%M} UTC" in page(buyer, enrollment)


@pytest.mark.every_engine
def test_the_page_asks_just_after_the_next_try_and_never_in_vain_before(buyer: Client) -> None:
    enrollment = buy(buyer)
    for seconds, poll in ((1, 2), (8, 9), (40, 41), (3000, 60)):
        SyncJob.objects.update(
            attempts=1, fence=1, next_attempt_at=timezone.now() + timedelta(seconds=seconds)
        )
        assert poll <= describe(enrollment).poll_seconds <= poll + 1
    PlatformState.objects.create(
        name="frappe", state="open", retry_at=timezone.now() + timedelta(seconds=30)
    )
    assert 30 <= describe(enrollment).poll_seconds <= 32


def test_what_is_not_done_after_minutes_is_not_said_to_take_seconds(buyer: Client) -> None:
    """No worker has taken it up, and when one will nobody knows."""
    enrollment = let_pass(buy(buyer), 10)
    SyncJob.objects.update(next_attempt_at=enrollment.paid_at)
    view = describe(enrollment)
    assert (view.state, view.next_attempt_at) == ("retrying", None)
    assert "Next try" not in page(buyer, enrollment)


def test_nothing_is_called_ready_without_an_lms_enrollment(buyer: Client, sandbox: Sandbox) -> None:
    """Requirements R023, R039."""
    enrollment = buy(buyer)
    assert describe(enrollment).course_link == ""
    assert SyncJob.objects.get().status == "pending"
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert describe(enrollment).course_link == enrollment.course_link


def test_access_that_was_lost_in_the_lms_has_no_link_any_more(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Requirement R023: until staff have it given again, the page says what is true."""
    enrollment = buy(buyer)
    run_lms_job()
    sandbox.lms(remove=[SyncJob.objects.get().lms_enrollment_id])
    assert state_of(enrollment) == "ready"
    access_comparison.compare("frappe")
    assert state_of(enrollment) == "lost"
    html = page(buyer, enrollment)
    assert f"{enrollment.email} is not enrolled on the learning platform any more" in html
    assert enrollment.course_link not in html
    difference = AccessDifference.objects.get()
    assert access_repairs.repair(difference, by="staff@example.com")
    assert state_of(enrollment) == "paid_setting_up"
    drain(LMS_JOBS)
    assert state_of(enrollment) == "ready"
