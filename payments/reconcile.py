"""What time and lost messages leave behind: Stripe is asked, never guessed at
(contracts/reliability, I16).
"""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from enrollments.models import Enrollment
from maaledu.rows import for_each_row
from payments import gateway, settlement, webhooks
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Payment

logger = logging.getLogger(__name__)

BATCH = 100
ACTOR = "sweep"
PROCESSING_ASKED_EVERY = timedelta(hours=1)


def end_overdue(*, limit: int = BATCH) -> int:
    """End the open payments whose session is past its time, and return how many; what was paid is
    received instead.

    Raises RowsFailed in the end, where one of them could not be worked on.
    """
    limit_at = timezone.now() - settings.PENDING_GRACE
    overdue = Payment.objects.filter(status=Payment.PENDING, expires_at__lt=limit_at).order_by(
        "expires_at"
    )
    return _each(overdue[:limit], settlement.end_overdue)


def _each(payments: Iterable[Payment], settle: Callable[..., bool]) -> int:
    """Settle one after the other; one that Stripe refuses to talk about is passed over, and without
    Stripe it ends.
    """

    def settle_one(payment: Payment) -> bool:
        try:
            return settle(payment, actor=ACTOR)
        except StripeRefused as error:
            logger.warning(
                "payment not settled", extra={"payment": str(payment.pk), "code": error.code}
            )
            return False

    return for_each_row(payments, settle_one, outage=StripeUnavailable)


def end_orphans(*, limit: int = BATCH) -> int:
    """End the pending enrollments that were cut off between two attempts and have no open payment;
    return how many.
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
    return for_each_row(orphans, lambda enrollment: settlement.expire(enrollment, actor=ACTOR))


def ask_about_processing(*, limit: int = BATCH) -> int:
    """Ask Stripe, once an hour each, how the delayed payments stand; return how many were
    settled.
    """
    now = timezone.now()
    waiting = Payment.objects.filter(
        status=Payment.PROCESSING, updated_at__lt=now - PROCESSING_ASKED_EVERY
    )
    payments = list(waiting.order_by("updated_at")[:limit])
    Payment.objects.filter(pk__in=[payment.pk for payment in payments]).update(updated_at=now)
    return _each(payments, settlement.ask_stripe)


def with_stripe(*, since: timedelta) -> int:
    """Go through the sessions completed at Stripe since then and settle what no event told us;
    return how many.

    Raises StripeUnavailable, StripeRefused, and RowsFailed in the end, where one of them could not
    be settled.
    """
    return for_each_row(gateway.completed_sessions(since=timezone.now() - since), _settle_found)


def _settle_found(session: dict[str, Any]) -> bool:
    payment = webhooks.payment_of(session)
    if payment is None or not settlement.settle_session(payment, session, actor="reconciliation"):
        return False
    logger.warning("a payment was found by reconciliation", extra={"payment": str(payment.pk)})
    return True
