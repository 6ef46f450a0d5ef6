"""One call to Stripe: the client, what an answer must be, and what a failure means.

The gateway makes every request through `call`, so that no refusal of Stripe's is mute.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings

from payments import refusals
from payments.errors import (
    EmailRefused,
    StripeKeyRefused,
    StripeRefused,
    StripeSessionUnknown,
    StripeUnavailable,
)
from payments.refusal_table import BUYER, PASSING

logger = logging.getLogger(__name__)

TRANSIENT = (
    stripe.APIConnectionError,
    stripe.APIError,
    stripe.RateLimitError,
    stripe.IdempotencyError,
)


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


def call(
    about: str,
    method: Callable[..., Any],
    *arguments: Any,
    is_refund: bool = False,
    expected: type[StripeRefused] | tuple[()] = (),
) -> dict[str, Any]:
    """Ask Stripe, and report what it refuses: `about` names the request to staff.

    `is_refund` says that a refund is asked for, which gives some codes another meaning. An
    `expected` refusal is an answer to the caller, and is not reported. Raises StripeUnavailable,
    StripeRefused.
    """
    try:
        return ask(method, *arguments, is_refund=is_refund)
    except expected:
        raise
    except StripeRefused as error:
        refusals.report(error.refusal, about=about)
        raise
    except StripeUnavailable as error:
        logger.warning("Stripe did not answer", extra={**error.details, "about": about})
        raise


def ask(method: Callable[..., Any], *arguments: Any, is_refund: bool = False) -> dict[str, Any]:
    """Ask Stripe without a report of what it refuses: the caller must make it, or expect it."""
    try:
        answer = method(*arguments)
    except stripe.StripeError as error:
        raise _failure(error, is_refund=is_refund) from error
    # The SDK reads the error of an answer such as {"error": null}, a proxy's, as an object.
    except AttributeError as error:
        raise StripeUnavailable(error="an answer that is not Stripe's") from error
    if not isinstance(answer, stripe.StripeObject):  # the SDK returns whatever JSON it was sent
        raise StripeUnavailable(error=f"an answer that is a {type(answer).__name__}")
    return answer.to_dict(for_json=True)


def _failure(error: stripe.StripeError, *, is_refund: bool) -> StripeUnavailable | StripeRefused:
    """Return our error for one of the SDK's, which gives the code of some only in the body."""
    body = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    refusal = refusals.read(
        body if isinstance(body, dict) else {},
        status=error.http_status or 0,
        request_id=error.request_id or "",
        is_refund=is_refund,
    )
    if isinstance(error, TRANSIENT) or refusal.row.fault == PASSING:
        return StripeUnavailable(error=type(error).__name__, **refusal.facts)
    if refusal.code == "resource_missing" and not is_refund:
        return StripeSessionUnknown(refusal)
    if refusal.row.fault == BUYER:
        return EmailRefused(refusal)
    return StripeKeyRefused(refusal) if refusal.is_about_key else StripeRefused(refusal)
