"""Progress is fetched by the worker, oldest first and within a budget; what is known is kept, with
its moment, whatever the LMS does.
"""

from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from enrollments import progress
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import breaker, locks
from lms_sync.connection import frappe_client
from lms_sync.models import PlatformState
from maaledu.work.queue import drain
from operations import queues
from tests.enrollments.test_provisioning import buy
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

LIST = "GET /api/resource/LMS Enrollment"


@pytest.fixture
def learners(buyer: Client, sandbox: Sandbox) -> list[Enrollment]:
    """Three with access, each at another percentage; the last one is due first."""
    learners = [buy(buyer) for _ in range(3)]
    drain(LMS_JOBS)
    for number, learner in enumerate(learners):
        due_at = timezone.now() - timedelta(hours=number + 1)
        Enrollment.objects.filter(pk=learner.pk).update(progress_due_at=due_at)
        at = {"email": learner.email, "course": learner.lms_course_id, "percent": 10 * (number + 1)}
        sandbox.lms(progress=at)
        learner.refresh_from_db()
    return learners


def known(learners: list[Enrollment]) -> list[int | None]:
    """What is known of each, None where nothing is."""
    for learner in learners:
        learner.refresh_from_db()
    return [learner.progress_percent if learner.progress_at else None for learner in learners]


def due_in(learner: Enrollment) -> timedelta:
    learner.refresh_from_db()
    assert learner.progress_due_at
    return learner.progress_due_at - timezone.now()


def test_those_who_wait_longest_are_asked_about_first_and_no_more_than_a_round_allows(
    learners: list[Enrollment], settings: Settings, sandbox: Sandbox
) -> None:
    settings.LMS_PROGRESS_PER_ROUND, asked = 2, len(sandbox.calls("lms", LIST))
    assert progress.fetch_due() == 2
    assert (known(learners), len(sandbox.calls("lms", LIST)) - asked) == ([None, 20, 30], 2)
    assert timedelta(hours=5) < due_in(learners[2]) <= timedelta(hours=6)
    assert learners[2].progress_at
    assert timezone.now() - learners[2].progress_at < timedelta(minutes=1)
    assert progress.fetch_due() == 1
    assert progress.fetch_due() == 0
    assert known(learners) == [10, 20, 30]


@pytest.mark.every_engine
def test_whoever_looks_is_asked_about_before_the_rest(
    learners: list[Enrollment], settings: Settings
) -> None:
    settings.LMS_PROGRESS_PER_ROUND = 1
    first = learners[0]
    Enrollment.objects.update(progress_at=timezone.now() - timedelta(hours=12))
    Enrollment.objects.filter(pk=first.pk).update(
        progress_due_at=timezone.now() + timedelta(hours=1)
    )
    first.refresh_from_db()
    assert progress.want(first)
    assert due_in(first) < timedelta(hours=-11)
    assert progress.fetch_due() == 1
    assert known(learners)[0] == 10
    assert not progress.want(first), "what was just heard is not asked for again"


@pytest.mark.every_engine
@pytest.mark.parametrize("mode", ["500", "down"])
def test_an_lms_that_does_not_answer_changes_nothing_and_is_not_asked_on(
    learners: list[Enrollment], sandbox: Sandbox, mode: str
) -> None:
    Enrollment.objects.update(progress_percent=40, progress_at=timezone.now() - timedelta(days=1))
    sandbox.fault("lms", mode, LIST)
    asked = len(sandbox.calls("lms", LIST))
    assert progress.fetch_due() == 0
    assert (known(learners), len(sandbox.calls("lms", LIST)) - asked) == ([40, 40, 40], 1)
    sandbox.heal()
    assert progress.fetch_due() == 2, "the one it failed about waits for a while"
    assert known(learners) == [10, 20, 40]


def test_an_open_page_makes_nobody_the_first_again_about_whom_the_lms_fails(
    learners: list[Enrollment], settings: Settings, sandbox: Sandbox
) -> None:
    settings.LMS_PROGRESS_PER_ROUND, failing = 1, learners[2]
    sandbox.fault("lms", "500", LIST, times=1)
    assert progress.fetch_due() == 0
    failing.refresh_from_db()
    assert not progress.want(failing)
    assert [progress.fetch_due(), progress.fetch_due(), progress.fetch_due()] == [1, 1, 0]
    assert known(learners) == [10, 20, None]
    due_again(failing)
    failing.refresh_from_db()
    assert progress.want(failing)


