"""What has to be asked of Stripe before some events can be applied, outside any transaction.

Nearly all events say everything. `charge.refunded` does not say which refund it is about, and a
refund, dispute or warning of a payment that is not known here may be another product's, or may have
arrived before its sale.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Sum

from payments import gateway, ownership
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Dispute, Payment, Refund

CHARGE_REFUNDED = "charge.refunded"
REVERSALS = ("refund.", "charge.refund.", "charge.dispute.", "radar.early_fraud_warning.")


@dataclass(frozen=True)
class Answer:
    """What Stripe says: whether the event is about a sale of ours, and the refunds to record."""

    is_ours: bool = True
    refunds: list[dict[str, Any]] = field(default_factory=list)


NOTHING_ASKED = Answer()


def must_ask(event_type: str, payload: dict[str, Any]) -> bool:
    """Whether this event, with this object in it, can be applied only after Stripe was asked."""
    intent = gateway.text_of(payload.get("payment_intent"))
    if not intent:
        return False
    if event_type == CHARGE_REFUNDED:
        return payload.get("amount_refunded") != _recorded(intent)
    return event_type.startswith(REVERSALS) and not _is_known(intent)


def ask(event_type: str, payload: dict[str, Any]) -> Answer:
    """Ask Stripe what the event does not say.

    Raises StripeUnavailable or StripeRefused for a charge. A refund or dispute is taken for ours
    while Stripe does not say whose it is: reconciliation asks again.
    """
    intent = gateway.text_of(payload.get("payment_intent"))
    if event_type != CHARGE_REFUNDED:
        return Answer(is_ours=_may_be_ours(intent))
    if not (_is_known(intent) or _is_ours(intent)):
        return Answer(is_ours=False)
    return Answer(refunds=list(gateway.refunds_of(intent, interactive=True)))


def _recorded(intent: str) -> int:
    """Return how much Stripe has refunded of a payment as far as we know, in minor units."""
    at_stripe = Refund.objects.filter(
        payment_intent_id=intent, status__in=[Refund.PENDING, Refund.SUCCEEDED]
    )
    return at_stripe.aggregate(amount=Sum("amount"))["amount"] or 0


def _is_known(intent: str) -> bool:
    return (
        Payment.objects.filter(stripe_payment_intent_id=intent).exists()
        or Refund.objects.filter(payment_intent_id=intent).exists()
        or Dispute.objects.filter(payment_intent_id=intent).exists()
    )


def _may_be_ours(intent: str) -> bool:
    try:
        return _is_ours(intent)
    except (StripeUnavailable, StripeRefused):
        return True


def _is_ours(intent: str) -> bool:
    metadata = gateway.retrieve_intent(intent, interactive=True).get("metadata")
    return ownership.payment_id_in(metadata) is not None
