"""One call to Stripe: the client, what an answer must be, and what a failure means.

The gateway makes every request through `call`, so that no refusal of Stripe's is mute.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

import stripe
from django.conf import settings

from maaledu import metrics, tracing
from maaledu.gates import Gate, GateClosed, answering
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

GATE = Gate()
# Each object of Stripe's says what it is; a list of its newer API says only what is in it.
NAMED_IN_ANSWERS = {"object", "data"}
T = TypeVar("T")
TRANSIENT = (
    stripe.APIConnectionError,
    stripe.APIError,
    stripe.RateLimitError,
    stripe.IdempotencyError,
)


class _TracedClient(stripe.RequestsClient):
    """The SDK's client, which sends the id of the request that began the purchase along."""

    def request(
        self, method: str, url: str, headers: Any, post_data: Any = None, **more: Any
    ) -> Any:
        if request_id := tracing.current():
            headers = {**headers, tracing.HEADER: request_id}
        return super().request(method, url, headers, post_data, **more)


def client(*, interactive: bool = False) -> stripe.StripeClient:
    """Return the client: one that waits a few seconds at most where a request is being answered.

    With `interactive` it also asks only once.
    """
    read_seconds, retries = settings.STRIPE_READ_SECONDS, settings.STRIPE_MAX_RETRIES
    if interactive or answering.get():
        read_seconds = min(read_seconds, settings.STRIPE_INTERACTIVE_SECONDS)
    if interactive:
        retries = 0
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, read_seconds, retries)


@lru_cache(maxsize=8)
def _client(key: str, api_base: str, read_seconds: float, retries: int) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": api_base} if api_base else {},
        http_client=_TracedClient(timeout=(settings.STRIPE_CONNECT_SECONDS, read_seconds)),
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
    """Ask Stripe without a report of what it refuses: the caller must make it, or expect it.

    Of the threads that answer requests, few are let through at once: Stripe may hang, and the
    others are needed for everything else.
    """
    return _let_through(partial(_measured, method, *arguments, is_refund=is_refund))


def _let_through(work: Callable[[], T]) -> T:
    if not answering.get():
        return work()
    try:
        with GATE.passed(settings.STRIPE_CALLS_AT_ONCE, unanswered=StripeUnavailable):
            return work()
    except GateClosed as error:
        raise StripeUnavailable(error="too many calls are waiting for an answer") from error


def _measured(method: Callable[..., Any], *arguments: Any, is_refund: bool) -> dict[str, Any]:
    began, outcome = time.perf_counter(), "ok"
    try:
        return _ask(method, *arguments, is_refund=is_refund)
    except StripeUnavailable:
        outcome = "unavailable"
        raise
    except StripeRefused:
        outcome = "refused"
        raise
    finally:
        metrics.STRIPE_CALLS.labels(outcome).observe(time.perf_counter() - began)


def _ask(method: Callable[..., Any], *arguments: Any, is_refund: bool) -> dict[str, Any]:
    try:
        answer = method(*arguments)
    except stripe.StripeError as error:
        raise _failure(error, is_refund=is_refund) from error
    # The SDK reads the error of an answer such as {"error": null}, a proxy's, as an object.
    except AttributeError as error:
        raise StripeUnavailable(error="an answer that is not Stripe's") from error
    # As Stripe sent it, and as it sends the objects of events; a raw request returns just that.
    sent = getattr(getattr(answer, "last_response", answer), "data", answer)
    if not isinstance(sent, dict):  # the SDK returns whatever JSON it was sent
        raise StripeUnavailable(error=f"an answer that is a {type(sent).__name__}")
    if not sent.keys() & NAMED_IN_ANSWERS:  # a proxy's own JSON
        raise StripeUnavailable(error="an answer that is not Stripe's")
    return sent


def answered_at(method: Callable[..., Any], *arguments: Any) -> datetime | None:
    """Return the time at Stripe when it answered this, to the second, whatever the answer was.

    None where there was no answer, or none of Stripe's.
    """
    return _let_through(partial(_answered_at, method, *arguments))


def _answered_at(method: Callable[..., Any], *arguments: Any) -> datetime | None:
    try:
        headers = method(*arguments).last_response.headers
    except stripe.StripeError as error:
        headers = error.headers or {}
    except AttributeError:
        return None
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None


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
