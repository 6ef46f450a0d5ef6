"""Whether the LMS has for one enrollment what we say, and what is written down where it has not.

Nothing follows from a list alone: whoever seems to be without access, or to have it without a paid
enrollment, is asked about by themselves, between two looks at our own rows. Who has another address
or user name there by now, whose course was given another name, and whose job is still on its way,
is no difference.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils import timezone

from courses.models import Course
from enrollments import access, lms_jobs
from enrollments.models import (
    AccessComparison,
    AccessDifference,
    Enrollment,
    EnrollmentEvent,
)
from lms_sync.errors import LmsCourseUnknown, LmsRefused
from lms_sync.models import MADE, DeadLetter, SyncJob
from lms_sync.platforms.base import Found, Listed, Platform
from maaledu.db import atomic, transition
from maaledu.work.items import DEAD, DONE

logger = logging.getLogger(__name__)

AGREES, WAITS = AccessComparison.AGREES, AccessComparison.WAITS
MISSING, UNPAID = AccessDifference.MISSING, AccessDifference.UNPAID
LESS = AccessDifference.LESS
ELSEWHERE, DOUBLE = AccessDifference.ELSEWHERE, AccessDifference.DOUBLE
ACTOR = "comparison with the LMS"
LOST = "The LMS does not have it any more."
LOWERED = "The LMS has it, and the learner cannot use it as it was paid for."
FOUND_AGAIN = "The LMS has it again."
# What is given for each question: a driver has so much time for all its calls.
NewDriver = Callable[[], Platform]


@dataclass(frozen=True)
class Verdict:
    """That it agrees, that it cannot be said now, or the kind of difference and its rows."""

    kind: str
    rows: Sequence[dict[str, Any]] = ()


def compare(
    enrollment: Enrollment, listed: Sequence[Listed], ask: NewDriver, *, in_short: bool
) -> Verdict:
    """Return what is between this enrollment and the LMS; `listed` is what its learner has there.

    `in_short`: where that agrees, nothing else is asked. Raises LmsError where the LMS cannot say.
    """
    if was_given_access(enrollment):
        here = [row for row in listed if _is_its_course(enrollment, row.course_id)]
        seems_right, look = len(here) == 1 and not here[0].lacking, _look_for_access
    elif has_ended(enrollment):
        seems_right, look = not _still_there(enrollment, listed), _look_for_what_is_left
    else:
        return Verdict(WAITS if enrollment.status == Enrollment.PAID else AGREES)
    if seems_right and in_short:
        return Verdict(AGREES)
    return _between_two_looks(enrollment, look, ask)


def was_given_access(enrollment: Enrollment) -> bool:
    """Whether it is paid, and access was given for it."""
    given = (Enrollment.LMS_SUCCESS, Enrollment.LMS_LOST)
    return enrollment.status == Enrollment.PAID and enrollment.lms_status in given


def has_ended(enrollment: Enrollment) -> bool:
    """Whether what we made for it in the LMS was taken away."""
    is_ours = enrollment.lms_origin == MADE and enrollment.lms_enrollment_id
    is_over = enrollment.status in Enrollment.OVER
    return is_over and enrollment.lms_status == Enrollment.LMS_REVOKED and bool(is_ours)


def _between_two_looks(
    enrollment: Enrollment, look: Callable[[Enrollment, NewDriver], Verdict], ask: NewDriver
) -> Verdict:
    """Ask the LMS, and believe it only if nothing was on its way before and after."""
    if not _is_settled(enrollment):
        return Verdict(WAITS)
    try:
        verdict = look(enrollment, ask)
    except LmsRefused as error:
        logger.warning(
            "access not compared",
            extra={"enrollment": str(enrollment.pk), "reason": error.explanation},
        )
        return Verdict(WAITS)
    return verdict if verdict.kind == AGREES or _is_settled(enrollment) else Verdict(WAITS)


def _is_settled(enrollment: Enrollment) -> bool:
    """Whether our rows are as they were read, and no job may explain what the LMS shows."""
    as_read = Enrollment.objects.filter(
        pk=enrollment.pk,
        status=enrollment.status,
        lms_status=enrollment.lms_status,
        access_generation=enrollment.access_generation,
        lms_enrollment_id=enrollment.lms_enrollment_id,
    )
    has_right = enrollment.status == Enrollment.PAID
    return (
        as_read.exists()
        and access.is_access_over(enrollment) != has_right
        and not _has_open_job(enrollment)
    )


def _has_open_job(enrollment: Enrollment) -> bool:
    """Whether a job about this learner and course is to be run, or dead and not dismissed."""
    same = SyncJob.objects.filter(
        email=enrollment.email,
        platform=enrollment.lms_platform,
        course_id__iexact=enrollment.lms_course_id,
    )
    found = list(same.exclude(status=DONE).values_list("pk", "status"))
    dead = [pk for pk, status in found if status == DEAD]
    return len(dead) < len(found) or (
        bool(dead)
        and DeadLetter.objects.filter(job_id__in=dead, status=DeadLetter.Status.OPEN).exists()
    )


def _look_for_access(enrollment: Enrollment, ask: NewDriver) -> Verdict:
    there = ask().find(enrollment.email, enrollment.lms_course_id)
    if there:
        # What a batch of the LMS's own gave stands beside ours by right.
        is_double = sum(not row.is_elsewheres for row in there) > 1
        return Verdict(DOUBLE, shown(enrollment, there)) if is_double else _look_at(enrollment, ask)
    known_id = enrollment.lms_enrollment_id
    course = ask().course_of(known_id, enrollment.email) if known_id else ""
    if not course:
        return _without_access(enrollment, ask)
    if _is_its_course(enrollment, course) or not _has_course(enrollment, ask):
        return Verdict(AGREES)
    is_ours = enrollment.lms_origin == MADE
    return Verdict(ELSEWHERE, [{"id": known_id, "course": course, "ours": is_ours}])


def _look_at(enrollment: Enrollment, ask: NewDriver) -> Verdict:
    """Say whether the learner can use what is there as it was paid for."""
    listed = ask().list_of([enrollment.email])
    here = [row for row in listed if _is_its_course(enrollment, row.course_id)]
    if not here or not all(row.lacking for row in here):
        return Verdict(AGREES)
    ours = lms_jobs.ours_of(enrollment)
    rows = [
        {
            "id": row.enrollment_id,
            "course": row.course_id,
            "ours": ours.covers(Found(row.enrollment_id, 0)),
            "lacking": row.lacking,
        }
        for row in here
    ]
    return Verdict(LESS, rows)


def _without_access(enrollment: Enrollment, ask: NewDriver) -> Verdict:
    """Say whether the learner has instead a course of ours that no paid enrollment accounts for."""
    ours = Course.objects.filter(lms_platform=enrollment.lms_platform)
    sold = {key.casefold() for key in ours.values_list("lms_course_id", flat=True)}
    paid = Enrollment.objects.paid().filter(
        lms_platform=enrollment.lms_platform, email=enrollment.email
    )
    accounted = {key.casefold() for key in paid.values_list("lms_course_id", flat=True)}
    strange = [
        {"id": row.enrollment_id, "course": row.course_id, "ours": False}
        for row in ask().list_of([enrollment.email])
        if row.course_id.casefold() in sold - accounted
    ]
    return Verdict(ELSEWHERE, strange) if strange else Verdict(MISSING)


def _is_its_course(enrollment: Enrollment, course_id: str) -> bool:
    """Whether this is what its course was called then, or is called in the LMS now."""
    course, platform = enrollment.course, enrollment.lms_platform
    now = course.lms_course_id if course.lms_platform == platform else ""
    return _same(course_id, enrollment.lms_course_id) or _same(course_id, now)


def _has_course(enrollment: Enrollment, ask: NewDriver) -> bool:
    """Whether the LMS has its course under this name; otherwise it was given another one."""
    try:
        ask().course(enrollment.lms_course_id)
    except LmsCourseUnknown:
        return False
    return True


def _look_for_what_is_left(enrollment: Enrollment, ask: NewDriver) -> Verdict:
    left = _still_there(enrollment, ask().list_of([enrollment.email]))
    rows = [{"id": row.enrollment_id, "course": row.course_id, "ours": True} for row in left]
    return Verdict(UNPAID, rows) if rows else Verdict(AGREES)


def _still_there(enrollment: Enrollment, listed: Sequence[Listed]) -> list[Listed]:
    """Keep what we made for this enrollment, and nobody else in the place of it."""
    return [
        row
        for row in listed
        if row.gives
        and _same(row.course_id, enrollment.lms_course_id)
        and _same(row.enrollment_id, enrollment.lms_enrollment_id)
    ]


def shown(enrollment: Enrollment, rows: Sequence[Found]) -> list[dict[str, Any]]:
    """Return what is kept of the enrollments that the LMS shows in one course."""
    ours = lms_jobs.ours_of(enrollment)
    return [
        {
            "id": row.enrollment_id,
            "course": enrollment.lms_course_id,
            "ours": ours.covers(row),
            "touched": row.is_touched,
            "batch": row.is_elsewheres,
        }
        for row in rows
    ]


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


@atomic
def note(enrollment: Enrollment, verdict: Verdict) -> bool:
    """Write down a difference that the LMS shows now, and return whether it is a new one."""
    now = timezone.now()
    if verdict.kind in AccessDifference.WITHOUT_ACCESS:
        words = LOWERED if verdict.kind == LESS else LOST
        if not _note_lost(enrollment, words):
            return False
    facts = {
        "platform": enrollment.lms_platform,
        "course_id": enrollment.lms_course_id,
        "rows": list(verdict.rows),
        "seen_at": now,
    }
    known, is_new = AccessDifference.objects.get_or_create(
        enrollment=enrollment, kind=verdict.kind, defaults=facts
    )
    if is_new:
        return True
    AccessDifference.objects.filter(pk=known.pk).update(**facts, updated_at=now)
    return transition(known, AccessDifference.OPEN, opened_at=now, alerted_at=None)


def _note_lost(enrollment: Enrollment, words: str) -> bool:
    """Take back that there is access; False where it was given anew, or has ended, meanwhile."""
    if enrollment.lms_status == Enrollment.LMS_LOST:
        return True
    as_read = access.as_read(enrollment) & Q(lms_enrollment_id=enrollment.lms_enrollment_id)
    if not transition(enrollment, Enrollment.LMS_LOST, field="lms_status", only=as_read):
        return False
    _add_event(enrollment, words)
    return True


@atomic
def settle(enrollment: Enrollment, *, but: str = "") -> int:
    """Close the differences of an enrollment, all but those of one kind; return how many."""
    unsettled = AccessDifference.objects.unsettled().filter(enrollment=enrollment)
    closed = sum(
        transition(each, AccessDifference.SETTLED, settled_at=timezone.now())
        for each in unsettled.exclude(kind=but)
    )
    if not but and transition(
        enrollment,
        Enrollment.LMS_SUCCESS,
        field="lms_status",
        only=access.as_read(enrollment) & Q(lms_status=Enrollment.LMS_LOST),
    ):
        _add_event(enrollment, FOUND_AGAIN)
    return closed


def _add_event(enrollment: Enrollment, note_text: str) -> None:
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor=ACTOR,
        note=note_text,
    )
