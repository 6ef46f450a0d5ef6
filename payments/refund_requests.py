"""Refunds that staff ask for: never more than was paid, and each asked of Stripe once.

A refund stays "requested" until Stripe says otherwise. A request whose answer was lost is found
again by our id in its metadata, or sent again with the same idempotency key while Stripe still
knows that key. Source: contracts/stripe, section 3.
"""

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from maaledu.db import atomic, new_id
from maaledu.money import Money
from maaledu.rows import for_each_row
from notifications.alerts import alert_staff
from payments import gateway, refunds
from payments.errors import (
    OUTAGE,
    RefundAskedBefore,
    RefundNotPossible,
    RefundTooLarge,
    StripeKeyRefused,
    StripeRefused,
    StripeUnavailable,
)
from payments.models import Payment, Refund
from payments.refusal_table import PAYMENT

logger = logging.getLogger(__name__)

KEY_KNOWN_FOR = timedelta(hours=23)  # Stripe keeps idempotency keys for a day
BATCH = 100


@dataclass(frozen=True)
class Request:
    """What staff ask for; `amount` is in minor units of the payment's currency.

    One `key` is one refund, however often the form is sent.
    """

    amount: int
    reason: str
    by: str
    note: str = ""
    gives_coupon_back: bool = False
    key: UUID = field(default_factory=new_id)


def request(payment: Payment, wanted: Request) -> Refund:
    """Write the refund and ask Stripe for it; when Stripe does not answer, the sweep resumes it.

    Raises RefundTooLarge for more than is left, also when two ask at once, RefundAskedBefore for a
    key that is known, and RefundNotPossible for a payment that was not received or that Stripe
    refuses to refund, with words for staff: only the failed row is kept of it then.
    """
    refund = _write_once(payment, wanted)
    try:
        return _ask(refund)
    except StripeUnavailable:
        logger.warning("refund not confirmed yet", extra={"refund": str(refund.pk)})
        return refund
    except StripeRefused as error:
        refunds.fail(refund, error.refusal.reason)
        raise RefundNotPossible(str(error.refusal), refund=str(refund.pk)) from error


def _write_once(payment: Payment, wanted: Request) -> Refund:
    try:
        return write(payment, wanted)
    except (IntegrityError, RefundTooLarge, RefundNotPossible):
        # The same form, sent a moment earlier, may have taken what was left.
        if Refund.objects.filter(pk=wanted.key).exists():
            raise RefundAskedBefore(payment=str(payment.pk), refund=str(wanted.key)) from None
        raise


@atomic
def write(payment: Payment, wanted: Request) -> Refund:
    """Commit the amount and write the requested refund, without asking Stripe.

    Raises RefundNotPossible, RefundTooLarge, and IntegrityError for a key that is known.
    """
    received = Payment.objects.filter(pk=payment.pk, status=Payment.PAID).exclude(
        stripe_payment_intent_id=""
    )
    if wanted.amount < 1 or not received.exists():
        raise RefundNotPossible(payment=str(payment.pk))
    # The guard is in the WHERE: two requests at once cannot both take the same rest.
    left = received.filter(amount_received__gte=F("refund_committed") + wanted.amount)
    committed = {"refund_committed": F("refund_committed") + wanted.amount}
    if left.update(**committed, updated_at=timezone.now()) != 1:
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
        "metadata": refunds.metadata_of(refund),
    }
    payload = gateway.create_refund(
        params,
        idempotency_key=refund.idempotency_key,
        about=f"refund {refund.pk} of payment {refund.payment_id}",
    )
    refunds.record(payload, actor=refund.requested_by)
    refund.refresh_from_db()
    return refund


def resume_requested() -> int:
    """Resume the requests whose answer never came, and return how many ended.

    Stripe is asked whether it made them; those that it does not know are sent again.
    """
    limit_at = timezone.now() - settings.REFUND_RESUME_AFTER
    lost = Refund.objects.filter(
        status=Refund.REQUESTED, source=Refund.STAFF, updated_at__lt=limit_at
    ).order_by("updated_at")[:BATCH]
    return for_each_row(lost, _resume_unless_refused, outage=OUTAGE)


def _resume_unless_refused(refund: Refund) -> bool:
    # Written first: a request that fails every time goes to the end of the queue.
    Refund.objects.filter(pk=refund.pk).update(updated_at=timezone.now())
    try:
        return _resume(refund)
    except StripeKeyRefused:
        raise
    except StripeRefused as error:
        logger.warning("refund refused", extra={"refund": str(refund.pk), "code": error.code})
        # Once our own set-up is right the refund is sent again; what the payment refuses, never.
        if error.refusal.row.fault == PAYMENT:
            _fail_refused(refund, error)
        return False


def _resume(refund: Refund) -> bool:
    for payload in gateway.refunds_of(refund.payment_intent_id):
        if (payload.get("metadata") or {}).get("refund_id") == str(refund.pk):
            return refunds.record(payload, actor=refund.requested_by)
    if refund.created_at > timezone.now() - KEY_KNOWN_FOR:
        return _ask(refund).status != Refund.REQUESTED
    return _give_up(refund)


@atomic
def _fail_refused(refund: Refund, error: StripeRefused) -> None:
    """Fail a request that Stripe refuses, and alert staff: whoever asked reads no page now."""
    if refunds.fail(refund, error.refusal.reason):
        _alert(refund, "Stripe refused a refund", str(error))


@atomic
def _give_up(refund: Refund) -> bool:
    """Fail a request that Stripe does not know and whose key it has forgotten.

    Sent again, the same request could be made twice.
    """
    if not refunds.fail(refund, "never reached Stripe"):
        return False
    _alert(
        refund,
        "A refund was never made",
        "Stripe did not answer for a day, and has no such refund. Look at the payment in Stripe,"
        " and ask for the refund again.",
    )
    return True


def _alert(refund: Refund, subject: str, sentence: str) -> None:
    facts = (
        f"{Money(refund.amount, refund.currency)} of payment {refund.payment_id}, asked for by"
        f" {refund.requested_by}."
    )
    alert_staff(key=f"refund-lost:{refund.pk}", subject=subject, lines=[facts, sentence])
