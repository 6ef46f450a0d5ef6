"""What the jobs of others do to a step of the LMS that fails for one job."""

from datetime import timedelta

from django.utils import timezone

from lms_sync import call_counts


def others_get_through(*, platform: str = "frappe") -> None:
    """Let jobs of others pass each step from now on, so that each failure is about its job."""
    steps = {step for _, _, step in call_counts.STEPS} | {call_counts.OTHER}
    soon = timezone.now() + timedelta(days=400)
    call_counts._passed.update({(platform, step): soon for step in steps})
