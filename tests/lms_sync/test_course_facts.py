"""Each LMS is asked what it says of our courses, one at a time, by the worker."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from courses import lms_facts, publishing
from courses.models import Course
from lms_sync import breaker, course_facts
from lms_sync.models import PlatformState
from lms_sync.reconcile import check_course
from tests.factories import make_course
from tests.lms_sync.rigs import FrappeRig, OpenEdxRig
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
FRAPPE = "GET /api/resource/LMS Course"
EDX = "GET /api/courses"


@pytest.fixture
def sold(sandbox: Sandbox, with_openedx: None) -> list[Course]:
    """One on each platform, the one on Frappe twice."""
    breaker.state_of("frappe")
    breaker.state_of("openedx")
    edx = {"lms_platform": "openedx", "lms_course_id": OpenEdxRig.course}
    return [
        make_course(title="A", lms_course_id=FrappeRig.course),
        make_course(title="B", lms_course_id=FrappeRig.second),
        make_course(title="C", **edx),
    ]


def titles() -> list[str]:
    return list(Course.objects.order_by("title").values_list("lms_title", flat=True))


@pytest.mark.every_engine
def test_one_course_of_each_platform_is_asked_about_in_a_round(
    sold: list[Course], sandbox: Sandbox
) -> None:
    assert course_facts.fetch_due() == 2
    assert titles() == ["Free course", "", "Free course"]
    assert (len(sandbox.calls("lms", FRAPPE)), len(sandbox.calls("openedx", EDX))) == (1, 1)
    assert course_facts.fetch_due() == 1
    assert titles() == ["Free course", "Other course", "Free course"]
    calls = len(sandbox.calls("lms")), len(sandbox.calls("openedx"))
    assert course_facts.fetch_due() == 0
    assert (len(sandbox.calls("lms")), len(sandbox.calls("openedx"))) == calls
    due = Course.objects.order_by("lms_facts_due_at").first()
    assert due is not None
    assert due.lms_facts_due_at is not None
    assert due.lms_facts_due_at > timezone.now() + timedelta(hours=23)


def test_archived_courses_and_those_without_a_name_there_are_not_asked_about(
    sold: list[Course], sandbox: Sandbox
) -> None:
    publishing.archive(sold[0])
    Course.objects.filter(pk=sold[1].pk).update(lms_course_id="")
    publishing.archive(sold[2])
    make_course(title="D", lms_platform="openedx", lms_course_id=OpenEdxRig.second, status="draft")
    assert course_facts.fetch_due() == 1
    assert titles() == ["", "", "", "Other course"]
    assert sandbox.calls("lms") == []


@pytest.mark.parametrize("mode", ["500", "404"])
def test_a_course_that_cannot_be_read_delays_no_other_and_keeps_what_is_known(
    sold: list[Course], sandbox: Sandbox, mode: str
) -> None:
    Course.objects.filter(pk=sold[0].pk).update(lms_title="Known")
    sandbox.fault("lms", mode, f"{FRAPPE}/{FrappeRig.course}")
    assert course_facts.fetch_due() == 1
    assert course_facts.fetch_due() == 1
    assert titles() == ["Known", "Other course", "Free course"]
    assert breaker.state_of("frappe").state == "closed"


def test_a_course_that_the_lms_does_not_have_is_noted_until_it_has_it_or_is_another(
    sandbox: Sandbox,
) -> None:
    breaker.state_of("frappe")
    course = make_course(lms_course_id=FrappeRig.course)
    assert course_facts.fetch_due() == 1
    name = f"{FRAPPE}/{FrappeRig.course}"
    for status, is_unknown in (("404", True), ("500", True), ("", False)):
        if status:
            sandbox.fault("lms", status, name)
        lms_facts.ask_again(course)
        course_facts.fetch_due()
        sandbox.call("DELETE", "/control/faults")
        course.refresh_from_db()
        found = (course.is_unknown_to_lms, course.is_known_to_lms, course.lms_title)
        assert found == (is_unknown, not is_unknown, "Free course"), status
    lms_facts.note_unknown(course)
    course.refresh_from_db()
    course.lms_course_id = FrappeRig.second
    course.save()
    assert (course.lms_unknown_of, course.is_known_to_lms) == ("", False)
    assert course_facts.fetch_due() == 1  # at once, and not a day later


def test_a_platform_that_hangs_costs_the_other_nothing(
    sold: list[Course], sandbox: Sandbox, settings: Settings
) -> None:
    settings.LMS_TIMEOUT_INTERACTIVE = timedelta(seconds=0.4)
    sandbox.fault("lms", "slow", seconds=2)
    assert course_facts.fetch_due() == 1
    assert titles() == ["", "", "Free course"]


@pytest.mark.parametrize("column", ["retry_at", "recovered_at", "paused_until"])
def test_nothing_is_asked_while_jobs_need_the_calls(
    sold: list[Course], sandbox: Sandbox, column: str
) -> None:
    """It is down, has just come back, or has asked for a pause."""
    state = {"state": "open"} if column == "retry_at" else {}
    soon = {column: timezone.now() + timedelta(minutes=1)}
    PlatformState.objects.filter(name="frappe").update(**state, **soon)
    assert course_facts.fetch_due() == 1
    assert titles() == ["", "", "Free course"]
    assert sandbox.calls("lms") == []


def test_the_nightly_look_and_the_check_keep_the_facts_too(sold: list[Course]) -> None:
    """Under the true name, which they correct first."""
    Course.objects.filter(pk=sold[0].pk).update(lms_course_id="FREE-course")
    found = check_course(Course.objects.get(pk=sold[0].pk))
    assert [finding.is_note for finding in found] == [True, True]
    fresh = Course.objects.get(pk=sold[0].pk)
    assert (fresh.lms_title, fresh.lms_facts_of) == ("Free course", "frappe free-course")


def test_why_nobody_could_be_enrolled_is_kept_until_it_is_so_no_more(
    sold: list[Course], sandbox: Sandbox
) -> None:
    key = sold[2].pk
    lacking = "It does not offer the mode verified, but audit."
    for mode, why in (("audit", lacking), ("verified", "")):
        sandbox.edx(courses=[{"id": OpenEdxRig.course, "modes": [mode]}])
        course_facts.ask(Course.objects.get(pk=key))
        course = Course.objects.get(pk=key)
        assert course.lms_obstacles == why
        gaps = [gap.sentence for gap in publishing.gaps(course) if gap.is_essential]
        assert [each for each in gaps if "enrolls nobody" in each] == (
            [f"The LMS enrolls nobody in it. {why}"] if why else []
        )
