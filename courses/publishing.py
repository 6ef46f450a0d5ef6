"""Putting a course on sale and taking it off."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError

from courses.errors import CourseNotReady
from courses.facts_of_lms import LMS_FACTS
from courses.models import Course
from maaledu.db import transition
from maaledu.public_pages import bump_public_pages

SELLER = "seller"
WRITTEN = {
    "description": "It has no description.",
    "outcomes": "It has no outcomes: what a learner can do afterwards.",
    "syllabus": "It has no syllabus.",
}


@dataclass(frozen=True)
class Gap:
    """Something that a course lacks, and the field that it is written in."""

    field: str
    sentence: str
    is_essential: bool = True


def gaps(course: Course) -> list[Gap]:
    """Return what is missing before the course can be sold, then what would only make it better."""
    return [*_essential(course), *_advised(course)]


def is_ready(course: Course) -> bool:
    """Whether nothing is missing, as far as the course itself says; no statement is asked."""
    return next(_essential(course, among_others=False), None) is None


def publish(course: Course) -> bool:
    """Put a complete course on sale and return whether this call did it.

    Raises CourseNotReady, with what is missing, where a buyer or the LMS would meet an incomplete
    course.
    """
    missing = list(_essential(course))
    if missing:
        sentences = " ".join(gap.sentence for gap in missing)
        raise CourseNotReady(
            f"“{course}” cannot be published yet. {sentences}",
            missing=[gap.field for gap in missing],
        )
    return _move(course, Course.Status.PUBLISHED)


def archive(course: Course) -> bool:
    """Take a course off sale and return whether this call did it.

    Learners who bought it keep their access.
    """
    return _move(course, Course.Status.ARCHIVED)


def _move(course: Course, to: str) -> bool:
    won = transition(course, to)
    # transition writes without save(), which would have made the cached pages invalid.
    if won:
        bump_public_pages()
    return won


def _essential(course: Course, *, among_others: bool = True) -> Iterator[Gap]:
    for name, sentence in WRITTEN.items():
        text = getattr(course, name)
        if not (text.strip() if isinstance(text, str) else text):
            yield Gap(name, sentence)
    try:
        course.full_clean(
            exclude=[*LMS_FACTS], validate_unique=among_others, validate_constraints=among_others
        )
    except ValidationError as error:
        for name, sentences in error.message_dict.items():
            yield Gap(name, f"{_label(name)}: {' '.join(sentences)}")
    if not course.has_driver:
        yield Gap("lms_platform", course.no_driver)
    elif why := _why_not_in_lms(course):
        yield Gap("lms_course_id", why)
    if not (settings.COMPANY_NAME and settings.COMPANY_ADDRESS and settings.SUPPORT_EMAIL):
        yield Gap(SELLER, "The shop does not say who sells: company, address, support address.")


def _why_not_in_lms(course: Course) -> str:
    """Return why nobody who pays could be enrolled now; "" where the LMS has the course."""
    name = f"{course.get_lms_platform_display()} course “{course.lms_course_id}”"
    if course.is_unknown_to_lms:
        return f"The LMS has no {name}. Correct its name, or make it there."
    if course.lms_facts_at is None:
        return f"The LMS has not confirmed the {name} yet. It is asked within some minutes."
    if course.lms_published is False:
        return f"The {name} is not published there, so learners could not open it."
    return course.why_none_enrolled


def _advised(course: Course) -> Iterator[Gap]:
    advice = {
        "price": (course.is_free, "The price is 0: it is free for everybody."),
        "duration_hours": (not course.duration_hours, "The hours of study are 0."),
        "instructors": (not course.instructors, "It names nobody who teaches it."),
        "sample_title": (not course.has_sample, "It has no sample lesson."),
    }
    for name, (is_missing, sentence) in advice.items():
        if is_missing:
            yield Gap(name, sentence, is_essential=False)


def _label(name: str) -> str:
    known = {field.name: str(field.verbose_name) for field in Course._meta.concrete_fields}
    label = known.get(name, "course")
    return label[:1].upper() + label[1:]
