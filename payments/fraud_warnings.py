"""Early fraud warnings as Stripe reports them: an open one holds the commission of its sale.

Staff are alerted of each, because a refund in time saves the dispute that mostly follows. Source:
contracts/stripe, section 5.
"""

from typing import Any, cast
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from affiliates import commissions
from maaledu.db import atomic
from notifications.alerts import alert_staff
from payments import gateway, reversals
from payments.disputes import NEVER, SET_ASIDE, moment_of
from payments.models import EarlyFraudWarning, Payment


@atomic
def record(payload: dict[str, Any], *, reported_at: Any, actor: str) -> bool:
    """Record Stripe's warning with all its effects; return whether anything was new.

    `reported_at` is when Stripe reported it, in seconds since 1970.
    """
    intent, latest = payload["payment_intent"], _latest(payload, reported_at)
    defaults = {
        **latest,
        "payment": Payment.objects.filter(stripe_payment_intent_id=intent).first(),
        "payment_intent_id": intent,
        "fraud_type": str(payload.get("fraud_type") or "")[:40],
        "warned_at": moment_of(payload.get("created")) or timezone.now(),
    }
    warning, is_new = EarlyFraudWarning.objects.get_or_create(
        stripe_warning_id=payload["id"], defaults=defaults
    )
    if not (is_new or _save_latest(warning, latest)):
        return False
    if warning.payment_id is None:  # the sweep may have attached it since the row was read
        warning.refresh_from_db(fields=["payment"])
    if warning.payment_id:
        apply(warning, actor=actor)
    return True


def is_recordable(payload: dict[str, Any]) -> bool:
    has_texts = all(gateway.text_of(payload.get(name)) for name in ("id", "payment_intent"))
    return has_texts and isinstance(payload.get("actionable"), bool)


def agrees(warning: EarlyFraudWarning, payload: dict[str, Any]) -> bool:
    """Whether the row has its sale, and says already what Stripe's warning says."""
    return warning.payment_id is not None and warning.is_actionable == payload.get("actionable")


def _latest(payload: dict[str, Any], reported_at: Any) -> dict[str, Any]:
    return {
        "is_actionable": payload["actionable"],
        "reported_at": moment_of(reported_at) or NEVER,
    }


def _save_latest(warning: EarlyFraudWarning, latest: dict[str, Any]) -> bool:
    """Save Stripe's newest report, in whichever order they arrive; return whether it differs."""
    reported_at, is_actionable = latest["reported_at"], latest["is_actionable"]
    is_newer = Q(reported_at=None) | Q(reported_at__lt=reported_at)
    if not is_actionable:  # the newer one of two within a second: every warning begins actionable
        is_newer |= Q(reported_at=reported_at, is_actionable=True)
    before = warning.is_actionable
    older_row = EarlyFraudWarning.objects.filter(is_newer, pk=warning.pk)
    if older_row.update(**latest, updated_at=timezone.now()) != 1:
        return False
    warning.is_actionable = is_actionable
    return before != is_actionable


@atomic
def close(warning: EarlyFraudWarning, *, by: str) -> bool:
    """Release what an open warning holds, because staff take the payment for genuine.

    Return whether this call did. Raises OwnAccount when the commission is their own.
    """
    if warning.payment:
        commissions.refuse_own_sale(warning.payment.enrollment_id, by=by)
    rows = EarlyFraudWarning.objects.open().filter(pk=warning.pk)
    if rows.update(closed_at=timezone.now(), closed_by=by, updated_at=timezone.now()) != 1:
        return False
    if warning.payment_id:
        reversals.settle(warning.payment_id, actor=by)
    return True


def apply(warning: EarlyFraudWarning, *, actor: str) -> None:
    """Write what follows from a warning that changed, within the caller's transaction."""
    reversals.settle(cast("UUID", warning.payment_id), actor=actor)
    if warning.status != EarlyFraudWarning.OPEN:
        return
    depends = Payment.objects.get(pk=cast("UUID", warning.payment_id)).is_fulfilling
    alert_staff(
        key=f"fraud-warning:{warning.pk}",
        subject="A card's issuer warns of fraud",
        lines=[
            (
                f"Payment {warning.payment_id}, warning {warning.stripe_warning_id}:"
                f" {warning.fraud_type or 'no type given'}."
                f" {'The commission is on hold.' if depends else SET_ASIDE}"
            ),
            (
                "A dispute with its fee mostly follows. Look at the sale, and by"
                f" {warning.decide_by:%B %d, %Y} refund it in full, or close the warning (Admin ›"
                " Early fraud warnings) if the purchase is genuine."
            ),
        ],
    )
