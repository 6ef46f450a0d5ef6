"""Alerts to staff, by e-mail and every other channel of the settings.

Each has a key that names its cause: a cause alerts once by each channel, however often it is
noticed. Where many things go wrong at once, a few are sent, one more says that there are many, and
the rest are in the office's list.
"""

import hashlib
import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from maaledu import notify
from notifications import alert_pages, channels, outgoing, runbook
from notifications.models import Alert, AlertNotice

logger = logging.getLogger(__name__)

QUEUE = "alerts"
EMAIL = "e-mail"
LONGEST_KEY = 120
LONGEST_SUBJECT = 300
MOST_OF_A_KIND = 20
COUNTED_OVER = timedelta(hours=1)


def alert_staff(
    *,
    key: str,
    subject: str,
    lines: list[str],
    since: datetime | None = None,
    not_by: str = "",
) -> None:
    """Stage one message for this key by each channel, and log it at error level either way.

    `since` is when it began. What is about one of the channels is not sent by that one. Where it
    may end by itself, the key begins with what `recover` is called with then.
    """
    logger.error("staff alert", extra={"alert": key, "subject": subject})
    kind = short_key(key.partition(":")[0])
    alert, is_new = Alert.objects.get_or_create(
        key=short_key(key),
        defaults={
            "kind": kind,
            "subject": subject[:LONGEST_SUBJECT],
            "lines": lines,
            "since": since or timezone.now(),
            "not_by": not_by,
        },
    )
    if not is_new:
        return
    if _is_one_too_many(kind):
        Alert.objects.filter(pk=alert.pk).update(is_muted=True)
        _alert_of_many(kind, subject)
        return
    _stage(alert, AlertNotice.TRIGGER)
    if not_by != EMAIL:
        _stage_emails(alert, subject=alert.subject, key="alert")


def recover(cause: str) -> int:
    """Say by each channel that what was alerted under `<cause>:…` is over; return how many were."""
    now, kind = timezone.now(), cause.partition(":")[0]
    going_on = Alert.objects.filter(kind=kind, recovered_at=None, key__startswith=f"{cause}:")
    going_on = going_on.order_by("created_at")
    recovered = [
        alert
        for alert in list(going_on)
        if Alert.objects.filter(pk=alert.pk, recovered_at=None).update(recovered_at=now) == 1
    ]
    sent = [alert for alert in recovered if not alert.is_muted]
    for alert in sent:
        _stage(alert, AlertNotice.RESOLVE)
        # People read of the last one alone; an incident at the webhook stays open without its end.
        if alert == sent[-1]:
            _stage_emails(alert, subject=alert.subject_when_over, key="recovered")
    return len(recovered)


def _is_one_too_many(kind: str) -> bool:
    recent = Alert.objects.filter(kind=kind, created_at__gt=timezone.now() - COUNTED_OVER)
    return recent.count() > MOST_OF_A_KIND


def _alert_of_many(kind: str, subject: str) -> None:
    alert_staff(
        key=f"many:{kind}:{timezone.now():%Y%m%d%H}",
        subject=f"More than {MOST_OF_A_KIND} alerts of one kind in an hour",
        lines=[f"The latest: {subject}", "Further ones are listed in the office, and not sent."],
    )


def _stage(alert: Alert, action: str) -> None:
    for channel in channels.configured():
        if channel == alert.not_by:
            continue
        AlertNotice.objects.get_or_create(
            dedupe_key=f"{alert.pk}:{channel}:{action}",
            defaults={"alert": alert, "channel": channel, "action": action},
        )
    notify.notify_workers_on_commit(QUEUE)


def _stage_emails(alert: Alert, *, subject: str, key: str) -> None:
    for address in settings.STAFF_ALERT_EMAILS:
        outgoing.stage(
            kind=outgoing.STAFF_ALERT,
            to=address,
            dedupe_key=short_key(f"{key}:{alert.key}:{address}"),
            context={
                "subject": subject,
                "lines": alert.lines,
                "since": f"{alert.since:%Y-%m-%d %H:%M} UTC",
                "to_do": runbook.what_to_do(alert.subject),
                "link": channels.link_to(alert),
                "about": alert_pages.page_of(alert),
            },
        )


def short_key(key: str) -> str:
    """Return a key as it is, or cut and with its hash where it is too long for its column."""
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[: LONGEST_KEY - 33]}~{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
