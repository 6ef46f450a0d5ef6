"""Compare our enrollments with what each LMS has, both ways, in pages and a little at a time.

Paid enrollments are asked about first, then what was taken away, then what was found before and not
come across again. It makes a part of the calls that the LMS may get, and none while others need
them. After each page the platform's row says how far it has come, and what was cut off is gone on
with. Nothing is changed in the LMS: `access_repairs` does that, when staff decide so.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from enrollments import access, access_differences, lms_jobs
from enrollments.access_differences import Verdict
from enrollments.errors import ComparedElsewhere
from enrollments.models import (
    AccessComparison,
    AccessDifference,
    Enrollment,
    EnrollmentEvent,
)
from lms_sync.asking import Asking
from lms_sync.errors import LmsError, LmsPaced, LmsThrottled
from lms_sync.models import MADE, SyncJob
from lms_sync.platforms.base import Listed
from maaledu.db import atomic
from maaledu.work.items import summary

logger = logging.getLogger(__name__)

PAID, ENDED, UNSEEN = AccessComparison.PAID, AccessComparison.ENDED, AccessComparison.UNSEEN
PHASES = (PAID, ENDED, UNSEEN)
AGREES, WAITS, NEW = AccessComparison.AGREES, AccessComparison.WAITS, AccessComparison.NEW
LONGEST_FAILURE = 600
MOST_PAUSES = 10  # that an LMS asks for, over one page


def compare(platform: str) -> AccessComparison:
    """Compare one platform with our enrollments, and return what was found.

    One that was cut off, by an outage for instance, says so in its `failure`.
    """
    began, ask = time.monotonic(), Asking(platform)
    progress = _start(platform)
    try:
        while progress.finished_at is None:
            _take_page_with_pauses(progress, ask)
    except (LmsError, ComparedElsewhere) as error:
        progress.failure = summary(error)[:LONGEST_FAILURE]
        # Where another run is at it, its row is not this one's to write.
        known = AccessComparison.objects.filter(pk=progress.pk, pages=progress.pages)
        known.update(failure=progress.failure, updated_at=timezone.now())
    ask.count()
    extra = {
        "platform": platform,
        "looked_at": progress.looked_at,
        **progress.counts,
        "calls": ask.calls,
        "seconds": round(time.monotonic() - began, 1),
        "failure": progress.failure,
    }
    logger.info("access compared", extra=extra)
    return progress


def _start(platform: str) -> AccessComparison:
    """Return the platform's row, which goes on with a comparison that was cut off, or begins."""
    known, is_new = AccessComparison.objects.get_or_create(platform=platform)
    known.failure = ""
    if is_new or known.may_resume(timezone.now()):
        return known
    fresh = AccessComparison(
        pk=known.pk,
        platform=platform,
        pages=known.pages,
        finished_before_at=known.finished_at or known.finished_before_at,
    )
    _save(fresh)
    return fresh


def _save(progress: AccessComparison) -> None:
    """Write down how far it has come. Raises ComparedElsewhere if another run has done that."""
    progress.updated_at = timezone.now()
    known = AccessComparison.objects.filter(pk=progress.pk, pages=progress.pages)
    names = [each.name for each in AccessComparison._meta.concrete_fields if not each.primary_key]
    progress.pages += 1
    if known.update(**{name: getattr(progress, name) for name in names}) != 1:
        progress.pages -= 1
        raise ComparedElsewhere


def _take_page_with_pauses(progress: AccessComparison, ask: Asking) -> None:
    """Take a page, and take it again after a pause that the LMS asks for; some times at most."""
    for _ in range(MOST_PAUSES):
        try:
            _take_page(progress, ask)
        except LmsPaced:
            raise
        except LmsThrottled as error:
            ask.pause(error)
        else:
            return
    raise LmsThrottled


def _take_page(progress: AccessComparison, ask: Asking) -> None:
    """Compare one page, and write down what came of it and where the next one begins.

    One that the LMS cuts off goes on where it was: from its beginning, one with many differences
    would never come to its end.
    """
    page = list(_rows(progress)[: settings.LMS_COMPARE_PAGE])
    verdicts: list[str] = []
    try:
        _compare_page(page, ask, verdicts)
    except LmsThrottled:
        if verdicts:
            _advance(progress, page, verdicts)
            _save(progress)
        raise
    _advance(progress, page, verdicts)
    if len(page) < settings.LMS_COMPARE_PAGE:
        _begin_next_phase(progress)
    _save(progress)


