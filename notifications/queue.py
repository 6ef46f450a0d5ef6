"""The queues of e-mails and of alerts by other ways, as the work machine runs them."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from maaledu.errors import AppError
from maaledu.work.queue import Queue, doubling_backoff, jittered
from notifications import alerts, answers, bounces, channels, outgoing, sending
from notifications.errors import MailDeferred, MailHeld, MailRefused
from notifications.models import Alert, AlertNotice, Email

BACKOFF_MINUTES = (1, 2, 4, 8, 16, 32, 60)


def backoff(attempts: int) -> timedelta | None:
    """Return the pause after `attempts` used attempts, or None after the eighth."""
    if attempts > len(BACKOFF_MINUTES):
        return None
    return jittered(timedelta(minutes=BACKOFF_MINUTES[attempts - 1]))


def on_dead(email: Email, error: AppError) -> None:
    """Alert staff once that a message is dead, and mark an address that was refused."""
    # A dead alert makes no further alert: with the mail server down that one would die as well,
    # and so on without end.
    if email.kind == outgoing.STAFF_ALERT:
        return
    # The address was alerted of when it was marked.
    if isinstance(error, MailHeld):
        return
    if isinstance(error, MailRefused | MailDeferred) and error.details.get("stage") == answers.RCPT:
        bounces.note_refused(email)
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
    run=sending.send,
    backoff=backoff,
    lease=timedelta(seconds=3 * settings.EMAIL_TIMEOUT) + settings.WORK_LEASE_MARGIN,
    claimable=sending.claimable,
    order=sending.ORDER,
    on_dead=on_dead,
)


def send_notice(notice: AlertNotice) -> None:
    """Send an alert by its channel, which is over its own alert then. Raises as `channels.send`."""
    channels.send(notice)
    alerts.recover(f"channel:{notice.channel}")


def on_dead_notice(notice: AlertNotice, error: AppError) -> None:
    """Alert staff by the other ways, once a day, that a channel does not take alerts."""
    now = timezone.now()
    today = f"channel:{notice.channel}:{now:%Y%m%d}"
    if Alert.objects.filter(kind="channel", recovered_at=None, key__startswith=today).exists():
        return
    alerts.alert_staff(
        key=f"{today}{now:%H%M%S%f}",
        subject=f"Alerts do not get through by {notice.channel}",
        lines=[f"Reason: {notice.last_error}", f"The first one today: {notice.alert.subject}"],
        not_by=notice.channel,
    )


ALERTS = Queue(
    name=alerts.QUEUE,
    model=AlertNotice,
    run=send_notice,
    backoff=doubling_backoff,
    lease=timedelta(seconds=sum(channels.SECONDS)) + settings.WORK_LEASE_MARGIN,
    on_dead=on_dead_notice,
)
