"""Every request to Stripe and every event from it.

The only module that imports Stripe's SDK; the rest of the product sees plain dicts.

Source: contracts/stripe. No transaction is open while these functions run.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings

from maaledu.storable import is_storable, storable
from payments.errors import (
    InvalidEvent,
    InvalidSignature,
    StripeRefused,
    StripeSessionUnknown,
    StripeUnavailable,
)

logger = logging.getLogger(__name__)

TRANSIENT = (
    stripe.APIConnectionError,
    stripe.APIError,
    stripe.RateLimitError,
    stripe.IdempotencyError,
)
LONGEST_ID = 255  # characters, as Stripe says and as our columns hold
MOST_PATHS = 20
REPLACED = "maaledu_replaced"  # the key of a stored event that lists what of it was replaced
Session = dict[str, Any]


def client(*, interactive: bool = False) -> stripe.StripeClient:
    """Return the client; with `interactive`, one that asks once and waits a few seconds at most."""
    read_seconds, retries = settings.STRIPE_READ_SECONDS, settings.STRIPE_MAX_RETRIES
    if interactive:
        read_seconds, retries = min(read_seconds, settings.STRIPE_INTERACTIVE_SECONDS), 0
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, read_seconds, retries)


@lru_cache(maxsize=8)
def _client(key: str, api_base: str, read_seconds: float, retries: int) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": api_base} if api_base else {},
        http_client=stripe.RequestsClient(timeout=(settings.STRIPE_CONNECT_SECONDS, read_seconds)),
        max_network_retries=retries,
        stripe_version=settings.STRIPE_API_VERSION,
    )


def create_session(params: dict[str, Any], *, idempotency_key: str) -> Session:
    """Create the Checkout Session, or get the one made before under this key.

    Raises StripeUnavailable when it is unknown whether a session exists or at which address it is
    paid, and StripeRefused when none exists.
    """
    options = {"idempotency_key": idempotency_key}
    session = _call(client().v1.checkout.sessions.create, params, options)
    if not (
        text_of(session.get("id"))
        and str(session.get("url") or "").startswith(("https://", "http://"))
    ):
        raise StripeUnavailable(error="a session without an id or an address")
    return session


def retrieve_session(
    session_id: str, *, interactive: bool = False, expand: str = "payment_intent"
) -> Session:
    """Return the session as Stripe has it now, with its payment intent or what `expand` names.

    The intent says whether a delayed payment failed. With `interactive`, Stripe is asked once and
    has a few seconds. Raises StripeUnavailable, StripeSessionUnknown, StripeRefused.
    """
    sessions = client(interactive=interactive).v1.checkout.sessions
    return _call(sessions.retrieve, session_id, {"expand": [expand]})


def completed_sessions(*, since: datetime) -> Iterator[Session]:
    """Yield the sessions completed since then, newest first, page by page.

    Raises StripeUnavailable, StripeRefused.
    """
    return _pages(client().v1.checkout.sessions.list, {"status": "complete", **_since(since)})


def create_refund(params: dict[str, Any], *, idempotency_key: str) -> dict[str, Any]:
    """Create the refund, or get the one made before under this key.

    Raises StripeUnavailable when it is unknown whether there is one, and StripeRefused when there
    is none.
    """
    return _call(client().v1.refunds.create, params, {"idempotency_key": idempotency_key})


def refunds_of(payment_intent_id: str) -> Iterator[dict[str, Any]]:
    """Yield the refunds of one payment, newest first. Raises StripeUnavailable, StripeRefused."""
    return _pages(client().v1.refunds.list, {"payment_intent": payment_intent_id})


def recent_refunds(*, since: datetime) -> Iterator[dict[str, Any]]:
    """Yield the refunds made since then, newest first. Raises StripeUnavailable, StripeRefused."""
    return _pages(client().v1.refunds.list, _since(since))


def recent_disputes(*, since: datetime) -> Iterator[dict[str, Any]]:
    """Yield the disputes opened since then, newest first.

    Raises StripeUnavailable, StripeRefused.
    """
    return _pages(client().v1.disputes.list, _since(since))


def _since(moment: datetime) -> dict[str, Any]:
    return {"created": {"gte": int(moment.timestamp())}}


def _pages(listing: Callable[..., Any], query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    query = {**query, "limit": 100}
    while True:
        page = _call(listing, query)
        yield from page["data"]
        if not page["has_more"]:
            return
        query = {**query, "starting_after": page["data"][-1]["id"]}


def close_session(session_id: str) -> Session:
    """Make sure the session can no longer be paid, and return how it ended.

    It is expired, or complete because it was paid before. Raises StripeUnavailable,
    StripeSessionUnknown, StripeRefused.
    """
    try:
        return _call(client().v1.checkout.sessions.expire, session_id)
    except StripeSessionUnknown:
        raise
    except StripeRefused:  # Stripe expires open sessions only: this one has ended already
        return retrieve_session(session_id)


def _call(method: Callable[..., Any], *arguments: Any) -> Session:
    try:
        answer = method(*arguments)
    except TRANSIENT as error:
        raise StripeUnavailable(error=type(error).__name__, request_id=error.request_id) from error
    except stripe.StripeError as error:
        code = error.code or type(error).__name__
        if code == "resource_missing":
            raise StripeSessionUnknown(request_id=error.request_id) from error
        raise StripeRefused(
            f"The payment service refused the request ({code}).", request_id=error.request_id
        ) from error
    if not isinstance(answer, stripe.StripeObject):  # the SDK returns whatever JSON it was sent
        raise StripeUnavailable(error=f"an answer that is a {type(answer).__name__}")
    return answer.to_dict(for_json=True)


def text_of(value: Any, *, most: int = LONGEST_ID) -> str:
    """Return an id or another short text of Stripe's, or "" for what no column of ours can hold."""
    return value if isinstance(value, str) and len(value) <= most and is_storable(value) else ""


