"""Send a job to the present LMS course of its course, so that a wrong id can be corrected."""

from django.utils import timezone

from courses.models import Course
from lms_sync.models import SyncAttempt, SyncJob
from maaledu.db import atomic
from maaledu.work.items import DEAD, PENDING

REROUTED = "rerouted"


@atomic
def follow_course(job: SyncJob, *, by: str) -> bool:
    """Point a job that is retried at the present LMS course of its course; return whether it moved.

    Only a job to which the LMS gave no enrollment, and whose payload names the `course`: the job of
    an enrollment that has, or had, access names none. What was changed, and by whom, is kept among
    the job's attempts.
    """
    named = str((job.payload or {}).get("course") or "")
    course = Course.objects.filter(pk=named).first() if named else None
    if (
        course is None
        or not course.has_driver
        or (job.platform, job.course_id) == (course.lms_platform, course.lms_course_id)
    ):
        return False
    now = timezone.now()
    waiting = SyncJob.objects.filter(
        pk=job.pk, action=SyncJob.ENROLL, lms_enrollment_id="", status__in=[PENDING, DEAD]
    )
    # What was sent was about the other course.
    moved = {"platform": course.lms_platform, "course_id": course.lms_course_id, "creates_sent": 0}
    if waiting.update(**moved, updated_at=now) != 1:
        return False
    SyncAttempt.objects.create(
        job=job,
        number=SyncAttempt.objects.filter(job=job).count() + 1,
        started_at=now,
        duration_ms=0,
        request=(
            f"Nothing was sent. {by} retried the job, and the course is now"
            f" {course.lms_course_id} in {course.lms_platform} instead of {job.course_id} in"
            f" {job.platform}."
        ),
        outcome=REROUTED,
    )
    job.creates_sent = 0
    job.platform, job.course_id = course.lms_platform, course.lms_course_id
    return True
