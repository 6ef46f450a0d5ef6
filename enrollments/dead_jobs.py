"""What becomes of an enrollment whose LMS job is dead, and what staff are told of it."""

from datetime import timedelta
from typing import cast

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from courses.models import Course
from enrollments import access, coupons
from enrollments.errors import NotSettled
from enrollments.lms_jobs import job_key
from enrollments.models import Enrollment
from lms_sync import breaker, dead_letters
from lms_sync.models import DeadLetter, SyncJob
from maaledu.db import transition
from maaledu.errors import AppError
from notifications.alerts import alert_staff
from notifications.models import Alert

ALERT_EVERY = timedelta(hours=1)  # of one cause, while a letter of it is open
KIND = "dead-letter"
HAS_NO_ACCESS = "The learner has paid and has no access yet."
STILL_HAS_ACCESS = "The learner has the money back, or their bank has, and still has access."
MAY_BE_TWICE = "The learner has access, and may be listed twice in the LMS's course."
STILL_AT_OLD_ADDRESS = "The enrollment was moved, and the old address may still have access."
NOT_REPAIRED = "What staff decided about a difference with the LMS was not done there."
DOES = {
    SyncJob.REVOKE: "it takes away the access that we gave",
    SyncJob.LOOK: "it looks whether the learner is enrolled twice, and removes the second",
    SyncJob.REPAIR: "it removes what staff decided to remove",
    SyncJob.LEAVE: "it takes away the access of the address that the enrollment was moved from",
}
SUPERSEDED = "Since then this has ended, or was paid anew: a replay only clears the letter."


def on_dead(job: SyncJob, error: AppError) -> None:
    """File the dead letter, mark the enrollment as failed in the LMS, and alert staff once."""
    letter = dead_letters.ensure_dead_letter(job, error)
    enrollment = Enrollment.objects.get(pk=job.payload["enrollment_id"])
    if job.dedupe_key == job_key(enrollment):
        transition(
            enrollment,
            Enrollment.LMS_FAILED,
            field="lms_status",
            only=~Q(status__in=Enrollment.OVER),
        )
    if not dead_letters.mark_notified(letter):
        return
    if _is_cause_known(job, letter):
        pass  # its alert leads to the list, where this letter is too
    elif job.platform == Course.Platform.OPENEDX:
        _alert("Open edX sync permanently failed", job, letter=letter, enrollment=enrollment)
    else:
        _alert("Frappe sync permanently failed", job, letter=letter, enrollment=enrollment)
    if settings.FREE_GRANT_ON_LMS_FAILURE == "rollback" and job.action == SyncJob.ENROLL:
        coupons.roll_back(enrollment, by="policy")


def _alert(subject: str, job: SyncJob, *, letter: DeadLetter, enrollment: Enrollment) -> None:
    alert_staff(
        key=f"{KIND}:{_cause(job, letter)}",
        subject=subject,
        lines=[
            f"{enrollment.course_title} for {enrollment.email} (enrollment {enrollment.pk}).",
            f"Reason: {letter.reason}: {letter.last_error}",
            f"Attempts: {job.attempts}. {_consequence(job, enrollment)}",
            "Others that fail for this reason within the hour are in the list, without an alert.",
            "Fix the cause, then replay the dead letters in the admin.",
        ],
    )


def _cause(job: SyncJob, letter: DeadLetter) -> str:
    """Name what staff are alerted of once: a reason of a platform, of a batch one an hour."""
    if job.batch_id:
        return f"{job.batch_id}:{letter.reason}:{timezone.now():%Y%m%d%H}"
    return f"{job.platform}:{letter.reason}:{job.pk}:{job.fence}"


def _is_cause_known(job: SyncJob, letter: DeadLetter) -> bool:
    """Whether staff were alerted of this cause within the hour, and have not settled it since.

    Where no other letter of it is open they have: a death after that is alerted again.
    """
    if job.batch_id:
        return False
    same = DeadLetter.objects.open().filter(reason=letter.reason, job__platform=job.platform)
    if not same.exclude(pk=letter.pk).exists():
        return False
    lately = Alert.objects.filter(kind=KIND, created_at__gt=timezone.now() - ALERT_EVERY)
    return lately.filter(key__startswith=f"{KIND}:{job.platform}:{letter.reason}:").exists()


def _consequence(job: SyncJob, enrollment: Enrollment) -> str:
    """Return what a dead job means for the learner as things are now, not when it was written."""
    if job.action == SyncJob.LOOK:
        return MAY_BE_TWICE
    if job.action == SyncJob.REPAIR:
        return NOT_REPAIRED
    if job.action == SyncJob.LEAVE:
        return STILL_AT_OLD_ADDRESS
    if job.action == SyncJob.REVOKE:
        return STILL_HAS_ACCESS if access.is_access_over(enrollment) else SUPERSEDED
    return SUPERSEDED if enrollment.status in Enrollment.OVER else HAS_NO_ACCESS


def settle(letter: DeadLetter, *, by: str, how: str, note: str) -> bool:
    """Close a letter with how it was settled, and return whether this call did.

    What was put right by hand is looked at: the job runs once more, finds it, and records access.
    No enrollment becomes another by it: one that is paid without access is counted as such until
    it has access, or has ended. Raises NotSettled where money is said to be back and is not.
    """
    paid = Enrollment.objects.paid().filter(pk=letter.job.payload.get("enrollment_id"))
    if how == DeadLetter.REFUNDED and paid.exists():
        raise NotSettled
    if how == DeadLetter.BY_HAND:
        return dead_letters.replay(letter, by=by, how=how, note=note)
    return dead_letters.settle(letter, by=by, how=how, note=note)


def is_without_access(letter: DeadLetter) -> bool:
    """Whether the letter's enrollment is paid, and in the list of those without access."""
    named = letter.job.payload.get("enrollment_id")
    return Enrollment.objects.without_access(timezone.now()).filter(pk=named).exists()


def preview(letter: DeadLetter) -> str:
    """Say what a replay of a letter would do, as things are now."""
    job = letter.job
    if letter.status == DeadLetter.Status.REPLAYED:
        return "Nothing more: it was replayed already."
    enrollment = Enrollment.objects.filter(pk=job.payload.get("enrollment_id")).first()
    state = breaker.state_of(job.platform)
    wait = (
        f" It waits until {state.name} answers, which is {state.get_state_display().lower()} now."
        if state.is_blocked
        else ""
    )
    return f"{_what_follows(job, enrollment)}{wait}"


def _what_follows(job: SyncJob, enrollment: Enrollment | None) -> str:
    if job.action != SyncJob.ENROLL:
        return f"The worker does it in the LMS once more: {DOES[job.action]}."
    is_over = enrollment is None or enrollment.status != Enrollment.PAID
    if is_over or job.dedupe_key != job_key(cast("Enrollment", enrollment)):
        return "Nothing is sent: the enrollment has ended, or was moved, since. The letter closes."
    named = job.payload.get("course")
    course = Course.objects.filter(pk=named).first() if named else None
    there = course.lms_course_id if course and not job.lms_enrollment_id else job.course_id
    moved = f" That is where the course is now, instead of {job.course_id}."
    return (
        f"The worker asks the LMS whether {job.email} is enrolled in {there}, enrolls them if not,"
        f" and mails the confirmation.{moved if there != job.course_id else ''}"
    )
