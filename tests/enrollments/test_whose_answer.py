"""Whose word it is: what a proxy, a firewall or a log-in page answers is never taken for the LMS's.

Real pages at statuses of all kinds, at every call of a job, as the worker meets them: against one
enrollment with everything to lose, and against one that is being taken back. What each page at each
status means is in `tests/lms_sync/test_whose_answer.py` and `test_openedx_answers.py`;
`script/bench --pages` has the worker meet them all.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.test import Client
from pytest_django import Settings

from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants.models import Grant
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.queue import claim_one, drain, run_item
from notifications.models import Email
from sandbox.proxy_pages import PAGES
from tests.factories import completed, deliver, make_course, make_pending, refund_of, refunded
from tests.grants.make import make_coupon
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine
HOLDER = "ada@example.com"
KEY = "course-v1:Maal+DS101+2026"
SELDOM, OFTEN = 40, 20
EACH = os.environ.get("PAGES_AT_EACH_STATUS")  # set by script/bench
USER, ROW = "/api/resource/User", "/api/resource/LMS Enrollment"
KNOWS = "/api/method/lms.lms.doctype.lms_enrollment.lms_enrollment.check_user_exists"
CONFIRM = "/api/method/lms.lms.payment_confirmation.confirm_payment"
TOKEN, ACCOUNT = "POST /oauth2/access_token", "GET /api/user/v1/accounts"
EDX_ROW = "/api/enrollment/v1/enrollment"
COURSE, ENTRY = "GET /api/enrollment/v1/course/", "/api/enrollment/v1/enrollment_allowed/"


@dataclass(frozen=True)
class Way:
    """A kind of job, with its calls in their order: what an earlier one made is there for good."""

    name: str
    calls: tuple[str, ...]
    every: int = SELDOM  # of so many statuses one
    platform: str = "frappe"
    driver: str = "rest"
    has_account: bool = False
    takes_back: bool = False

    @property
    def target(self) -> str:
        return "lms" if self.platform == "frappe" else "openedx"

    def pages(self) -> Iterator[tuple[str, int, str]]:
        """Give each call its statuses, and the pages in turn.

        Where asked for, each call meets every status, and the one that gives access every page.
        """
        names, number = list(PAGES), 0
        for place, call in enumerate(self.calls):
            is_worst = call == self.calls[-1] and self.every < SELDOM
            for status in range(200, 600) if EACH else range(200 + place, 600, self.every):
                for _ in range(len(names) if EACH and is_worst else 1):
                    number += 1
                    yield call, status, names[number % len(names)]


FRAPPE = (f"GET {USER}", f"POST {USER}", f"GET {ROW}", f"POST {ROW}")
EDX = (TOKEN, ACCOUNT, f"GET {EDX_ROW}/", f"POST {EDX_ROW}")
GIVES = [
    Way("frappe", FRAPPE, every=OFTEN),
    Way("confirm", (f"POST {KNOWS}", f"POST {CONFIRM}"), driver="confirm_payment"),
    Way("openedx", EDX, every=OFTEN, platform="openedx", has_account=True),
    Way("waiting", (f"GET {ENTRY}", COURSE, f"POST {ENTRY}"), platform="openedx"),
]
TAKES = [
    Way("frappe", (f"GET {ROW}", f"DELETE {ROW}"), takes_back=True),
    Way("openedx", EDX, platform="openedx", has_account=True, takes_back=True),
    Way("waiting", (f"GET {ENTRY}", f"DELETE {ENTRY}"), platform="openedx", takes_back=True),
]


@pytest.fixture
def way(request: pytest.FixtureRequest, sandbox: Sandbox, settings: Settings) -> Way:
    given: Way = request.param
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    settings.FRAPPE_DRIVER = given.driver
    settings.FREE_GRANT_ON_LMS_FAILURE = "rollback"
    settings.LMS_BREAKER_FAILURES = 10**6  # each page is met by the job, none by a probe
    if given.driver == "confirm_payment":
        sandbox.lms(server="custom")
    sandbox.edx(api_limit=10**6)
    if given.has_account:
        sandbox.edx(accounts=[{"email": HOLDER, "username": "ada"}])
    return given


def course_on(way: Way) -> dict[str, str]:
    is_there = way.platform == "openedx"
    return {"lms_platform": "openedx", "lms_course_id": KEY} if is_there else {}


def enroll_free(buyer: Client, way: Way) -> Enrollment:
    """One by a grant of 100 %, which the policy takes away when the LMS refuses the learner."""
    course = make_course(**course_on(way))
    grant = make_coupon(course, email=HOLDER, percent=100)
    form = {"email": HOLDER, "coupon": grant.code, "accept_terms": "on"}
    assert buyer.post(f"/checkout/{course.slug}/", form).status_code == 302
    return Enrollment.objects.get()


def pay_and_refund(buyer: Client, way: Way) -> Enrollment:
    enrollment, payment = make_pending(make_course(**course_on(way)), email=HOLDER)
    deliver(buyer, completed(payment))
    drain(LMS_JOBS)
    payment.refresh_from_db()
    deliver(buyer, refunded(refund_of(payment)))
    return enrollment


def held(sandbox: Sandbox, way: Way) -> int:
    """Return how many enrollments the platform has, those included that wait for an account."""
    if way.platform == "frappe":
        return len(sandbox.enrollments())
    there = sandbox.edx()
    return sum(row["is_active"] for row in there["enrollments"]) + len(there["allowed"])


def run(job: SyncJob) -> None:
    """Run this one job as the worker does, due or not."""
    # A page with 429 may ask for a pause.
    PlatformState.objects.filter(name=job.platform).update(paused_until=None)
    assert claim_one(LMS_JOBS, job)
    run_item(LMS_JOBS, job)
    job.refresh_from_db()


def meet_pages(sandbox: Sandbox, way: Way, job: SyncJob) -> int:
    """Let the worker meet one page after the other; return how many it met."""
    statuses = []
    for call, status, page in way.pages():
        if call == TOKEN:
            sandbox.edx(forget_tokens=True)
        sandbox.fault(way.target, "page", call, status=status, page=page, times=1)
        run(job)
        assert (job.status, job.attempts) == ("pending", 0), (way.name, call, status, page)
        statuses.append(status)
    outcomes = [attempt.outcome for attempt in SyncAttempt.objects.all()][-len(statuses) :]
    expected = ["LMS_THROTTLED" if status == 429 else "LMS_INTERCEPTED" for status in statuses]
    assert outcomes == expected
    return len(statuses)


@pytest.mark.parametrize("way", GIVES, ids=lambda way: way.name, indirect=True)
def test_no_page_at_any_status_and_call_refuses_a_learner_or_uses_up_an_attempt(
    buyer: Client, sandbox: Sandbox, way: Way
) -> None:
    enrollment = enroll_free(buyer, way)
    Email.objects.all().delete()
    job = SyncJob.objects.get()
    met = meet_pages(sandbox, way, job)
    print(f"{way.name}: {met} pages at {len(way.calls)} calls")
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status) == ("paid", "pending")
    assert (Grant.objects.get().status, DeadLetter.objects.count()) == ("redeemed", 0)
    assert (Email.objects.count(), held(sandbox, way)) == (0, 0)
    run(job)
    enrollment.refresh_from_db()
    has_account = way.platform == "frappe" or way.has_account
    ended = ("success", "done") if has_account else ("awaiting_account", "pending")
    assert (enrollment.lms_status, job.status, job.attempts) == (*ended, 0)
    assert held(sandbox, way) == 1
    kind = "grant_course_enrollment" if has_account else "account_needed"
    assert list(Email.objects.values_list("to", "kind")) == [(HOLDER, kind)]


@pytest.mark.parametrize("way", TAKES, ids=lambda way: way.name, indirect=True)
def test_no_page_at_any_status_and_call_is_taken_for_access_that_has_ended(
    buyer: Client, sandbox: Sandbox, way: Way
) -> None:
    enrollment = pay_and_refund(buyer, way)
    assert held(sandbox, way) == 1
    job = SyncJob.objects.get(action=SyncJob.REVOKE)
    met = meet_pages(sandbox, way, job)
    print(f"{way.name}, taken back: {met} pages at {len(way.calls)} calls")
    enrollment.refresh_from_db()
    assert enrollment.lms_status != "revoked"
    assert DeadLetter.objects.count() == 0
    run(job)
    enrollment.refresh_from_db()
    assert (enrollment.lms_status, job.status, job.attempts) == ("revoked", "done", 0)
    assert held(sandbox, way) == 0
