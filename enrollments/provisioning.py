"""From a paid enrollment to access in the LMS, and the e-mail that says so."""

import logging
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from enrollments import access, access_repairs, bulk, moving, rebuilding, second_look
from enrollments.dead_jobs import HAS_NO_ACCESS, on_dead
from enrollments.errors import EnrollmentIsOver
from enrollments.lms_jobs import BATCH_QUEUE, ensure_look, give_up, job_key
from enrollments.mails import stage_account_needed, stage_confirmation
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync import awaiting, breaker, call_counts, dead_letters, delivery
from lms_sync.admission import claimable
from lms_sync.backoff import backoff
from lms_sync.connection import CALLS_IN_BUDGET
from lms_sync.errors import LmsAwaitingAccount, LmsError, LmsUserDisabled
from lms_sync.models import FOUND, MADE, QUEUE, SyncJob
from lms_sync.platforms.base import Enrolled, Revoked
from maaledu import notify
from maaledu.db import atomic, transition
from maaledu.work.queue import Finish, Queue
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)

MAX_NOTE = 300


def provision(job: SyncJob) -> Finish:
    """Make the LMS agree with the enrollment, and return the call that records it.

    The work machine makes that call in the transaction that settles the job, so that access is
    recorded and confirmed only by the worker that still holds the job.
    """
    enrollment = Enrollment.objects.get(pk=job.payload["enrollment_id"])
    if job.action != SyncJob.ENROLL:
        return OTHER_ACTIONS[job.action](job, enrollment)
    if enrollment.status in Enrollment.OVER or job.dedupe_key != job_key(enrollment):
        return partial(dead_letters.conclude, job)
    if enrollment.status != Enrollment.PAID:
        raise EnrollmentIsOver
    if not _follow(job, enrollment):
        return partial(dead_letters.conclude, job)
    return _give_access(job, enrollment)


def _give_access(job: SyncJob, enrollment: Enrollment) -> Finish:
    bulk.enroll_with_others(LMS_JOBS, job)
    logger.info(
        "Attempting %s LMS enrollment",
        job.platform.title(),
        extra={"enrollment": str(enrollment.pk), "attempt": job.attempts + 1},
    )
    try:
        enrolled = delivery.deliver(job, is_due=partial(access.is_paid, enrollment))
    except LmsAwaitingAccount:
        _await_account(job, enrollment)
        raise
    except LmsUserDisabled as error:
        _alert_of_disabled_user(enrollment, error)
        raise
    except LmsError as error:
        _note_failed_attempt(job, enrollment, error)
        raise
    logger.info(
        "%sLMS enrollment successful",
        job.platform.title(),
        extra={"enrollment": str(enrollment.pk)},
    )
    return partial(_record_access, job, enrollment, enrolled)


def _alert_of_disabled_user(enrollment: Enrollment, error: LmsUserDisabled) -> None:
    alert_staff(
        key=f"lms-user-disabled:{job_key(enrollment)}",
        subject="A learner's account on the learning platform is switched off",
        lines=[
            f"{enrollment.course_title} for {enrollment.email} (enrollment {enrollment.pk}).",
            f"{HAS_NO_ACCESS} {error.reason}",
            "The job waits, and tries again each hour; the learner reads it on the status page.",
        ],
    )


@atomic
def _await_account(job: SyncJob, enrollment: Enrollment) -> None:
    """Note that it is the learner's turn to make an account there, and tell them once."""
    # The platform has answered: failures that lie weeks apart must not add up to a dead letter.
    job.attempts = 0
    awaiting.wait_for_account(job)
    if not transition(
        enrollment, Enrollment.LMS_AWAITING, field="lms_status", only=access.as_read(enrollment)
    ):
        return
    # Where we made no entry there was one, and the learner was mailed by rows that are lost.
    if job.creates_sent or not rebuilding.may_have_access(enrollment):
        stage_account_needed(enrollment)


