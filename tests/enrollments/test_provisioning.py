import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from enrollments import lms_jobs, mails
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import breaker, dead_letters
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.queue import EMAILS
from operations import outages
from payments.models import Payment
from tests.factories import completed, deliver, make_course, make_pending
from tests.lms_passing import others_get_through
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = pytest.mark.any_engine


def buy(client: Client, **course: object) -> Enrollment:
    enrollment, payment = make_pending(make_course(**course))
    assert deliver(client, completed(payment)).status_code == 200
    enrollment.refresh_from_db()
    return enrollment


def due_again() -> None:
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())


def run_lms_job(times: int = 1) -> SyncJob:
    for _ in range(times):
        due_again()
        drain(LMS_JOBS, limit=1)
    return SyncJob.objects.get()


def test_a_new_purchase_passes_any_backlog(buyer: Client, sandbox: Sandbox) -> None:
    """G12."""
    for _ in range(10):
        buy(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() - timedelta(hours=1))
    enrollment = buy(buyer)
    assert drain(LMS_JOBS, limit=4) == 4, "two of the oldest, then the two newest"
    enrollment.refresh_from_db()
    assert enrollment.has_access


def count(jobs: int) -> int:
    """Return the statements of so many jobs, with those that look for them and claim them.

    Without those that reserve the next calls: their number goes by the clock.
    """
    with statements() as asked:
        assert drain(LMS_JOBS, limit=jobs) == jobs
    writes = ("UPDATE", "db.lms_sync_platformstate.update")
    return sum(not (sql.startswith(writes) and "next_call_at" in sql) for sql in asked)


@pytest.mark.every_engine
def test_a_job_asks_little_of_the_database(
    buyer: Client, sandbox: Sandbox, settings: Settings
) -> None:
    """G12."""
    settings.LMS_FIGURES_EVERY = timedelta(hours=1)
    known = [buy(buyer) for _ in range(6)]
    sandbox.lms(users=[{"email": each.email, "first_name": "K"} for each in known])
    drain(LMS_JOBS, limit=1)  # the first one makes the platform's row
    assert count(1) == 15
    assert count(4) == 15 + 10 * 3 + 4, "ten each, and four for two that are claimed together"
    new = buy(buyer)
    sandbox.lms()
    assert count(1) == 18
    new.refresh_from_db()
    assert new.has_access


