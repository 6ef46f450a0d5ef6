"""Stripe's events: stored once by id together with their effects, in one transaction.

An event whose effects fail is stored by itself and handled again later.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from maaledu import tracing
from maaledu.errors import AppError
from maaledu.work.inbox import accept, keep
from maaledu.work.items import DEAD, DONE, RUNNING, replay
from maaledu.work.queue import Finish, Queue, claim_one, doubling_backoff, run_item
from notifications.alerts import alert_staff
from payments import (
    deliveries,
    disputes,
    event_questions,
    fraud_warnings,
    gateway,
    old_sessions,
    ownership,
    purchase_ids,
    refunds,
    settlement,
    unknown_words,
    webhook_problems,
)
from payments.event_questions import CHARGE_REFUNDED, NOTHING_ASKED, Answer
from payments.models import Payment, StripeEvent

logger = logging.getLogger(__name__)

QUEUE = "stripe"
PROCESSED = "Event processed"
EVENT_KNOWN = "Event already processed"
PAYMENT_KNOWN = "Payment already processed"
IGNORED = "Event ignored"
REFUND_KNOWN = "Refund already recorded"
DISPUTE_KNOWN = "Dispute already recorded"
WARNING_KNOWN = "Early fraud warning already recorded"
KNOWN_ALREADY = {EVENT_KNOWN, PAYMENT_KNOWN, REFUND_KNOWN, DISPUTE_KNOWN, WARNING_KNOWN}
UNKNOWN_SESSION = "Unknown session"
NOT_OURS = "Another product's"
KEPT = "Event stored, to be processed"
ASYNC_PAYMENT_FAILED = "checkout.session.async_payment_failed"


def receive(event: dict[str, Any]) -> str:
    """Store one verified event with its effects, and return the outcome to answer Stripe with.

    When this returns, the event is stored, whatever became of its effects. Raises DatabaseError
    when nothing could be stored, so that Stripe sends it again.
    """
    item = _item_of(event)
    outcome = _store(item)
    webhook_problems.note_delivery(item)
    if item.type not in HANDLERS:
        unknown_words.alert_of_type(item.type, item.event_id)
    return outcome


def receive_fetched(event: dict[str, Any]) -> str:
    """Do the same with an event that was not delivered, and that Stripe listed when asked."""
    item = _item_of(event)
    item.is_fetched, item.deliveries = True, 0
    return _store(item)


def _item_of(event: dict[str, Any]) -> StripeEvent:
    return StripeEvent(
        event_id=event["id"][:255],
        type=event["type"][:100],
        livemode=event.get("livemode", settings.STRIPE_LIVEMODE) is True,
        api_version=str(event.get("api_version") or "")[:40],
        session_id=_session_id(event),
        payload=event,
        outcome=PROCESSED,
        request_id=purchase_ids.read(_object_in(event)) or tracing.current(),
    )


def _session_id(event: dict[str, Any]) -> str:
    payload = _object_in(event)
    return gateway.text_of(payload.get("id")) if payload.get("object") == "checkout.session" else ""


def _object_in(event: dict[str, Any]) -> dict[str, Any]:
    """Return the object that the event is about; a thin event has none."""
    return event["data"]["object"] if event["object"] == deliveries.SNAPSHOT else {}


def _store(item: StripeEvent) -> str:
    tracing.follow(item.request_id)
    # Stripe is asked while no transaction is open, so such an event is stored by itself first.
    must_ask = _must_ask(item)
    store = keep if must_ask else accept
    known = cast("StripeEvent", store(EVENTS, item, key="event_id") or item)
    if known is not item:
        known.add_deliveries(item.deliveries)
    elif not must_ask:
        return item.outcome if item.status == DONE else KEPT
    return _receive_again(known)


def _must_ask(event: StripeEvent) -> bool:
    return (
        _is_snapshot_of_our_mode(event)
        and not event.payload.get("account")  # only events of connected accounts name one
        and event_questions.must_ask(event.type, _object_in(event.payload))
    )


def _receive_again(known: StripeEvent) -> str:
    """Do nothing for an event that is done, and try again one whose handling failed."""
    if known.status == DONE:
        logger.info("event already processed", extra={"event": known.event_id})
        return EVENT_KNOWN
    if known.status == DEAD:
        replay(known)
    if claim_one(EVENTS, known):
        run_item(EVENTS, known)
        known.refresh_from_db()
        tracing.follow(known.request_id)
    return known.outcome if known.status == DONE else KEPT


def handle(event: StripeEvent) -> Finish:
    """Return the effects of this event, to be written in the transaction that settles it.

    Raises StripeUnavailable, StripeRefused where Stripe has to be asked about it.
    """
    answer = NOTHING_ASKED
    # A new event that needs no question is applied in the transaction that stores it as done.
    if event.status == RUNNING and _must_ask(event):
        answer = event_questions.ask(event.type, _object_in(event.payload))
    return partial(_apply, event, answer)


def _apply(event: StripeEvent, answer: Answer) -> None:
    outcome = _outcome(event, answer)
    found = {"outcome": outcome, "request_id": tracing.current()}
    # A new event is inserted as processed, with the purchase that it names: mostly nothing is left.
    if found != {name: getattr(event, name) for name in found}:
        event.outcome, event.request_id = found.values()
        StripeEvent.objects.filter(pk=event.pk).update(**found)


def _outcome(event: StripeEvent, answer: Answer) -> str:
    handler = HANDLERS.get(event.type)
    if handler is None or not _is_snapshot_of_our_mode(event):
        return IGNORED
    if account := event.payload.get("account"):
        return _refuse(event, "it belongs to another Stripe account", cause=f"account:{account}")
    if not answer.is_ours:
        return NOT_OURS
    if event.type == CHARGE_REFUNDED:
        return _apply_refunds(event, answer.refunds)
    unknown_words.alert_of_words(_object_in(event.payload))
    return handler(event, _object_in(event.payload))


def _is_snapshot_of_our_mode(event: StripeEvent) -> bool:
    """Whether it has its object in it and is of our mode; else `webhook_problems` alerts."""
    is_snapshot = event.payload["object"] == deliveries.SNAPSHOT
    return is_snapshot and event.livemode == settings.STRIPE_LIVEMODE


def _apply_session(event: StripeEvent, session: dict[str, Any]) -> str:
    payment = payment_of(session) or old_sessions.payment_of(session)
    if payment is None:
        if old_sessions.is_paid(session):
            return _refuse(event, "nothing imported has its session", cause=event.session_id)
        if not ownership.names_payment(session):
            return UNKNOWN_SESSION
        if ownership.names_anothers_payment(session["metadata"]):
            return IGNORED
        # Another database's, maybe, of which each event comes here: once a day for all of them.
        cause = f"unknown-payment:{timezone.now():%Y%m%d}"
        return _refuse(event, "no payment of ours belongs to its session", cause=cause)
    if event.type == ASYNC_PAYMENT_FAILED:
        code = settlement.ASYNC_PAYMENT_FAILED
        is_new = settlement.end(payment, Payment.FAILED, code=code, actor=event.event_id)
    else:
        is_new = settlement.apply_session(payment, session, actor=event.event_id)
    return PROCESSED if is_new else PAYMENT_KNOWN


def _apply_refund(event: StripeEvent, refund: dict[str, Any]) -> str:
    if not refunds.is_recordable(refund):
        return IGNORED
    purchase_ids.follow_sale(refund)
    return PROCESSED if refunds.record(refund, actor=event.event_id) else REFUND_KNOWN


def _apply_refunds(event: StripeEvent, found: list[dict[str, Any]]) -> str:
    outcomes = {_apply_refund(event, refund) for refund in found}
    return PROCESSED if PROCESSED in outcomes else REFUND_KNOWN


def _apply_dispute(event: StripeEvent, dispute: dict[str, Any]) -> str:
    if not disputes.is_recordable(dispute):
        return IGNORED
    purchase_ids.follow_sale(dispute)
    created = event.payload.get("created")
    is_new = disputes.record(dispute, reported_at=created, actor=event.event_id)
    return PROCESSED if is_new else DISPUTE_KNOWN


def _apply_warning(event: StripeEvent, warning: dict[str, Any]) -> str:
    if not fraud_warnings.is_recordable(warning):
        return IGNORED
    purchase_ids.follow_sale(warning)
    created = event.payload.get("created")
    is_new = fraud_warnings.record(warning, reported_at=created, actor=event.event_id)
    return PROCESSED if is_new else WARNING_KNOWN


def _refuse(event: StripeEvent, reason: str, *, cause: str) -> str:
    """Alert staff of an event that is not applied, once for its cause, and return the outcome."""
    alert_staff(
        key=f"event:{cause}",
        subject="A Stripe event was not applied",
        lines=[
            f"The first one: {event.type} {event.event_id}: {reason}.",
            "Nothing was changed. Check the webhook endpoint in Stripe.",
        ],
    )
    return IGNORED


def payment_of(session: dict[str, Any]) -> Payment | None:
    """Find the payment of a session by the id in its metadata.

    That is there even when Stripe's answer, with the session's id, never reached us.
    """
    metadata = session.get("metadata")
    key: Any = metadata.get("payment_id") if isinstance(metadata, dict) else None
    try:
        # get() and not first(), which would sort by the primary key
        payment = Payment.objects.select_related("enrollment").get(pk=key)
    except (Payment.DoesNotExist, ValidationError):
        return None
    session_id = gateway.text_of(session.get("id"))
    return payment if session_id and payment.stripe_session_id in (None, session_id) else None


# These types are what our endpoint at Stripe is asked for, and what is reconciled.
HANDLERS: dict[str, Callable[[StripeEvent, dict[str, Any]], str]] = {
    "checkout.session.completed": _apply_session,
    "checkout.session.async_payment_succeeded": _apply_session,
    ASYNC_PAYMENT_FAILED: _apply_session,
    "checkout.session.expired": _apply_session,
    "refund.created": _apply_refund,
    "refund.updated": _apply_refund,
    "refund.failed": _apply_refund,
    "charge.refund.updated": _apply_refund,
    CHARGE_REFUNDED: _apply_refund,
    "charge.dispute.created": _apply_dispute,
    "charge.dispute.updated": _apply_dispute,
    "charge.dispute.closed": _apply_dispute,
    "charge.dispute.funds_withdrawn": _apply_dispute,
    "charge.dispute.funds_reinstated": _apply_dispute,
    "radar.early_fraud_warning.created": _apply_warning,
    "radar.early_fraud_warning.updated": _apply_warning,
}


def on_dead(event: StripeEvent, error: AppError) -> None:
    """Alert staff, each time an event dies, that it is not applied until they replay it.

    Source: requirement R135.
    """
    alert_staff(
        key=f"dead-event:{event.pk}:{event.fence}",
        subject="A Stripe event failed for good",
        lines=[
            f"{event.type} {event.event_id}, received {event.created_at:%Y-%m-%d %H:%M} UTC.",
            f"Reason: {event.last_error}",
            f"Attempts: {event.attempts}; workers lost: {event.lapses}.",
            "If it reports a payment, we may have the money while the learner is not enrolled.",
            "Fix the cause, then replay the event in the admin.",
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
