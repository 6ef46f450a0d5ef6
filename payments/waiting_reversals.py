"""What Stripe reported before the sale that it is about: attached once that is here."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from django.utils import timezone

from maaledu.db import atomic
from maaledu.rows import for_each_row
from payments import disputes, fraud_warnings, refunds
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund

ACTOR = "sweep"
WAITS_FOR_PAYMENT = timedelta(days=35)
MOST_WAITING = 1000
Row = Refund | Dispute | EarlyFraudWarning
Reversal = TypeVar("Reversal", Refund, Dispute, EarlyFraudWarning)


def attach_refunds() -> int:
    """Attach refunds to their payments that have arrived since; return how many."""
    return _attach_waiting(Refund, refunds.apply_attached)


def attach_disputes() -> int:
    """Attach disputes to their payments that have arrived since; return how many."""
    return _attach_waiting(Dispute, disputes.apply)


def attach_warnings() -> int:
    """Attach fraud warnings to their payments that have arrived since; return how many."""
    return _attach_waiting(EarlyFraudWarning, fraud_warnings.apply)


def _attach_waiting(model: type[Reversal], apply: Callable[..., None]) -> int:
    waiting = model.objects.filter(
        payment=None, created_at__gt=timezone.now() - WAITS_FOR_PAYMENT
    ).order_by("-created_at")
    rows = list(waiting[:MOST_WAITING])
    intents = {row.payment_intent_id for row in rows}
    payments = {
        payment.stripe_payment_intent_id: payment
        for payment in Payment.objects.filter(stripe_payment_intent_id__in=intents)
    }
    known = [row for row in rows if row.payment_intent_id in payments]
    return for_each_row(known, partial(_attach, payments, apply))


def attach(row: Row, apply: Callable[..., None]) -> bool:
    """Attach this one to its payment, if that is here; return whether it was new."""
    payments = Payment.objects.filter(stripe_payment_intent_id=row.payment_intent_id)
    return any(_attach({row.payment_intent_id: payment}, apply, row) for payment in payments[:1])


@atomic
def _attach(payments: dict[str, Payment], apply: Callable[..., None], row: Row) -> bool:
    detached = type(row).objects.filter(pk=row.pk, payment=None)
    payment = payments[row.payment_intent_id]
    if detached.update(payment=payment, updated_at=timezone.now()) != 1:
        return False
    row.refresh_from_db()
    apply(row, actor=ACTOR)
    return True
