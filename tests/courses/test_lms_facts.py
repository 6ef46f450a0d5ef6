"""What the LMS says of a course is kept beside what staff wrote, and replaces it by a decision."""

from dataclasses import replace
from typing import Any

import pytest

from courses import lms_facts
from courses.errors import FactRefused, FactsChanged
from courses.lms_facts import Said
from courses.models import Course
from tests.factories import make_course, taught_by

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
OURS: dict[str, Any] = {
    "title": "Bookkeeping",
    "instructors": taught_by("Ann Rao, accountant", "Ben Li"),
    "syllabus": [{"title": "One", "lessons": ["a", "b"]}],
}
THEIRS = Said(
    title="Bookkeeping",
    published=True,
    instructors=("Ben Li", "ann rao"),
    image="/files/a.png",
    lessons=2,
    modified="2026-11-20 13:28:45.841434",
)


def told(said: Said, **ours: Any) -> Course:
    course = make_course(**{**OURS, **ours})
    assert lms_facts.keep(course, said)
    return Course.objects.get(pk=course.pk)


def written(course: Course) -> tuple[str, Any, Any]:
    fresh = Course.objects.get(pk=course.pk)
    return fresh.title, fresh.instructors, fresh.syllabus


def test_facts_are_kept_and_nothing_that_staff_wrote_changes() -> None:
    course = told(replace(THEIRS, title="Theirs", instructors=("Eve",), lessons=9))
    assert (course.lms_title, course.lms_instructors, course.lms_lessons) == ("Theirs", "Eve", 9)
    assert (course.lms_image, course.lms_published) == ("/files/a.png", True)
    assert course.lms_modified == "2026-11-20 13:28:45.841434"
    assert course.lms_facts_at is not None
    assert written(course) == (OURS["title"], OURS["instructors"], OURS["syllabus"])


def test_nothing_differs_before_the_lms_was_asked_and_where_both_agree() -> None:
    assert lms_facts.differences(make_course(**OURS)) == []
    assert lms_facts.differences(told(THEIRS)) == []
    assert lms_facts.differences(told(replace(THEIRS, title="  BOOKkeeping "))) == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"title": "Books"}, "The LMS calls it “Books”, we call it “Bookkeeping”."),
        (
            {"instructors": ("Eve",)},
            "The LMS names as instructors Eve; we name Ann Rao, Ben Li.",
        ),
        ({"lessons": 3}, "The LMS counts 3 lessons, our syllabus lists 2."),
        (
            {"published": False},
            "The LMS does not show it to its learners: it is not published there.",
        ),
        (
            {"obstacles": ("No mode verified.", "No country.")},
            "The LMS enrolls nobody in it. No mode verified. No country.",
        ),
    ],
)
def test_each_difference_is_one_sentence(said: dict[str, Any], sentence: str) -> None:
    [found] = lms_facts.differences(told(replace(THEIRS, **said)))
    assert found.sentence == sentence


def test_what_the_lms_does_not_say_is_no_difference() -> None:
    """Open edX names neither instructors nor lessons."""
    assert lms_facts.differences(told(Said(title="Bookkeeping", published=True))) == []


def test_a_title_that_is_too_long_for_the_column_is_cut() -> None:
    assert len(told(replace(THEIRS, title="x" * 400)).lms_title) == 255


@pytest.mark.every_engine
def test_what_is_taken_over_replaces_ours_and_keeps_the_roles() -> None:
    course = told(replace(THEIRS, title="Books", instructors=("ANN Rao", "Eve"), lessons=3))
    seen = lms_facts.seen_now(course)
    taken = lms_facts.take_over(course, facts=["title", "instructors"], seen=seen)
    assert written(course) == ("Books", taught_by("ANN Rao, accountant", "Eve"), OURS["syllabus"])
    assert taken == ["title “Books”", "instructors “ANN Rao (accountant), Eve”"]
    assert Course.objects.search("books").count() == 1
    left = lms_facts.differences(Course.objects.get(pk=course.pk))
    assert [each.fact for each in left] == ["lessons"]


def test_only_what_was_chosen_is_taken_over() -> None:
    course = told(replace(THEIRS, title="Books", instructors=("Eve",)))
    lms_facts.take_over(course, facts=["title"], seen=lms_facts.seen_now(course))
    assert written(course)[:2] == ("Books", OURS["instructors"])


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Changed here"},
        {"lms_title": "Changed there"},
        {"lms_instructors": "Changed there"},
        {"lms_title": "Bookkeeping", "lms_instructors": ""},
    ],
)
def test_what_has_changed_since_it_was_looked_at_is_not_taken_over(change: dict[str, Any]) -> None:
    course = told(replace(THEIRS, title="Books"))
    seen = lms_facts.seen_now(course)
    Course.objects.filter(pk=course.pk).update(**change)
    before = Course.objects.filter(pk=course.pk).values().get()
    with pytest.raises(FactsChanged):
        lms_facts.take_over(course, facts=["title", "instructors"], seen=seen)
    assert Course.objects.filter(pk=course.pk).values().get() == before


@pytest.mark.parametrize("facts", [[], ["lessons"], ["price"], ["instructors"]])
def test_what_does_not_differ_or_cannot_be_taken_is_not(facts: list[str]) -> None:
    course = told(replace(THEIRS, title="Books", lessons=9))
    with pytest.raises(FactsChanged):
        lms_facts.take_over(course, facts=facts, seen=lms_facts.seen_now(course))
    assert written(course)[0] == "Bookkeeping"


def test_a_title_that_is_too_long_for_ours_is_refused() -> None:
    course = told(replace(THEIRS, title="x" * 200))
    with pytest.raises(FactRefused) as caught:
        lms_facts.take_over(course, facts=["title"], seen=lms_facts.seen_now(course))
    assert "140 characters" in caught.value.message
    assert written(course)[0] == "Bookkeeping"


@pytest.mark.every_engine
@pytest.mark.parametrize("update_fields", [None, ["lms_course_id"]])
def test_facts_of_another_course_are_forgotten(update_fields: list[str] | None) -> None:
    course = told(replace(THEIRS, title="Books"))
    course.lms_course_id = "another-one"
    course.save(update_fields=update_fields)
    fresh = Course.objects.get(pk=course.pk)
    assert (fresh.lms_title, fresh.lms_facts_at, fresh.lms_lessons) == ("", None, None)
    assert list(Course.objects.facts_due("frappe", fresh.updated_at)) == [fresh]


def test_facts_stay_where_only_the_case_of_the_name_or_something_else_changes() -> None:
    course = told(replace(THEIRS, title="Books"))
    course.lms_course_id = course.lms_course_id.upper()
    course.title = "Another title"
    course.save()
    assert Course.objects.get(pk=course.pk).lms_title == "Books"


def test_what_is_heard_of_a_course_that_was_changed_meanwhile_is_not_kept() -> None:
    course = make_course(**OURS)
    Course.objects.filter(pk=course.pk).update(lms_course_id="another-one")
    assert not lms_facts.keep(course, THEIRS)
    assert Course.objects.get(pk=course.pk).lms_facts_at is None
