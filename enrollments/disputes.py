"""Disputes: told by Stripe, one row for each; open ones hold the commission, lost ones undo the sale.

An inquiry (`warning_*`) and any status that is not known here change nothing. Source: contracts/stripe, section 3.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.utils import timezone

from enrollments import stripe_gateway, undoing
from enrollments.models import Dispute, Payment
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)

STATUSES = {
    "needs_response": Dispute.OPEN,
    "under_review": Dispute.OPEN,
    "won": Dispute.WON,
    "lost": Dispute.LOST,
}
WAITS_FOR_ITS_SALE = timedelta(days=35)
SWEPT = 1000


def is_dispute(told: dict[str, Any]) -> bool:
    """Whether an event's object is a dispute that can be recorded."""
    texts = [told.get(name) for name in ("id", "payment_intent", "currency", "status")]
    return all(isinstance(text, str) and 0 < len(text) <= 255 for text in texts) and isinstance(told.get("amount"), int)


@atomic
def record(told: dict[str, Any], *, actor: str) -> bool:
    """Write down what Stripe says of a dispute, with everything that follows; return whether anything was new."""
    payment = Payment.objects.filter(stripe_payment_intent_id=told["payment_intent"]).first()
    defaults = {
        "payment": payment,
        "payment_intent_id": told["payment_intent"],
        "amount": told["amount"],
        "currency": told["currency"][:3],
        "reason": str(told.get("reason") or "")[:40],
        "stripe_status": told["status"][:40],
        "evidence_due_by": _due_by(told),
    }
    dispute, created = Dispute.objects.get_or_create(stripe_dispute_id=told["id"], defaults=defaults)
    moved = _follow(dispute, told)
    if dispute.payment_id and moved:
        _cause(dispute, actor=actor)
    return created or moved


def _due_by(told: dict[str, Any]) -> datetime | None:
    details = told.get("evidence_details")
    due_by = details.get("due_by") if isinstance(details, dict) else None
    return datetime.fromtimestamp(due_by, UTC) if isinstance(due_by, int) and 0 < due_by < 2**33 else None


def _follow(dispute: Dispute, told: dict[str, Any]) -> bool:
    """Move the row to what Stripe says; a lost one stays lost, whatever arrives after it: staff look at that."""
    to = STATUSES.get(told["status"])
    if to is None:
        return False
    won = transition(dispute, to, stripe_status=told["status"][:40])
    if won and dispute.payment_id is None:  # its sale may have been joined to it since it was read
        dispute.refresh_from_db(fields=["payment"])
    if not won and (dispute.status, to) == (Dispute.LOST, Dispute.WON):
        _tell(dispute, "A lost dispute was won after all", "The place has ended. Decide with the learner whether it is given back.")
    return won


def _cause(dispute: Dispute, *, actor: str) -> None:
    undoing.settle(cast("UUID", dispute.payment_id), actor=actor)
    if dispute.status == Dispute.OPEN:
        due = f"Stripe takes evidence until {dispute.evidence_due_by:%B %d, %Y}." if dispute.evidence_due_by else ""
        _tell(dispute, "A buyer's bank disputes a payment", f"The commission is on hold until it is decided. {due}")
    if dispute.status == Dispute.LOST:
        _tell(dispute, "A dispute was lost", "The money is gone, the place has ended, and the commission is reversed.")


def _tell(dispute: Dispute, subject: str, sentence: str) -> None:
    facts = f"{dispute} of payment {dispute.payment_id}, {dispute.stripe_dispute_id}; reason: {dispute.reason or 'none given'}."
    alert_staff(key=f"dispute:{dispute.pk}:{subject}"[:120], subject=subject, lines=[facts, sentence])


def attach_waiting() -> int:
    """Join disputes that were told before their sale to the payment that has arrived since; return how many."""
    waiting = Dispute.objects.filter(payment=None, created_at__gt=timezone.now() - WAITS_FOR_ITS_SALE).order_by("-created_at")
    disputes = list(waiting[:SWEPT])
    intents = {dispute.payment_intent_id for dispute in disputes}
    payments = {p.stripe_payment_intent_id: p for p in Payment.objects.filter(stripe_payment_intent_id__in=intents)} if intents else {}
    return sum(_attach(dispute, payments[dispute.payment_intent_id]) for dispute in disputes if dispute.payment_intent_id in payments)


@atomic
def _attach(dispute: Dispute, payment: Payment) -> bool:
    if Dispute.objects.filter(pk=dispute.pk, payment=None).update(payment=payment, updated_at=timezone.now()) != 1:
        return False
    dispute.refresh_from_db()
    _cause(dispute, actor="sweep")
    return True


def reconcile(*, since: timedelta) -> int:
    """Go through Stripe's disputes since then and record what no event told us; return how many were new.

    Raises StripeUnavailable, StripeRefused.
    """
    told = stripe_gateway.recent_disputes(since=timezone.now() - since)
    return sum(record(dispute, actor="reconciliation") for dispute in told if is_dispute(dispute) and _is_ours(dispute))


def _is_ours(told: dict[str, Any]) -> bool:
    return Payment.objects.filter(stripe_payment_intent_id=told["payment_intent"]).exists()
