"""Whether a platform's own confirmation method refuses the fields about a grant.

It answers 400 "Unknown field" then. That is kept in the platform's row, so that not every
enrollment begins with a refusal, and forgotten after a while, or when staff probe the platform: the
method may have learned the fields meanwhile.
"""

import re
from datetime import timedelta

from django.utils import timezone

from lms_sync.errors import LmsRefused
from lms_sync.models import PlatformState

REMEMBERED_FOR = timedelta(days=7)
UNKNOWN_FIELD = re.compile(r"\bun(known|expected) (field|argument|parameter)", re.IGNORECASE)


def is_about_a_field(error: LmsRefused) -> bool:
    """Whether the method refuses a field, and not the enrollment."""
    return UNKNOWN_FIELD.search(error.reason) is not None


def are_known(platform: str) -> bool:
    """Whether it is known that the method refuses the fields."""
    since = timezone.now() - REMEMBERED_FOR
    rows = PlatformState.objects.filter(name=platform, grant_fields_refused_at__gt=since)
    return rows.exists()


def remember(platform: str) -> None:
    now = {"grant_fields_refused_at": timezone.now()}
    if not PlatformState.objects.filter(name=platform).update(**now):
        PlatformState.objects.get_or_create(name=platform, defaults=now)


def forget(platform: str) -> None:
    PlatformState.objects.filter(name=platform).update(grant_fields_refused_at=None)
