"""What time and lost events leave behind: Stripe is asked, never guessed at.

Source: contracts/reliability, I16.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone

from enrollments.models import Enrollment
from maaledu.db import atomic
from maaledu.rows import for_each_row
from payments import checkout_sessions, disputes, gateway, refunds, settlement, webhooks
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Dispute, Payment, Refund

logger = logging.getLogger(__name__)

BATCH = 100
ACTOR = "sweep"
RECONCILIATION = "reconciliation"
PROCESSING_ASKED_EVERY = timedelta(hours=1)
WAITS_FOR_PAYMENT = timedelta(days=35)
MOST_WAITING = 1000
Reversal = TypeVar("Reversal", Refund, Dispute)


# --- payments whose time is over ------------------------------------------------------------------
def end_overdue(*, limit: int = BATCH) -> int:
    """End the open payments whose session is past its time, and return how many.

    What Stripe says was paid is received instead. Raises RowsFailed in the end, when one of them
    could not be worked on.
    """
    limit_at = timezone.now() - settings.PENDING_GRACE
    overdue = Payment.objects.filter(status=Payment.PENDING, expires_at__lt=limit_at).order_by(
        "expires_at"
    )
    return _settle_each(overdue[:limit], checkout_sessions.end_overdue)


def ask_about_processing(*, limit: int = BATCH) -> int:
    """Ask Stripe about the delayed payments, once an hour each; return how many were settled."""
    now = timezone.now()
    waiting = Payment.objects.filter(
        status=Payment.PROCESSING, updated_at__lt=now - PROCESSING_ASKED_EVERY
    )
    payments = list(waiting.order_by("updated_at")[:limit])
    Payment.objects.filter(pk__in=[payment.pk for payment in payments]).update(updated_at=now)
    return _settle_each(payments, checkout_sessions.ask_stripe)


def _settle_each(payments: Iterable[Payment], settle: Callable[..., bool]) -> int:
    """Settle one after the other, until Stripe is down."""
    return for_each_row(payments, partial(_settle_unless_refused, settle), outage=StripeUnavailable)


def _settle_unless_refused(settle: Callable[..., bool], payment: Payment) -> bool:
    try:
        return settle(payment, actor=ACTOR)
    except StripeRefused as error:
        logger.warning(
            "payment not settled", extra={"payment": str(payment.pk), "code": error.code}
        )
        return False


def end_orphans(*, limit: int = BATCH) -> int:
    """End the pending enrollments that have no open payment; return how many.

    They were cut off between two attempts to pay.
    """
    limit_at = timezone.now() - settings.STRIPE_SESSION_LIFETIME - settings.PENDING_GRACE
    old = Enrollment.objects.filter(status=Enrollment.PENDING, created_at__lt=limit_at).order_by(
        "created_at"
    )[:limit]
    orphans = [
        enrollment
        for enrollment in old
        if not enrollment.payments.filter(status__in=Payment.OPEN).exists()
    ]
    return for_each_row(orphans, partial(settlement.expire, actor=ACTOR))


# --- refunds and disputes that were reported before their payment ---------------------------------
def attach_refunds() -> int:
    """Attach refunds to their payments that have arrived since; return how many."""
    return _attach_waiting(Refund, refunds.apply_attached)


def attach_disputes() -> int:
    """Attach disputes to their payments that have arrived since; return how many."""
    return _attach_waiting(Dispute, disputes.apply)


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


@atomic
def _attach(
    payments: dict[str, Payment], apply: Callable[..., None], row: Refund | Dispute
) -> bool:
    detached = type(row).objects.filter(pk=row.pk, payment=None)
    payment = payments[row.payment_intent_id]
    if detached.update(payment=payment, updated_at=timezone.now()) != 1:
        return False
    row.refresh_from_db()
    apply(row, actor=ACTOR)
    return True


# --- what no event reported -----------------------------------------------------------------------
def settle_missed_sessions(*, since: timedelta) -> int:
    """Settle the sessions completed at Stripe since then that no event reported; return how many.

    Raises StripeUnavailable, StripeRefused, and RowsFailed in the end, when one of them could not
    be settled.
    """
    found = gateway.completed_sessions(since=timezone.now() - since)
    return for_each_row(found, _settle_missed)


def _settle_missed(session: dict[str, Any]) -> bool:
    payment = webhooks.payment_of(session)
    if payment is None or not settlement.settle_session(payment, session, actor=RECONCILIATION):
        return False
    logger.warning("a payment was found by reconciliation", extra={"payment": str(payment.pk)})
    return True


def record_missed_refunds(*, since: timedelta) -> int:
    """Record Stripe's refunds since then that no event reported; return how many were new.

    Raises as `settle_missed_sessions` does.
    """
    found = gateway.recent_refunds(since=timezone.now() - since)
    ours = _ours(found, refunds.REQUIRED_TEXTS)
    return for_each_row(ours, partial(refunds.record, actor=RECONCILIATION))


def record_missed_disputes(*, since: timedelta) -> int:
    """Record Stripe's disputes since then that no event reported; return how many were new.

    Raises as `settle_missed_sessions` does.
    """
    now = timezone.now()
    ours = _ours(gateway.recent_disputes(since=now - since), disputes.REQUIRED_TEXTS)
    record = partial(disputes.record, reported_at=int(now.timestamp()), actor=RECONCILIATION)
    return for_each_row(ours, record)


def _ours(found: Iterable[dict[str, Any]], texts: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield what belongs to payments of ours: other products may use the same Stripe account."""
    for payload in found:
        intent = payload.get("payment_intent")
        if (
            gateway.is_recordable(payload, *texts)
            and Payment.objects.filter(stripe_payment_intent_id=intent).exists()
        ):
            yield payload
