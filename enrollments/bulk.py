"""Enroll learners of a batch together, where the platform has a call for many."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q

from enrollments.models import Enrollment
from lms_sync import together
from lms_sync.errors import LmsBusy, LmsError
from lms_sync.models import SyncJob
from maaledu.work.queue import Queue, claim, release


def enroll_with_others(queue: Queue, job: SyncJob) -> None:
    """Enroll the learner with others of the batch, and keep the ids, if the platform has a way.

    The others' jobs are claimed for that and given back: each is settled by itself, without a call
    where its id is known. Raises LmsBusy where an answer was lost, as this job must rest then, too.
    Does nothing for a job of no batch, or that is to be asked by itself.
    """
    if not job.batch_id or not _fits(job):
        return
    most = together.most_at_once(job.platform)
    if most == 1:
        return
    others: list[Any] = claim(queue, limit=most - 1, only=_others_of(job))
    pause = timedelta(0)
    try:
        together.deliver_many([job, *others], still_due=_still_due)
    except LmsError as error:
        # Each alone will meet it again, and is settled by what it means for it. A create whose
        # answer was lost may still be going on: a second one would leave two enrollments.
        pause = settings.LMS_LOST_CREATE_WAIT if error.may_have_taken_effect else pause
    finally:
        release(others, pause=pause)
    if pause:
        busy = LmsBusy()
        busy.retry_after = pause
        raise busy


def _fits(job: SyncJob) -> bool:
    return not (job.is_alone or job.lms_enrollment_id or job.creates_sent or job.attempts)


def _others_of(job: SyncJob) -> Q:
    return Q(
        batch_id=job.batch_id,
        action=SyncJob.ENROLL,
        platform=job.platform,
        course_id=job.course_id,
        is_alone=False,
        lms_enrollment_id="",
        creates_sent=0,
        attempts=0,
    )


def _still_due(jobs: Sequence[SyncJob]) -> list[SyncJob]:
    """Return those whose learners have a right to access, never had any, and are to get it here."""
    ids = [job.payload["enrollment_id"] for job in jobs]
    waiting = Enrollment.objects.paid().filter(
        pk__in=ids, access_generation=0, lms_enrollment_id=""
    )
    due = {
        str(pk): (platform, course)
        for pk, platform, course in waiting.values_list("pk", "lms_platform", "lms_course_id")
    }
    return [
        job
        for job in jobs
        if due.get(job.payload["enrollment_id"]) == (job.platform, job.course_id)
    ]
