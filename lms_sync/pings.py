"""Ask a platform whether it would do now what the jobs need."""

import time
from datetime import timedelta

from django.conf import settings

from lms_sync.connection import platform_for
from lms_sync.errors import LmsMaintenance
from lms_sync.models import PlatformState


def ping(name: str, *, deep: bool = False) -> timedelta:
    """Return how long the platform took to answer, with `deep` to all that jobs need.

    Raises LmsError.
    """
    started = time.monotonic()
    platform_for(name, timeout=settings.LMS_TIMEOUT_INTERACTIVE).ping(deep=deep)
    return timedelta(seconds=time.monotonic() - started)


def needs_depth(state: PlatformState) -> bool:
    """Whether a few reads could succeed though what blocks the platform has not ended."""
    is_misconfigured = state.incident == PlatformState.Incident.MISCONFIGURED
    return is_misconfigured or state.last_error.startswith(LmsMaintenance.message)
