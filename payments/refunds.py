"""Refunds as Stripe reports them: one row for each refund id, whoever asked for it.

Staff ask for refunds in `refund_requests`; others are made in Stripe's dashboard. Source:
contracts/stripe, section 3.
"""

from typing import Any, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils import timezone

from maaledu.db import atomic, transition
from maaledu.money import Money
from notifications.alerts import alert_staff
from payments import gateway, mails, old_refunds, reversals
from payments.models import Payment, Refund

# From Stripe's status to ours; a status that is not here changes nothing.
STATUSES = {
    "pending": Refund.PENDING,
    "requires_action": Refund.PENDING,
    "succeeded": Refund.SUCCEEDED,
    "failed": Refund.FAILED,
    "canceled": Refund.FAILED,
}
# What staff do about a refund that failed, by Stripe's reason or, for a canceled one, its status.
ANOTHER_WAY = "Agree with the buyer on another way, and refund it again."
ON_PURPOSE = "It was canceled in Stripe. Refund it again if the buyer is to have the money."
FAILURES = {
    "charge_for_pending_refund_disputed": (
        "The buyer's bank disputes the payment by now, and the dispute decides about the money: do"
        " not refund it again, or the buyer gets it twice."
    ),
    "insufficient_funds": (
        "Our balance at Stripe did not cover it in time. Add funds in Stripe › Balances, and refund"
        " it again."
    ),
    "merchant_request": ON_PURPOSE,
    "canceled": ON_PURPOSE,
    "declined": ANOTHER_WAY,
    "expired_or_canceled_card": ANOTHER_WAY,
    "lost_or_stolen_card": ANOTHER_WAY,
    "unknown": ANOTHER_WAY,
}
LONGEST_REASON = 300
COUPON = "gives_coupon_back"


def metadata_of(refund: Refund) -> dict[str, str]:
    """Return what Stripe's refund says of ours, should its answer or our row be lost."""
    coupon = {COUPON: "true"} if refund.gives_coupon_back else {}
    return {"refund_id": str(refund.pk), **coupon}


def _metadata_in(payload: dict[str, Any]) -> dict[str, Any]:
    metadata = payload.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


@atomic
def record(payload: dict[str, Any], *, actor: str) -> bool:
    """Record Stripe's refund object with all its effects; return whether anything was new."""
    refund, is_new = _find_or_write(payload)
    moved = _move(refund, payload)
    if refund.payment_id and moved:
        _apply(refund, actor=actor)
    return is_new or moved


def is_recordable(payload: dict[str, Any]) -> bool:
    return gateway.is_recordable(payload, "id", "payment_intent", "currency")


def agrees(refund: Refund, payload: dict[str, Any]) -> bool:
    """Whether the row has its sale, and says already what Stripe's refund object says."""
    return (
        refund.payment_id is not None
        and refund.status == STATUSES.get(str(payload.get("status")))
        and (refund.amount, refund.currency) == (payload["amount"], payload["currency"])
    )


def _find_or_write(payload: dict[str, Any]) -> tuple[Refund, bool]:
    known = Refund.objects.filter(stripe_refund_id=payload["id"]).first() or _claim(payload)
    if known:
        return known, False
    payment = Payment.objects.filter(stripe_payment_intent_id=payload["payment_intent"]).first()
    has_failed = STATUSES.get(str(payload.get("status"))) == Refund.FAILED
    claimed = None if payment is None or has_failed else old_refunds.claim(payment, payload)
    if claimed:
        return claimed, True
    defaults = {
        "payment": payment,
        "payment_intent_id": payload["payment_intent"],
        "idempotency_key": f"stripe-{payload['id']}"[:80],
        "amount": payload["amount"],
        "currency": payload["currency"][:3],
        "reason": str(payload.get("reason") or "")[:40],
        "source": Refund.STRIPE,
        "gives_coupon_back": _metadata_in(payload).get(COUPON) == "true",
    }
    refund, created = Refund.objects.get_or_create(
        stripe_refund_id=payload["id"], defaults=defaults
    )
    if created and payment:
        _commit(refund, refund.amount)
    return refund, created


def _claim(payload: dict[str, Any]) -> Refund | None:
    """Find the request of ours that this answers by our id in it, and give it Stripe's id."""
    key = _metadata_in(payload).get("refund_id")
    waiting = Refund.objects.filter(
        payment_intent_id=payload["payment_intent"], status=Refund.REQUESTED, stripe_refund_id=None
    )
    stripe_id = {"stripe_refund_id": payload["id"], "updated_at": timezone.now()}
    try:
        if not key or waiting.filter(pk=key).update(**stripe_id) != 1:
            return None
    except (ValidationError, ValueError):  # a key that is no UUID is not one of ours
        return None
    return Refund.objects.get(stripe_refund_id=payload["id"])


def _commit(refund: Refund, amount: int) -> None:
    Payment.objects.filter(pk=cast("UUID", refund.payment_id)).update(
        refund_committed=F("refund_committed") + amount
    )


def _move(refund: Refund, payload: dict[str, Any]) -> bool:
    """Move the row to Stripe's status, only ever forward, so that an old event changes nothing."""
    to = STATUSES.get(str(payload.get("status")))
    why = _failure_reason(payload) if to == Refund.FAILED else ""
    if to is None or not transition(refund, to, failure_reason=why):
        return False
    # The sweep may have attached its payment since the row was read. After the write above nobody
    # else changes the row until this transaction ends.
    if refund.payment_id is None:
        refund.refresh_from_db(fields=["payment"])
    if to == Refund.FAILED and refund.payment_id:
        _commit(refund, -refund.amount)
        _alert_of_failure(refund)
    return True


def _failure_reason(payload: dict[str, Any]) -> str:
    return str(payload.get("failure_reason") or payload.get("status"))[:LONGEST_REASON]


@atomic
def fail(refund: Refund, why: str) -> bool:
    """Fail a request that Stripe did not take, and free its amount; return whether it was new."""
    won = transition(refund, Refund.FAILED, failure_reason=why[:LONGEST_REASON])
    if won:
        _commit(refund, -refund.amount)
    return won


def apply_attached(refund: Refund, *, actor: str) -> None:
    """Apply a refund that was reported before its payment, which it has just been given."""
    if refund.status == Refund.FAILED:
        return
    covered = old_refunds.give_way(refund)
    _commit(refund, refund.amount - covered)
    if not covered:
        _apply(refund, actor=actor)


def _apply(refund: Refund, *, actor: str) -> None:
    """Write what follows from a refund that moved, within the caller's transaction."""
    reversals.settle(cast("UUID", refund.payment_id), actor=actor)
    if refund.status == Refund.SUCCEEDED:
        mails.stage_refund(refund, actor=actor)


def _alert_of_failure(refund: Refund) -> None:
    alert_staff(
        key=f"refund-failed:{refund.pk}",
        subject="A refund failed: the buyer does not have the money",
        lines=[
            (
                f"{Money(refund.amount, refund.currency)} of payment {refund.payment_id}, refund"
                f" {refund.stripe_refund_id or refund.pk}."
            ),
            (
                f"Stripe says: {refund.failure_reason}. Enrollment and commission are as they were"
                " before the refund."
            ),
            FAILURES.get(refund.failure_reason, ANOTHER_WAY),
        ],
    )