def test_a_paid_enrollment_becomes_access_and_then_one_email(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    assert drain(LMS_JOBS) == 1
    enrollment.refresh_from_db()
    rows = sandbox.enrollments(enrollment.email, enrollment.lms_course_id)
    assert [row["name"] for row in rows] == [enrollment.lms_enrollment_id]
    assert (enrollment.lms_status, enrollment.has_access) == ("success", True)
    assert enrollment.lms_synced_at is not None
    assert drain(EMAILS) == 1
    mail = sandbox.mails(enrollment.email)
    assert len(mail) == 1
    assert enrollment.course_title in mail[0]["subject"]
    assert enrollment.course_link in mail[0]["text"]
    assert enrollment.status_link in mail[0]["html"]
    assert mail[0]["message_id"] == Email.objects.get().message_id


def test_a_free_enrollment_is_made_at_once_and_has_an_lms_id(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Requirement R209."""
    course = make_course(price=0)
    buyer.post(f"/checkout/{course.slug}/", {"email": "free@example.com", "accept_terms": "on"})
    drain(LMS_JOBS)
    enrollment = Enrollment.objects.get()
    assert enrollment.has_access
    assert enrollment.lms_enrollment_id == sandbox.enrollments("free@example.com")[0]["name"]
    drain(EMAILS)
    assert len(sandbox.mails("free@example.com")) == 1


def test_no_email_before_access_exists_and_one_when_it_does(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    sandbox.fault("lms", "query_timeout")
    run_lms_job()
    assert Email.objects.count() == 0
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status) == ("paid", "retrying")
    sandbox.heal()
    run_lms_job()
    drain(EMAILS)
    assert len(sandbox.mails(enrollment.email)) == 1


def test_a_failed_attempt_is_tried_again_after_two_seconds_then_by_the_backoff(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    """Decisions: 2 s, then 2, 4, 8, 16, 32 min within 10 %, seven attempts; R120-R122, R210."""
    settings.LMS_BREAKER_FAILURES = 100
    buy(buyer)
    others_get_through()
    sandbox.fault("lms", "query_timeout")
    pauses = []
    for _ in range(6):
        before = timezone.now()
        job = run_lms_job()
        assert job.status == "pending"
        pauses.append((job.next_attempt_at - before).total_seconds())
    assert pauses[0] == pytest.approx(2, abs=1)
    for pause, minutes in zip(pauses[1:], (2, 4, 8, 16, 32), strict=True):
        assert minutes * 60 * 0.89 < pause < minutes * 60 * 1.11 + 2
    job = run_lms_job()
    assert (job.status, job.attempts) == ("dead", 7)
    assert SyncAttempt.objects.count() == 7
    letter = DeadLetter.objects.get()
    assert (letter.status, letter.attempts, letter.requires_manual_review) == ("open", 7, True)
    assert letter.notification_sent_at is not None
    alert = Email.objects.get(kind="staff_alert")
    assert alert.context["subject"] == "Frappe sync permanently failed"


@pytest.mark.every_engine
def test_a_refusal_is_a_dead_letter_at_once_and_staff_are_alerted_once(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    SyncJob.objects.update(course_id="no-such-course")
    sandbox.lms(courses_any=False, courses=[])
    job = run_lms_job()
    assert (job.status, job.attempts) == ("dead", 1)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status) == ("paid", "failed")
    assert DeadLetter.objects.get().reason == "LMS_COURSE_UNKNOWN"
    drain(LMS_JOBS)
    drain(EMAILS)
    assert Email.objects.filter(kind="staff_alert").count() == 1
    assert sandbox.mails(enrollment.email) == []
    sandbox.lms(courses_any=True)


def test_a_replayed_dead_letter_gives_access_and_one_email(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = buy(buyer)
    sandbox.lms(courses_any=False, courses=[])
    run_lms_job()
    sandbox.lms(courses_any=True)
    letter = DeadLetter.objects.get()
    assert dead_letters.replay(letter, by="staff@example.com", note="course restored")
    assert not dead_letters.replay(letter, by="staff@example.com")
    run_lms_job()
    drain(EMAILS)
    enrollment.refresh_from_db()
    assert enrollment.has_access
    assert len(sandbox.mails(enrollment.email)) == 1
    assert len(sandbox.enrollments(enrollment.email)) == 1


def test_an_answer_lost_after_the_work_was_done_makes_no_second_enrollment(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    sandbox.fault("lms", "lost_answer", "POST /api/resource/LMS Enrollment", times=1)
    run_lms_job(2)
    enrollment.refresh_from_db()
    assert enrollment.has_access
    assert len(sandbox.enrollments(enrollment.email)) == 1


def test_a_job_that_has_its_lms_id_makes_no_call(buyer: Client, sandbox: Sandbox) -> None:
    """Requirements R092, R124: a worker died between storing the id and settling."""
    enrollment = buy(buyer)
    SyncJob.objects.update(lms_enrollment_id="made-before")
    before = len(sandbox.calls("lms"))
    run_lms_job()
    enrollment.refresh_from_db()
    assert (enrollment.lms_enrollment_id, enrollment.has_access) == ("made-before", True)
    assert len(sandbox.calls("lms")) == before


def test_an_outage_parks_the_jobs_and_uses_up_no_attempt(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.LMS_BREAKER_OPEN_SECONDS = 3600
    enrollments = [buy(buyer) for _ in range(8)]
    sandbox.fault("lms", "503")
    due_again()
    drain(LMS_JOBS)
    assert PlatformState.objects.get().state == "open"
    used = sorted(SyncJob.objects.values_list("attempts", flat=True))
    assert sum(used) <= settings.LMS_BREAKER_FAILURES
    calls = len(sandbox.calls("lms"))
    for _ in range(5):
        due_again()
        assert drain(LMS_JOBS) == 0
    assert sorted(SyncJob.objects.values_list("attempts", flat=True)) == used
    assert len(sandbox.calls("lms")) == calls
    assert outages.announce() == 1
    assert outages.announce() == 0
    sandbox.heal()
    PlatformState.objects.update(retry_at=timezone.now())
    breaker.probe_due()
    due_again()
    drain(LMS_JOBS)
    drain(EMAILS)
    assert DeadLetter.objects.count() == 0
    for enrollment in enrollments:
        assert len(sandbox.mails(enrollment.email)) == 1


def test_a_wrong_key_parks_the_platform_and_tells_staff_once(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.FRAPPE_LMS_API_KEY = "sandbox-key:wrong"
    [buy(buyer) for _ in range(3)]
    drain(LMS_JOBS)
    assert PlatformState.objects.get().state == "parked"
    assert set(SyncJob.objects.values_list("attempts", "status")) == {(0, "pending")}
    assert (outages.announce(), outages.announce()) == (1, 0)
    settings.FRAPPE_LMS_API_KEY = "sandbox-key:sandbox-secret"
    PlatformState.objects.update(retry_at=timezone.now())
    breaker.probe_due()
    due_again()
    assert drain(LMS_JOBS) == 3
    assert Enrollment.objects.filter(lms_status="success").count() == 3


def test_a_paid_enrollment_without_a_job_is_repaired(buyer: Client) -> None:
    """Requirement R131."""
    enrollment = buy(buyer)
    SyncJob.objects.all().delete()
    assert lms_jobs.repair_jobs() == 1
    assert lms_jobs.repair_jobs() == 0
    assert SyncJob.objects.get().dedupe_key == lms_jobs.job_key(enrollment)


def test_retry_now_wakes_replays_or_makes_the_job_and_skips_the_rest(buyer: Client) -> None:
    enrollment = buy(buyer)
    SyncJob.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert lms_jobs.retry_now(enrollment)
    assert SyncJob.objects.due(timezone.now()).count() == 1
    SyncJob.objects.all().delete()
    assert lms_jobs.retry_now(enrollment)
    pending, _ = make_pending()
    assert not lms_jobs.retry_now(pending)


def test_the_lms_gets_what_paid_for_the_enrollment(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    """Requirement R107, through the customer's own method."""
    settings.FRAPPE_DRIVER = "confirm_payment"
    sandbox.lms(server="custom")
    enrollment = buy(buyer)
    run_lms_job()
    enrollment.refresh_from_db()
    assert enrollment.has_access
    call = sandbox.calls("lms", "POST /api/method/lms.lms.payment_confirmation.confirm_payment")[0]
    assert json.loads(call["body"], parse_float=str) == {
        "user_email": enrollment.email,
        "course_id": enrollment.lms_course_id,
        "paid_status": True,
        "payment_id": Payment.objects.get().stripe_payment_intent_id,
        "currency": "usd",
        "amount": "499.00",
        "enrollment_type": "paid",
        "original_amount": "499.00",
        "discount_percentage": 0,
    }
    assert len(sandbox.enrollments(enrollment.email)) == 1
    sandbox.lms(server="A")


def test_each_step_is_logged_in_the_agreed_words(
    buyer: Client, sandbox: Sandbox, settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Requirement R096."""
    settings.LMS_BREAKER_FAILURES = 100
    enrollment = buy(buyer)
    caplog.set_level(logging.INFO, "enrollments.provisioning")
    others_get_through()
    sandbox.fault("lms", "query_timeout")
    run_lms_job(2)
    sandbox.heal()
    run_lms_job()
    lines = [record for record in caplog.records if record.name == "enrollments.provisioning"]
    assert [record.getMessage() for record in lines] == [
        "Attempting Frappe LMS enrollment",
        "First Frappe attempt failed, retrying immediately...",
        "Attempting Frappe LMS enrollment",
        "Immediate retry failed, queuing for later",
        "Attempting Frappe LMS enrollment",
        "FrappeLMS enrollment successful",
    ]
    assert {record.enrollment for record in lines} == {str(enrollment.pk)}


@pytest.mark.every_engine
def test_a_redelivery_after_the_lms_failed_neither_skips_nor_doubles_the_open_work(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Requirement R091."""
    enrollment, payment = make_pending()
    event = completed(payment)
    deliver(buyer, event)
    sandbox.fault("lms", "query_timeout")
    assert run_lms_job().status == "pending"
    assert deliver(buyer, event).json()["message"] == "Event already processed"
    assert deliver(buyer, completed(payment)).json()["message"] == "Payment already processed"
    assert SyncJob.objects.get().status == "pending"
    sandbox.heal()
    run_lms_job()
    deliver(buyer, completed(payment))
    assert drain(LMS_JOBS) == 0
    assert drain(EMAILS) == 1
    assert len(sandbox.enrollments(enrollment.email)) == 1
    assert len(sandbox.mails(enrollment.email)) == 1


@pytest.mark.parametrize("name", ["", "Ada Lovelace"])
def test_the_confirmation_names_the_learner_or_the_local_part_and_the_day_in_words(
    name: str,
) -> None:
    """Requirement R140."""
    enrollment, _ = make_pending(name=name, email="ada.l@example.com")
    enrollment.paid_at = datetime(2026, 11, 2, 23, 59, tzinfo=UTC)
    context = mails.confirmation_context(enrollment)
    assert (context["customer_name"], context["purchased_on"]) == (
        name or "ada.l",
        "November 2, 2026",
    )
    assert (context["amount"], context["list_price"], context["is_free"]) == (
        "$499.00",
        "$499.00",
        False,
    )
    assert (
        context["course_link"]
        == f"{settings.FRAPPE_LMS_BASE_URL}/lms/courses/{enrollment.lms_course_id}"
    )


@pytest.mark.every_engine
def test_old_enrollments_that_wait_for_staff_do_not_keep_a_new_one_from_its_repair(
    buyer: Client,
) -> None:
    """Requirement R131."""
    [buy(buyer) for _ in range(3)]
    lost = buy(buyer)
    SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(lost)).delete()
    assert lms_jobs.repair_jobs(limit=2) == 1
    assert SyncJob.objects.count() == 4
