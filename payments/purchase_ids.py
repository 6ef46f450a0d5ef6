"""The id of the request that began a purchase, in what Stripe tells of it (requirement R176).

Sessions, payment intents and charges have it in their metadata, as it was written when the session
was made. Refunds, disputes and warnings say only the payment intent they are about.
"""

from typing import Any

from maaledu import tracing
from payments.models import Payment

NAME = "request_id"


def read(payload: dict[str, Any]) -> str:
    """Return the id in the metadata of an object of Stripe's, "" where there is none."""
    metadata = payload.get("metadata")
    return tracing.well_formed(metadata.get(NAME)) if isinstance(metadata, dict) else ""


def follow_sale(payload: dict[str, Any]) -> None:
    """Follow the purchase that a refund, dispute or warning is about."""
    sale = Payment.objects.filter(stripe_payment_intent_id=payload["payment_intent"])
    tracing.follow(sale.values_list("enrollment__request_id", flat=True).first() or "")