def _follow(job: SyncJob, enrollment: Enrollment) -> bool:
    """Make the enrollment say what its job, which staff may have corrected, is about to ask for.

    False if the enrollment has ended meanwhile.
    """
    if enrollment.lms_status == Enrollment.LMS_FAILED:
        transition(
            enrollment, Enrollment.LMS_PENDING, field="lms_status", only=access.as_read(enrollment)
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
        access.as_read(enrollment), pk=enrollment.pk, lms_enrollment_id=""
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
    revoked = delivery.withdraw(
        job,
        made=Enrollment.objects.made_for(job.platform, job.course_id, job.email),
        # What rows that are lost made there is ours as well, and its id is lost with them.
        unseen=rebuilding.may_have_access(enrollment),
        is_due=partial(access.is_access_over, enrollment),
    )
    logger.info("access revoked", extra={"enrollment": str(enrollment.pk)})
    return partial(_record_revocation, job, enrollment, revoked)


def _record_access(job: SyncJob, enrollment: Enrollment, enrolled: Enrolled | None) -> None:
    """Record access and confirm it, unless the enrollment has ended meanwhile.

    In that case its revocation is written already. Without `enrolled` nothing was sent to the LMS.
    """
    waited = enrollment.lms_status == Enrollment.LMS_AWAITING
    # The rule is in the UPDATE: it waits for a refund that is being committed, which a look before
    # it would miss.
    if enrolled and transition(
        enrollment,
        Enrollment.LMS_SUCCESS,
        field="lms_status",
        only=access.as_read(enrollment),
        lms_enrollment_id=enrolled.enrollment_id,
        lms_origin=MADE if enrolled.made else FOUND,
        lms_user_made=job.lms_user_made,
        lms_synced_at=timezone.now(),
    ):
        is_new = enrolled.made or (waited and bool(enrollment.rebuilt_at))
        # By its first job, which was never run before, it cannot have been confirmed.
        is_first = job.was_never_run and not enrollment.access_generation
        _confirm(enrollment, is_new=is_new, is_first=is_first)
        if job.batch_id:
            # One of its jobs is no longer open: another row may become one.
            notify.notify_workers_on_commit(BATCH_QUEUE)
        if job.creates_sent > 1:
            ensure_look(enrollment)
        access_repairs.conclude(job)
    dead_letters.conclude(job)


def _confirm(enrollment: Enrollment, *, is_new: bool, is_first: bool) -> None:
    """Confirm access by e-mail, unless it was given and confirmed before rows were rebuilt.

    It is new where we gave it, and where the learner had no account yet when rows were rebuilt.
    """
    if is_new or not rebuilding.may_have_access(enrollment):
        stage_confirmation(enrollment, is_first=is_first)
        return
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor=rebuilding.ACTOR,
        note=rebuilding.CONFIRMED_BEFORE,
    )


def _record_revocation(job: SyncJob, enrollment: Enrollment, revoked: Revoked | None) -> None:
    transition(
        enrollment, Enrollment.LMS_REVOKED, field="lms_status", only=Q(status__in=Enrollment.OVER)
    )
    access_repairs.conclude(job)
    dead_letters.conclude(job)
    if revoked and revoked.left:
        give_up(job, [row.enrollment_id for row in revoked.left if row.is_elsewheres])
        _alert_of_what_is_left(job, enrollment, revoked)


def _alert_of_what_is_left(job: SyncJob, enrollment: Enrollment, revoked: Revoked) -> None:
    names = ", ".join(
        f"{row.enrollment_id} (from a batch)" if row.is_elsewheres else row.enrollment_id
        for row in revoked.left
    )
    who = f"{enrollment.course_title} for {enrollment.email} (enrollment {enrollment.pk})"
    alert_staff(
        key=f"access-left:{job.pk}",
        subject="A learner keeps access that we did not give",
        lines=[
            f"{who} has ended. Of the enrollments in the LMS we removed {revoked.removed}.",
            f"Left, because somebody else made them there: {names}.",
            "Remove them in the LMS if the learner should not have them.",
        ],
    )


def _note_failed_attempt(job: SyncJob, enrollment: Enrollment, error: LmsError) -> None:
    if not (error.retryable and error.consumes_attempt):
        return
    transition(enrollment, Enrollment.LMS_RETRYING, field="lms_status")
    if job.attempts == 0:
        logger.warning(
            "First %s attempt failed, retrying immediately...",
            job.platform.title(),
            extra={"enrollment": str(enrollment.pk)},
        )
    elif job.attempts == 1:
        logger.warning(
            "Immediate retry failed, queuing for later", extra={"enrollment": str(enrollment.pk)}
        )


OTHER_ACTIONS: dict[str, Callable[[SyncJob, Enrollment], Finish]] = {
    SyncJob.REVOKE: _revoke_access,
    SyncJob.LOOK: second_look.look,
    SyncJob.REPAIR: access_repairs.run,
    SyncJob.LEAVE: moving.leave,
}


def _prepare() -> int:
    """Write the figures of calls, and return how many platforms answer again."""
    call_counts.flush_if_due()
    # A probe each time, so that parked jobs go on as soon as the platform answers again.
    return breaker.probe_due()


LMS_JOBS = Queue(
    name=QUEUE,
    model=SyncJob,
    run=provision,
    backoff=backoff,
    lease=CALLS_IN_BUDGET * settings.LMS_TIMEOUT_WORKER + settings.WORK_LEASE_MARGIN,
    threads=settings.LMS_WORKER_THREADS,
    claimable=claimable,
    both_ends=True,
    prepare=_prepare,
    on_dead=on_dead,
)
