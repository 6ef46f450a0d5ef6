"""The outbox: stage a message once per cause, and render it. `sending` sends it.

At least once, and exactly once as long as no worker dies between the mail server's "250" and our
commit; the Message-ID is the same on every try, so that mail readers show one.
"""

from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template import TemplateDoesNotExist, TemplateSyntaxError, VariableDoesNotExist
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from maaledu import metrics, notify, seller, tracing
from maaledu.direction import isolated
from maaledu.language import OFFICE
from notifications.errors import BrokenTemplate
from notifications.models import Email

QUEUE = "emails"
ACCOUNT = "account"  # rendered by allauth; holds a one-time code, so it is forgotten once sent
STAFF_ALERT = "staff_alert"
FOR_STAFF = (STAFF_ALERT, "report")
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
    "customer_name": _("there"),
    "course_title": _("your course"),
    "amount": "",
    "list_price": "",
    "purchased_on": "",
    "course_link": "",
    "register_link": "",
    "sign_in": _("Sign in there with the e-mail address this message was sent to."),
    "email": _("this address"),
    "status_link": "",
    "account_link": "",
    "is_free": False,
    "saving": "",
    "taken_off": "",
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
    "rate": _("a share"),
    "attribution_days": "",
    "hold_days": "",
    "minimum": "",
    "method": "",
    "hint": "",
    "is_undecided": False,
    "dashboard_link": "",
    "details_link": "",
    "payee_name": _("there"),
    "reference": "",
    "paid_on": "",
    "is_whole": False,
    "is_over": False,
    "is_reinstated": True,
    "retry_link": "",
    "since": "",
    "to_do": "",
    "about": "",
    "refunded_on": "",
}


def stage(
    *, kind: str, to: str, dedupe_key: str, context: dict[str, Any], request_id: str = ""
) -> bool:
    """Put a message into the outbox unless its cause has one already; return whether this did.

    `request_id` is that of the purchase it is about; otherwise it is the request's own.
    """
    # The caller's transaction holds the row: a message whose cause is rolled back is never sent.
    fields = _fields(kind, to, context, request_id)
    _, created = Email.objects.get_or_create(dedupe_key=dedupe_key, defaults=fields)
    notify.notify_workers_on_commit(QUEUE)
    if not created:
        metrics.SKIPS.labels("e-mail").inc()
    return created


def stage_first(
    *, kind: str, to: str, dedupe_key: str, context: dict[str, Any], request_id: str = ""
) -> bool:
    """Put a message into the outbox whose cause has none, as the caller knows; return True."""
    email = Email(dedupe_key=dedupe_key, **_fields(kind, to, context, request_id))
    email.save(force_insert=True)
    notify.notify_workers_on_commit(QUEUE)
    return True


def _fields(kind: str, to: str, context: dict[str, Any], request_id: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "priority": Email.URGENT if kind == ACCOUNT else Email.NORMAL,
        "to": to,
        "context": context,
        "request_id": request_id or tracing.current(),
    }


def compose(email: Email) -> EmailMultiAlternatives:
    """Render the message. Raises BrokenTemplate for any fault of a template or its variables."""
    with override(OFFICE if email.kind in FOR_STAFF else settings.LANGUAGE_CODE):
        try:
            subject, text, html = _rendered(email)
        except TEMPLATE_FAULTS as error:
            raise BrokenTemplate(f"{email.kind}: {type(error).__name__}: {error}") from error
        sold_by = seller.imprint()
    if sold_by:
        text = f"{text.rstrip()}\n{sold_by}\n"
    headers = {"Message-ID": message_id(email), "Auto-Submitted": "auto-generated"}
    if email.request_id:
        headers[tracing.HEADER] = email.request_id
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
        **{k: _shown(v) for k, v in email.context.items() if v is not None},
    }
    names = (
        f"email/{email.kind}.subject.txt",
        f"email/{email.kind}.txt",
        f"email/{email.kind}.html",
    )
    subject, text, html = (render_to_string(name, context) for name in names)
    return " ".join(subject.split())[:MAX_SUBJECT_LENGTH], text, html


def _shown(value: Any) -> Any:
    return isolated(value) if isinstance(value, str) else value


def _site() -> dict[str, Any]:
    return {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "refund_days": settings.REFUND_DAYS,
        "imprint": seller.imprint(),
    }


def message_id(email: Email) -> str:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{email.pk}@{domain}>"