def _advance(
    progress: AccessComparison, page: Sequence[Enrollment], verdicts: Sequence[str]
) -> None:
    if progress.phase != UNSEEN:  # those were counted before
        progress.looked_at += len(verdicts)
        progress.counts = dict(Counter(progress.counts) + Counter(verdicts))
    progress.after = page[len(verdicts) - 1].pk if verdicts else None


def _begin_next_phase(progress: AccessComparison) -> None:
    progress.after = None
    if progress.phase == UNSEEN:
        progress.finished_at = timezone.now()
        # Counted at the end: a page that was cut off half-way is taken again.
        new = AccessDifference.objects.open().filter(
            platform=progress.platform, opened_at__gte=progress.started_at
        )
        if number := new.count():
            progress.counts[NEW] = number
    else:
        progress.phase = PHASES[PHASES.index(progress.phase) + 1]


def _rows(progress: AccessComparison) -> QuerySet[Enrollment]:
    """Return the enrollments of the present phase that are still to be looked at, in order."""
    named = Enrollment.objects.filter(lms_platform=progress.platform, forgotten_at=None)
    rows = named.select_related("course")
    if progress.phase == PAID:
        given = [Enrollment.LMS_SUCCESS, Enrollment.LMS_LOST]
        rows = rows.filter(status=Enrollment.PAID, lms_status__in=given)
    elif progress.phase == ENDED:
        over = {"status__in": Enrollment.OVER, "lms_status": Enrollment.LMS_REVOKED}
        rows = rows.filter(**over, lms_origin=MADE).exclude(lms_enrollment_id="")
    else:
        unseen = AccessDifference.objects.unsettled().filter(
            platform=progress.platform, seen_at__lt=progress.started_at
        )
        rows = rows.filter(pk__in=list(unseen.values_list("enrollment_id", flat=True)))
    return (rows.filter(pk__gt=progress.after) if progress.after else rows).order_by("pk")


def _compare_page(page: Sequence[Enrollment], ask: Asking, verdicts: list[str]) -> None:
    """Conclude about each of a page in turn, and add what it came to."""
    listed: dict[str, list[Listed]] = {enrollment.email: [] for enrollment in page}
    for row in ask().list_of(list(listed)) if listed else []:
        listed[row.email].append(row)
    keys = [enrollment.pk for enrollment in page]
    unsettled = AccessDifference.objects.unsettled().filter(enrollment_id__in=keys)
    differed = set(unsettled.values_list("enrollment_id", flat=True))
    for enrollment in page:
        differs = enrollment.pk in differed or enrollment.lms_status == Enrollment.LMS_LOST
        verdict = access_differences.compare(
            enrollment, listed[enrollment.email], ask, in_short=not differs
        )
        _conclude(enrollment, verdict, differs=differs)
        if verdict.kind == AGREES and access_differences.was_given_access(enrollment):
            _keep_course_name(enrollment, listed[enrollment.email])
        verdicts.append(verdict.kind)


def _keep_course_name(enrollment: Enrollment, listed: Sequence[Listed]) -> None:
    """Keep the name that the LMS has given its course since: link and progress go by it."""
    known_id, old = enrollment.lms_enrollment_id, enrollment.lms_course_id
    name = next((row.course_id for row in listed if row.enrollment_id == known_id), old)
    if name.casefold() != old.casefold():
        _rename_course(enrollment, name)


@atomic
def _rename_course(enrollment: Enrollment, name: str) -> None:
    old, mine = enrollment.lms_course_id, Enrollment.objects.filter(pk=enrollment.pk)
    as_read = mine.filter(access.as_read(enrollment), lms_course_id=old)
    if as_read.update(lms_course_id=name, updated_at=timezone.now()) != 1:
        return
    job = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment))
    job.update(course_id=name)
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor=access_differences.ACTOR,
        note=f"In the LMS its course is called {name} now, not {old}.",
    )


def _conclude(enrollment: Enrollment, verdict: Verdict, *, differs: bool) -> None:
    """Write down what differs, and close what differed before."""
    kind = verdict.kind
    if kind not in (AGREES, WAITS) and access_differences.note(enrollment, verdict):
        extra = {"enrollment": str(enrollment.pk), "difference": kind}
        logger.warning("access differs", extra=extra)
    if differs and kind != WAITS:
        access_differences.settle(enrollment, but="" if kind == AGREES else kind)
