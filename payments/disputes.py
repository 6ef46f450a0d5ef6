"""Disputes: told by Stripe, one row for each; open ones hold the commission, lost ones undo the
sale.

An inquiry (`warning_*`) and any status that is not known here change nothing. Source:
contracts/stripe, section 3.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from maaledu.db import atomic, transition
from maaledu.rows import for_each_row
from notifications.alerts import alert_staff
from payments import gateway, reversals
from payments.models import Dispute, Payment

logger = logging.getLogger(__name__)

STATUSES = {
    "needs_response": Dispute.OPEN,
    "under_review": Dispute.OPEN,
    "won": Dispute.WON,
    "lost": Dispute.LOST,
}
# Stripe's words in the order of a dispute's life: of two that it says within a second, the later
# one here is the newer one.
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
WAITS_FOR_ITS_SALE = timedelta(days=35)
SWEPT = 1000


def is_dispute(told: dict[str, Any]) -> bool:
    """Whether an event's object is a dispute that can be recorded."""
    texts = [told.get(name) for name in ("id", "payment_intent", "currency", "status")]
    return all(isinstance(text, str) and 0 < len(text) <= 255 for text in texts) and isinstance(
        told.get("amount"), int
    )


@atomic
def record(told: dict[str, Any], *, told_at: Any, actor: str) -> bool:
    """Write down what Stripe says of a dispute, with everything that follows; return whether
    anything was new.

    `told_at` is the moment that Stripe said it, in seconds since 1970.
    """
    payment = Payment.objects.filter(stripe_payment_intent_id=told["payment_intent"]).first()
    word = _word(told, told_at)
    defaults = {
        **word,
        "payment": payment,
        "payment_intent_id": told["payment_intent"],
        "amount": told["amount"],
        "currency": told["currency"][:3],
        "reason": str(told.get("reason") or "")[:40],
    }
    dispute, created = Dispute.objects.get_or_create(
        stripe_dispute_id=told["id"], defaults=defaults
    )
    heard = created or _hear(dispute, word)
    moved = _follow(dispute, told)
    if dispute.payment_id and moved:
        _cause(dispute, actor=actor)
    return heard or moved


def _word(told: dict[str, Any], told_at: Any) -> dict[str, Any]:
    details = told.get("evidence_details")
    due_by = details.get("due_by") if isinstance(details, dict) else None
    return {
        "stripe_status": told["status"][:40],
        "evidence_due_by": _moment(due_by),
        "told_at": _moment(told_at) or NEVER,
    }


def _moment(seconds: Any) -> datetime | None:
    return (
        datetime.fromtimestamp(seconds, UTC)
        if isinstance(seconds, int) and 0 < seconds < 2**33
        else None
    )


def _hear(dispute: Dispute, word: dict[str, Any]) -> bool:
    """Keep Stripe's newest word, in whatever order they arrive; return whether it says anything
    else than the one before.
    """
    before = dispute.stripe_status, dispute.evidence_due_by
    status, told_at = word["stripe_status"], word["told_at"]
    older = LIFE[: LIFE.index(status)] if status in LIFE else ()
    is_newer = (
        Q(told_at=None) | Q(told_at__lt=told_at) | Q(told_at=told_at, stripe_status__in=older)
    )
    if (
        Dispute.objects.filter(is_newer, pk=dispute.pk).update(**word, updated_at=timezone.now())
        != 1
    ):
        return False
    dispute.stripe_status, dispute.evidence_due_by = status, word["evidence_due_by"]
    return before != (status, word["evidence_due_by"])


def _follow(dispute: Dispute, told: dict[str, Any]) -> bool:
    """Move the row to what Stripe says; a lost one stays lost, whatever arrives after it: staff
    look at that.
    """
    to = STATUSES.get(told["status"])
    if to is None:
        return False
    won = transition(dispute, to)
    if won and dispute.payment_id is None:  # its sale may have been joined to it since it was read
        dispute.refresh_from_db(fields=["payment"])
    if not won and (dispute.status, to) == (Dispute.LOST, Dispute.WON):
        _tell(
            dispute,
            "A lost dispute was won after all",
            "The place has ended. Decide with the learner whether it is given back.",
        )
    return won


def _cause(dispute: Dispute, *, actor: str) -> None:
    reversals.settle(cast("UUID", dispute.payment_id), actor=actor)
    if dispute.status == Dispute.OPEN:
        due = (
            f"Stripe takes evidence until {dispute.evidence_due_by:%B %d, %Y}."
            if dispute.evidence_due_by
            else ""
        )
        _tell(
            dispute,
            "A buyer's bank disputes a payment",
            f"The commission is on hold until it is decided. {due}",
        )
    if dispute.status == Dispute.LOST:
        _tell(
            dispute,
            "A dispute was lost",
            "The money is gone, the place has ended, and the commission is reversed.",
        )


def _tell(dispute: Dispute, subject: str, sentence: str) -> None:
    facts = (
        f"{dispute} of payment {dispute.payment_id}, {dispute.stripe_dispute_id}; reason:"
        f" {dispute.reason or 'none given'}."
    )
    alert_staff(
        key=f"dispute:{dispute.pk}:{subject}"[:120], subject=subject, lines=[facts, sentence]
    )


def attach_waiting() -> int:
    """Join disputes that were told before their sale to the payment that has arrived since; return
    how many.
    """
    waiting = Dispute.objects.filter(
        payment=None, created_at__gt=timezone.now() - WAITS_FOR_ITS_SALE
    ).order_by("-created_at")
    disputes = list(waiting[:SWEPT])
    intents = {dispute.payment_intent_id for dispute in disputes}
    payments = (
        {
            p.stripe_payment_intent_id: p
            for p in Payment.objects.filter(stripe_payment_intent_id__in=intents)
        }
        if intents
        else {}
    )
    known = [dispute for dispute in disputes if dispute.payment_intent_id in payments]
    return for_each_row(
        known, lambda dispute: _attach(dispute, payments[dispute.payment_intent_id])
    )


@atomic
def _attach(dispute: Dispute, payment: Payment) -> bool:
    if (
        Dispute.objects.filter(pk=dispute.pk, payment=None).update(
            payment=payment, updated_at=timezone.now()
        )
        != 1
    ):
        return False
    dispute.refresh_from_db()
    _cause(dispute, actor="sweep")
    return True


def reconcile(*, since: timedelta) -> int:
    """Go through Stripe's disputes since then and record what no event told us; return how many
    were new.

    Raises StripeUnavailable, StripeRefused, and RowsFailed in the end, where one of them could not
    be recorded.
    """
    now = timezone.now()
    told = gateway.recent_disputes(since=now - since)
    ours = [dispute for dispute in told if is_dispute(dispute) and _is_ours(dispute)]
    return for_each_row(
        ours, lambda dispute: record(dispute, told_at=int(now.timestamp()), actor="reconciliation")
    )


def _is_ours(told: dict[str, Any]) -> bool:
    return Payment.objects.filter(stripe_payment_intent_id=told["payment_intent"]).exists()
