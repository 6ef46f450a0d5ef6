"""End the checkouts whose time is over, and follow up delayed payments: Stripe is asked first.

Source: contracts/reliability, I16.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from enrollments.models import Enrollment
from maaledu.rows import for_each_row
from payments import checkout_sessions, settlement
from payments.errors import OUTAGE, StripeKeyRefused, StripeRefused
from payments.models import Payment

logger = logging.getLogger(__name__)

BATCH = 100
ACTOR = "sweep"
PROCESSING_ASKED_EVERY = timedelta(hours=1)


def end_overdue(*, limit: int = BATCH) -> int:
    """End the open payments whose session is past its time, and return how many.

    What Stripe says was paid is received instead. Raises RowsFailed in the end, when one of them
    could not be worked on.
    """
    limit_at = timezone.now() - settings.PENDING_GRACE
    overdue = Payment.objects.filter(status=Payment.PENDING, expires_at__lt=limit_at).order_by(
        "expires_at"
    )
    close = partial(checkout_sessions.close, unpaid=settlement.SESSION_EXPIRED)
    return _settle_each(overdue[:limit], close)


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
    """Settle one after the other, until Stripe is down or refuses our key."""
    return for_each_row(payments, partial(_settle_unless_refused, settle), outage=OUTAGE)


def _settle_unless_refused(settle: Callable[..., bool], payment: Payment) -> bool:
    try:
        return settle(payment, actor=ACTOR)
    except StripeKeyRefused:
        raise
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
    old = Enrollment.objects.filter(status=Enrollment.PENDING, created_at__lt=limit_at)
    # Left out by the database: those whose bank takes days would fill the window for good.
    is_open = Payment.objects.filter(enrollment=OuterRef("pk"), status__in=Payment.OPEN)
    orphans = old.filter(~Exists(is_open)).order_by("created_at")[:limit]
    return for_each_row(orphans, partial(settlement.expire, actor=ACTOR))
