"""Refunds by the API or in the dashboard, final at once or later, or returned by a bank."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox import stripe_disputes, stripe_fraud
from sandbox.stripe_errors import StripeRefusal
from sandbox.stripe_events import emit
from sandbox.stripe_objects import new_id
from sandbox.world import World

Record = dict[str, Any]
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
FAILURE = "lost_or_stolen_card"
UNDECIDED = ("pending", "requires_action")
ENDS = {"succeed": "succeeded", "fail": "failed", "cancel": "canceled"}
COMES_FROM = {"succeeded": UNDECIDED, "failed": (*UNDECIDED, "succeeded"), "canceled": UNDECIDED}


def refund(world: World, charge: Record, params: Record, request: Record | None = None) -> Record:
    """Refund all or part of a charge, send the events and return the refund as it began.

    Raises StripeRefusal where Stripe would refuse.
    """
    with world.book.lock:
        amount = _allowed_amount(world, charge, params)
        made = _new(
            charge, amount, params, status=world.options.refund_status, now=int(world.book.now())
        )
        world.book.refunds[made["id"]] = made
        created = emit(world, "refund.created", made, request)
        emit(world, "charge.refunded", charge, request, before=_add_refunded(charge, amount))
        if made["status"] == "succeeded" and made["destination_details"]["type"] == "card":
            _updated(world, made, _settled(made))
        stripe_fraud.follow(world, charge)
        return dict(created["data"]["object"])


def dashboard_refund(world: World, charge: Record, data: Record) -> Record:
    """Refund as a person does in the dashboard: no idempotency key, no metadata.

    Raises ValueError or StripeRefusal.
    """
    amount, reason = data.get("amount"), data.get("reason")
    if amount is not None and (not isinstance(amount, int) or amount < 1):
        raise ValueError("amount must be a whole number of minor units, at least 1")
    if reason not in (None, *REASONS):
        raise ValueError(f"reason must be one of {', '.join(REASONS)}")
    return refund(
        world,
        charge,
        {
            name: value
            for name, value in (("amount", amount), ("reason", reason))
            if value is not None
        },
    )


def end(world: World, refund_id: str, status: str, reason: str = FAILURE) -> Record:
    """Bring a refund to succeeded, failed or canceled, once, and send the events.

    What did not go out is returned to the charge. A refund that succeeded can still fail: banks
    return money weeks later. Raises ValueError where the refund cannot reach ``status``.
    """
    with world.book.lock:
        made = world.book.refunds[refund_id]
        if made["status"] == status:
            return made
        if made["status"] not in COMES_FROM[status]:
            raise ValueError(f"This refund is {made['status']} and cannot become {status}.")
        changes: Record = {"status": status, "pending_reason": None}
        if status == "succeeded":
            changes |= _settled(made)
        else:
            _add_refunded(world.book.charges[made["charge"]], -made["amount"])
        if status == "failed":
            changes |= {"failure_reason": reason, "failure_balance_transaction": new_id("txn")}
        _updated(world, made, changes)
        if status == "failed":
            emit(world, "refund.failed", made)
        return made


def _allowed_amount(world: World, charge: Record, params: Record) -> int:
    left = charge["amount"] - charge["amount_refunded"]
    amount: int = params.get("amount", left)
    if charge["status"] != "succeeded":
        raise StripeRefusal(
            f"The charge {charge['id']} has not succeeded and cannot be refunded.", executed=True
        )
    if not stripe_disputes.allow_refund(world, charge):
        raise StripeRefusal(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
            executed=True,
        )
    if left == 0:
        raise StripeRefusal(
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
            executed=True,
        )
    if amount > left:
        raise StripeRefusal(
            f"The refund of {amount} is more than the {left} left on the charge.",
            param="amount",
            executed=True,
        )
    return amount


def _new(charge: Record, amount: int, params: Record, *, status: str, now: int) -> Record:
    method = charge["payment_method_details"]["type"]
    card = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn") if status == "succeeded" else None,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "destination_details": {"card": card, "type": "card"}
        if method == "card"
        else {"type": method},
        "metadata": params.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "pending_reason": "processing" if status == "pending" else None,
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def _add_refunded(charge: Record, amount: int) -> Record:
    """Change what is refunded of a charge and return what it said before."""
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    return {name: value for name, value in before.items() if charge[name] != value}


def _settled(made: Record) -> Record:
    """Return what a refund gets once the money has left: its transaction and reference number."""
    changes: Record = {"balance_transaction": made["balance_transaction"] or new_id("txn")}
    details = made["destination_details"]
    if details["type"] == "card":
        traced = {"reference": f"{secrets.randbelow(10**10):010d}", "reference_status": "available"}
        changes["destination_details"] = {**details, "card": {**details["card"], **traced}}
    return changes


def _updated(world: World, made: Record, changes: Record) -> None:
    before = {name: made.get(name) for name, value in changes.items() if made.get(name) != value}
    made.update(changes)
    emit(world, "refund.updated", made, before=before)
    emit(world, "charge.refund.updated", made, before=before)
