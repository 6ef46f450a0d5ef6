"""Putting a course on sale and taking it off."""

from django.core.exceptions import ValidationError

from courses.errors import CourseNotReady
from courses.models import Course
from maaledu.db import transition
from maaledu.public_pages import bump_public_pages


def publish(course: Course) -> bool:
    """Put a complete course on sale and return whether this call did it.

    Raises CourseNotReady, with what is missing, where a buyer or the LMS would meet an incomplete
    course.
    """
    _require_complete(course)
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


def _require_complete(course: Course) -> None:
    missing = [
        name
        for name in ("description", "outcomes", "syllabus")
        if not getattr(course, name).strip()
    ]
    if missing:
        raise CourseNotReady(
            f"“{course}” cannot be published yet: it has no {', '.join(missing)}.", missing=missing
        )
    try:
        course.full_clean()
    except ValidationError as error:
        reason = " ".join(error.messages)
        raise CourseNotReady(
            f"“{course}” cannot be published yet: {reason}", fields=sorted(error.message_dict)
        ) from error
    if not course.has_driver:
        raise CourseNotReady(
            f"“{course}” cannot be published yet. {course.no_driver}", platform=course.lms_platform
        )
