"""Deliver a job to its platform, one at a time for a learner and course, and record the calls."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from courses.validators import validate_lms_course_id
from lms_sync import breaker, seats, steps
from lms_sync.connection import platform_for
from lms_sync.errors import (
    LmsBusy,
    LmsCreateOpen,
    LmsError,
    LmsIntercepted,
    LmsMisconfigured,
    LmsPaced,
    LmsParked,
    LmsRefused,
    LmsStepDown,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.job_notes import JobNotes, create_open_for, keep, revocation_of
from lms_sync.models import MADE, SyncAttempt, SyncJob
from lms_sync.platforms.base import (
    Enrolled,
    EnrollRequest,
    Found,
    Notes,
    Plan,
    Platform,
    Revocation,
    Revoked,
)
from lms_sync.platforms.client import Exchange
from maaledu import metrics

DONE = "done"
MAX_KEPT_OF_ONE_CALL = 1000
MAX_KEPT = 4096
# At most, of the pause: a step heals for many at once, who are not to wait for long then.
DOUBLINGS = {LmsIntercepted.code: 6, LmsStepDown.code: 3}


IsDue = Callable[[], bool]
Choose = Callable[[Sequence[Found]], Plan]
T = TypeVar("T")


def deliver(job: SyncJob, *, is_due: IsDue | None = None) -> Enrolled | None:
    """Give the learner access, and return the enrollment; None where `is_due` said no.

    Safe to run any number of times: an enrollment that exists is found, and a job that has its id
    makes no call at all (requirement R124). `is_due` is asked under the lock: where it says no,
    nothing is sent. Raises LmsError; LmsBusy and LmsParked mean that nothing was sent.
    """
    if job.lms_enrollment_id:
        metrics.SKIPS.labels("enrollment").inc()
        return Enrolled(job.lms_enrollment_id, made=job.lms_origin == MADE)
    return _exchange(job, _enroll, is_due)


def withdraw(
    job: SyncJob, *, made: frozenset[str], unseen: bool = False, is_due: IsDue | None = None
) -> Revoked | None:
    """Take away what we gave, and return what is left; None where `is_due` said no.

    `made` are the ids of enrollments that we made, beside those that our jobs know of. With
    `unseen` we may have made one that no row of ours knows of.
    """
    return _exchange(job, partial(_revoke, made=made, unseen=unseen), is_due)


def look_again(job: SyncJob, *, is_due: IsDue | None = None) -> str | None:
    """Remove what a lost answer left twice, and return the id that is left ("" for none)."""
    return _exchange(job, _tidy, is_due)


def settle_double(job: SyncJob, *, choose: Choose, is_due: IsDue | None = None) -> Plan | None:
    """Remove those of a learner's enrollments in the course that `choose` says, and return that."""
    return _exchange(job, partial(_settle, choose=choose), is_due)


def _exchange(
    job: SyncJob, perform: Callable[[Platform, "Conversation"], T], is_due: IsDue | None
) -> T | None:
    if breaker.is_blocked_for(job):
        raise LmsParked
    try:
        with seats.taken(job.platform, lock=lock_of(job)):
            return attempt(job, perform) if is_due is None or is_due() else None
    except LmsMisconfigured as error:
        # Outside the lock, because the probe may take longer than its lease.
        raise breaker.note_misconfiguration(job.platform, error) from error


def lock_of(job: SyncJob) -> str:
    """Return the name of the lock on a learner and course, whose case an LMS does not know."""
    return f"{job.platform}:{job.course_id.lower()}:{job.email}"


