import itertools

import pytest
from django.core.exceptions import ValidationError

from courses.errors import CourseNotReady
from courses.models import Course
from courses.publishing import archive, gaps, publish
from maaledu.db import transition
from tests import tables
from tests.factories import COMPLETE, make_course

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
MOVES = {"published": publish, "archived": archive}


@pytest.mark.parametrize(
    ("start", "to"), list(itertools.product(["draft", "published", "archived"], repeat=2))
)
def test_a_course_moves_only_as_the_table_says(start, to):
    course = make_course(status=start, **COMPLETE)
    allowed = (start, to) in tables.COURSE
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
    course = make_course(status="draft", **{**COMPLETE, gap: " \n" if gap == "description" else []})
    with pytest.raises(CourseNotReady, match=gap):
        publish(course)
    assert Course.objects.get().status == "draft"


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"lms_facts_at": None}, "The LMS has not confirmed the Frappe LMS course “books” yet."),
        ({"lms_unknown_of": "frappe books"}, "The LMS has no Frappe LMS course “books”."),
        ({"lms_published": False}, "is not published there"),
        ({"lms_obstacles": "No mode verified."}, "The LMS enrolls nobody in it. No mode verified."),
    ],
)
def test_a_course_that_nobody_could_be_enrolled_in_is_not_put_on_sale(known, sentence):
    course = make_course(slug="books", status="draft", **{**COMPLETE, **known})
    with pytest.raises(CourseNotReady, match=sentence) as caught:
        publish(course)
    assert caught.value.details["missing"] == ["lms_course_id"]
    assert Course.objects.get().status == "draft"


def test_a_shop_that_does_not_say_who_sells_sells_nothing(settings):
    settings.COMPANY_ADDRESS = ""
    with pytest.raises(CourseNotReady, match="who sells"):
        publish(make_course(status="draft", **COMPLETE))
    assert Course.objects.get().status == "draft"


def test_what_is_only_advised_keeps_no_course_from_being_sold():
    course = make_course(status="draft", price=0, **COMPLETE)
    advised = ["price", "duration_hours", "instructors", "sample_title"]
    assert [(gap.field, gap.is_essential) for gap in gaps(course)] == [
        (name, False) for name in advised
    ]
    assert publish(course)


def test_a_course_with_an_impossible_lms_id_is_not_put_on_sale():
    course = make_course(status="draft", **COMPLETE)
    Course.objects.update(lms_platform="openedx", lms_course_id="nonsense")
    course.refresh_from_db()
    with pytest.raises(CourseNotReady, match="Open edX key"):
        publish(course)
    assert Course.objects.get().status == "draft"


def test_a_course_of_a_platform_without_a_driver_is_not_put_on_sale():
    course = make_course(
        status="draft", lms_platform="openedx", lms_course_id="course-v1:A+B+2026", **COMPLETE
    )
    with pytest.raises(
        CourseNotReady,
        match="Nothing connects us to Open edX yet, so nobody who pays could be enrolled there",
    ):
        publish(course)
    assert Course.objects.get().status == "draft"
    assert archive(course)


def test_a_course_on_sale_cannot_be_moved_to_a_platform_without_a_driver():
    course = make_course(**COMPLETE)
    course.lms_platform, course.lms_course_id = "openedx", "course-v1:A+B+2026"
    with pytest.raises(ValidationError) as caught:
        course.full_clean()
    assert set(caught.value.message_dict) == {"lms_platform"}
    assert "Take the course off sale first" in caught.value.message_dict["lms_platform"][0]


@pytest.mark.every_engine
def test_what_was_put_on_sale_before_on_a_platform_without_a_driver_is_not_on_sale_any_more():
    stranded, good = make_course(), make_course()
    Course.objects.filter(pk=stranded.pk).update(
        lms_platform="openedx", lms_course_id="course-v1:A+B+2026"
    )
    assert list(Course.objects.on_sale()) == [good]
    assert list(Course.objects.without_driver()) == [stranded]
