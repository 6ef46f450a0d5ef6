"""Compare the LMS's courses with ours, and read a learner's progress (requirements R030, R031)."""

from dataclasses import dataclass

from django.conf import settings

from courses.models import Course
from lms_sync.connection import platform_for
from lms_sync.errors import LmsMisconfigured, LmsRefused


@dataclass(frozen=True)
class Finding:
    """Something about a published course that would lock its buyers out, or mislead them."""

    course_slug: str
    problem: str
    lms_title: str = ""


def fetch_progress(*, platform: str, email: str, course_id: str) -> int:
    """Return how far a learner is, 0 to 100."""
    # Frappe keeps no date of a change of progress, so each enrollment is asked for by itself.
    driver = platform_for(platform, timeout=settings.LMS_TIMEOUT_INTERACTIVE)
    return driver.progress(email, course_id).percent


def check_courses() -> list[Finding]:
    """Return what is wrong with each published course in the LMS. Raises LmsUnavailable."""
    return [
        finding
        for course in Course.objects.published().order_by("slug")
        for finding in check_course(course)
    ]


def check_course(course: Course) -> list[Finding]:
    try:
        facts = platform_for(course.lms_platform).course(course.lms_course_id)
    except (LmsRefused, LmsMisconfigured) as error:
        return [Finding(course.slug, error.explanation)]
    found = []
    if not facts.published:
        found.append(Finding(course.slug, "The course is not published in the LMS.", facts.title))
    if facts.title.casefold() != course.title.casefold():
        problem = f"The LMS calls it “{facts.title}”, we call it “{course.title}”."
        found.append(Finding(course.slug, problem, facts.title))
    return found