def test_an_open_page_does_not_ask_on_and_on_about_an_enrollment_that_is_gone(
    learners: list[Enrollment], sandbox: Sandbox
) -> None:
    gone, course_id = learners[2], learners[2].lms_course_id
    Enrollment.objects.filter(pk=gone.pk).update(lms_course_id="another-course")
    progress.fetch_due()
    asked = len(sandbox.calls("lms", LIST))
    gone.refresh_from_db()
    assert not progress.want(gone)
    assert progress.fetch_due() == 0
    assert len(sandbox.calls("lms", LIST)) == asked
    Enrollment.objects.filter(pk=gone.pk).update(
        progress_due_at=timezone.now() + timedelta(hours=5)
    )
    gone.refresh_from_db()
    assert progress.want(gone), "some minutes later it is worth a question again"
    Enrollment.objects.filter(pk=gone.pk).update(lms_course_id=course_id)


def test_an_enrollment_that_is_gone_over_there_delays_nobody(
    learners: list[Enrollment],
) -> None:
    gone = learners[2]
    Enrollment.objects.filter(pk=gone.pk).update(lms_course_id="another-course")
    assert progress.fetch_due() == 2
    assert known(learners) == [10, 20, None]
    assert due_in(gone) > timedelta(hours=5)
    Enrollment.objects.filter(pk=gone.pk).update(lms_course_id=gone.lms_course_id)


@pytest.mark.every_engine
def test_nobody_is_asked_about_where_the_lms_is_known_to_be_down(
    learners: list[Enrollment], sandbox: Sandbox
) -> None:
    PlatformState.objects.update(state="open", retry_at=timezone.now() + timedelta(minutes=1))
    asked = len(sandbox.calls("lms"))
    assert queues.run_lms_chores() == []
    assert (breaker.blocked_platforms(), len(sandbox.calls("lms"))) == ({"frappe"}, asked)


@pytest.mark.every_engine
def test_only_one_process_at_a_time_asks(learners: list[Enrollment]) -> None:
    with locks.held("lms chores", lease=timedelta(minutes=1)):
        assert queues.run_lms_chores() == []
    assert known(learners) == [None, None, None]
    assert queues.run_lms_chores() == []
    assert known(learners) == [10, 20, 30]


def learned(learner: Enrollment) -> tuple[int | None, bool, bool, str]:
    learner.refresh_from_db()
    is_completed = learner.completed_at is not None
    link = learner.certificate_link
    return learner.progress_percent, is_completed, learner.has_certificate, link


def due_again(learner: Enrollment) -> None:
    Enrollment.objects.filter(pk=learner.pk).update(progress_due_at=timezone.now())


@pytest.mark.every_engine
def test_completion_and_certificate_are_kept_and_follow_the_lms(
    learners: list[Enrollment], sandbox: Sandbox
) -> None:
    learner, others = learners[0], learners[1:]
    at = {"email": learner.email, "course": learner.lms_course_id}
    sandbox.lms(progress={**at, "percent": 100})
    progress.fetch_due()
    assert learned(learner) == (100, True, False, "")
    since = learner.completed_at

    [name] = sandbox.lms(certificates=[{**at, "issue_date": "2026-11-20"}])["certificates"]
    due_again(learner)
    progress.fetch_due()
    shown_at = f"{sandbox.lms_url}/courses/{learner.lms_course_id}/{name}"
    assert learned(learner) == (100, True, True, shown_at)
    assert (learner.completed_at, learner.certificate_on) == (since, date(2026, 11, 20))
    assert [learned(other)[2:] for other in others] == [(False, ""), (False, "")]

    # Where the LMS does not let us ask for it, it stays; where there is none any more, it goes.
    sandbox.fault("lms", "403", "GET /api/resource/LMS Certificate")
    due_again(learner)
    progress.fetch_due()
    assert learned(learner) == (100, True, True, shown_at)
    sandbox.heal()
    lms = frappe_client(timedelta(seconds=10))
    assert lms.call("DELETE", f"/api/resource/LMS%20Certificate/{name}").status == 202
    sandbox.lms(progress={**at, "percent": 80})
    due_again(learner)
    progress.fetch_due()
    assert learned(learner) == (80, False, False, "")
    assert learner.certificate_on is None


def test_a_link_is_shown_only_while_it_is_the_lms_that_it_leads_to(
    learners: list[Enrollment], settings: Settings
) -> None:
    learner = learners[0]
    url = f"{settings.FRAPPE_LMS_BASE_URL}/courses/a/b"
    Enrollment.objects.filter(pk=learner.pk).update(has_certificate=True, certificate_url=url)
    assert learned(learner)[3] == url
    settings.FRAPPE_LMS_BASE_URL = "https://another.example"
    assert learned(learner)[3] == ""


def test_what_is_heard_of_somebody_else_is_not_kept(learners: list[Enrollment]) -> None:
    """The enrollment was moved to another address while the LMS was asked."""
    learner = learners[2]
    stale = Enrollment.objects.get(pk=learner.pk)
    Enrollment.objects.filter(pk=learner.pk).update(email="moved@example.com")
    assert not progress._fetch(stale)
    assert learned(learner)[0] is None
    Enrollment.objects.filter(pk=learner.pk).update(email=stale.email)
