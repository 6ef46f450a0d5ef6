"""The outbox: stage a message once per cause, render it, hand it to the delivery backend.

At least once, and exactly once as long as no worker dies between the mail server's "250" and our
commit; the Message-ID is the same on every try, so that mail readers show one.
"""

import contextlib
import smtplib
from datetime import timedelta
from email.utils import parseaddr
from functools import partial
from typing import Any

from anymail.exceptions import AnymailAPIError, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db.models import Q
from django.template import TemplateDoesNotExist, TemplateSyntaxError, VariableDoesNotExist
from django.template.loader import render_to_string
from django.utils import timezone
from urllib3.exceptions import MaxRetryError

from maaledu import notify
from maaledu.work.items import RUNNING
from maaledu.work.queue import Finish
from notifications.errors import (
    BrokenTemplate,
    MailDeferred,
    MailRefused,
    MailUnavailable,
    MailUncertain,
)
from notifications.models import Email

QUEUE = "emails"
ACCOUNT = "account"  # rendered by allauth; holds a one-time code, so it is forgotten once sent
STAFF_ALERT = "staff_alert"
MAX_SUBJECT_LENGTH = 200
TEMPLATE_FAULTS = (
    TemplateDoesNotExist,
    TemplateSyntaxError,
    VariableDoesNotExist,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
SAFE_DEFAULTS = {
    "customer_name": "there",
    "course_title": "your course",
    "amount": "",
    "list_price": "",
    "purchased_on": "",
    "course_link": "",
    "status_link": "",
    "is_free": False,
    "saving": "",
    "percent": "",
    "answer_due_on": "",
    "grant_link": "",
    "reason": "",
    "note": "",
    "code": "",
    "to_pay": "",
    "expires_on": "",
    "checkout_link": "",
    "link": "",
    "rate": "a share",
    "attribution_days": "",
    "hold_days": "",
    "minimum": "",
    "method": "",
    "hint": "",
    "is_undecided": False,
    "dashboard_link": "",
    "details_link": "",
    "payee_name": "there",
    "reference": "",
    "paid_on": "",
    "is_whole": False,
    "is_over": False,
    "is_reinstated": True,
    "retry_link": "",
    "refunded_on": "",
}


def stage(*, kind: str, to: str, dedupe_key: str, context: dict[str, Any]) -> bool:
    """Put a message into the outbox unless its cause has one already; return whether this did."""
    # The caller's transaction holds the row: a message whose cause is rolled back is never sent.
    _, created = Email.objects.get_or_create(
        dedupe_key=dedupe_key, defaults={"kind": kind, "to": to, "context": context}
    )
    notify.notify_workers_on_commit(QUEUE)
    return created


def send(email: Email) -> Finish:
    """Hand the message to the mail server, and return the call that records it.

    Raises BrokenTemplate, MailUnavailable, MailDeferred, MailUncertain, MailRefused.
    """
    message = compose(email)
    _hand_over(message)
    return partial(_record, email, message)


def _record(email: Email, message: EmailMultiAlternatives) -> None:
    changes: dict[str, Any] = {
        "sent_at": timezone.now(),
        "subject": message.subject,
        "message_id": message_id(email),
    }
    if email.kind == ACCOUNT:
        changes["context"] = {}
    Email.objects.filter(pk=email.pk).update(**changes)


def compose(email: Email) -> EmailMultiAlternatives:
    """Render the message. Raises BrokenTemplate for any fault of a template or its variables."""
    try:
        subject, text, html = _rendered(email)
    except TEMPLATE_FAULTS as error:
        raise BrokenTemplate(f"{email.kind}: {type(error).__name__}: {error}") from error
    headers = {"Message-ID": message_id(email), "Auto-Submitted": "auto-generated"}
    message = EmailMultiAlternatives(
        subject, text, settings.DEFAULT_FROM_EMAIL, [email.to], headers=headers
    )
    if html:
        message.attach_alternative(html, "text/html")
    return message


def _rendered(email: Email) -> tuple[str, str, str]:
    if email.kind == ACCOUNT:
        return email.context["subject"], email.context["text"], email.context.get("html", "")
    context = {
        **SAFE_DEFAULTS,
        **_site(),
        **{k: v for k, v in email.context.items() if v is not None},
    }
    names = (
        f"email/{email.kind}.subject.txt",
        f"email/{email.kind}.txt",
        f"email/{email.kind}.html",
    )
    subject, text, html = (render_to_string(name, context) for name in names)
    return " ".join(subject.split())[:MAX_SUBJECT_LENGTH], text, html


def _site() -> dict[str, Any]:
    return {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "refund_days": settings.REFUND_DAYS,
    }


def message_id(email: Email) -> str:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{email.pk}@{domain}>"


def _hand_over(message: EmailMultiAlternatives) -> None:
    backend = get_connection(settings.EMAIL_DELIVERY_BACKEND)
    try:
        backend.open()
    except smtplib.SMTPAuthenticationError as error:
        raise MailUnavailable("The mail server does not accept our login.") from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailUnavailable(f"{type(error).__name__}") from error
    try:
        backend.send_messages([message])
    except (smtplib.SMTPRecipientsRefused, AnymailRecipientsRefused) as error:
        raise _refusal(_recipient_code(error)) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code) from error
    except AnymailAPIError as error:
        raise _api_refusal(error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailUncertain(f"{type(error).__name__}") from error
    finally:
        # A server that took the message may answer QUIT with an error: taken for a failure, it
        # would send the message a second time.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            backend.close()


def _recipient_code(error: Exception) -> int:
    codes = (
        [code for code, _ in getattr(error, "recipients", {}).values()]
        if isinstance(error, smtplib.SMTPException)
        else []
    )
    return codes[0] if codes else 550


def _refusal(code: int) -> MailRefused | MailDeferred | MailUnavailable:
    if code == 421:  # the server closes every connection for now
        return MailUnavailable(f"SMTP {code}")
    return MailRefused(f"SMTP {code}") if code >= 500 else MailDeferred(f"SMTP {code}")


def _api_refusal(error: AnymailAPIError) -> MailRefused | MailUnavailable | MailUncertain:
    status = error.status_code
    if status is None:
        # A connection that was never made is an outage; one that broke may have delivered.
        reached = not (
            error.__cause__ and isinstance(next(iter(error.__cause__.args), None), MaxRetryError)
        )
        return (MailUncertain if reached else MailUnavailable)(f"{type(error.__cause__).__name__}")
    if 400 <= status < 500 and status not in (401, 403, 408, 429):
        return MailRefused(f"HTTP {status}")
    return MailUnavailable(f"HTTP {status}")


def claimable() -> Q:
    """Let through only as many as `EMAIL_MAX_PER_MINUTE` still allows; 0 means no limit of ours."""
    if not settings.EMAIL_MAX_PER_MINUTE:
        return Q()
    now = timezone.now()
    # Running ones count as sent: several workers claim at once, each before the others' are sent.
    used = Email.objects.filter(
        Q(sent_at__gt=now - timedelta(minutes=1)) | Q(status=RUNNING)
    ).count()
    room = max(settings.EMAIL_MAX_PER_MINUTE - used, 0)
    return Q(
        pk__in=list(
            Email.objects.due(now).order_by("next_attempt_at").values_list("pk", flat=True)[:room]
        )
    )
