"""How far learners are and what certificates they have, as the LMS says.

The worker asks, so that no page waits for the LMS: a page shows what is kept, and since when.
Whoever looks at one is asked about before the rest.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from courses.models import connected_platforms
from enrollments.models import Enrollment
from lms_sync import reconcile, seats
from lms_sync.admission import has_room
from lms_sync.errors import LmsError, LmsPaced, LmsRefused
from lms_sync.platforms.base import Progress
from maaledu import tracing


def want(enrollment: Enrollment) -> bool:
    """Have the worker ask soon if what is known is old, and return whether it will.

    What is known is old after LEARNER_DASHBOARD_LIFETIME. Where the worker has just asked in vain,
    it asks again in its own time: an open page must not make a learner about whom the LMS hangs
    the first of every round.
    """
    now = timezone.now()
    if not enrollment.has_access or _is_fresh(enrollment) or _was_just_asked(enrollment, now):
        return False
    # Due since the last answer: of those who look, the one with the oldest number comes first, and
    # each of them before the rest, who are due LMS_PROGRESS_EVERY after theirs.
    since = enrollment.progress_at or enrollment.created_at
    waiting = Enrollment.objects.filter(pk=enrollment.pk, progress_due_at__gt=now)
    waiting.update(progress_due_at=since)
    return True


def _is_fresh(enrollment: Enrollment) -> bool:
    seen = enrollment.progress_at
    return seen is not None and timezone.now() - seen < settings.LEARNER_DASHBOARD_LIFETIME


def _was_just_asked(enrollment: Enrollment, now: datetime) -> bool:
    """Whether the moment that is set for the next question says so.

    It is LMS_PROGRESS_RETRY after no answer, and LMS_PROGRESS_EVERY after any answer.
    """
    ahead = (enrollment.progress_due_at or now) - now
    waits_for_retry = timedelta(0) < ahead <= settings.LMS_PROGRESS_RETRY
    just_answered = ahead > settings.LMS_PROGRESS_EVERY - settings.LEARNER_DASHBOARD_LIFETIME
    return waits_for_retry or just_answered


def fetch_due() -> int:
    """Ask each LMS about the learners whose turn it is, oldest first; return how many were kept.

    A round is bounded in calls and time, and there is none while jobs need all the calls that the
    LMS may get. One that does not answer ends its own round only, and changes nothing that is
    shown.
    """
    return sum(map(_fetch_round, filter(has_room, connected_platforms())))


def _fetch_round(platform: str) -> int:
    due = Enrollment.objects.progress_due(platform, timezone.now())
    learners = list(due[: settings.LMS_PROGRESS_PER_ROUND])
    if not learners:
        return 0
    try:
        with seats.taken(platform):
            return _fetch_all(learners)
    except LmsPaced:
        return 0


def _fetch_all(enrollments: Sequence[Enrollment]) -> int:
    deadline = time.monotonic() + settings.LMS_PROGRESS_ROUND.total_seconds()
    kept = 0
    for enrollment in enrollments:
        try:
            with tracing.following(enrollment.request_id):
                kept += _fetch(enrollment)
        except LmsRefused:  # such as an enrollment that was deleted over there
            _ask_again_at(enrollment, timezone.now() + settings.LMS_PROGRESS_EVERY)
        except LmsError:
            # Not left where it is: a learner about whom the LMS hangs would be the first of every
            # round, and nobody else's number would be fetched.
            _ask_again_at(enrollment, timezone.now() + settings.LMS_PROGRESS_RETRY)
            break
        if time.monotonic() >= deadline:
            break
    return kept


def _fetch(enrollment: Enrollment) -> bool:
    found = reconcile.fetch_progress(
        platform=enrollment.lms_platform,
        email=enrollment.email,
        course_id=enrollment.lms_course_id,
    )
    # Of an enrollment that was moved to another learner meanwhile, it says nothing.
    rows = Enrollment.objects.filter(pk=enrollment.pk, email=enrollment.email)
    return rows.update(**_learned(enrollment, found, now=timezone.now())) == 1


def _learned(enrollment: Enrollment, found: Progress, *, now: datetime) -> dict[str, Any]:
    """Return the columns that hold what the LMS has just said.

    A certificate that it could not be asked for is what it was.
    """
    given = found.certificate
    has_certificate = bool(given) if found.knows_certificate else enrollment.has_certificate
    columns: dict[str, Any] = {
        "progress_percent": found.percent,
        "progress_at": now,
        "progress_due_at": now + settings.LMS_PROGRESS_EVERY,
        "completed_at": None,
    }
    if found.completed or has_certificate:
        columns["completed_at"] = enrollment.completed_at or now
    if found.knows_certificate:
        columns |= {
            "has_certificate": has_certificate,
            "certificate_url": given.url if given else "",
            "certificate_on": given.issued_on if given else None,
        }
    return columns


def _ask_again_at(enrollment: Enrollment, moment: datetime) -> None:
    Enrollment.objects.filter(pk=enrollment.pk).update(progress_due_at=moment)
