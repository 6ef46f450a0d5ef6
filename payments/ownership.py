"""Which objects at Stripe are about sales of ours: other products may use the same account."""

from typing import Any
from uuid import UUID

from payments import gateway

NAMED_BY_US = ("payment_id", "enrollment_id")


def payment_id_in(metadata: Any) -> UUID | None:
    """Return the payment of ours that the metadata of a session or payment intent names.

    None for those of other products: ours have two ids of our form, written when the session was
    made. Stripe copies nothing into refunds and disputes, whose payment intent says it.
    """
    if not isinstance(metadata, dict):
        return None
    payment_id, enrollment_id = (_id_of(metadata.get(name)) for name in NAMED_BY_US)
    return payment_id if enrollment_id else None


def _id_of(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def part_intent(payload: dict[str, Any]) -> tuple[dict[str, Any], UUID | None]:
    """Part a refund or dispute from the payment intent that was asked for with it.

    Return the payload with the id alone, as events have it, and the payment of ours that the intent
    names.
    """
    intent = payload.get("payment_intent")
    if not isinstance(intent, dict):
        return payload, None
    named = {**payload, "payment_intent": gateway.text_of(intent.get("id"))}
    return named, payment_id_in(intent.get("metadata"))


def names_anothers_payment(metadata: dict[str, Any]) -> bool:
    """Whether what is named there is a payment, and not of our form: another product has its own.

    Stripe keeps texts alone, so that anything else is nobody's, and not passed over.
    """
    return isinstance(metadata["payment_id"], str) and payment_id_in(metadata) is None


def names_payment(session: dict[str, Any]) -> bool:
    """Whether a session has our metadata; those of other products on the same account do not."""
    metadata = session.get("metadata")
    return isinstance(metadata, dict) and "payment_id" in metadata
