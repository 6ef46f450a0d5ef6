"""Stripe's events: stored once by id together with their effects, in one transaction; kept for
later if that fails.
"""

import logging
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ValidationError

from maaledu.errors import AppError
from maaledu.work.inbox import accept
from maaledu.work.items import DEAD, DONE, replay
from maaledu.work.queue import Finish, Queue, claim_one, doubling_backoff, run_item
from notifications.alerts import alert_staff
from payments import disputes, gateway, refunds, settlement
from payments.models import Payment, StripeEvent

logger = logging.getLogger(__name__)

QUEUE = "stripe"
PROCESSED = "Event processed"
EVENT_KNOWN = "Event already processed"
PAYMENT_KNOWN = "Payment already processed"
IGNORED = "Event ignored"
REFUND_KNOWN = "Refund already recorded"
DISPUTE_KNOWN = "Dispute already recorded"
UNKNOWN_SESSION = "Unknown session"
KEPT = "Event stored, to be processed"


def receive(event: dict[str, Any]) -> str:
    """Take one verified event and return what to tell Stripe; whatever happens to it, it is stored
    when this returns.

    Raises DatabaseError when nothing could be stored, so that Stripe sends it again.
    """
    item = StripeEvent(
        event_id=event["id"][:255],
        type=event["type"][:100],
        livemode=event["livemode"],
        api_version=str(event.get("api_version") or "")[:40],
        session_id=_session_id(event),
        payload=event,
        outcome=PROCESSED,
    )
    known = accept(EVENTS, item, key="event_id")
    if known is None:
        return item.outcome if item.status == DONE else KEPT
    return _again(cast("StripeEvent", known))


def _session_id(event: dict[str, Any]) -> str:
    found = event["data"]["object"]
    return gateway.text_of(found.get("id")) if found.get("object") == "checkout.session" else ""


def _again(known: StripeEvent) -> str:
    """A redelivery: nothing for an event that is done, another try for one whose handling
    failed.
    """
    if known.status == DONE:
        logger.info("event already processed", extra={"event": known.event_id})
        return EVENT_KNOWN
    if known.status == DEAD:
        replay(known)
    if claim_one(EVENTS, known):
        run_item(EVENTS, known)
        known.refresh_from_db()
    return known.outcome if known.status == DONE else KEPT


def handle(event: StripeEvent) -> Finish:
    """Return the effects of this event, to be written in the transaction that settles it."""

    def effects() -> None:
        outcome = _apply(event)
        if outcome != event.outcome:
            event.outcome = outcome
            StripeEvent.objects.filter(pk=event.pk).update(outcome=outcome)

    return effects


def _apply(event: StripeEvent) -> str:
    handler = OBJECT_HANDLERS.get(event.type, _session_event if event.type in HANDLERS else None)
    if handler is None:
        return IGNORED
    if event.livemode != settings.STRIPE_LIVEMODE:
        return _foreign(event, "it belongs to Stripe's other mode (test or live)")
    if event.payload.get("account"):  # only events of connected accounts name one, and we have none
        return _foreign(event, "it belongs to another Stripe account")
    return handler(event, event.payload["data"]["object"])


def _session_event(event: StripeEvent, session: dict[str, Any]) -> str:
    payment = payment_of(session)
    if payment is None:
        return (
            _foreign(event, "no payment of ours belongs to its session")
            if _claims_ours(session)
            else UNKNOWN_SESSION
        )
    return PROCESSED if HANDLERS[event.type](payment, session, event.event_id) else PAYMENT_KNOWN


def _refund_event(event: StripeEvent, refund: dict[str, Any]) -> str:
    if not refunds.is_refund(refund):
        return IGNORED
    return PROCESSED if refunds.record(refund, actor=event.event_id) else REFUND_KNOWN


def _dispute_event(event: StripeEvent, dispute: dict[str, Any]) -> str:
    if not disputes.is_dispute(dispute):
        return IGNORED
    return (
        PROCESSED
        if disputes.record(dispute, told_at=event.payload.get("created"), actor=event.event_id)
        else DISPUTE_KNOWN
    )


def _foreign(event: StripeEvent, reason: str) -> str:
    alert_staff(
        key=f"event:{event.event_id}",
        subject="A Stripe event was not applied",
        lines=[
            f"{event.type} {event.event_id}: {reason}.",
            "Nothing was changed. Check the webhook endpoint in Stripe.",
        ],
    )
    return IGNORED


def payment_of(session: dict[str, Any]) -> Payment | None:
    """Find the payment by the id we gave Stripe, which is there even when its answer never reached
    us.
    """
    metadata = session.get("metadata")
    key: Any = metadata.get("payment_id") if isinstance(metadata, dict) else None
    try:
        # unlike first(), it asks for no order
        payment = Payment.objects.select_related("enrollment").get(pk=key)
    except (Payment.DoesNotExist, ValidationError):
        return None
    told = gateway.text_of(session.get("id"))
    return payment if told and payment.stripe_session_id in (None, told) else None


def _session_over(payment: Payment, session: dict[str, Any], actor: str) -> bool:
    return settlement.apply_session(payment, session, actor=actor)


def _claims_ours(session: dict[str, Any]) -> bool:
    """Sessions of other products on the same Stripe account lack our metadata, and concern nobody
    here.
    """
    metadata = session.get("metadata")
    return isinstance(metadata, dict) and "payment_id" in metadata


def _async_failed(payment: Payment, session: dict[str, Any], actor: str) -> bool:
    return settlement.apply_failure(payment, code=settlement.ASYNC_PAYMENT_FAILED, actor=actor)


HANDLERS: dict[str, Callable[[Payment, dict[str, Any], str], bool]] = {
    "checkout.session.completed": _session_over,
    "checkout.session.async_payment_succeeded": _session_over,
    "checkout.session.async_payment_failed": _async_failed,
    "checkout.session.expired": _session_over,
}
# `charge.refunded` is not here: it does not say which refund it is about, and the refund's own
# events do.
OBJECT_HANDLERS: dict[str, Callable[[StripeEvent, dict[str, Any]], str]] = {
    **dict.fromkeys(
        ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"),
        _refund_event,
    ),
    **dict.fromkeys(
        (
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ),
        _dispute_event,
    ),
}


def on_dead(event: StripeEvent, error: AppError) -> None:
    """Tell staff, once for each time it dies, that what Stripe said is not applied until they
    replay it (requirement R135).
    """
    alert_staff(
        key=f"dead-event:{event.pk}:{event.fence}",
        subject="A Stripe event failed for good",
        lines=[
            f"{event.type} {event.event_id}, received {event.created_at:%Y-%m-%d %H:%M} UTC.",
            f"Reason: {event.last_error}",
            f"Attempts: {event.attempts}; workers lost: {event.lapses}.",
            (
                "If it tells of a payment, we may have the money and the learner no place. Mend the"
                " cause, then replay the event in the admin."
            ),
        ],
    )


EVENTS = Queue(
    name=QUEUE,
    model=StripeEvent,
    run=handle,
    backoff=doubling_backoff,
    lease=settings.WORK_LEASE_MARGIN,
    on_dead=on_dead,
)
