"""Refunds: asked of Stripe by staff, or told to us by Stripe; one row for each refund id, and never
more than was paid.

"Requested" stays so until Stripe says otherwise. A request whose answer was lost is found again by
our id in its metadata, or sent again with the same idempotency key while Stripe still knows that
key. Source: contracts/stripe, section 3.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from maaledu.db import atomic, new_id, transition
from maaledu.rows import for_each_row
from notifications.alerts import alert_staff
from payments import gateway, mails, reversals
from payments.errors import (
    RefundAskedBefore,
    RefundNotPossible,
    RefundTooLarge,
    StripeRefused,
    StripeUnavailable,
)
from payments.models import Payment, Refund

logger = logging.getLogger(__name__)

# Stripe's word for it, and ours; a status that is not here changes nothing.
STATUSES = {
    "pending": Refund.PENDING,
    "requires_action": Refund.PENDING,
    "succeeded": Refund.SUCCEEDED,
    "failed": Refund.FAILED,
    "canceled": Refund.FAILED,
}
KEY_KNOWN_FOR = timedelta(hours=23)  # Stripe keeps idempotency keys for a day
WAITS_FOR_ITS_SALE = timedelta(days=35)
SWEPT = 100


@dataclass(frozen=True)
class Request:
    """What staff ask for; `amount` in minor units of the payment's currency. One `key` is one
    refund, however often it is sent.
    """

    amount: int
    reason: str
    by: str
    note: str = ""
    gives_coupon_back: bool = False
    key: UUID = field(default_factory=new_id)


# --- asked for by staff ---------------------------------------------------------------------------
def request(payment: Payment, wanted: Request) -> Refund:
    """Write the refund down and ask Stripe for it. Where Stripe does not answer, the sweep goes on
    with it.

    Raises RefundTooLarge for more than is left, also when two ask at once, RefundAskedBefore for a
    key that is known, and RefundNotPossible for a payment that was not received or that Stripe
    refuses to refund: nothing is kept of it then but the failed row.
    """
    refund = _write_once(payment, wanted)
    try:
        return _ask(refund)
    except StripeUnavailable:
        logger.warning("refund not confirmed yet", extra={"refund": str(refund.pk)})
        return refund


def _write_once(payment: Payment, wanted: Request) -> Refund:
    try:
        return _write(payment, wanted)
    except (IntegrityError, RefundTooLarge, RefundNotPossible):
        # Whoever sent the same form a moment earlier may be why.
        if Refund.objects.filter(pk=wanted.key).exists():
            raise RefundAskedBefore(payment=str(payment.pk), refund=str(wanted.key)) from None
        raise


@atomic
def _write(payment: Payment, wanted: Request) -> Refund:
    received = Payment.objects.filter(pk=payment.pk, status=Payment.PAID).exclude(
        stripe_payment_intent_id=""
    )
    if wanted.amount < 1 or not received.exists():
        raise RefundNotPossible(payment=str(payment.pk))
    left = received.filter(amount_received__gte=F("refund_committed") + wanted.amount)
    if (
        left.update(
            refund_committed=F("refund_committed") + wanted.amount, updated_at=timezone.now()
        )
        != 1
    ):
        raise RefundTooLarge(payment=str(payment.pk), amount=wanted.amount)
    refund = Refund(
        id=wanted.key,
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        idempotency_key=f"refund-{wanted.key}",
        amount=wanted.amount,
        currency=payment.currency_received or payment.currency,
        reason=wanted.reason,
        source=Refund.STAFF,
        requested_by=wanted.by,
        note=wanted.note[:300],
        gives_coupon_back=wanted.gives_coupon_back,
    )
    refund.save(force_insert=True)
    return refund


def _ask(refund: Refund) -> Refund:
    params = {
        "payment_intent": refund.payment_intent_id,
        "amount": refund.amount,
        "reason": refund.reason or Refund.REASONS[0][0],
        "metadata": {"refund_id": str(refund.pk)},
    }
    try:
        answer = gateway.create_refund(params, idempotency_key=refund.idempotency_key)
    except StripeRefused as error:
        _fail(refund, error.message)
        raise RefundNotPossible(error.message, refund=str(refund.pk)) from error
    record(answer, actor=refund.requested_by)
    refund.refresh_from_db()
    return refund


@atomic
def _fail(refund: Refund, why: str) -> bool:
    won = transition(refund, Refund.FAILED, failure_reason=why[:80])
    if won:
        _commit(refund, -refund.amount)
    return won


# --- told by Stripe -------------------------------------------------------------------------------
@atomic
def record(told: dict[str, Any], *, actor: str) -> bool:
    """Write down what Stripe says of a refund, with everything that follows; return whether
    anything was new.
    """
    refund, is_new = _find_or_write(told)
    moved = _follow(refund, told)
    if refund.payment_id and moved:
        settle_effects(refund, actor=actor)
    return is_new or moved


def is_refund(told: dict[str, Any]) -> bool:
    """Whether an event's object is a refund that can be recorded."""
    texts = [told.get(name) for name in ("id", "payment_intent", "currency")]
    return all(isinstance(text, str) and 0 < len(text) <= 255 for text in texts) and isinstance(
        told.get("amount"), int
    )


