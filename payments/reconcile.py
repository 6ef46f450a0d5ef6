"""What no event reported: Stripe is asked, never guessed at.

Source: contracts/reliability, I16.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from maaledu.rows import for_each_row
from payments import disputes, gateway, refunds, settlement, webhooks
from payments.models import Payment

logger = logging.getLogger(__name__)

RECONCILIATION = "reconciliation"


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
