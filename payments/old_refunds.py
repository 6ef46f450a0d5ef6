"""Refunds of the old platform, of which it kept no id: what Stripe reports takes their place.

Otherwise the same money would count twice, once as the old platform had it and once as Stripe has.
"""

from typing import Any, cast
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from maaledu.db import transition
from payments.models import Payment, Refund


def stand_ins(payment_id: UUID) -> QuerySet[Refund]:
    """Return the refunds of a payment that are known by the old platform's word alone."""
    return Refund.objects.filter(
        payment_id=payment_id,
        status=Refund.SUCCEEDED,
        source=Refund.STRIPE,
        stripe_refund_id=None,
    )


def claim(payment: Payment, payload: dict[str, Any]) -> Refund | None:
    """Give a stand-in the id of the refund that Stripe reports, and return the row that has it.

    One of a smaller amount becomes a row of its own, and the stand-in keeps the rest: the sum that
    went back stays what it was. Of a larger one the difference is added.
    """
    held = stand_ins(payment.pk).filter(currency=payload["currency"]).first()
    if held is None:
        return None
    own = {
        "stripe_refund_id": payload["id"],
        "payment_intent_id": payload["payment_intent"],
        "updated_at": timezone.now(),
    }
    amount = payload["amount"]
    as_read = stand_ins(payment.pk).filter(pk=held.pk, amount=held.amount)
    if amount >= held.amount and as_read.update(**own, amount=amount) == 1:
        paid = Payment.objects.filter(pk=payment.pk)
        paid.update(refund_committed=F("refund_committed") + amount - held.amount)
        return Refund.objects.get(pk=held.pk)
    if amount < held.amount and as_read.update(amount=F("amount") - amount) == 1:
        refund = Refund(
            payment=payment,
            idempotency_key=f"stripe-{payload['id']}"[:80],
            amount=amount,
            currency=held.currency,
            source=Refund.STRIPE,
            note=held.note,
            created_at=held.created_at,
            **own,
        )
        refund.save(force_insert=True)
        transition(refund, Refund.SUCCEEDED)  # here, so that nobody is mailed of it anew
        return refund
    return claim(payment, payload)


def give_way(refund: Refund) -> int:
    """Take away what a refund with Stripe's id stands in for now; return how much, minor units.

    It was reported before its payment was known, so it has a row already.
    """
    held = stand_ins(cast("UUID", refund.payment_id)).filter(currency=refund.currency).first()
    if held is None:
        return 0
    as_read = Refund.objects.filter(pk=held.pk, amount=held.amount, stripe_refund_id=None)
    if held.amount <= refund.amount:
        gone, _ = as_read.delete()
        return held.amount if gone else give_way(refund)
    if as_read.update(amount=F("amount") - refund.amount, updated_at=timezone.now()) == 1:
        return refund.amount
    return give_way(refund)
