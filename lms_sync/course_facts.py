"""Ask each LMS what it says of our courses, beside the jobs and within its rate (R030)."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from courses import lms_facts
from courses.lms_facts import Said
from courses.models import Course, connected_platforms
from courses.naming import keep_true_name
from lms_sync import seats
from lms_sync.admission import has_room
from lms_sync.connection import platform_for
from lms_sync.errors import (
    LmsCourseUnknown,
    LmsError,
    LmsMisconfigured,
    LmsNotFound,
    LmsPaced,
    LmsRefused,
)
from lms_sync.platforms.base import CourseFacts


def fetch_due() -> int:
    """Ask each LMS about the course that is due longest, and return how many were kept.

    Nothing is asked while jobs need all the calls that the LMS may get.
    """
    return sum(map(_fetch_next, filter(has_room, connected_platforms())))


def _fetch_next(platform: str) -> int:
    course = Course.objects.facts_due(platform, timezone.now()).first()
    if course is None:
        return 0
    try:
        with seats.taken(platform):
            ask(course, timeout=settings.LMS_TIMEOUT_INTERACTIVE)
    except LmsPaced:
        return 0
    except (LmsCourseUnknown, LmsNotFound):
        lms_facts.note_unknown(course)
        again = settings.LMS_COURSE_FACTS_EVERY
    except (LmsRefused, LmsMisconfigured):
        again = settings.LMS_COURSE_FACTS_EVERY
    except LmsError:
        again = settings.LMS_COURSE_FACTS_RETRY
    else:
        return 1
    # Not left first in line, where an LMS that hangs about one course would keep all others out.
    lms_facts.ask_again_at(course, timezone.now() + again)
    return 0


def ask(course: Course, *, timeout: timedelta | None = None) -> tuple[CourseFacts, bool]:
    """Ask the LMS about a course and keep what it says, with its true name there.

    Returns it, and whether the name was written otherwise here. Raises LmsError.
    """
    facts = platform_for(course.lms_platform, timeout=timeout).course(course.lms_course_id)
    is_renamed = keep_true_name(course, facts.course_id)
    said = Said(
        title=facts.title,
        published=facts.published,
        instructors=facts.instructors,
        image=facts.image,
        lessons=facts.lessons,
        modified=facts.modified,
        obstacles=facts.obstacles,
    )
    lms_facts.keep(course, said)
    return facts, is_renamed
