"""Compare the LMS's courses with ours, and read a learner's progress (requirements R030, R031)."""

from dataclasses import dataclass

from django.conf import settings

from courses.models import Course
from lms_sync import course_facts
from lms_sync.connection import platform_for
from lms_sync.errors import LmsMisconfigured, LmsRefused
from lms_sync.platforms.base import Progress


@dataclass(frozen=True)
class Finding:
    """Something about a published course that would lock its buyers out, or mislead them.

    A note only says what differs: buyers are enrolled all the same.
    """

    course_slug: str
    problem: str
    lms_title: str = ""
    is_note: bool = False

    def __str__(self) -> str:
        return f"{self.course_slug}: {self.problem}"


def fetch_progress(*, platform: str, email: str, course_id: str) -> Progress:
    """Return how far a learner is, and whether they have a certificate."""
    # Frappe keeps no date of a change of progress, so each enrollment is asked for by itself.
    driver = platform_for(platform, timeout=settings.LMS_TIMEOUT_INTERACTIVE)
    return driver.progress(email, course_id)


def check_courses(platform: str) -> list[Finding]:
    """Return what is wrong with each published course in this LMS. Raises LmsUnavailable."""
    courses = Course.objects.published().filter(lms_platform=platform).order_by("slug")
    return [finding for course in courses for finding in check_course(course)]


def course_problems(platform: str) -> list[Finding]:
    """Return what buyers would meet; what only differs is shown with the course in the office."""
    return [finding for finding in check_courses(platform) if not finding.is_note]


def check_course(course: Course) -> list[Finding]:
    """Return what is wrong with a course in its LMS, and keep what the LMS says of it.

    Raises LmsUnavailable.
    """
    typed = course.lms_course_id
    try:
        facts, is_renamed = course_facts.ask(course)
    except (LmsRefused, LmsMisconfigured) as error:
        return [Finding(course.slug, error.reason or error.message)]
    found = []
    if is_renamed:
        problem = f"The LMS writes its name {facts.course_id}, not {typed}: corrected here."
        found.append(Finding(course.slug, problem, facts.title, is_note=True))
    if not facts.published:
        found.append(Finding(course.slug, "The course is not published in the LMS.", facts.title))
    if facts.title.casefold() != course.title.casefold():
        problem = f"The LMS calls it “{facts.title}”, we call it “{course.title}”."
        found.append(Finding(course.slug, problem, facts.title, is_note=True))
    found += [Finding(course.slug, problem, facts.title) for problem in facts.obstacles]
    return found
