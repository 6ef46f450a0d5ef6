"""What Stripe delivers to the webhook: signed bodies, read once, and why one is refused."""

import json
import logging
import re
import time
from typing import Any

from django.conf import settings

from maaledu.storable import storable
from payments import gateway, webhook_secrets
from payments.errors import InvalidEvent, InvalidSignature

logger = logging.getLogger(__name__)

MOST_PATHS = 20
REPLACED = "maaledu_replaced"  # the key of a stored event that lists what of it was replaced
SNAPSHOT, THIN = "event", "v2.core.event"
SIGNED_LIKE_STRIPE = re.compile(r"t=\d{9,11},(?:v\d=[0-9a-f]+,)*v1=[0-9a-f]{64}(?:,|$)")
CLOCK, SECRET = "clock", "secret"
NO_AGE_LIMIT = 0


def read_event(body: bytes, signature: str) -> dict[str, Any]:
    """Return the event if one of our secrets signed exactly this body within the tolerance.

    It is a snapshot, which has the object in it, or a thin event, which has only its id. What no
    database could store of it is replaced, and the event lists where, so that no event that Stripe
    signed is refused for it. Raises InvalidSignature, whose `details["cause"]` says what is to be
    looked at (or is empty for what is not like Stripe's), or InvalidEvent.
    """
    tolerance = int(settings.STRIPE_SIGNATURE_TOLERANCE.total_seconds())
    # The SDK accepts timestamps of the future (contracts/stripe, section 1).
    signed_by = gateway.signers(body, signature, tolerance=tolerance)
    if not signed_by or _signed_at(signature) > time.time() + tolerance:
        raise InvalidSignature(**_cause_of(body, signature))
    webhook_secrets.note_use(signed_by)
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent from error
    return checked(event)


def checked(event: Any) -> dict[str, Any]:
    """Return the event as it can be stored. Raises InvalidEvent for what is none."""
    if not (_is_snapshot(event) or _is_thin(event)):
        raise InvalidEvent
    stored, paths = storable(event)
    if not paths:
        return event
    logger.warning(
        "event not stored as sent", extra={"event": event["id"], "replaced": paths[:MOST_PATHS]}
    )
    return {**stored, REPLACED: paths[:MOST_PATHS]}


def _cause_of(body: bytes, signature: str) -> dict[str, Any]:
    """Say what is wrong with a signature: its time only, or the secret that made it."""
    if not SIGNED_LIKE_STRIPE.match(signature):
        return {"cause": ""}
    if gateway.signers(body, signature, tolerance=NO_AGE_LIMIT):
        return {"cause": CLOCK, "seconds": round(time.time()) - _signed_at(signature)}
    return {"cause": SECRET}


def _signed_at(signature: str) -> int:
    return next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))


def _has_names(event: Any) -> bool:
    return isinstance(event, dict) and all(
        gateway.text_of(event.get(name)) for name in ("id", "type")
    )


def _is_snapshot(event: Any) -> bool:
    if not _has_names(event) or event.get("object") != SNAPSHOT:
        return False
    data = event.get("data")
    return (
        isinstance(event.get("livemode"), bool)
        and isinstance(data, dict)
        and isinstance(data.get("object"), dict)
    )


def _is_thin(event: Any) -> bool:
    return _has_names(event) and event.get("object") == THIN