def _find_or_write(told: dict[str, Any]) -> tuple[Refund, bool]:
    known = Refund.objects.filter(stripe_refund_id=told["id"]).first() or _claimed(told)
    if known:
        return known, False
    payment = Payment.objects.filter(stripe_payment_intent_id=told["payment_intent"]).first()
    defaults = {
        "payment": payment,
        "payment_intent_id": told["payment_intent"],
        "idempotency_key": f"stripe-{told['id']}"[:80],
        "amount": told["amount"],
        "currency": told["currency"][:3],
        "reason": str(told.get("reason") or "")[:40],
        "source": Refund.STRIPE,
    }
    refund, created = Refund.objects.get_or_create(stripe_refund_id=told["id"], defaults=defaults)
    if created and payment:
        _commit(refund, refund.amount)
    return refund, created


def _claimed(told: dict[str, Any]) -> Refund | None:
    """Find the request of ours that this answers, by the id we sent along, and give it Stripe's
    id.
    """
    metadata = told.get("metadata")
    key = metadata.get("refund_id") if isinstance(metadata, dict) else None
    waiting = Refund.objects.filter(
        payment_intent_id=told["payment_intent"], status=Refund.REQUESTED, stripe_refund_id=None
    )
    try:
        if (
            not key
            or waiting.filter(pk=key).update(stripe_refund_id=told["id"], updated_at=timezone.now())
            != 1
        ):
            return None
    except (ValidationError, ValueError):
        return None
    return Refund.objects.get(stripe_refund_id=told["id"])


def _commit(refund: Refund, amount: int) -> None:
    Payment.objects.filter(pk=cast("UUID", refund.payment_id)).update(
        refund_committed=F("refund_committed") + amount
    )


def _follow(refund: Refund, told: dict[str, Any]) -> bool:
    """Move the row to what Stripe says; only ever onwards, so that an old event changes nothing."""
    to = STATUSES.get(str(told.get("status")))
    why = _why(told) if to == Refund.FAILED else ""
    if to is None or not transition(refund, to, failure_reason=why):
        return False
    # its sale may have been joined to it since it was read; now nobody else changes it
    if refund.payment_id is None:
        refund.refresh_from_db(fields=["payment"])
    if to == Refund.FAILED and refund.payment_id:
        _commit(refund, -refund.amount)
        _tell_of_failure(refund)
    return True


def _why(told: dict[str, Any]) -> str:
    return str(told.get("failure_reason") or told.get("status"))[:80]


def settle_effects(refund: Refund, *, actor: str) -> None:
    """Cause what a refund that moved causes, within the caller's transaction."""
    payment = Payment.objects.select_related("enrollment").get(pk=cast("UUID", refund.payment_id))
    reversals.settle(payment.pk, actor=actor)
    if refund.status == Refund.SUCCEEDED:
        mails.stage_refund(payment, refund)


