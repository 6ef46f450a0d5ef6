"""Django's mail goes into the outbox: sign-up never waits for, or fails with, the mail server."""

import uuid
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from notifications import outgoing


class OutboxBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            for address in message.recipients():
                outgoing.stage(
                    kind=outgoing.ACCOUNT,
                    to=address,
                    # Each message of allauth's is its own cause: a second code is a second e-mail.
                    dedupe_key=f"{outgoing.ACCOUNT}:{uuid.uuid4()}",
                    context=_contents(message),
                )
        return len(email_messages)


def _contents(message: EmailMessage) -> dict[str, str]:
    html = [
        content for content, kind in getattr(message, "alternatives", []) if kind == "text/html"
    ]
    return {
        "subject": str(message.subject),
        "text": str(message.body),
        "html": html[0] if html else "",
    }
