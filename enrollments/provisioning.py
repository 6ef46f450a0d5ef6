"""From a paid place to access in the LMS, and the e-mail that says so."""

import logging

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
from maaledu.work import Finish, Queue
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)

HAS_NO_ACCESS = "The learner has paid and has no access yet."
STILL_HAS_ACCESS = "The learner has the money back, or their bank has, and still has access."
OVERTAKEN = "Since then this has been refunded or paid anew: a replay only clears the letter."
MAX_NOTE = 300


def provision(job: SyncJob) -> Finish:
    """Make the LMS agree with the place: give access, or take it away; return what records it."""
    enrollment = Enrollment.objects.get(pk=job.payload["enrollment_id"])
    finish = (
        _take_away(job, enrollment)
        if job.action == SyncJob.REVOKE
        else _give_access(job, enrollment)
    )
    return lambda: _conclude(job, finish)


def _conclude(job: SyncJob, finish: Finish) -> None:
    """What follows from a job that is done: what it was for, and that no letter asks staff about it
    any longer.
    """
    finish()
    dead_letters.conclude(job)


def _give_access(job: SyncJob, enrollment: Enrollment) -> Finish:
    if enrollment.status == Enrollment.REFUNDED or job.dedupe_key != job_key(enrollment):
        return _nothing
    if enrollment.status != Enrollment.PAID:
        raise EnrollmentIsOver
    if not _follow(job, enrollment):
        return _nothing
    logger.info(
        "Attempting Frappe LMS enrollment",
        extra={"enrollment": str(enrollment.pk), "attempt": job.attempts + 1},
    )
    try:
        lms_enrollment_id = delivery.deliver(job, is_due=lambda: _is_paid(enrollment))
    except LmsError as error:
        _note_failed_attempt(job, enrollment, error)
        raise
    logger.info("FrappeLMS enrollment successful", extra={"enrollment": str(enrollment.pk)})
    return lambda: _record_access(enrollment, lms_enrollment_id)


def _follow(job: SyncJob, enrollment: Enrollment) -> bool:
    """Make the place say what its job, which may have been brought back, is about to ask for; False
    if the place is over.
    """
    if enrollment.lms_status == Enrollment.LMS_FAILED:
        transition(
            enrollment, Enrollment.LMS_PENDING, field="lms_status", only=_as_read(enrollment)
        )
    moved = (job.platform, job.course_id) != (enrollment.lms_platform, enrollment.lms_course_id)
    return _move(job, enrollment) if moved else True


@atomic
def _move(job: SyncJob, enrollment: Enrollment) -> bool:
    """Note on the place that its course is another one in the LMS; refused for one that has ended,
    or ever had access.
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


def _take_away(job: SyncJob, enrollment: Enrollment) -> Finish:
    """Asked under the learner's lock: whoever has a paid place in the course by then, this one or a
    newer, keeps access.
    """
    delivery.deliver(job, is_due=lambda: not _has_paid_place(enrollment))
    logger.info("access revoked", extra={"enrollment": str(enrollment.pk)})
    return lambda: _record_revocation(enrollment)


def _nothing() -> None:
    """The place ended before access was given, or was given back with a job of its own: there is
    nothing to record.
    """


def _as_read(enrollment: Enrollment) -> Q:
    """The place is paid, and access was neither taken away nor given back since the row was
    read.
    """
    return Q(status=Enrollment.PAID, access_generation=enrollment.access_generation)


def _is_paid(enrollment: Enrollment) -> bool:
    return Enrollment.objects.filter(_as_read(enrollment), pk=enrollment.pk).exists()


def _has_paid_place(enrollment: Enrollment) -> bool:
    """Whether this learner has a paid place in what the LMS calls the course, through whichever
    course of ours.
    """
    same = {
        "lms_platform": enrollment.lms_platform,
        "lms_course_id": enrollment.lms_course_id,
        "email": enrollment.email,
    }
    return Enrollment.objects.paid().filter(**same).exists()


def _record_revocation(enrollment: Enrollment) -> None:
    transition(
        enrollment, Enrollment.LMS_REVOKED, field="lms_status", only=Q(status=Enrollment.REFUNDED)
    )


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


def _record_access(enrollment: Enrollment, lms_enrollment_id: str) -> None:
    """Nothing is recorded, and nobody is told, where the place has ended meanwhile: its revocation
    is on the way.

    The rule is in the UPDATE, which waits for whoever ends the place just now.
    """
    if not lms_enrollment_id:
        return
    given = {"lms_enrollment_id": lms_enrollment_id, "lms_synced_at": timezone.now()}
    if transition(
        enrollment, Enrollment.LMS_SUCCESS, field="lms_status", only=_as_read(enrollment), **given
    ):
        stage_confirmation(enrollment)


def on_dead(job: SyncJob, error: AppError) -> None:
    """File the dead letter, say so on the enrollment, and alert staff once."""
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
            f"Attempts: {job.attempts}. {_plight(enrollment, is_revocation=is_revocation)}",
            "Mend the cause, then replay the dead letter in the admin.",
        ],
    )
    if settings.FREE_GRANT_ON_LMS_FAILURE == "rollback" and not is_revocation:
        coupons.roll_back(enrollment, by="policy")


def _plight(enrollment: Enrollment, *, is_revocation: bool) -> str:
    """What a dead job means for the learner, who may have been refunded or have paid anew since it
    was written.
    """
    if is_revocation:
        return OVERTAKEN if _has_paid_place(enrollment) else STILL_HAS_ACCESS
    return OVERTAKEN if enrollment.status == Enrollment.REFUNDED else HAS_NO_ACCESS


LMS_JOBS = Queue(
    name=QUEUE,
    model=SyncJob,
    run=provision,
    backoff=backoff,
    lease=CALLS_IN_BUDGET * settings.LMS_TIMEOUT_WORKER + settings.WORK_LEASE_MARGIN,
    threads=settings.LMS_WORKER_THREADS,
    claimable=breaker.claimable,
    # so that parked jobs go on within a tick of the platform's answering again
    prepare=breaker.probe_due,
    on_dead=on_dead,
)
