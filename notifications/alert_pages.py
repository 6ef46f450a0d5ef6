"""The page of the office that an alert is about, as its key says: kind, then what it is about."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from notifications.models import Alert

HOME = "admin:index"
# Of these kinds the key has the row's id.
ROWS = {
    "dead-event": "payments_stripeevent",
    "dead-email": "notifications_email",
    "over-budget": "enrollments_enrollment",
    "coupon-kept": "enrollments_enrollment",
    "coupon-gone": "enrollments_enrollment",
    "affiliate-gone": "enrollments_enrollment",
    "reinstated": "enrollments_enrollment",
    "lms-user-disabled": "enrollments_enrollment",
    "access-left": "lms_sync_syncjob",
    "payment": "payments_payment",
    "refund-failed": "payments_refund",
    "refund-lost": "payments_refund",
    "fraud-warning": "payments_earlyfraudwarning",
}


def _dead_letters(about: list[str]) -> dict[str, str]:
    """Return the filter for the letters of one reason, of a platform or of a list of learners.

    Alerts of an older release name one job instead.
    """
    if len(about) < 2 or about[1].isdigit():
        return {"q": about[0]}
    of_platform = {"platform": about[0]} if _id(about[0]) is None else {}
    return {"status__exact": "open", "reason": about[1], **of_platform}


def _everything(about: list[str]) -> dict[str, str]:
    return {}


# Of these it is a list, filtered by what the key has after the kind.
LISTS: dict[str, tuple[str, Callable[[list[str]], dict[str, str]]]] = {
    "dead-letter": ("lms_sync_deadletter", _dead_letters),
    "access-differs": (
        "enrollments_accessdifference",
        lambda about: {"status__exact": "open", "platform": about[0]},
    ),
    "access-not-compared": ("enrollments_accesscomparison", _everything),
    "platform": ("lms_sync_platformstate", _everything),
    "platform-step": ("lms_sync_platformstate", _everything),
    "mail": ("notifications_mailstate", _everything),
    "undeliverable": ("notifications_undeliverableaddress", lambda about: {"q": about[0]}),
    "channel": ("notifications_alertnotice", lambda about: {"channel": about[0]}),
    "many": ("notifications_alert", _everything),
    "reconciliation": ("payments_reconciliation", _everything),
    "webhook": ("payments_webhookproblem", _everything),
}


def page_of(alert: Alert) -> str:
    """Return the address of what an alert is about; of most others, that of the first page."""
    about = alert.key.split(":")[1:]
    if alert.kind in ROWS:
        known = next(filter(None, map(_id, about)), None)
        if known:
            return settings.SITE_URL + reverse(f"admin:{ROWS[alert.kind]}_change", args=[known])
    if alert.kind in LISTS and about:
        page, query_of = LISTS[alert.kind]
        return settings.SITE_URL + reverse(f"admin:{page}_changelist", query=query_of(about))
    return settings.SITE_URL + reverse(HOME)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
