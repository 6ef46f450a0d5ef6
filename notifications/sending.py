"""Send what the outbox holds, one message at a time: which may be sent now, and what came of it."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q
from django.utils import timezone

from maaledu.errors import AppError
from maaledu.forgetting import NOBODYS_DOMAIN
from maaledu.work.items import RUNNING
from maaledu.work.queue import Finish
from notifications import bounces, delivery, mail_state, outgoing
from notifications.errors import MailDeferred, MailNotAllowed, MailUnavailable, MailUncertain
from notifications.models import Email, UndeliverableAddress

ORDER = ("priority", "next_attempt_at")


def send(email: Email) -> Finish | None:
    """Hand the message to the mail server, and return the call that records it.

    None for a deleted address: what a refund causes later goes to nobody. Raises BrokenTemplate,
    MailPaused, MailHeld, MailUnavailable, MailNotAllowed, MailDeferred, MailUncertain, MailRefused.
    """
    if email.to.endswith(f"@{NOBODYS_DOMAIN}"):
        return None
    state = mail_state.refuse_while_paused(email)
    try:
        marked = bounces.refuse_undeliverable(email)
        message = outgoing.compose(email)
        _hand_over(email, message)
    except (MailUnavailable, MailNotAllowed, MailUncertain) as error:
        mail_state.note_failure(email, error)
        raise
    except AppError:
        mail_state.note_answer(state)
        raise
    mail_state.note_success(email, state)
    return partial(_record, email, message, marked)


def _hand_over(email: Email, message: EmailMultiAlternatives) -> None:
    try:
        delivery.hand_over(message)
    except MailNotAllowed as error:
        if not email.is_suspected:
            raise
        # Others were taken meanwhile: this is about the message, whatever the words.
        raise MailDeferred(str(error)) from error


def _record(
    email: Email, message: EmailMultiAlternatives, marked: UndeliverableAddress | None
) -> None:
    changes: dict[str, Any] = {
        "sent_at": timezone.now(),
        "subject": message.subject,
        "message_id": outgoing.message_id(email),
    }
    if email.kind == outgoing.ACCOUNT:
        changes["context"] = {}
    Email.objects.filter(pk=email.pk).update(**changes)
    if marked:
        bounces.release(marked)


def claimable() -> Q:
    """Let through what may be sent now.

    While the mail server takes nothing that is one message now and then, otherwise as many as
    `EMAIL_MAX_PER_MINUTE` still allows; 0 means no limit of ours.
    """
    now = timezone.now()
    state = mail_state.paused()
    if state:
        return _only([mail_state.take_try(state, now)])
    if not settings.EMAIL_MAX_PER_MINUTE:
        return Q()
    # Running ones count as sent: several workers claim at once, each before the others' are sent.
    used = Email.objects.filter(
        Q(sent_at__gt=now - timedelta(minutes=1)) | Q(status=RUNNING)
    ).count()
    room = max(settings.EMAIL_MAX_PER_MINUTE - used, 0)
    return _only(list(Email.objects.due(now).order_by(*ORDER).values_list("pk", flat=True)[:room]))


def _only(keys: list[Any]) -> Q:
    return Q(pk__in=[key for key in keys if key])
