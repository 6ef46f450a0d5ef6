"""Checkout Sessions that the old platform opened, and that are paid for after its end."""

from typing import Any

from payments import gateway
from payments.models import Payment

WRITTEN_BY_IT = {"enrollmentId", "courseId"}


def is_one(session: dict[str, Any]) -> bool:
    """Whether the old platform opened it, as its metadata says: that names no payment of ours."""
    metadata = session.get("metadata")
    return isinstance(metadata, dict) and metadata.keys() >= WRITTEN_BY_IT


def is_paid(session: dict[str, Any]) -> bool:
    """Whether it is one for which somebody has paid."""
    return is_one(session) and session.get("payment_status") == "paid"


def payment_of(session: dict[str, Any]) -> Payment | None:
    """Find the imported payment of such a session by the session's own id."""
    session_id = gateway.text_of(session.get("id")) if is_one(session) else ""
    known = Payment.objects.select_related("enrollment").filter(stripe_session_id=session_id)
    return known.first() if session_id else None
