"""What the page of a course shows, to visitors and to staff who look at a draft."""

from typing import Any

from courses.catalogue import related_to
from courses.faq import questions_about
from courses.learners import learners_of
from courses.models import Course
from courses.structured_data import describe


def page_of(course: Course) -> dict[str, Any]:
    """Return the context of `courses/course.html`."""
    people = course.people
    return {
        "course": course,
        "outcomes": course.outcomes,
        "modules": course.modules,
        "people": people,
        "learners": learners_of(course),
        "related": related_to(course),
        "faq": questions_about(course),
        "structured_data": describe(course, people),
    }
