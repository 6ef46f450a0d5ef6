from collections.abc import Callable, Iterator
from functools import partial

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from maaledu.errors import AppError
from maaledu.work.items import describe
from notifications import channels, delivery, outgoing
from notifications.models import Alert, AlertNotice, Email

SUBJECT = "This is a test of the alerts"
LINES = ["This is a test: nothing is wrong. Whoever reads it is alerted by this channel."]


class Command(BaseCommand):
    help = (
        "Sends a test alert by each channel of the settings and by e-mail to each address of"
        " STAFF_ALERT_EMAILS, at once and by this process; stores nothing. The exit code is 1 if"
        " one fails."
    )

    def handle(self, *args, **options) -> None:
        failed = [channel for channel, ways in self.channels() if not self.try_all(ways)]
        if failed:
            raise CommandError(f"Not sent by: {', '.join(failed)}.")

    def channels(self) -> Iterator[tuple[str, dict[str, Callable[[], object]]]]:
        for name in channels.configured():
            yield name, {name: partial(_send_by, name)}
        yield (
            "e-mail",
            {f"e-mail to {to}": partial(_send_mail, to) for to in settings.STAFF_ALERT_EMAILS},
        )

    def try_all(self, ways: dict[str, Callable[[], object]]) -> bool:
        # Each is tried, whatever became of the one before.
        results = [self.try_one(name, send) for name, send in ways.items()]
        return all(results)

    def try_one(self, name: str, send: Callable[[], object]) -> bool:
        try:
            send()
        except AppError as error:
            self.stdout.write(f"{name}: {describe(error)}")
            return False
        self.stdout.write(f"{name}: sent")
        return True


def _send_by(channel: str) -> None:
    """Send the alert, and, where a channel keeps alerts open, that it is over."""
    alert = Alert(key="test", subject=SUBJECT, lines=LINES)
    actions = [AlertNotice.TRIGGER]
    if channel == channels.WEBHOOK:
        actions.append(AlertNotice.RESOLVE)
    for action in actions:
        channels.send(AlertNotice(alert=alert, channel=channel, action=action))


def _send_mail(address: str) -> None:
    email = Email(
        kind=outgoing.STAFF_ALERT, to=address, context={"subject": SUBJECT, "lines": LINES}
    )
    delivery.hand_over(outgoing.compose(email))
