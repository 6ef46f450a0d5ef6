"""Everything that is said to Stripe. The only module that imports its SDK; the rest of the product
sees plain dicts.

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
REPLACED = "maaledu_replaced"  # where a stored event says what of it we had to replace
Session = dict[str, Any]


def client(*, interactive: bool = False) -> stripe.StripeClient:
    seconds = (
        min(settings.STRIPE_READ_SECONDS, settings.STRIPE_INTERACTIVE_SECONDS)
        if interactive
        else settings.STRIPE_READ_SECONDS
    )
    return _client(
        settings.STRIPE_SECRET_KEY,
        settings.STRIPE_API_BASE,
        seconds,
        0 if interactive else settings.STRIPE_MAX_RETRIES,
    )


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

    Raises StripeUnavailable where it is unknown whether a session exists or where it is paid, and
    StripeRefused where none exists.
    """
    options = {"idempotency_key": idempotency_key}
    session = _call(lambda: client().v1.checkout.sessions.create(params, options))  # type: ignore[arg-type]
    if not (
        text_of(session.get("id"))
        and str(session.get("url") or "").startswith(("https://", "http://"))
    ):
        raise StripeUnavailable(error="a session without an id or an address")
    return session


def retrieve_session(session_id: str, *, interactive: bool = False) -> Session:
    """Return the session as Stripe has it now, with its payment intent, which tells whether a
    delayed payment failed.

    Raises StripeUnavailable, StripeSessionUnknown, StripeRefused. With `interactive`, one try of a few
    seconds.
    """
    sessions = client(interactive=interactive).v1.checkout.sessions
    return _call(lambda: sessions.retrieve(session_id, {"expand": ["payment_intent"]}))


def completed_sessions(*, since: datetime) -> Iterator[Session]:
    """Yield the sessions completed since then, newest first, page by page. Raises
    StripeUnavailable, StripeRefused.
    """
    return _pages(client().v1.checkout.sessions.list, {"status": "complete", **_since(since)})


def create_refund(params: dict[str, Any], *, idempotency_key: str) -> dict[str, Any]:
    """Ask for a refund, or get the one made before under this key.

    Raises StripeUnavailable where it is unknown whether there is one, and StripeRefused where there
    is none.
    """
    options = {"idempotency_key": idempotency_key}
    return _call(lambda: client().v1.refunds.create(params, options))  # type: ignore[arg-type]


def refunds_of(payment_intent_id: str) -> Iterator[dict[str, Any]]:
    """Yield the refunds of one payment, newest first. Raises StripeUnavailable, StripeRefused."""
    return _pages(client().v1.refunds.list, {"payment_intent": payment_intent_id})


def recent_refunds(*, since: datetime) -> Iterator[dict[str, Any]]:
    """Yield the refunds made since then, newest first. Raises StripeUnavailable, StripeRefused."""
    return _pages(client().v1.refunds.list, _since(since))


def recent_disputes(*, since: datetime) -> Iterator[dict[str, Any]]:
    """Yield the disputes opened since then, newest first. Raises StripeUnavailable,
    StripeRefused.
    """
    return _pages(client().v1.disputes.list, _since(since))


def _since(moment: datetime) -> dict[str, Any]:
    return {"created": {"gte": int(moment.timestamp())}}


def _pages(listing: Callable[..., Any], query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    query = {**query, "limit": 100}
    while True:
        page = _call(lambda query=query: listing(query))  # type: ignore[misc]
        yield from page["data"]
        if not page["has_more"]:
            return
        query = {**query, "starting_after": page["data"][-1]["id"]}


def close_session(session_id: str) -> Session:
    """Make sure the session can no longer be paid, and return how it ended: expired, or complete
    after all.
    """
    try:
        return _call(lambda: client().v1.checkout.sessions.expire(session_id))
    except StripeSessionUnknown:
        raise
    except StripeRefused:  # it is not open any more
        return retrieve_session(session_id)


def _call(request: Callable[[], stripe.StripeObject]) -> Session:
    try:
        answer = request()
    except TRANSIENT as error:
        raise StripeUnavailable(error=type(error).__name__, request_id=error.request_id) from error
    except stripe.StripeError as error:
        code = error.code or type(error).__name__
        if code == "resource_missing":
            raise StripeSessionUnknown(request_id=error.request_id) from error
        raise StripeRefused(
            f"The payment service refused the request ({code}).", request_id=error.request_id
        ) from error
    if not isinstance(answer, stripe.StripeObject):  # the SDK hands on whatever JSON it was given
        raise StripeUnavailable(error=f"an answer that is a {type(answer).__name__}")
    return answer.to_dict(for_json=True)


def text_of(value: Any, *, most: int = LONGEST_ID) -> str:
    """Return an id or another short text that Stripe told us, or nothing where it is none that a
    column can hold.
    """
    return value if isinstance(value, str) and len(value) <= most and is_storable(value) else ""


def read_event(body: bytes, signature: str) -> dict[str, Any]:
    """Return the event if one of our secrets signed exactly this body within the tolerance.

    What no database could keep of it is replaced, and the event says where: what Stripe signed is
    never turned away for it. Raises InvalidSignature or InvalidEvent. The SDK accepts timestamps of
    the future and raises TypeError for a header that is not ASCII (contracts/stripe, section 1);
    both are invalid signatures here.
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
    return _keepable(event)


def _keepable(event: dict[str, Any]) -> dict[str, Any]:
    kept, paths = storable(event)
    if not paths:
        return event
    logger.warning(
        "event not stored as sent", extra={"event": event["id"], "replaced": paths[:MOST_PATHS]}
    )
    return {**kept, REPLACED: paths[:MOST_PATHS]}


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
