"""From a paid enrollment to access in the LMS, and the e-mail that says so."""

import logging
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from enrollments import coupons
from enrollments.errors import EnrollmentIsOver
from enrollments.lms_jobs import QUEUE, job_key
from enrollments.mails import stage_confirmation
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync import breaker, dead_letters, delivery
from lms_sync.backoff import backoff
from lms_sync.connection import CALLS_IN_BUDGET
from lms_sync.errors import LmsError
from lms_sync.models import SyncJob
from maaledu.db import atomic, transition
from maaledu.errors import AppError
from maaledu.work.queue import Finish, Queue
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)

HAS_NO_ACCESS = "The learner has paid and has no access yet."
STILL_HAS_ACCESS = "The learner has the money back, or their bank has, and still has access."
SUPERSEDED = "Since then this has been refunded or paid anew: a replay only clears the letter."
MAX_NOTE = 300


def provision(job: SyncJob) -> Finish:
    """Make the LMS agree with the enrollment, and return the call that records it.

    The work machine makes that call in the transaction that settles the job, so that access is
    recorded and confirmed only by the worker that still holds the job.
    """
    enrollment = Enrollment.objects.get(pk=job.payload["enrollment_id"])
    if job.action == SyncJob.REVOKE:
        return _revoke_access(job, enrollment)
    if enrollment.status == Enrollment.REFUNDED or job.dedupe_key != job_key(enrollment):
        return partial(dead_letters.conclude, job)
    if enrollment.status != Enrollment.PAID:
        raise EnrollmentIsOver
    if not _follow(job, enrollment):
        return partial(dead_letters.conclude, job)
    return _give_access(job, enrollment)


def _give_access(job: SyncJob, enrollment: Enrollment) -> Finish:
    logger.info(
        "Attempting Frappe LMS enrollment",
        extra={"enrollment": str(enrollment.pk), "attempt": job.attempts + 1},
    )
    try:
        lms_enrollment_id = delivery.deliver(job, is_due=partial(_is_paid, enrollment))
    except LmsError as error:
        _note_failed_attempt(job, enrollment, error)
        raise
    logger.info("FrappeLMS enrollment successful", extra={"enrollment": str(enrollment.pk)})
    return partial(_record_access, job, enrollment, lms_enrollment_id)


def _follow(job: SyncJob, enrollment: Enrollment) -> bool:
    """Make the enrollment say what its job, which staff may have corrected, is about to ask for.

    False if the enrollment has ended meanwhile.
    """
    if enrollment.lms_status == Enrollment.LMS_FAILED:
        transition(
            enrollment, Enrollment.LMS_PENDING, field="lms_status", only=_as_read(enrollment)
        )
    moved = (job.platform, job.course_id) != (enrollment.lms_platform, enrollment.lms_course_id)
    return _move(job, enrollment) if moved else True


@atomic
def _move(job: SyncJob, enrollment: Enrollment) -> bool:
    """Note on the enrollment that its course is another one in the LMS.

    Refused for an enrollment that has ended, or ever had access.
    """
    note = (
        f"In the LMS it is {job.course_id} in {job.platform}, not {enrollment.lms_course_id} in"
        f" {enrollment.lms_platform}."
    )
    now_in = {"lms_platform": job.platform, "lms_course_id": job.course_id}
    waiting = Enrollment.objects.filter(
        _as_read(enrollment), pk=enrollment.pk, lms_enrollment_id=""
    )
    if waiting.update(**now_in, updated_at=timezone.now()) != 1:
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor="LMS job",
        note=note[:MAX_NOTE],
    )
    enrollment.lms_platform, enrollment.lms_course_id = job.platform, job.course_id
    return True


def _revoke_access(job: SyncJob, enrollment: Enrollment) -> Finish:
    # Asked under the learner's lock: without it, the revocation of an old enrollment could arrive
    # in the LMS after the access of a newer one was given, and take that away.
    delivery.deliver(job, is_due=partial(_is_access_over, enrollment))
    logger.info("access revoked", extra={"enrollment": str(enrollment.pk)})
    return partial(_record_revocation, job, enrollment)


def _as_read(enrollment: Enrollment) -> Q:
    """Still paid, and access was neither revoked nor given again since the row was read."""
    return Q(status=Enrollment.PAID, access_generation=enrollment.access_generation)


