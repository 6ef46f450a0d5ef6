"""Reminders of coupons that end soon."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.utils import timezone

from courses.models import Course
from grants import mails
from grants.models import Grant
from notifications.models import Email

MOST_AT_ONCE = 500
ASKED_AT_ONCE = 500
Due = dict[str, tuple[Grant, str]]  # by the message's key: whom to remind, and its part for this


def send_reminders(*, limit: int = MOST_AT_ONCE) -> int:
    """Remind the holders of unused coupons before they expire; return how many were reminded.

    Once for each of GRANT_REMINDER_DAYS. A reminder that was due before the approval is left out:
    the approval's e-mail has just said how long the coupon is good. Those beyond the limit are
    reminded by the next call, however many coupons end on one day.
    """
    due = {mails.key_of(mails.REMINDER, *each): each for each in _due(timezone.now())}
    unsent = list(_without_message(due))[:limit]
    return sum(mails.stage(mails.REMINDER, grant, key=part) for grant, part in unsent)


def _due(now: datetime) -> Iterator[tuple[Grant, str]]:
    longest = now + timedelta(days=max(settings.GRANT_REMINDER_DAYS))
    # A coupon for a course that is off sale cannot be used.
    on_sale = list(Course.objects.on_sale().values_list("pk", flat=True))
    ending = Grant.objects.unused().filter(
        expires_at__gt=now, expires_at__lte=longest, course_id__in=on_sale
    )
    for grant in ending.order_by("expires_at", "pk").defer("situation", "motivation"):
        expires_at = cast("datetime", grant.expires_at)
        left = expires_at - now
        days = min(days for days in settings.GRANT_REMINDER_DAYS if left <= timedelta(days=days))
        if expires_at - timedelta(days=days) >= cast("datetime", grant.decided_at):
            yield grant, f"{grant.code_number}:{expires_at:%Y%m%d}:{days}"


def _without_message(due: Due) -> Iterator[tuple[Grant, str]]:
    keys = list(due)
    for start in range(0, len(keys), ASKED_AT_ONCE):
        part = keys[start : start + ASKED_AT_ONCE]
        found = Email.objects.filter(dedupe_key__in=part).values_list("dedupe_key", flat=True)
        known = set(found)
        yield from (due[key] for key in part if key not in known)
