"""A later look at an access whose create was sent twice, because its first answer was lost.

The LMS does not keep learner and course unique, so the first one may have taken effect late: then
there are two enrollments, and the younger, untouched one is removed.
"""

from functools import partial

from django.utils import timezone

from enrollments import access
from enrollments.lms_jobs import job_key
from enrollments.models import Enrollment
from lms_sync import dead_letters, delivery
from lms_sync.models import SyncJob
from maaledu.work.queue import Finish


def look(job: SyncJob, enrollment: Enrollment) -> Finish:
    """Remove the double in the LMS, and return the call that records which one is left."""
    if job.email != enrollment.email:  # it was moved to another address since
        return partial(dead_letters.conclude, job)
    kept = delivery.look_again(job, is_due=partial(access.is_paid, enrollment))
    return partial(_record, job, enrollment, kept)


def _record(job: SyncJob, enrollment: Enrollment, kept: str | None) -> None:
    # Without an id nothing was looked at: what may be there twice is for the revocation to remove.
    if kept:
        given = SyncJob.objects.filter(dedupe_key=job_key(enrollment))
        given.update(lms_enrollment_id=kept, creates_sent=1)
        Enrollment.objects.filter(pk=enrollment.pk).update(
            lms_enrollment_id=kept, updated_at=timezone.now()
        )
    dead_letters.conclude(job)
