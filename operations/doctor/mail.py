"""Whether the mail server would take a message of ours, without sending one."""

import smtplib
from collections.abc import Iterator
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import get_connection

from maaledu.diagnosis import Result

SMTP = "django.core.mail.backends.smtp.EmailBackend"
ACCEPTED = 250
ADVICE = "Compare EMAIL_HOST, EMAIL_PORT, EMAIL_USE_TLS, EMAIL_HOST_USER and EMAIL_HOST_PASSWORD."


def server_takes_mail() -> Iterator[Result]:
    """Talk to the server as far as the recipient, and take it back: no message is sent."""
    if settings.EMAIL_DELIVERY_BACKEND != SMTP:
        yield Result(
            "server",
            ok=True,
            is_tried=False,
            message=f"{settings.EMAIL_DELIVERY_BACKEND} can only be tried by a message:"
            " manage.py alert_test",
        )
        return
    backend: Any = get_connection(SMTP)
    try:
        backend.open()
    except (smtplib.SMTPException, OSError) as error:
        yield Result("login", ok=False, message=_words(error), advice=ADVICE)
        return
    try:
        yield from _dialogue(backend.connection)
    except (smtplib.SMTPException, OSError) as error:
        yield Result("server", ok=False, message=_words(error), advice=ADVICE)
    finally:
        backend.close()


def _dialogue(server: smtplib.SMTP) -> Iterator[Result]:
    yield Result("login", ok=True, message=f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}")
    server.ehlo_or_helo_if_needed()
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    said = server.mail(sender)
    yield _result(
        "sender", sender, said, "Set DEFAULT_FROM_EMAIL to one that the server lets us use."
    )
    if said[0] != ACCEPTED:
        return
    for email in settings.STAFF_ALERT_EMAILS[:1]:
        yield _result("recipient", email, server.rcpt(email), "Look at STAFF_ALERT_EMAILS.")
    server.rset()


def _result(step: str, address: str, said: tuple[int, bytes], advice: str) -> Result:
    code, text = said
    ok = 200 <= code < 300
    message = address if ok else f"{address}: {code} {text.decode(errors='replace')}"
    return Result(step, ok=ok, message=message[:300], advice="" if ok else advice)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
