"""What a Checkout Session of Stripe's says about its payment, read and not yet acted on."""

from datetime import UTC, datetime
from typing import Any

from maaledu.storable import LARGEST
from payments import gateway
from payments.models import Payment

PAID, NO_PAYMENT = "paid", "no_payment_required"
REFUSED_BY_BANK = ("requires_payment_method", "canceled")


def is_settled(session: dict[str, Any]) -> bool:
    """Whether no payment is to come: it was received, or Stripe let the session end without one.

    An open session whose amount is nothing says so too, before it is complete.
    """
    said = session.get("payment_status")
    return said == PAID or (said == NO_PAYMENT and session.get("status") == "complete")


def is_refused_by_bank(session: dict[str, Any]) -> bool:
    """Whether the payment intent of a complete, unpaid session says that the bank refused.

    Only a session that was retrieved has the intent itself; an event has its id.
    """
    intent = session.get("payment_intent")
    return isinstance(intent, dict) and intent.get("status") in REFUSED_BY_BANK


def received_from(payment: Payment, session: dict[str, Any]) -> dict[str, Any]:
    """Return what Stripe says it received, as far as our columns can hold it."""
    return {
        "amount_received": amount_of(session),
        "currency_received": gateway.text_of(session.get("currency"), most=3),
        "stripe_payment_intent_id": _id_of(session.get("payment_intent")),
        "stripe_session_id": gateway.text_of(session.get("id")) or payment.stripe_session_id,
    }


def amount_of(session: dict[str, Any]) -> int | None:
    """Return the amount that was paid, in minor units, or None for what is no amount.

    That is a text, a fraction, or a number that is negative or too large for a column. Without a
    payment nothing was paid, whatever the total, so that no more is given for it than what is free.
    """
    if session.get("payment_status") == NO_PAYMENT:
        return 0
    amount = session.get("amount_total")
    is_amount = isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= LARGEST
    return amount if is_amount else None


def ordered_at(session: dict[str, Any]) -> datetime:
    """Return when the buyer paid, or ordered their bank to: Checkout makes the intent then."""
    intent = session.get("payment_intent")
    return moment((intent if isinstance(intent, dict) else session)["created"])


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _id_of(reference: Any) -> str:
    return gateway.text_of(reference.get("id") if isinstance(reference, dict) else reference)
