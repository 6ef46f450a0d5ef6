"""Every row of both tables of answers, as the worker meets it: what each does to a learner.

An answer in the platform's own words may refuse the learner whom it is about, and nobody else.
Nothing is mailed before there is access, and whoever was not refused is enrolled once it is over.
"""

import json

import pytest
from django.test import Client
from pytest_django import Settings

from courses.models import Course
from enrollments.lms_jobs import job_key
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.errors import LmsError, LmsMisconfigured
from lms_sync.models import PlatformState, SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from tests.enrollments.test_provisioning import due_again
from tests.enrollments.test_whose_answer import run
from tests.factories import completed, deliver, make_course, make_pending
from tests.lms_sync.test_openedx_answers import PAGE, TABLE
from tests.lms_sync.test_whose_answer import OWN
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine
KEY = "course-v1:Maal+DS101+2026"
FRAPPE_ROWS = [
    (status, {"exc_type": exc_type, "text": text}, error)
    for status, exc_type, text, error, _ in OWN
]
# A good answer is none of these, and a page is met in test_whose_answer.
EDX_ROWS = [
    (status, {"text": "" if body == b"" else json.dumps(body)}, error)
    for status, body, error in TABLE
    if status >= 300 and body != PAGE and not (status == 429 and not isinstance(body, dict))
]
PLATFORMS = {
    "frappe": ("lms", "free-course", "POST /api/resource/LMS Enrollment", FRAPPE_ROWS),
    "openedx": ("openedx", KEY, "POST /api/enrollment/v1/enrollment", EDX_ROWS),
}


def state_after(error: type[LmsError]) -> tuple[str, int]:
    """Return what a job is after one such answer, and how many attempts it has used."""
    if not error.retryable:
        return "dead", 1
    return "pending", int(error.consumes_attempt)


def close_breaker(platform: str) -> None:
    known = PlatformState.objects.filter(name=platform)
    well = {"state": "closed", "failures": 0, "incident": "", "retry_at": None}
    known.update(**well, opened_at=None, paused_until=None, no_new_users_before=None)


def buy(buyer: Client, sandbox: Sandbox, course: Course, email: str) -> tuple[Enrollment, SyncJob]:
    enrollment, payment = make_pending(course, email=email)
    sandbox.edx(accounts=[{"email": email, "username": email.partition("@")[0]}])
    deliver(buyer, completed(payment))
    return enrollment, SyncJob.objects.get(dedupe_key=job_key(enrollment))


def mailed() -> list[str]:
    return sorted(mail.to for mail in Email.objects.all() if mail.kind != "staff_alert")


@pytest.fixture
def work(buyer: Client, sandbox: Sandbox, settings: Settings) -> Client:
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    sandbox.edx(api_limit=10**6)
    return buyer


@pytest.mark.parametrize("platform", ["frappe", "openedx"])
def test_each_answer_does_to_a_learner_what_its_row_says(
    work: Client, sandbox: Sandbox, platform: str
) -> None:
    target, key, call, rows = PLATFORMS[platform]
    course = make_course(lms_platform=platform, lms_course_id=key)
    refused, emails = set(), [f"learner{number}@example.com" for number in range(len(rows))]
    for email, (status, fault, error) in zip(emails, rows, strict=True):
        enrollment, job = buy(work, sandbox, course, email)
        # What is wrong with our key or set-up is so for every call, a probe's as well.
        where = "" if issubclass(error, LmsMisconfigured) else call
        sandbox.fault(target, "error", where, status=status, **fault)
        run(job)
        sandbox.heal()
        close_breaker(platform)
        enrollment.refresh_from_db()
        assert (job.status, job.attempts) == state_after(error), (status, fault, job.last_error)
        assert (enrollment.lms_status == "failed") is (job.status == "dead")
        if job.status == "dead":
            refused.add(email)
    assert mailed() == []
    due_again()
    while drain(LMS_JOBS):
        pass
    admitted = sorted(each.email for each in Enrollment.objects.all() if each.has_access)
    assert admitted == sorted(set(emails) - refused) == mailed()
    print(f"{platform}: {len(rows)} rows, {len(refused)} of them about the learner")
