"""Send the alerts that wait in this process, where there may be no worker that does."""

from django.db.models import Q

from maaledu.work.queue import claim, drain, run_item
from notifications import outgoing
from notifications.queue import ALERTS, EMAILS

MOST_AT_ONCE = 20


def send_alerts_now() -> int:
    """Send the alerts that are due, by e-mail too, and return how many were taken up.

    For whoever notices that no worker runs. A worker that runs after all sends none of them a
    second time. Not for use inside a transaction: it calls other servers.
    """
    sent = drain(ALERTS, limit=MOST_AT_ONCE)
    emails = claim(EMAILS, limit=MOST_AT_ONCE, only=Q(kind=outgoing.STAFF_ALERT))
    for email in emails:
        run_item(EMAILS, email)
    return sent + len(emails)
