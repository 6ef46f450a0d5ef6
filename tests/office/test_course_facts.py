"""The office shows what the LMS says of a course, and takes it over by a decision."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from courses import lms_facts
from courses.lms_facts import Said
from courses.models import Course
from tests.factories import make_course, taught_by
from tests.office.test_lists import member

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
LIST = "/admin/courses/course/"
ODD = Said(
    title="<b>Books</b>",
    published=True,
    instructors=("Eve <Li>",),
    image="https://elsewhere.example/a.png",
)


@pytest.fixture
def course() -> Course:
    return make_course(title="Bookkeeping", instructors=taught_by("Ann Rao, accountant"))


def clerk() -> Client:
    return member("view_course", "change_course")


def page_of(course: Course, name: str = "change") -> str:
    return f"{LIST}{course.pk}/{name}/"


def shown(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_the_list_says_whether_the_lms_agrees(course: Course) -> None:
    client = clerk()
    assert "not asked" in shown(client, LIST)
    lms_facts.keep(course, Said(title="bookkeeping", published=True))
    assert "agrees" in shown(client, LIST)
    lms_facts.keep(course, ODD)
    assert "differs" in shown(client, LIST)


def test_the_page_shows_both_sides_as_text(course: Course, settings: Any) -> None:
    client = clerk()
    assert "has not been asked yet" in shown(client, page_of(course))
    lms_facts.keep(course, ODD)
    html = shown(client, page_of(course))
    assert "The LMS calls it “&lt;b&gt;Books&lt;/b&gt;”, we call it “Bookkeeping”." in html
    assert "Eve &lt;Li&gt;" in html
    assert "<b>Books</b>" not in html
    assert "one that is not on the LMS&#x27;s own host" in html
    assert "elsewhere.example" not in html
    settings.FRAPPE_LMS_BASE_URL = "https://elsewhere.example"
    assert 'href="https://elsewhere.example/a.png"' in shown(client, page_of(course))


def test_nothing_is_offered_where_nothing_can_be_taken_over(course: Course) -> None:
    client = clerk()
    assert page_of(course, "take_over") not in shown(client, page_of(course))
    lms_facts.keep(course, Said(title="Bookkeeping", published=False))
    assert page_of(course, "take_over") not in shown(client, page_of(course))
    assert "There is nothing to take over." in shown(client, page_of(course, "take_over"))


def test_what_is_chosen_is_taken_over_with_one_entry(course: Course) -> None:
    lms_facts.keep(course, Said(title="Books", published=True, instructors=("Eve",)))
    client = clerk()
    assert page_of(course, "take_over") in shown(client, page_of(course))
    form = client.get(page_of(course, "take_over")).context["form"]
    typed = {"decide": "1", "facts": ["title"], "seen": form["seen"].value()}
    answer = client.post(page_of(course, "take_over"), typed, follow=True)
    assert "Taken over from the LMS: title “Books”." in answer.content.decode()
    course.refresh_from_db()
    assert (course.title, course.instructors) == ("Books", taught_by("Ann Rao, accountant"))
    assert [entry.change_message for entry in LogEntry.objects.all()] == [
        "taken over from the LMS: title “Books”"
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"facts": []}, "Choose what is to be taken over."),
        ({"facts": ["price"]}, "Select a valid choice"),
        ({"facts": ["title"], "seen": "older"}, "has changed since. Please look again."),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(
    course: Course, typed: dict[str, Any], words: str
) -> None:
    lms_facts.keep(course, Said(title="Books", published=True))
    client = clerk()
    seen = client.get(page_of(course, "take_over")).context["form"]["seen"].value()
    answer = client.post(page_of(course, "take_over"), {"decide": "1", "seen": seen, **typed})
    assert words in answer.content.decode()
    course.refresh_from_db()
    assert course.title == "Bookkeeping"
    assert LogEntry.objects.count() == 0
