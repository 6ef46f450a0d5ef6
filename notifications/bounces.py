"""Addresses whose messages come back: the mail service reports it by signed events, or the mail
server refuses them.
"""

from collections.abc import Iterable
from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from maaledu.db import atomic
from maaledu.storable import clean
from maaledu.work.items import DEAD, replay
from notifications import alerts
from notifications.errors import MailDeferred, MailHeld, MailRefused
from notifications.models import Email, UndeliverableAddress

LONGEST_SENTENCE = 500
LONGEST_ID = 200
Reason = UndeliverableAddress.Reason
# SendGrid's word for a refusal that may pass, of a message or of its own servers.
PASSING_BOUNCES = ("blocked", "expired")
ABOUT_ADDRESS = (RejectReason.BOUNCED, RejectReason.INVALID, RejectReason.SPAM)
# How the service says "Spam Reporting Address" where it drops a message because of a complaint.
SPAM = "spam"
REPORTED = _("Our e-mails to {email} were reported as spam, so we cannot write to you there.")
RETURNED = _("Our e-mails to {email} come back, so we cannot write to you there.")


def note_event(event: AnymailTrackingEvent) -> bool:
    """Mark or release the address of one event, and return whether that changed anything.

    An event that is delivered twice changes nothing the second time; one that is older than the
    mark releases nothing. Raises DatabaseError when it could not be stored, and is sent again.
    """
    email = normal(event.recipient) if isinstance(event.recipient, str) else ""
    try:
        validate_email(email)
    except ValidationError:
        return False
    if event.event_type == EventType.DELIVERED:
        return _release_delivered(email, event)
    reason = _reason(event)
    return bool(reason) and _mark(email, reason, event)


def _reason(event: AnymailTrackingEvent) -> str:
    """Return why an address is undeliverable, or nothing where it is not."""
    kind = str((event.esp_event or {}).get("type", "")).lower()
    if event.event_type == EventType.BOUNCED:
        return "" if kind in PASSING_BOUNCES else Reason.BOUNCED
    if event.event_type == EventType.COMPLAINED:
        return Reason.COMPLAINED
    says = str((event.esp_event or {}).get("reason", "")).lower()
    is_dropped = event.event_type == EventType.REJECTED
    if is_dropped and (event.reject_reason in ABOUT_ADDRESS or SPAM in says):
        return Reason.DROPPED
    return ""


@atomic
def _mark(email: str, reason: str, event: AnymailTrackingEvent) -> bool:
    facts: dict[str, Any] = {
        "reason": reason,
        "sentence": clean(str(event.mta_response or ""))[:LONGEST_SENTENCE],
        "event_id": clean(str(event.event_id or ""))[:LONGEST_ID],
        "reported_at": event.timestamp or timezone.now(),
    }
    found, is_new = UndeliverableAddress.objects.get_or_create(email=email, defaults=facts)
    if not is_new and found.reason == Reason.REFUSED:  # so far nothing was held
        refused = UndeliverableAddress.objects.filter(pk=found.pk, reason=Reason.REFUSED)
        is_new = refused.update(**facts) == 1
    if is_new:
        label = Reason(reason).label.lower()
        alerts.alert_staff(
            key=f"undeliverable:{email}:{facts['reported_at']:%Y%m%d%H%M%S}",
            subject=f"E-mails to an address do not arrive: {label}",
            lines=[
                f"To: {email}",
                f"The server said: {facts['sentence'] or 'nothing'}",
                "Further e-mails to it are held until the address is released in the office.",
            ],
        )
    return is_new


def _release_delivered(email: str, event: AnymailTrackingEvent) -> bool:
    marked = UndeliverableAddress.objects.filter(email=email)
    older = marked.filter(reported_at__lt=event.timestamp or timezone.now()).first()
    return release(older) if older else False


@atomic
def release(address: UndeliverableAddress) -> bool:
    """Take the mark off an address and send what was held or refused; return whether this did."""
    deleted, _ = UndeliverableAddress.objects.filter(pk=address.pk).delete()
    if not deleted:
        return False
    held = Q(last_error__startswith=MailHeld.code)
    refused = Q(last_error__startswith=MailRefused.code)
    refused |= Q(last_error__startswith=MailDeferred.code)
    refused &= Q(priority=Email.NORMAL)  # a code that was refused is of no use any more
    waiting = Email.objects.filter(held | refused, status=DEAD)
    for email in waiting.filter(to__iexact=address.email):
        replay(email)
    return True


def why_undeliverable(email: str) -> str:
    """Return why we cannot write to an address, as its owner reads it; empty where we can."""
    return whys_undeliverable([email]).get(normal(email), "")


def whys_undeliverable(emails: Iterable[str]) -> dict[str, str]:
    """Return why we cannot write to some of these addresses, by their normal form."""
    marked = UndeliverableAddress.objects.filter(email__in={normal(email) for email in emails})
    return {
        each.email: str(REPORTED if each.reason == Reason.COMPLAINED else RETURNED).format(
            email=each.email
        )
        for each in marked.order_by("email")
    }


def undeliverable(email: str) -> UndeliverableAddress | None:
    """Return why no e-mails are sent to this address, or None where they are."""
    return UndeliverableAddress.objects.filter(email=normal(email)).first()


def note_refused(email: Email) -> bool:
    """Mark the address of a message that the mail server refused; return whether this call did.

    Nothing is held because of it: the next message is tried, and releases the address when it is
    taken. Until then the pages of its owner do not say that we have written to them.
    """
    _code, _, sentence = email.last_error.partition(": ")
    facts = {"reason": Reason.REFUSED, "sentence": clean(sentence)[:LONGEST_SENTENCE]}
    _, is_new = UndeliverableAddress.objects.get_or_create(email=normal(email.to), defaults=facts)
    return is_new


def refuse_undeliverable(email: Email) -> UndeliverableAddress | None:
    """Return the mark of an address that refused the message before; None for one without a mark.

    Raises MailHeld if messages to it came back.
    """
    marked = undeliverable(email.to)
    if marked and marked.reason != Reason.REFUSED:
        raise MailHeld
    return marked


def normal(address: str) -> str:
    """Return an address as it is compared here: mail services change its case."""
    return clean(address).strip().lower()
