"""Deliver many jobs of one batch by few calls, where the platform has one for many.

What is made is kept as the id on each job, which then needs no call of its own: a job that is lost
on the way, or left out, is delivered like any other.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

from lms_sync import breaker, delivery, locks, seats
from lms_sync.connection import platform_for
from lms_sync.errors import LmsBusy, LmsError
from lms_sync.job_notes import JobNotes, keep
from lms_sync.models import SyncAttempt, SyncJob
from lms_sync.platforms.base import Platform

# Those of these jobs whose learner still has a right to access; asked under the locks.
StillDue = Callable[[Sequence[SyncJob]], Sequence[SyncJob]]


def most_at_once(platform: str) -> int:
    """Return how many the platform enrolls by one call now; 1 where it has none, or is down."""
    if breaker.state_of(platform).is_blocked:
        return 1
    try:
        return platform_for(platform).most_at_once
    except LmsError:
        return 1


def deliver_many(jobs: Sequence[SyncJob], *, still_due: StillDue) -> None:
    """Enroll the learners of these jobs, all of one batch and course, and keep the ids.

    Jobs without an id afterwards are to be delivered alone, and say so. Raises LmsError; where it
    may have taken effect, none of them may be delivered before LMS_LOST_CREATE_WAIT.
    """
    with seats.taken(jobs[0].platform), ExitStack() as stack:
        held = [job for job in jobs if _is_locked(stack, job)]
        due = list(still_due(held))
        try:
            if len(due) > 1:
                _enroll(due)
        finally:
            left = [job.pk for job in jobs if not job.lms_enrollment_id]
            SyncJob.objects.filter(pk__in=left).update(is_alone=True)


def _is_locked(stack: ExitStack, job: SyncJob) -> bool:
    try:
        stack.enter_context(locks.held(delivery.lock_of(job), lease=seats.lease()))
    except LmsBusy:
        return False
    return True


def _enroll(jobs: Sequence[SyncJob]) -> None:
    notes = [JobNotes(job) for job in jobs]
    try:
        delivery.attempt(jobs[0], partial(_perform, jobs=jobs, notes=notes))
    except LmsError as error:
        for each in notes:
            each.failed(error)
        raise


def _perform(
    platform: Platform,
    conversation: delivery.Conversation,
    *,
    jobs: Sequence[SyncJob],
    notes: Sequence[JobNotes],
) -> None:
    requests = [delivery.request_of(job, note) for job, note in zip(jobs, notes, strict=True)]
    enrolled = platform.enroll_many(requests)
    for job in jobs:
        if job.email in enrolled:
            keep(job, enrolled[job.email])
    SyncAttempt.objects.bulk_create(
        SyncAttempt(
            job=job,
            number=1,
            started_at=conversation.started_at,
            duration_ms=breaker.milliseconds(conversation.duration),
            request=f"With {len(jobs) - 1} others: see job {jobs[0].pk}.",
            outcome=delivery.DONE,
        )
        for job in jobs[1:]
        if job.lms_enrollment_id
    )
