from datetime import timedelta

import pytest
from pytest_django import Settings

from courses.models import Course
from lms_sync.errors import LmsNotEnrolled, LmsUnavailable
from lms_sync.reconcile import Finding, check_courses, course_problems, fetch_progress
from tests.factories import make_course
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]


def test_courses_that_agree_are_not_mentioned(sandbox: Sandbox) -> None:
    make_course(slug="free-course", title="Free Course")
    assert check_courses("frappe") == []


def test_every_mismatch_of_a_published_course_is_reported(sandbox: Sandbox) -> None:
    sandbox.lms(courses=[{"title": "Hidden", "name": "hidden", "published": 0}])
    make_course(slug="a-renamed", title="Our title", lms_course_id="free-course")
    make_course(slug="b-lost", lms_course_id="no-such-course")
    make_course(slug="c-hidden", title="Hidden", lms_course_id="hidden")
    make_course(slug="d-draft", lms_course_id="no-such-draft", status="draft")
    edx = make_course(slug="e-edx")
    Course.objects.filter(pk=edx.pk).update(lms_platform="openedx", lms_course_id="course-v1:A+B+C")
    found = check_courses("frappe") + check_courses("openedx")
    assert [finding.course_slug for finding in found] == [
        "a-renamed",
        "b-lost",
        "c-hidden",
        "e-edx",
    ]
    assert found[0] == Finding(
        "a-renamed",
        "The LMS calls it “Free course”, we call it “Our title”.",
        "Free course",
        is_note=True,
    )
    assert "no-such-course" in found[1].problem
    assert found[2] == Finding("c-hidden", "The course is not published in the LMS.", "Hidden")
    assert "openedx" in found[3].problem
    assert course_problems("frappe") == [found[1], found[2]]


def test_an_lms_that_is_down_is_not_a_mismatch(sandbox: Sandbox) -> None:
    make_course(slug="free-course")
    sandbox.fault("lms", "503")
    with pytest.raises(LmsUnavailable):
        check_courses("frappe")


def test_progress_is_fetched(sandbox: Sandbox) -> None:
    sandbox.lms(
        users=[{"email": "a@example.com", "first_name": "A"}],
        enrollments=[{"member": "a@example.com", "course": "free-course"}],
    )
    sandbox.lms(progress={"email": "a@example.com", "course": "free-course", "percent": 62.5})
    found = fetch_progress(platform="frappe", email="a@example.com", course_id="free-course")
    assert (found.percent, found.completed) == (62, False)
    with pytest.raises(LmsNotEnrolled):
        fetch_progress(platform="frappe", email="b@example.com", course_id="free-course")


def test_progress_is_not_waited_for_longer_than_where_somebody_waits(
    sandbox: Sandbox, settings: Settings
) -> None:
    settings.LMS_TIMEOUT_INTERACTIVE = timedelta(seconds=0.4)
    sandbox.fault("lms", "slow", seconds=2)
    with pytest.raises(LmsUnavailable):
        fetch_progress(platform="frappe", email="a@example.com", course_id="free-course")