def _is_paid(enrollment: Enrollment) -> bool:
    return Enrollment.objects.filter(_as_read(enrollment), pk=enrollment.pk).exists()


def _is_access_over(enrollment: Enrollment) -> bool:
    """Whether no paid enrollment of this learner is left in what the LMS calls the course.

    Two courses of ours may be one course in the LMS, so all of them are looked at.
    """
    same = {
        "lms_platform": enrollment.lms_platform,
        "lms_course_id": enrollment.lms_course_id,
        "email": enrollment.email,
    }
    return not Enrollment.objects.paid().filter(**same).exists()


def _record_access(job: SyncJob, enrollment: Enrollment, lms_enrollment_id: str) -> None:
    """Record access and confirm it, unless the enrollment has ended meanwhile.

    In that case its revocation is written already. Without an id nothing was sent to the LMS.
    """
    given: dict[str, Any] = {
        "lms_enrollment_id": lms_enrollment_id,
        "lms_synced_at": timezone.now(),
    }
    # The rule is in the UPDATE: it waits for a refund that is being committed, which a look before
    # it would miss.
    if lms_enrollment_id and transition(
        enrollment, Enrollment.LMS_SUCCESS, field="lms_status", only=_as_read(enrollment), **given
    ):
        stage_confirmation(enrollment)
    dead_letters.conclude(job)


def _record_revocation(job: SyncJob, enrollment: Enrollment) -> None:
    transition(
        enrollment, Enrollment.LMS_REVOKED, field="lms_status", only=Q(status=Enrollment.REFUNDED)
    )
    dead_letters.conclude(job)


def _note_failed_attempt(job: SyncJob, enrollment: Enrollment, error: LmsError) -> None:
    if not (error.retryable and error.consumes_attempt):
        return
    transition(enrollment, Enrollment.LMS_RETRYING, field="lms_status")
    if job.attempts == 0:
        logger.warning(
            "First Frappe attempt failed, retrying immediately...",
            extra={"enrollment": str(enrollment.pk)},
        )
    elif job.attempts == 1:
        logger.warning(
            "Immediate retry failed, queuing for later", extra={"enrollment": str(enrollment.pk)}
        )


def on_dead(job: SyncJob, error: AppError) -> None:
    """File the dead letter, mark the enrollment as failed in the LMS, and alert staff once."""
    letter = dead_letters.ensure_dead_letter(job, error)
    enrollment = Enrollment.objects.get(pk=job.payload["enrollment_id"])
    is_revocation = job.action == SyncJob.REVOKE
    if job.dedupe_key == job_key(enrollment):
        transition(
            enrollment,
            Enrollment.LMS_FAILED,
            field="lms_status",
            only=~Q(status=Enrollment.REFUNDED),
        )
    if not dead_letters.mark_notified(letter):
        return
    alert_staff(
        key=f"dead-letter:{job.pk}:{job.fence}",
        subject="Frappe sync permanently failed",
        lines=[
            f"{enrollment.course_title} for {enrollment.email} (enrollment {enrollment.pk}).",
            f"Reason: {letter.reason}: {letter.last_error}",
            f"Attempts: {job.attempts}. {_consequence(enrollment, is_revocation=is_revocation)}",
            "Fix the cause, then replay the dead letter in the admin.",
        ],
    )
    if settings.FREE_GRANT_ON_LMS_FAILURE == "rollback" and not is_revocation:
        coupons.roll_back(enrollment, by="policy")


def _consequence(enrollment: Enrollment, *, is_revocation: bool) -> str:
    """Return what a dead job means for the learner as things are now, not when it was written."""
    if is_revocation:
        return STILL_HAS_ACCESS if _is_access_over(enrollment) else SUPERSEDED
    return SUPERSEDED if enrollment.status == Enrollment.REFUNDED else HAS_NO_ACCESS


LMS_JOBS = Queue(
    name=QUEUE,
    model=SyncJob,
    run=provision,
    backoff=backoff,
    lease=CALLS_IN_BUDGET * settings.LMS_TIMEOUT_WORKER + settings.WORK_LEASE_MARGIN,
    threads=settings.LMS_WORKER_THREADS,
    claimable=breaker.claimable,
    # A probe each time, so that parked jobs go on as soon as the platform answers again.
    prepare=breaker.probe_due,
    on_dead=on_dead,
)
