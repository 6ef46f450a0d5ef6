"""Deliver a job to its platform, one at a time for a learner and course, and record the calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from courses.validators import validate_lms_course_id
from lms_sync import breaker, locks
from lms_sync.connection import CALLS_IN_BUDGET, platform_for
from lms_sync.errors import LmsBusy, LmsError, LmsMisconfigured, LmsParked, LmsRefused
from lms_sync.models import SyncAttempt, SyncJob
from lms_sync.platforms.base import EnrollRequest, Platform
from lms_sync.platforms.client import Exchange

DONE = "done"
MAX_KEPT_OF_ONE_CALL = 1000
MAX_KEPT = 4096


def deliver(job: SyncJob, *, is_due: Callable[[], bool] | None = None) -> str:
    """Make the LMS agree with the job, and return the id of its enrollment ("" for a revocation).

    Safe to run any number of times: an enrollment that exists is found, and a job that has its id
    makes no call at all (requirement R124). `is_due` is asked under the lock: where it says no,
    nothing is sent. Raises LmsError; LmsBusy and LmsParked mean that nothing was sent.
    """
    if job.action == SyncJob.ENROLL and job.lms_enrollment_id:
        return job.lms_enrollment_id
    if breaker.state_of(job.platform).is_blocked:
        raise LmsParked
    # Ends before the lease of the job does, so that a worker that takes the job over finds the lock
    # free.
    lease = settings.LMS_TIMEOUT_WORKER * CALLS_IN_BUDGET + settings.WORK_LEASE_MARGIN / 4
    try:
        with locks.held(f"{job.platform}:{job.course_id}:{job.email}", lease=lease):
            return _attempt(job) if is_due is None or is_due() else ""
    except LmsMisconfigured as error:
        # Outside the lock, because the probe may take longer than its lease.
        raise breaker.note_misconfiguration(job.platform, error) from error


@dataclass
class _Conversation:
    """The calls of one delivery while it goes on; `record` stores them."""

    job: SyncJob
    journal: list[Exchange] = field(default_factory=list)
    started_at: datetime = field(default_factory=timezone.now)
    began: float = field(default_factory=time.monotonic)

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self.began)

    def record(self, outcome: str) -> None:
        SyncAttempt.objects.create(
            job=self.job,
            number=SyncAttempt.objects.filter(job=self.job).count() + 1,
            started_at=self.started_at,
            duration_ms=breaker.milliseconds(self.duration),
            request=_joined([exchange.request for exchange in self.journal]),
            response=_joined(
                [f"{exchange.status or '-'} {exchange.response}" for exchange in self.journal]
            ),
            http_status=self.journal[-1].status if self.journal else None,
            outcome=outcome,
        )


def _attempt(job: SyncJob) -> str:
    conversation = _Conversation(job)
    try:
        enrollment_id = _perform(job, platform_for(job.platform, journal=conversation.journal))
    except LmsBusy:
        raise
    except LmsError as error:
        conversation.record(error.code)
        if isinstance(error, LmsMisconfigured):
            raise
        raise breaker.note_failure(job.platform, error) from error
    _keep(job, enrollment_id)
    conversation.record(DONE)
    breaker.note_success(job.platform, conversation.duration)
    return enrollment_id


def _check(job: SyncJob) -> None:
    """Refuse what cannot be an address or a course before anything is sent (requirement R106)."""
    try:
        validate_email(job.email)
        validate_lms_course_id(job.platform, job.course_id)
    except ValidationError as error:
        raise LmsRefused(" ".join(error.messages)) from error


def _perform(job: SyncJob, platform: Platform) -> str:
    _check(job)
    if job.action == SyncJob.REVOKE:
        platform.revoke(job.email, job.course_id)
        return ""
    return platform.enroll(request_of(job))


def request_of(job: SyncJob) -> EnrollRequest:
    payload = job.payload or {}
    return EnrollRequest(
        email=job.email,
        full_name=job.full_name,
        course_id=job.course_id,
        payment_id=str(payload.get("payment_id") or ""),
        amount=payload.get("amount"),
        currency=str(payload.get("currency") or ""),
        referral_code=str(payload.get("referral_code") or ""),
        extra=payload,
    )


def _keep(job: SyncJob, enrollment_id: str) -> None:
    """Store the id at once, so that a lost worker does not make the next one create another."""
    if enrollment_id:
        job.lms_enrollment_id = enrollment_id
        SyncJob.objects.filter(pk=job.pk).update(lms_enrollment_id=enrollment_id)


def _joined(texts: list[str]) -> str:
    return "\n".join(
        f"{number}. {text[:MAX_KEPT_OF_ONE_CALL]}" for number, text in enumerate(texts, 1)
    )[:MAX_KEPT]