def _tell_of_failure(refund: Refund) -> None:
    alert_staff(
        key=f"refund-failed:{refund.pk}",
        subject="A refund failed: the buyer does not have the money",
        lines=[
            (
                f"{refund.amount_display} of payment {refund.payment_id}, refund"
                f" {refund.stripe_refund_id or refund.pk}."
            ),
            f"Stripe says: {refund.failure_reason}. What the refund had changed is put back.",
            "Agree with the buyer on another way, and refund it again.",
        ],
    )


# --- what time and lost messages leave behind -----------------------------------------------------
def attach_waiting() -> int:
    """Join refunds that were told before their sale to the payment that has arrived since; return
    how many.
    """
    waiting = Refund.objects.filter(
        payment=None, created_at__gt=timezone.now() - WAITS_FOR_ITS_SALE
    ).order_by("-created_at")
    refunds = list(waiting[: 10 * SWEPT])
    intents = {refund.payment_intent_id for refund in refunds}
    payments = (
        {
            p.stripe_payment_intent_id: p
            for p in Payment.objects.filter(stripe_payment_intent_id__in=intents)
        }
        if intents
        else {}
    )
    known = [refund for refund in refunds if refund.payment_intent_id in payments]
    return for_each_row(known, lambda refund: _attach(refund, payments[refund.payment_intent_id]))


@atomic
def _attach(refund: Refund, payment: Payment) -> bool:
    if (
        Refund.objects.filter(pk=refund.pk, payment=None).update(
            payment=payment, updated_at=timezone.now()
        )
        != 1
    ):
        return False
    refund.refresh_from_db()
    if refund.status != Refund.FAILED:
        _commit(refund, refund.amount)
        settle_effects(refund, actor="sweep")
    return True


def resume_requested() -> int:
    """Ask about the requests whose answer never came, and send them again where Stripe knows
    nothing; return how many ended.
    """
    limit_at = timezone.now() - settings.REFUND_RESUME_AFTER
    lost = Refund.objects.filter(
        status=Refund.REQUESTED, source=Refund.STAFF, updated_at__lt=limit_at
    ).order_by("updated_at")[:SWEPT]
    return _resume_each(lost)


def _resume_each(refunds: Iterable[Refund]) -> int:
    def resume(refund: Refund) -> bool:
        Refund.objects.filter(pk=refund.pk).update(updated_at=timezone.now())
        try:
            return _resume(refund)
        except (StripeRefused, RefundNotPossible) as error:
            logger.warning("refund refused", extra={"refund": str(refund.pk), "code": error.code})
            return False

    return for_each_row(refunds, resume, outage=StripeUnavailable)


def _resume(refund: Refund) -> bool:
    for told in gateway.refunds_of(refund.payment_intent_id):
        if (told.get("metadata") or {}).get("refund_id") == str(refund.pk):
            return record(told, actor=refund.requested_by)
    if refund.created_at > timezone.now() - KEY_KNOWN_FOR:
        return _ask(refund).status != Refund.REQUESTED
    return _give_up(refund)


@atomic
def _give_up(refund: Refund) -> bool:
    """End a request that Stripe knows nothing of and whose key it has forgotten: sent again, it
    could be made twice.
    """
    if not _fail(refund, "never reached Stripe"):
        return False
    alert_staff(
        key=f"refund-lost:{refund.pk}",
        subject="A refund was never made",
        lines=[
            (
                f"{refund.amount_display} of payment {refund.payment_id}, asked for by"
                f" {refund.requested_by}."
            ),
            (
                "Stripe did not answer for a day, and has no such refund. Look at the payment in"
                " Stripe, and ask for the refund again."
            ),
        ],
    )
    return True


def reconcile(*, since: timedelta) -> int:
    """Go through Stripe's refunds since then and record what no event told us; return how many were
    new.

    Raises StripeUnavailable, StripeRefused, and RowsFailed in the end, where one of them could not
    be recorded.
    """
    told = gateway.recent_refunds(since=timezone.now() - since)
    ours = (refund for refund in told if is_refund(refund) and _is_ours(refund))
    return for_each_row(ours, lambda refund: record(refund, actor="reconciliation"))


def _is_ours(told: dict[str, Any]) -> bool:
    return Payment.objects.filter(stripe_payment_intent_id=told["payment_intent"]).exists()
