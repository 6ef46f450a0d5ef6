"""Disputes as Stripe reports them: one row for each.

An open one holds the commission, and a lost one reverses the sale. An inquiry (`warning_*`) and any
other status decide nothing: the commission is held as long as the bank has the money, and staff are
alerted of what to do. Source: contracts/stripe, sections 3 and 5.
"""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from maaledu.db import atomic, transition
from notifications.alerts import alert_staff
from payments import gateway, reversals
from payments.models import Dispute, Payment

# From Stripe's status to ours; a status that is not here decides nothing.
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
    "prevented",
    "needs_response",
    "under_review",
    "appeal_needs_response",
    "appeal_under_review",
    "won",
    "lost",
)
# What staff are told of a status that decides nothing.
NOTES = {
    "warning_needs_response": (
        "The buyer's bank inquires about the payment. Answer in Stripe's dashboard, or refund the"
        " payment: otherwise a dispute may follow."
    ),
    "prevented": "It was settled or blocked before it became a dispute. No answer is possible.",
    "appeal_needs_response": (
        "It goes on after a first decision. Answer in Stripe's dashboard with proof of access."
    ),
    "appeal_under_review": "It goes on after a first decision, and the appeal is under review.",
}
UNKNOWN = "This status is not known here: look it up in Stripe's documentation and dashboard."
HELD = "The bank has the money, so the commission is on hold."
SET_ASIDE = "The payment was set aside: no enrollment and no commission depends on it."
NEVER = datetime.fromtimestamp(0, UTC)


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
    dispute, is_new = Dispute.objects.get_or_create(
        stripe_dispute_id=payload["id"], defaults=defaults
    )
    is_new = is_new or _save_latest(dispute, latest)
    is_moved, has_other_holder = _move(dispute, payload), _save_funds(dispute, payload)
    if not (is_new or is_moved or has_other_holder):
        return False
    if dispute.payment_id is None:  # the sweep may have attached it since the row was read
        dispute.refresh_from_db(fields=["payment"])
    if dispute.payment_id:
        apply(dispute, actor=actor)
    return True


def is_recordable(payload: dict[str, Any]) -> bool:
    return gateway.is_recordable(payload, "id", "payment_intent", "currency", "status")


def agrees(dispute: Dispute, payload: dict[str, Any]) -> bool:
    """Whether the row has its sale, and says already what Stripe's dispute object says."""
    latest = _latest(payload, reported_at=None)
    to = STATUSES.get(payload["status"], dispute.status)
    is_late_win = (dispute.status, to) == (Dispute.LOST, Dispute.WON)
    return (
        dispute.payment_id is not None
        and dispute.stripe_status == latest["stripe_status"]
        and dispute.evidence_due_by == latest["evidence_due_by"]
        and dispute.movements >= len(_movements(payload))
        and (dispute.status == to or is_late_win)
    )


def _latest(payload: dict[str, Any], reported_at: Any) -> dict[str, Any]:
    details = payload.get("evidence_details")
    due_by = details.get("due_by") if isinstance(details, dict) else None
    return {
        "stripe_status": payload["status"][:40],
        "evidence_due_by": moment_of(due_by),
        "reported_at": moment_of(reported_at) or NEVER,
    }


def moment_of(seconds: Any) -> datetime | None:
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


def _movements(payload: dict[str, Any]) -> list[int]:
    """Return the amounts by which Stripe moved the dispute's money: negative for a withdrawal."""
    found = payload.get("balance_transactions")
    rows = found if isinstance(found, list) else []
    amounts = [row.get("amount") for row in rows if isinstance(row, dict)]
    return [amount for amount in amounts if isinstance(amount, int)]


def _save_funds(dispute: Dispute, payload: dict[str, Any]) -> bool:
    """Save whether the bank has the money; return whether that differs.

    Stripe's list of movements only grows, so that the longest one is the newest, whatever the
    clocks say. They are counted and not added up: exchange rates differ from one to the next.
    """
    movements, before = _movements(payload), dispute.is_withdrawn
    is_withdrawn = 2 * sum(amount < 0 for amount in movements) > len(movements)
    older_row = Dispute.objects.filter(pk=dispute.pk, movements__lt=len(movements))
    funds = {"movements": len(movements), "is_withdrawn": is_withdrawn}
    if not movements or older_row.update(**funds, updated_at=timezone.now()) != 1:
        return False
    dispute.is_withdrawn = is_withdrawn
    return before != is_withdrawn


def _move(dispute: Dispute, payload: dict[str, Any]) -> bool:
    """Move the row to Stripe's status; a lost one stays lost, and staff decide about a late win."""
    to = STATUSES.get(payload["status"])
    if to is None:
        return False
    won = transition(dispute, to)
    if not won and (dispute.status, to) == (Dispute.LOST, Dispute.WON):
        _alert(
            dispute,
            "A lost dispute was won after all",
            "The enrollment has ended. Decide with the learner whether it is reinstated.",
        )
    return won


@atomic
def count_as_lost(dispute: Dispute, *, by: str) -> bool:
    """End the sale of a dispute that decides nothing, and whose money the bank keeps.

    Staff decide so; return whether this call did.
    """
    undecided = Q(is_withdrawn=True) & ~Q(payment=None)
    if not transition(dispute, Dispute.LOST, only=undecided):
        return False
    apply(dispute, actor=by)
    return True


def apply(dispute: Dispute, *, actor: str) -> None:
    """Write what follows from a dispute that changed, within the caller's transaction."""
    reversals.settle(cast("UUID", dispute.payment_id), actor=actor)
    depends = Payment.objects.get(pk=cast("UUID", dispute.payment_id)).is_fulfilling
    if dispute.status == Dispute.OPEN:
        held = "The commission is on hold until it is decided." if depends else SET_ASIDE
        _alert(dispute, "A buyer's bank disputes a payment", f"{held}{_until(dispute)}")
    if dispute.status == Dispute.LOST:
        ended = "the enrollment has ended, and the commission is reversed."
        sentence = f"The money is gone, {ended}" if depends else f"The money is gone. {SET_ASIDE}"
        _alert(dispute, "A dispute was lost", sentence)
    if note := _note_of(dispute):
        state = f"{dispute.stripe_status}:{dispute.is_withdrawn}"
        sentence = f"{note}{_until(dispute)}"
        _alert(dispute, "A dispute needs attention", sentence, state=state)


def _until(dispute: Dispute) -> str:
    due_by = dispute.evidence_due_by
    return f" Stripe takes evidence until {due_by:%B %d, %Y}." if due_by else ""


def _note_of(dispute: Dispute) -> str:
    """Return what is to be said of a status that decides nothing, "" for nothing."""
    status = dispute.stripe_status
    if status in STATUSES:
        return ""
    note = NOTES.get(status, "" if status in LIFE else UNKNOWN)
    is_held = dispute.is_withdrawn and dispute.is_undecided
    return " ".join(text for text in (note, HELD if is_held else "") if text)


def _alert(dispute: Dispute, subject: str, sentence: str, *, state: str = "") -> None:
    facts = (
        f"{dispute} of payment {dispute.payment_id}, {dispute.stripe_dispute_id}; reason:"
        f" {dispute.reason or 'none given'}; Stripe says {dispute.stripe_status}."
    )
    key = f"dispute:{dispute.pk}:{state or subject}"
    alert_staff(key=key, subject=subject, lines=[facts, sentence])
