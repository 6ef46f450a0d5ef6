"""Buyers without an account on Open edX: asked for one, looked for, and let in once it is there."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from enrollments import late_access, lms_jobs
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import awaiting
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from maaledu.work.queue import drain
from notifications import outgoing
from notifications.models import Email
from operations import queues
from storefront.status import describe
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import completed, deliver, make_course, make_pending, refund_of, refunded
from tests.sandbox_client import Sandbox

KEY = "course-v1:Maal+DS101+2026"


@pytest.fixture
def shopper(buyer: Client, sandbox: Sandbox, settings: Settings) -> Client:
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    return buyer


def buy_on_openedx(client: Client, **course: Any) -> Enrollment:
    enrollment = buy(client, lms_platform="openedx", lms_course_id=KEY, **course)
    run_lms_job()
    enrollment.refresh_from_db()
    return enrollment


def make_account(sandbox: Sandbox, email: str) -> None:
    sandbox.edx(accounts=[{"email": email, "username": "asha", "is_active": False}])
    sandbox.edx(activate=email)


def look_is_due() -> None:
    SyncJob.objects.update(look_at=timezone.now())


def modes(sandbox: Sandbox) -> list[tuple[str, bool]]:
    return [(row["mode"], row["is_active"]) for row in sandbox.edx()["enrollments"]]


def kinds() -> list[str]:
    return sorted(Email.objects.values_list("kind", flat=True))


@pytest.mark.any_engine
def test_who_has_no_account_is_asked_for_one_everywhere_and_once(
    shopper: Client, sandbox: Sandbox
) -> None:
    enrollment = buy_on_openedx(shopper)
    run_lms_job(2)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status) == ("paid", "awaiting_account")
    assert enrollment.get_lms_status_display() == "waiting for the learner's account"
    assert [entry["email"] for entry in sandbox.edx()["allowed"]] == [enrollment.email]
    assert modes(sandbox) == []
    message = outgoing.compose(Email.objects.get())
    register = f"{sandbox.edx_url}/register"
    for said in (register, enrollment.email, enrollment.status_link, "$499.00"):
        assert said in message.body
    page = shopper.get(enrollment.get_absolute_url()).content.decode()
    for said in ("One step is left", f'href="{register}"', enrollment.email):
        assert said in page


def test_waiting_is_no_failure_however_long_it_lasts(shopper: Client, sandbox: Sandbox) -> None:
    enrollment = buy_on_openedx(shopper)
    long_ago = timezone.now() - timedelta(days=3)
    Enrollment.objects.update(paid_at=long_ago)
    SyncJob.objects.update(created_at=long_ago, attempts=5)
    job = run_lms_job()
    assert (job.status, job.attempts) == ("pending", 0)
    assert job.next_attempt_at > timezone.now() + timedelta(hours=23)
    assert late_access.mail_buyers_without_access() == 0
    assert (queues.stuck(), DeadLetter.objects.count()) == ([], 0)
    assert list(PlatformState.objects.values_list("state", "failures")) == [("closed", 0)]
    sandbox.fault("openedx", "down")
    assert run_lms_job().attempts == 1
    enrollment.refresh_from_db()
    assert (enrollment.lms_status, kinds()) == ("awaiting_account", ["account_needed"])


def test_the_account_is_noticed_and_becomes_access_in_the_mode_that_was_paid_for(
    shopper: Client, sandbox: Sandbox
) -> None:
    enrollment = buy_on_openedx(shopper)
    look_is_due()
    assert (awaiting.look_for_accounts(), drain(LMS_JOBS)) == (0, 0)
    make_account(sandbox, enrollment.email)
    assert modes(sandbox) == [("audit", True)]
    look_is_due()
    assert (awaiting.look_for_accounts(), drain(LMS_JOBS)) == (1, 1)
    enrollment.refresh_from_db()
    assert (enrollment.has_access, enrollment.lms_enrollment_id) == (True, f"asha,{KEY}")
    assert modes(sandbox) == [("verified", True)]
    assert kinds() == ["account_needed", "purchase_confirmation"]
    message = outgoing.compose(Email.objects.get(kind="purchase_confirmation"))
    assert f"{sandbox.edx_url}/courses/{KEY}/course/" in message.body
    assert "Forgot password" not in message.body
    page = shopper.get(enrollment.get_absolute_url()).content.decode()
    assert "Forgot password" not in page
    assert awaiting.look_for_accounts() == 0


@pytest.mark.any_engine
def test_who_has_an_account_is_enrolled_at_once_and_asked_for_nothing(
    shopper: Client, sandbox: Sandbox
) -> None:
    course = make_course(lms_platform="openedx", lms_course_id=KEY)
    enrollment, payment = make_pending(course)
    sandbox.edx(accounts=[{"email": enrollment.email, "username": "asha"}])
    assert deliver(shopper, completed(payment)).status_code == 200
    assert run_lms_job().status == "done"
    assert kinds() == ["purchase_confirmation"]


def test_who_says_that_the_account_is_there_is_looked_for_at_once_but_not_each_second(
    shopper: Client, sandbox: Sandbox
) -> None:
    enrollment = buy_on_openedx(shopper)
    page = f"{enrollment.get_absolute_url()}account/"
    make_account(sandbox, enrollment.email)
    assert shopper.post(page).status_code == 302
    assert drain(LMS_JOBS) == 0  # the last look was a moment ago
    SyncJob.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    assert shopper.post(page)["Location"] == enrollment.get_absolute_url()
    assert not lms_jobs.look_for_account(enrollment)
    assert drain(LMS_JOBS) == 1
    enrollment.refresh_from_db()
    assert describe(enrollment).state == "ready"
    assert shopper.get(page).status_code == 302


@pytest.mark.any_engine
def test_a_refund_takes_the_waiting_entry_away(shopper: Client, sandbox: Sandbox) -> None:
    enrollment = buy_on_openedx(shopper)
    payment = enrollment.payments.get()
    deliver(shopper, refunded(refund_of(payment)))
    SyncJob.objects.update(next_attempt_at=timezone.now())
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status) == ("refunded", "revoked")
    assert sandbox.edx()["allowed"] == []
    make_account(sandbox, enrollment.email)
    look_is_due()
    awaiting.look_for_accounts()
    drain(LMS_JOBS)
    assert modes(sandbox) == []


@pytest.mark.any_engine
@pytest.mark.parametrize("mode", ["down", "500", "429", "html_200", "401"])
def test_a_look_that_fails_is_made_again(shopper: Client, sandbox: Sandbox, mode: str) -> None:
    enrollment = buy_on_openedx(shopper)
    make_account(sandbox, enrollment.email)
    look_is_due()
    sandbox.fault("openedx", mode, "POST /api/user/v1/accounts")
    assert awaiting.look_for_accounts() == 0
    sandbox.heal()
    assert awaiting.look_for_accounts() == 1


@pytest.mark.any_engine
def test_two_platforms_have_a_breaker_each(shopper: Client, sandbox: Sandbox) -> None:
    sandbox.fault("openedx", "down")
    there = buy(shopper, lms_platform="openedx", lms_course_id=KEY)
    for _ in range(3):
        SyncJob.objects.update(next_attempt_at=timezone.now())
        drain(LMS_JOBS, limit=1)
    here = buy(shopper)
    assert drain(LMS_JOBS) == 1
    here.refresh_from_db()
    there.refresh_from_db()
    assert (here.has_access, describe(there).state) == (True, "lms_unavailable")
    states = dict(PlatformState.objects.values_list("name", "state"))
    assert states == {"openedx": "open", "frappe": "closed"}


@pytest.mark.any_engine
def test_who_audited_the_course_before_audits_it_again_after_a_refund(
    shopper: Client, sandbox: Sandbox
) -> None:
    course = make_course(lms_platform="openedx", lms_course_id=KEY)
    enrollment, payment = make_pending(course)
    sandbox.edx(
        accounts=[{"email": enrollment.email, "username": "asha"}],
        enrollments=[{"email": enrollment.email, "course_id": KEY, "mode": "audit"}],
    )
    deliver(shopper, completed(payment))
    drain(LMS_JOBS)
    assert modes(sandbox) == [("verified", True)]
    deliver(shopper, refunded(refund_of(payment)))
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert (enrollment.lms_status, modes(sandbox)) == ("revoked", [("audit", True)])


@pytest.mark.any_engine
def test_a_refusal_names_the_platform(shopper: Client, sandbox: Sandbox) -> None:
    course = make_course(lms_platform="openedx", lms_course_id=KEY)
    enrollment, payment = make_pending(course)
    sandbox.edx(
        accounts=[{"email": enrollment.email, "username": "asha"}],
        courses=[{"id": KEY, "seats": 0}],
    )
    deliver(shopper, completed(payment))
    assert run_lms_job().status == "dead"
    alert = Email.objects.get(kind="staff_alert")
    assert alert.context["subject"] == "Open edX sync permanently failed"
    assert "probably full" in str(alert.context)


@pytest.mark.any_engine
def test_it_is_said_before_the_purchase_that_an_account_is_needed(shopper: Client) -> None:
    there = make_course(lms_platform="openedx", lms_course_id=KEY)
    here = make_course()
    said = "make one"
    for course, is_said in ((there, True), (here, False)):
        for address in (course.get_absolute_url(), f"/checkout/{course.slug}/"):
            assert (said in shopper.get(address).content.decode()) is is_said, address