def is_recordable(payload: dict[str, Any], *texts: str) -> bool:
    """Whether a refund or dispute has an amount and these texts, which every row needs."""
    return isinstance(payload.get("amount"), int) and all(
        text_of(payload.get(name)) for name in texts
    )


def read_event(body: bytes, signature: str) -> dict[str, Any]:
    """Return the event if one of our secrets signed exactly this body within the tolerance.

    What no database could store of it is replaced, and the event lists where, so that no event that
    Stripe signed is refused for it. The SDK accepts timestamps of the future and raises TypeError
    for a header that is not ASCII (contracts/stripe, section 1); both are invalid signatures here.
    Raises InvalidSignature or InvalidEvent.
    """
    if not signature.isascii() or not any(
        _signed(body, signature, secret) for secret in settings.STRIPE_WEBHOOK_SECRETS
    ):
        raise InvalidSignature
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent from error
    if not _is_event(event):
        raise InvalidEvent
    return _storable_event(event)


def _storable_event(event: dict[str, Any]) -> dict[str, Any]:
    stored, paths = storable(event)
    if not paths:
        return event
    logger.warning(
        "event not stored as sent", extra={"event": event["id"], "replaced": paths[:MOST_PATHS]}
    )
    return {**stored, REPLACED: paths[:MOST_PATHS]}


def _signed(body: bytes, signature: str, secret: str) -> bool:
    tolerance = int(settings.STRIPE_SIGNATURE_TOLERANCE.total_seconds())
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, tolerance)
        return _signed_at(signature) <= time.time() + tolerance
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        return False


def _signed_at(signature: str) -> int:
    return next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict) or event.get("object") != "event":
        return False
    if not all(text_of(event.get(name)) for name in ("id", "type")):
        return False
    data = event.get("data")
    return (
        isinstance(event.get("livemode"), bool)
        and isinstance(data, dict)
        and isinstance(data.get("object"), dict)
    )
