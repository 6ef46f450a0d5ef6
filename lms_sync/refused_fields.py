"""Whether a platform's own confirmation method refuses the fields about a grant.

It answers 400 "Unknown field" then. That is kept in the platform's row, so that not every
enrollment begins with a refusal, and forgotten after a while, or when staff probe the platform: the
method may have learned the fields meanwhile.
"""

import re
from collections.abc import Collection
from datetime import timedelta

from django.utils import timezone

from lms_sync.errors import LmsError, LmsRefused
from lms_sync.models import PlatformState

REMEMBERED_FOR = timedelta(days=7)
UNKNOWN_FIELD = re.compile(
    r"\b(un(known|expected|recogni[sz]ed)|extra|additional|invalid) (keyword )?"
    r"(field|argument|parameter|key|input|propert)",
    re.IGNORECASE,
)
BAD_CALL = "TypeError"  # of a method that takes no such argument, in the LMS's own shape


def is_about_a_field(error: LmsError, names: Collection[str]) -> bool:
    """Whether the method refuses a field, perhaps one of these, and not the enrollment."""
    if not isinstance(error, LmsRefused):
        return error.details.get("shape") == BAD_CALL
    return bool(UNKNOWN_FIELD.search(error.reason)) or any(map(error.reason.__contains__, names))


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
