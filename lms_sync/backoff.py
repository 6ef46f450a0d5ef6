"""When to try again. Source: decisions, "immediate second attempt" and "backoff"."""

from datetime import timedelta

from django.conf import settings

from maaledu.work.queue import jittered


def backoff(failures: int) -> timedelta | None:
    """Return the pause after the n-th failed attempt, and None after the seventh.

    2 s, then 2, 4, 8, 16, 32 min ±10 %. The first attempt and the one after 2 s are not counted
    among the five background attempts.
    """
    if failures <= 1:
        return settings.LMS_SECOND_ATTEMPT_AFTER
    if failures > 1 + settings.LMS_BACKGROUND_ATTEMPTS:
        return None
    return min(
        jittered(settings.LMS_BACKOFF_BASE * 2 ** (failures - 2)), settings.LMS_BACKOFF_LONGEST
    )
