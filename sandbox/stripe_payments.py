"""What happens to a Checkout Session: paid, declined, paid or failed later, expired.

Each sends its events.
"""

from __future__ import annotations

from typing import Any

from sandbox import stripe_papers, stripe_payment_objects, stripe_session_objects, stripe_tax
from sandbox.stripe_events import emit
from sandbox.stripe_objects import new_id
from sandbox.world import World

Record = dict[str, Any]
OUTCOMES = ("paid", "delayed_success", "delayed_failure", "declined", "paid_late")
VISA = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "funding": "credit"}
CARD = {"type": "card", "card": {**VISA, "last4": "4242"}}
DECLINED_CARD = {"type": "card", "card": {**VISA, "last4": "0002"}}
DEBIT = {
    "type": "us_bank_account",
    "us_bank_account": {"bank_name": "STRIPE TEST BANK", "last4": "6789"},
}
DECLINED = "Your card was declined."


class NotOpen(Exception):
    """The session cannot be paid or expired any more; the message says why."""


def pay(world: World, session_id: str, outcome: str, changes: Record | None = None) -> list[Record]:
    """Pay a session with one of OUTCOMES and return the events sent.

    ``changes`` replaces what the buyer typed (email, name, business_name, tax_ids) or falsifies
    what Stripe reports (amount_total, currency, livemode). Raises NotOpen unless the session is
    open; ``paid_late`` also takes an expired one.
    """
    with world.book.lock:
        session = world.book.sessions[session_id]
        allowed = ("open", "expired") if outcome == "paid_late" else ("open",)
        if session["status"] not in allowed:
            raise NotOpen(f"This session is {session['status']}.")
        changes = changes or {}
        _apply(session, changes)
        stripe_tax.apply(world, session)
        if outcome == "declined":
            return _decline(world, session)
        if session["amount_total"] == 0:
            return _complete(world, session, "no_payment_required")
        if outcome in {"delayed_success", "delayed_failure"}:
            return _start_delayed(world, session, outcome, changes)
        return _pay_by_card(world, session)


def settle(world: World, session_id: str, outcome: str) -> list[Record]:
    """Bring a delayed payment to its end, once: async_payment_succeeded or async_payment_failed."""
    with world.book.lock:
        session = world.book.sessions[session_id]
        intent = world.book.intents[session["payment_intent"]]
        if intent["status"] != "processing":
            return []
        charge = world.book.charges[intent["latest_charge"]]
        if outcome == "delayed_success":
            return [
                *_succeed(world, session, intent, charge),
                _mark(world, session, "paid", "checkout.session.async_payment_succeeded"),
            ]
        _fail(intent, charge, "debit_not_authorized", "The bank refused the debit.")
        failed = [
            emit(world, "charge.failed", charge),
            emit(world, "payment_intent.payment_failed", intent),
        ]
        return [*failed, _mark(world, session, "unpaid", "checkout.session.async_payment_failed")]


def expire(world: World, session_id: str, request: Record | None = None) -> Record:
    """Expire an open session and send the event. Raises NotOpen for any other."""
    with world.book.lock:
        session = world.book.sessions[session_id]
        if session["status"] != "open":
            raise NotOpen(
                'Only Checkout Sessions with a status in ["open"] can be expired. This one is'
                f" {session['status']}."
            )
        session.update(status="expired", url=None)
        emit(world, "checkout.session.expired", session, request)
        return session


def _apply(session: Record, changes: Record) -> None:
    email = changes.get("email") or session["customer_email"] or "buyer@example.com"
    name = changes.get("name") or "Sandbox Buyer"
    session["customer_details"] = stripe_session_objects.customer_details(email, name, paid=True)
    for field in ("business_name", "tax_ids"):
        if field in changes:
            session["customer_details"][field] = changes[field]
    for field in ("amount_total", "currency", "livemode"):
        if field in changes:
            session[field] = changes[field]


def _intent(world: World, session: Record) -> Record:
    note = world.book.notes[session["id"]]
    if not note.get("intent"):
        intent = stripe_payment_objects.payment_intent(session, note, int(world.book.now()))
        world.book.intents[intent["id"]] = intent
        note["intent"] = intent["id"]
    intent = world.book.intents[note["intent"]]
    intent.update(
        amount=session["amount_total"], currency=session["currency"], livemode=session["livemode"]
    )
    return intent


def _charge(world: World, session: Record, method: Record) -> tuple[Record, Record]:
    intent = _intent(world, session)
    charge = stripe_payment_objects.charge(
        intent, session["customer_details"], int(world.book.now()), method=method
    )
    world.book.charges[charge["id"]] = charge
    intent["latest_charge"] = charge["id"]
    return intent, charge


def _pay_by_card(world: World, session: Record) -> list[Record]:
    intent, charge = _charge(world, session, CARD)
    session["payment_intent"] = intent["id"]
    events = _succeed(world, session, intent, charge)
    return events + _complete(world, session, "paid")


def _decline(world: World, session: Record) -> list[Record]:
    intent, charge = _charge(world, session, DECLINED_CARD)
    _fail(intent, charge, "card_declined", DECLINED)
    return [
        emit(world, "charge.failed", charge),
        emit(world, "payment_intent.payment_failed", intent),
    ]


def _start_delayed(world: World, session: Record, outcome: str, changes: Record) -> list[Record]:
    intent, charge = _charge(world, session, DEBIT)
    intent["status"] = "processing"
    session["payment_intent"] = intent["id"]
    delay = float(changes.get("delay", world.options.async_delay))
    world.book.timers.append(
        {"at": world.book.now() + delay, "session": session["id"], "outcome": outcome}
    )
    world.timer_set.notify()
    return [
        emit(world, "payment_intent.processing", intent),
        emit(world, "charge.pending", charge),
        *_complete(world, session, "unpaid"),
    ]


def _complete(world: World, session: Record, payment_status: str) -> list[Record]:
    session.update(status="complete", url=None)
    return [_mark(world, session, payment_status, "checkout.session.completed")]


def _mark(world: World, session: Record, payment_status: str, kind: str) -> Record:
    session["payment_status"] = payment_status
    return emit(world, kind, session)


def _succeed(world: World, session: Record, intent: Record, charge: Record) -> list[Record]:
    charge.update(
        status="succeeded",
        paid=True,
        captured=True,
        amount_captured=charge["amount"],
        balance_transaction=new_id("txn"),
    )
    stripe_papers.write(world, session, charge)
    intent.update(status="succeeded", amount_received=charge["amount"], last_payment_error=None)
    return [
        emit(world, "charge.succeeded", charge),
        emit(world, "payment_intent.succeeded", intent),
    ]


def _fail(intent: Record, charge: Record, code: str, message: str) -> None:
    charge.update(status="failed", failure_code=code, failure_message=message)
    intent.update(
        status="requires_payment_method",
        last_payment_error={
            "type": "card_error",
            "code": code,
            "message": message,
            "charge": charge["id"],
        },
    )
