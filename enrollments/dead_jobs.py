"""What becomes of an enrollment whose LMS job is dead, and what staff are told of it."""

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from courses.models import Course
from enrollments import access, coupons
from enrollments.lms_jobs import job_key
from enrollments.models import Enrollment
from lms_sync import dead_letters
from lms_sync.models import DeadLetter, SyncJob
from maaledu.db import transition
from maaledu.errors import AppError
from notifications.alerts import alert_staff

HAS_NO_ACCESS = "The learner has paid and has no access yet."
STILL_HAS_ACCESS = "The learner has the money back, or their bank has, and still has access."
MAY_BE_TWICE = "The learner has access, and may be listed twice in the LMS's course."
NOT_REPAIRED = "What staff decided about a difference with the LMS was not done there."
SUPERSEDED = "Since then this has been refunded or paid anew: a replay only clears the letter."


def on_dead(job: SyncJob, error: AppError) -> None:
    """File the dead letter, mark the enrollment as failed in the LMS, and alert staff once."""
    letter = dead_letters.ensure_dead_letter(job, error)
    enrollment = Enrollment.objects.get(pk=job.payload["enrollment_id"])
    if job.dedupe_key == job_key(enrollment):
        transition(
            enrollment,
            Enrollment.LMS_FAILED,
            field="lms_status",
            only=~Q(status=Enrollment.REFUNDED),
        )
    if not dead_letters.mark_notified(letter):
        return
    if job.platform == Course.Platform.OPENEDX:
        _alert("Open edX sync permanently failed", job, letter=letter, enrollment=enrollment)
    else:
        _alert("Frappe sync permanently failed", job, letter=letter, enrollment=enrollment)
    if settings.FREE_GRANT_ON_LMS_FAILURE == "rollback" and job.action == SyncJob.ENROLL:
        coupons.roll_back(enrollment, by="policy")


def _alert(subject: str, job: SyncJob, *, letter: DeadLetter, enrollment: Enrollment) -> None:
    alert_staff(
        key=f"dead-letter:{_cause(job, letter)}",
        subject=subject,
        lines=[
            f"{enrollment.course_title} for {enrollment.email} (enrollment {enrollment.pk}).",
            f"Reason: {letter.reason}: {letter.last_error}",
            f"Attempts: {job.attempts}. {_consequence(job, enrollment)}",
            "Fix the cause, then replay the dead letter in the admin.",
        ],
    )


def _cause(job: SyncJob, letter: DeadLetter) -> str:
    """Name what staff are alerted of once: each death, of a batch each reason an hour."""
    if job.batch_id:
        return f"{job.batch_id}:{letter.reason}:{timezone.now():%Y%m%d%H}"
    return f"{job.pk}:{job.fence}"


def _consequence(job: SyncJob, enrollment: Enrollment) -> str:
    """Return what a dead job means for the learner as things are now, not when it was written."""
    if job.action == SyncJob.LOOK:
        return MAY_BE_TWICE
    if job.action == SyncJob.REPAIR:
        return NOT_REPAIRED
    if job.action == SyncJob.REVOKE:
        return STILL_HAS_ACCESS if access.is_access_over(enrollment) else SUPERSEDED
    return SUPERSEDED if enrollment.status == Enrollment.REFUNDED else HAS_NO_ACCESS
