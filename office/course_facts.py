"""What the LMS says of a course, beside what staff wrote, and the decision to take it over."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.dateformat import format as format_date
from django.utils.formats import date_format
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from courses import lms_facts
from courses.models import Course
from lms_sync import links
from office.cells import link
from office.decisions import NOBODY, ONE_ROW, Decision, Outcome

NOT_SAID = "not said"
NOT_ASKED = "The LMS has not been asked yet. The worker asks within some minutes."
UNKNOWN = "The LMS has no such course. The worker asks again once a day."
WORDS = {lms_facts.TITLE: "The title", lms_facts.INSTRUCTORS: "The instructors"}


class TakeOverForm(forms.Form):
    """Which of the facts that differ are to be the LMS's."""

    facts = forms.MultipleChoiceField(
        label="What the LMS says is to replace what we say of",
        choices=[],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        error_messages={"required": "Choose what is to be taken over."},
    )
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, course: Course) -> None:
        super().__init__(data, initial={"seen": lms_facts.seen_now(course)})
        offered = [each.fact for each in lms_facts.takeable(course)]
        choices = [(fact, WORDS[fact]) for fact in offered]
        field = self.fields["facts"]
        field.choices = choices  # type: ignore[attr-defined]


class TakeOverDecision(Decision):
    """Shows both sides, and offers what differs."""

    def make_form(self, rows: list[Course], data: Any) -> TakeOverForm:
        return TakeOverForm(data, course=rows[0])

    def context(self, request: HttpRequest, rows: list[Course], form: Any) -> dict[str, Any]:
        about = {"rows": [(course, facts(course)) for course in rows]}
        is_possible = lms_facts.takeable(rows[0])
        return about if is_possible else {**about, "refusal": "There is nothing to take over."}


def _take_over(course: Course, *, facts: list[str], seen: str) -> Outcome:
    taken = lms_facts.take_over(course, facts=facts, seen=seen)
    return Outcome(f"taken over from the LMS: {', '.join(taken)}")


def facts(course: Course) -> list[tuple[str, str]]:
    """Return both sides of what may be taken over, for the page of the decision."""
    return [
        ("Title here", course.title),
        ("Title in the LMS", course.lms_title),
        ("Instructors here", ", ".join(map(str, course.instructor_list))),
        ("Instructors in the LMS", ", ".join(course.lms_instructors.splitlines())),
    ]


def shown(course: Course) -> str:
    """Return what the LMS says of a course, and what differs, for its page in the office."""
    if course.is_unknown_to_lms:
        return UNKNOWN
    if course.lms_facts_at is None:
        return NOT_ASKED
    context = {"facts": _said(course), "differences": lms_facts.differences(course)}
    return render_to_string("admin/courses/lms_facts.html", context)


def _said(course: Course) -> list[tuple[str, str]]:
    """Return all that the LMS said, as pairs of a label and a text."""
    is_published = {True: "yes", False: "no", None: NOT_SAID}[course.lms_published]
    lessons = NOT_SAID if course.lms_lessons is None else str(course.lms_lessons)
    return [
        ("Title", course.lms_title or NOT_SAID),
        ("Instructors", ", ".join(course.lms_instructors.splitlines()) or NOT_SAID),
        ("Lessons", lessons),
        ("Published there", is_published),
        ("Image", _image(course)),
        ("Changed there", _moment(course.lms_modified) or NOT_SAID),
        ("Asked", date_format(course.lms_facts_at or "", "DATETIME_FORMAT")),
    ]


def _moment(said: str) -> str:
    """Return when the LMS changed it; it names no time zone, so it is by its own clock."""
    try:
        return f"{format_date(datetime.fromisoformat(said), 'M j, Y, H:i')}, by the LMS's clock"
    except ValueError:
        return said


def _image(course: Course) -> str:
    if not course.lms_image:
        return "none"
    address = links.own_link(course.lms_platform, course.lms_image)
    return link(address, "View image") if address else "one that is not on the LMS's own host"


TAKE_OVER = TakeOverDecision(
    "Take over from the LMS",
    run=_take_over,
    permission="change",
    done="taken over from the LMS",
    form=TakeOverForm,
    consequence=(
        "The course page and new purchases show it from then on. What was bought before keeps the"
        " title it was bought under; instructors keep the roles that you gave them."
    ),
    run_by=NOBODY,
    scope=ONE_ROW,
)
