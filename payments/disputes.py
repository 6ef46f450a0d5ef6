"""Disputes as Stripe reports them: one row for each.

An open one holds the commission, and a lost one reverses the sale. An inquiry (`warning_*`) and any
status that is not known here change nothing. Source: contracts/stripe, section 3.
"""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from maaledu.db import atomic, transition
from notifications.alerts import alert_staff
from payments import reversals
from payments.models import Dispute, Payment

# From Stripe's status to ours; a status that is not here changes nothing.
STATUSES = {
    "needs_response": Dispute.OPEN,
    "under_review": Dispute.OPEN,
    "won": Dispute.WON,
    "lost": Dispute.LOST,
}
# Stripe's statuses in the order of a dispute's life. Stripe dates events in whole seconds: of two
# within a second, the one that is further down here is the newer one.
LIFE = (
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
)
NEVER = datetime.fromtimestamp(0, UTC)
REQUIRED_TEXTS = ("id", "payment_intent", "currency", "status")


@atomic
def record(payload: dict[str, Any], *, reported_at: Any, actor: str) -> bool:
    """Record Stripe's dispute object with all its effects; return whether anything was new.

    `reported_at` is when Stripe reported it, in seconds since 1970.
    """
    payment = Payment.objects.filter(stripe_payment_intent_id=payload["payment_intent"]).first()
    latest = _latest(payload, reported_at)
    defaults = {
        **latest,
        "payment": payment,
        "payment_intent_id": payload["payment_intent"],
        "amount": payload["amount"],
        "currency": payload["currency"][:3],
        "reason": str(payload.get("reason") or "")[:40],
    }
    dispute, created = Dispute.objects.get_or_create(
        stripe_dispute_id=payload["id"], defaults=defaults
    )
    is_new = created or _save_latest(dispute, latest)
    moved = _move(dispute, payload)
    if dispute.payment_id and moved:
        apply(dispute, actor=actor)
    return is_new or moved


def agrees(dispute: Dispute, payload: dict[str, Any]) -> bool:
    """Whether the row has its sale, and says already what Stripe's dispute object says."""
    latest = _latest(payload, reported_at=None)
    to = STATUSES.get(payload["status"], dispute.status)
    is_late_win = (dispute.status, to) == (Dispute.LOST, Dispute.WON)
    return (
        dispute.payment_id is not None
        and dispute.stripe_status == latest["stripe_status"]
        and dispute.evidence_due_by == latest["evidence_due_by"]
        and (dispute.status == to or is_late_win)
    )


def _latest(payload: dict[str, Any], reported_at: Any) -> dict[str, Any]:
    details = payload.get("evidence_details")
    due_by = details.get("due_by") if isinstance(details, dict) else None
    return {
        "stripe_status": payload["status"][:40],
        "evidence_due_by": _moment(due_by),
        "reported_at": _moment(reported_at) or NEVER,
    }


def _moment(seconds: Any) -> datetime | None:
    is_moment = isinstance(seconds, int) and 0 < seconds < 2**33
    return datetime.fromtimestamp(seconds, UTC) if is_moment else None


def _save_latest(dispute: Dispute, latest: dict[str, Any]) -> bool:
    """Save Stripe's newest report, in whichever order they arrive; return whether it differs."""
    before = dispute.stripe_status, dispute.evidence_due_by
    status, reported_at = latest["stripe_status"], latest["reported_at"]
    earlier = LIFE[: LIFE.index(status)] if status in LIFE else ()
    is_newer = (
        Q(reported_at=None)
        | Q(reported_at__lt=reported_at)
        | Q(reported_at=reported_at, stripe_status__in=earlier)
    )
    older_row = Dispute.objects.filter(is_newer, pk=dispute.pk)
    if older_row.update(**latest, updated_at=timezone.now()) != 1:
        return False
    dispute.stripe_status, dispute.evidence_due_by = status, latest["evidence_due_by"]
    return before != (status, latest["evidence_due_by"])


def _move(dispute: Dispute, payload: dict[str, Any]) -> bool:
    """Move the row to Stripe's status; a lost one stays lost, and staff decide about a late win."""
    to = STATUSES.get(payload["status"])
    if to is None:
        return False
    won = transition(dispute, to)
    # The sweep may have attached its payment since the row was read.
    if won and dispute.payment_id is None:
        dispute.refresh_from_db(fields=["payment"])
    if not won and (dispute.status, to) == (Dispute.LOST, Dispute.WON):
        _alert(
            dispute,
            "A lost dispute was won after all",
            "The enrollment has ended. Decide with the learner whether it is reinstated.",
        )
    return won


def apply(dispute: Dispute, *, actor: str) -> None:
    """Write what follows from a dispute that moved, within the caller's transaction."""
    reversals.settle(cast("UUID", dispute.payment_id), actor=actor)
    if dispute.status == Dispute.OPEN:
        due_by = dispute.evidence_due_by
        until = f" Stripe takes evidence until {due_by:%B %d, %Y}." if due_by else ""
        _alert(
            dispute,
            "A buyer's bank disputes a payment",
            f"The commission is on hold until it is decided.{until}",
        )
    if dispute.status == Dispute.LOST:
        _alert(
            dispute,
            "A dispute was lost",
            "The money is gone, the enrollment has ended, and the commission is reversed.",
        )


def _alert(dispute: Dispute, subject: str, sentence: str) -> None:
    facts = (
        f"{dispute} of payment {dispute.payment_id}, {dispute.stripe_dispute_id}; reason:"
        f" {dispute.reason or 'none given'}."
    )
    alert_staff(
        key=f"dispute:{dispute.pk}:{subject}"[:120], subject=subject, lines=[facts, sentence]
    )
