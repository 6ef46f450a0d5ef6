"""Reminders of coupons that end soon."""

from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.utils import timezone

from grants import mails
from grants.models import Grant


def send_reminders() -> int:
    """Remind the holders of unused coupons before they expire; return how many were reminded.

    Once for each of GRANT_REMINDER_DAYS. A reminder that was due before the approval is left out:
    the approval's e-mail has just said how long the coupon is good.
    """
    now = timezone.now()
    longest = now + timedelta(days=max(settings.GRANT_REMINDER_DAYS))
    ending = (
        Grant.objects.unused()
        .filter(expires_at__gt=now, expires_at__lte=longest)
        .select_related("course")
        .order_by("expires_at")
    )
    # A coupon for a course that is off sale cannot be used.
    return sum(_remind(grant) for grant in ending[:500] if grant.course.is_on_sale)


def _remind(grant: Grant) -> bool:
    expires_at, decided_at = cast("datetime", grant.expires_at), cast("datetime", grant.decided_at)
    left = expires_at - timezone.now()
    days = min(days for days in settings.GRANT_REMINDER_DAYS if left <= timedelta(days=days))
    if expires_at - timedelta(days=days) < decided_at:
        return False
    return mails.stage(
        mails.REMINDER, grant, key=f"{grant.code_number}:{grant.expires_at:%Y%m%d}:{days}"
    )
