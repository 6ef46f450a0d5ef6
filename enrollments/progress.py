"""Progress of 0 to 100 % as the LMS reports it, kept on the enrollment.

A page shows the stored number, so that it depends on the LMS for nothing.
"""

from django.conf import settings
from django.utils import timezone

from enrollments.models import Enrollment
from lms_sync import reconcile
from lms_sync.errors import LmsError


def refresh(enrollment: Enrollment) -> bool:
    """Fetch the progress of a learner with access, and return whether it changed.

    Nothing is fetched within LEARNER_DASHBOARD_LIFETIME of the last answer. An LMS that does not
    answer changes nothing.
    """
    now = timezone.now()
    if not enrollment.has_access or _is_fresh(enrollment):
        return False
    try:
        percent = reconcile.fetch_progress(
            platform=enrollment.lms_platform,
            email=enrollment.email,
            course_id=enrollment.lms_course_id,
        )
    except LmsError:
        return False
    changed = percent != enrollment.progress_percent
    enrollment.progress_percent, enrollment.progress_at = percent, now
    Enrollment.objects.filter(pk=enrollment.pk).update(progress_percent=percent, progress_at=now)
    return changed


def _is_fresh(enrollment: Enrollment) -> bool:
    seen = enrollment.progress_at
    return seen is not None and timezone.now() - seen < settings.LEARNER_DASHBOARD_LIFETIME
