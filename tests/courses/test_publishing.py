import itertools

import pytest

from courses.errors import CourseNotReady
from courses.models import Course
from courses.publishing import archive, publish
from maaledu.db import transition
from tests.factories import make_course

pytestmark = pytest.mark.django_db
COMPLETE = {"description": "About it.", "outcomes": "Do it", "syllabus": "One\n- a"}
MOVES = {"published": publish, "archived": archive}


def test_transitions_name_every_status():
    assert set(Course.TRANSITIONS) == set(Course.Status.values)


@pytest.mark.parametrize(("start", "to"), list(itertools.product(Course.Status.values, repeat=2)))
def test_a_course_moves_only_as_the_table_says(start, to):
    course = make_course(status=start, **COMPLETE)
    allowed = start in Course.TRANSITIONS[to]
    assert transition(course, to) is allowed
    assert Course.objects.get().status == course.status == (to if allowed else start)


@pytest.mark.parametrize(
    ("start", "to", "won"),
    [
        ("draft", "published", True),
        ("archived", "published", True),
        ("published", "published", False),
        ("draft", "archived", True),
        ("published", "archived", True),
        ("archived", "archived", False),
    ],
)
def test_publish_and_archive_report_whether_they_did_it(start, to, won):
    course = make_course(status=start, **COMPLETE)
    assert MOVES[to](course) is won
    assert Course.objects.get().status == to


@pytest.mark.parametrize("gap", ["description", "outcomes", "syllabus"])
def test_an_incomplete_course_is_not_put_on_sale(gap):
    course = make_course(status="draft", **{**COMPLETE, gap: " \n"})
    with pytest.raises(CourseNotReady, match=gap):
        publish(course)
    assert Course.objects.get().status == "draft"


def test_a_course_with_an_impossible_lms_id_is_not_put_on_sale():
    course = make_course(status="draft", **COMPLETE)
    Course.objects.update(lms_platform="openedx", lms_course_id="nonsense")
    course.refresh_from_db()
    with pytest.raises(CourseNotReady, match="Open edX key"):
        publish(course)
    assert Course.objects.get().status == "draft"
