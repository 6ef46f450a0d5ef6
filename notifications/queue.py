"""The e-mail queue, as the work machine runs it."""

from datetime import timedelta

from django.conf import settings

from maaledu.errors import AppError
from maaledu.work.queue import Queue, jittered
from notifications import alerts, outgoing
from notifications.models import Email

BACKOFF_MINUTES = (1, 2, 4, 8, 16, 32, 60)


def backoff(attempts: int) -> timedelta | None:
    """Return the pause after `attempts` used attempts, or None after the eighth."""
    if attempts > len(BACKOFF_MINUTES):
        return None
    return jittered(timedelta(minutes=BACKOFF_MINUTES[attempts - 1]))


def on_dead(email: Email, error: AppError) -> None:
    """Alert staff once that a message is dead."""
    # A dead alert makes no further alert: with the mail server down that one would die as well,
    # and so on without end.
    if email.kind == outgoing.STAFF_ALERT:
        return
    alerts.alert_staff(
        key=f"dead-email:{email.pk}:{email.fence}",
        subject=f"An e-mail could not be delivered ({email.kind})",
        lines=[
            f"To: {email.to}",
            f"Reason: {email.last_error}",
            "Fix the cause, then replay it in the admin.",
        ],
    )


EMAILS = Queue(
    name=outgoing.QUEUE,
    model=Email,
    run=outgoing.send,
    backoff=backoff,
    lease=timedelta(seconds=3 * settings.EMAIL_TIMEOUT) + settings.WORK_LEASE_MARGIN,
    claimable=outgoing.claimable,
    on_dead=on_dead,
)
