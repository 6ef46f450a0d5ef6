"""A step of an LMS that fails while the rest of it answers costs nobody an attempt (fault L15)."""

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from lms_sync import breaker, call_counts
from lms_sync.connection import platform_for
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from lms_sync.platforms.openedx_pending import ALLOWED
from maaledu.work.queue import drain
from notifications.models import Alert
from operations import outages
from tests.lms_passing import others_get_through
from tests.lms_sync.test_delivery import INSERT, QUEUE, make_job
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
# More of them than a job has attempts; script/bench sets six hours.
OUTAGE_MINUTES = int(os.environ.get("OUTAGE_MINUTES", "12"))
READ_ONE = "GET /api/enrollment/v1/enrollment/"
SUBJECT = "The learning platform frappe does not answer one step"


def try_again(times: int) -> None:
    for _ in range(times):
        SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
        drain(QUEUE)


def test_a_job_that_fails_where_nobody_passes_keeps_its_attempts(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "query_timeout", INSERT)
    make_job()
    try_again(2)
    job = SyncJob.objects.get()
    assert (job.attempts, job.last_error.partition(":")[0]) == (1, "LMS_STEP_DOWN")
    for _ in range(12):
        breaker.note_success("frappe", timedelta(0))  # of jobs that do without this step
        try_again(1)
    job.refresh_from_db()
    assert (job.status, job.attempts, DeadLetter.objects.count()) == ("pending", 1, 0)
    minutes = (job.next_attempt_at - timezone.now()) / timedelta(minutes=1)
    assert 7 < minutes <= 17, "longer each time, and not for long once it answers"


def test_control_where_others_pass_it_is_the_jobs_own(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "query_timeout", INSERT)
    make_job()
    others_get_through()
    for _ in range(7):
        breaker.note_success("frappe", timedelta(0))
        try_again(1)
    assert (SyncJob.objects.get().status, DeadLetter.objects.count()) == ("dead", 1)


@pytest.mark.parametrize("call", ["POST /api/enrollment/v1/enrollment", READ_ONE])
def test_a_list_and_an_entry_that_waits_for_an_account_are_other_steps(
    sandbox: Sandbox, with_openedx: None, call: str
) -> None:
    """Buyers without an account, the ping and the looks for accounts get through all the while."""
    sandbox.edx(accounts=[{"email": "asha@example.com", "username": "asha"}])
    sandbox.fault("openedx", "reset", call)
    make_job(platform="openedx", course_id="course-v1:Maal+Free+2026")
    for _ in range(9):
        breaker.note_success("openedx", timedelta(0))
        platform_for("openedx").ping()
        platform_for("openedx").with_account(["ben@example.com"])
        entry = call_counts.step_of("POST", ALLOWED)
        call_counts.note("openedx", entry, milliseconds=1)
        try_again(1)
    assert [*SyncJob.objects.values_list("status", "attempts")] == [("pending", 1)]


def test_what_another_process_got_through_counts_once_it_has_said_so(sandbox: Sandbox) -> None:
    long_ago = timezone.now() - timedelta(hours=3)
    make_job(email="other@example.com")
    drain(QUEUE)
    step = call_counts.CREATE
    assert call_counts.has_passed("frappe", step, since=long_ago)
    call_counts.flush()
    call_counts._passed.clear()  # as another process knows nothing of it
    assert call_counts.has_passed("frappe", step, since=long_ago)
    assert not call_counts.has_passed("frappe", call_counts.REMOVE, since=long_ago)
    assert not call_counts.has_passed("openedx", step, since=long_ago)
    assert not call_counts.has_passed("frappe", step, since=timezone.now())


def test_a_partial_outage_of_hours_kills_no_job(sandbox: Sandbox) -> None:
    """Each minute the ping is green, a job tries the step, and the breaker opens again."""
    sandbox.fault("lms", "query_timeout", INSERT)
    for number in range(8):
        make_job(email=f"learner{number}@example.com")
    for _ in range(OUTAGE_MINUTES):
        PlatformState.objects.update(retry_at=timezone.now())
        breaker.probe_due()
        SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
        drain(QUEUE, limit=3)
    assert DeadLetter.objects.count() == 0
    assert max(SyncJob.objects.values_list("attempts", flat=True)) <= 1
    assert len(sandbox.calls("lms", INSERT)) <= OUTAGE_MINUTES + 8, "one each minute"
    sandbox.heal("lms")
    PlatformState.objects.update(retry_at=timezone.now())
    breaker.probe_due()
    try_again(4)
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
    assert len(sandbox.enrollments()) == 8


@pytest.mark.every_engine
def test_staff_are_alerted_of_a_step_that_fails_for_minutes_and_when_it_is_over(
    sandbox: Sandbox,
) -> None:
    sandbox.fault("lms", "query_timeout", INSERT)
    job = make_job()
    try_again(2)
    assert Alert.objects.count() == 0
    job.records.update(started_at=timezone.now() - timedelta(minutes=3))
    PlatformState.objects.update(failures=0)
    try_again(1)
    alert = Alert.objects.get()
    assert (alert.subject, alert.key.startswith("lms-step:frappe:create enrollments:")) == (
        SUBJECT,
        True,
    )
    outages.announce()
    alert.refresh_from_db()
    assert alert.recovered_at is None
    sandbox.heal("lms")
    try_again(1)
    call_counts.flush()
    outages.announce()
    alert.refresh_from_db()
    assert alert.recovered_at is not None
