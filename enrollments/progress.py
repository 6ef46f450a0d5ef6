"""Progress 0-100 % as the LMS has it, kept on the enrollment so that a page never depends on the
LMS.
"""

from django.conf import settings
from django.utils import timezone

from enrollments.models import Enrollment
from lms_sync import reconcile
from lms_sync.errors import LmsError


def refresh(enrollment: Enrollment) -> bool:
    """Fetch the progress if the learner has access and the last look is older than two minutes;
    True if it changed.
    """
    now = timezone.now()
    if not enrollment.has_access or _fresh(enrollment):
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


def _fresh(enrollment: Enrollment) -> bool:
    seen = enrollment.progress_at
    return seen is not None and timezone.now() - seen < settings.LEARNER_DASHBOARD_LIFETIME