@dataclass
class Conversation:
    """The calls of one delivery while it goes on; `record` stores them."""

    job: SyncJob
    notes: JobNotes
    journal: list[Exchange] = field(default_factory=list)
    started_at: datetime = field(default_factory=timezone.now)
    began: float = field(default_factory=time.monotonic)

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self.began)

    def record(self, outcome: str) -> None:
        SyncAttempt.objects.create(
            job=self.job,
            number=self._number(),
            started_at=self.started_at,
            duration_ms=breaker.milliseconds(self.duration),
            request=_joined([exchange.request for exchange in self.journal]),
            response=_joined(
                [f"{exchange.status or '-'} {exchange.response}" for exchange in self.journal]
            ),
            http_status=self.journal[-1].status if self.journal else None,
            outcome=outcome,
        )

    def _number(self) -> int:
        # One of a batch was perhaps tried with others before, by the same claim.
        if self.job.was_never_run and not self.job.batch_id:
            return 1
        return SyncAttempt.objects.filter(job=self.job).count() + 1


def attempt(job: SyncJob, perform: Callable[[Platform, Conversation], T]) -> T:
    """Make the calls of a job, under its lock, and record them and how the platform is."""
    conversation = Conversation(job, JobNotes(job))
    try:
        _check(job)
        result = perform(platform_for(job.platform, journal=conversation.journal), conversation)
    except LmsError as error:
        # Also where the create had to wait and was not sent: it was noted before, as ours.
        conversation.notes.failed(error)
        if isinstance(error, LmsBusy | LmsPaced):
            raise
        conversation.record(error.code)
        if isinstance(error, LmsMisconfigured):
            raise
        noted = breaker.note_failure(job.platform, error)
        raise _patient(job, steps.judged(job, noted, conversation.journal)) from error
    conversation.record(DONE)
    breaker.note_success(job.platform, conversation.duration)
    return result


def _patient(job: SyncJob, error: LmsError) -> LmsError:
    """Double the pause each time that what is about neither the job nor the platform stops it.

    It uses up no attempt, so that a learner whom a firewall blocks, and the jobs of a step that is
    down, would be tried without end.
    """
    doublings = DOUBLINGS.get(error.code)
    if doublings and error.retry_after:
        outcomes = [LmsIntercepted.code, LmsUnavailable.code, LmsUnreadable.code]
        stopped = SyncAttempt.objects.filter(job=job, outcome__in=outcomes).count()
        longer = error.retry_after * 2 ** min(stopped - 1, doublings)
        error.retry_after = min(longer, settings.LMS_BACKOFF_LONGEST)
    return error


def _check(job: SyncJob) -> None:
    """Refuse what cannot be an address or a course before anything is sent (requirement R106)."""
    try:
        validate_email(job.email)
        validate_lms_course_id(job.platform, job.course_id)
    except ValidationError as error:
        raise LmsRefused(" ".join(error.messages)) from error


def _enroll(platform: Platform, conversation: Conversation) -> Enrolled:
    job = conversation.job
    enrolled = platform.enroll(request_of(job, conversation.notes))
    return keep(job, enrolled)


def _revoke(
    platform: Platform, conversation: Conversation, *, made: frozenset[str], unseen: bool
) -> Revoked:
    job = conversation.job
    revoked = platform.revoke(revocation_of(job, made=made, unseen=unseen))
    # What is made late, after this, nobody would know of: its purchase is over.
    if not revoked.removed and (pause := create_open_for(job)) > timedelta(0):
        raise LmsCreateOpen(pause)
    return revoked


def _tidy(platform: Platform, conversation: Conversation) -> str:
    return platform.tidy(conversation.job.email, conversation.job.course_id)


def _settle(platform: Platform, conversation: Conversation, *, choose: Choose) -> Plan:
    job = conversation.job
    plan = choose(platform.find(job.email, job.course_id))
    if plan.removed:
        platform.revoke(Revocation(job.email, job.course_id, frozenset(plan.removed)))
    return plan


def request_of(job: SyncJob, notes: Notes) -> EnrollRequest:
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
        sent_before=job.creates_sent > 0,
        needs_account=job.needs_account,
        notes=notes,
    )


def _joined(texts: list[str]) -> str:
    return "\n".join(
        f"{number}. {text[:MAX_KEPT_OF_ONE_CALL]}" for number, text in enumerate(texts, 1)
    )[:MAX_KEPT]
