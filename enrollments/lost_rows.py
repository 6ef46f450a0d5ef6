"""Access that we gave in an LMS and that no row of ours knows of, as after the restore of a backup.

What was paid for is rebuilt from Stripe. What was free is not known there: only the LMS has it.
"""

from collections.abc import Sequence
from datetime import date

from enrollments.models import Enrollment
from lms_sync.connection import platform_for
from lms_sync.platforms.base import Listed

CHUNK = 500


def find(platform: str, since: date) -> list[Listed]:
    """Return what we made there since that day for learners without an enrollment here.

    Raises LmsError.
    """
    made = platform_for(platform).made_since(since)
    lost = []
    for start in range(0, len(made), CHUNK):
        some = made[start : start + CHUNK]
        known = _known_courses(platform, [row.email for row in some])
        lost += [row for row in some if (row.email, row.course_id.casefold()) not in known]
    return lost


def _known_courses(platform: str, emails: Sequence[str]) -> set[tuple[str, str]]:
    """Return what courses these learners ever had, whatever became of that."""
    rows = Enrollment.objects.filter(lms_platform=platform, email__in=emails)
    had = rows.values_list("email", "lms_course_id")
    return {(email, course_id.casefold()) for email, course_id in had}
