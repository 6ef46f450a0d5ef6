"""Every request to Stripe, and the signatures that it makes.

Only this module and `stripe_calls` import Stripe's SDK; the rest of the product sees plain dicts.

Source: contracts/stripe. No transaction is open while these functions run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import stripe
from django.conf import settings

from maaledu.storable import is_storable
from payments import refusals
from payments.errors import (
    StripeKeyRefused,
    StripeRefused,
    StripeSessionUnknown,
    StripeUnavailable,
)
from payments.stripe_calls import ask, call, client

LONGEST_ID = 255  # characters, as Stripe says and as our columns hold
PAGE_SIZE = 100  # objects, the most that Stripe lists at once
MOST_TYPES = 20
REFUNDS = "/v1/refunds"
WITH_INTENT = {"expand": ["payment_intent"]}
EACH_WITH_INTENT = {"expand": ["data.payment_intent"]}
Session = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """Some objects of a list, and after which of them the next page begins, "" for the last."""

    objects: list[Any]
    cursor: str


def create_session(params: dict[str, Any], *, idempotency_key: str, about: str) -> Session:
    """Create the Checkout Session, or get the one made before under this key.

    `about` says to staff whose it is. Raises StripeUnavailable when it is unknown whether a session
    exists or at which address it is paid, and StripeRefused when none exists, EmailRefused when
    that is because of the buyer's address.
    """
    options = {"idempotency_key": idempotency_key}
    session = call(about, client().v1.checkout.sessions.create, params, options)
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
    about, options = f"asking for session {session_id}", {"expand": [expand]}
    return call(about, sessions.retrieve, session_id, options)


def session_of(payment_intent_id: str) -> Session | None:
    """Return the session through which this payment was made, or None where there was none.

    Raises StripeUnavailable, StripeRefused.
    """
    about = f"listing the session of {payment_intent_id}"
    query = {"payment_intent": payment_intent_id}
    found = call(about, client().v1.checkout.sessions.list, query)
    return next(iter(found["data"]), None)


def retrieve_intent(payment_intent_id: str, *, interactive: bool = False) -> dict[str, Any]:
    """Return the payment intent. Raises StripeUnavailable, StripeSessionUnknown, StripeRefused."""
    intents = client(interactive=interactive).v1.payment_intents
    about = f"asking for payment {payment_intent_id}"
    return call(about, intents.retrieve, payment_intent_id, expected=StripeSessionUnknown)


def sessions_page(since: datetime, after: str) -> Page:
    """Return the next of the sessions made since then that are complete, with their intents.

    Raises StripeUnavailable, StripeRefused; StripeSessionUnknown when `after` is not there anymore.
    """
    query = {"status": "complete", **_since(since), **EACH_WITH_INTENT}
    return _page("listing sessions", "/v1/checkout/sessions", query, after)


def refunds_page(since: datetime, after: str) -> Page:
    """Return the next of the refunds made since then, with their payment intents.

    Raises as `sessions_page` does.
    """
    return _page("listing refunds", REFUNDS, {**_since(since), **EACH_WITH_INTENT}, after)


def disputes_page(since: datetime, after: str) -> Page:
    """Return the next of the disputes opened since then, with their payment intents.

    Raises as `sessions_page` does.
    """
    return _page("listing disputes", "/v1/disputes", {**_since(since), **EACH_WITH_INTENT}, after)


def warnings_page(since: datetime, after: str) -> Page:
    """Return the next of the early fraud warnings since then, with their payment intents.

    Raises as `sessions_page` does.
    """
    path, query = "/v1/radar/early_fraud_warnings", {**_since(since), **EACH_WITH_INTENT}
    return _page("listing fraud warnings", path, query, after)


def undelivered_events_page(types: list[str], since: datetime, after: str) -> Page:
    """Return the next of the events of these types that some webhook endpoint has not taken.

    Stripe keeps events for 30 days, and takes at most 20 types. Raises as `sessions_page` does.
    """
    named = {"types": types} if len(types) <= MOST_TYPES else {}
    query = {"delivery_success": False, **named, **_since(since)}
    return _page("listing events", "/v1/events", query, after)


def newest_delivered_events(types: list[str], since: datetime) -> Page:
    """Return the newest of the events of these types that no webhook endpoint has yet to take.

    Raises as `sessions_page` does.
    """
    named = {"types": types} if len(types) <= MOST_TYPES else {}
    query = {"delivery_success": True, **named, **_since(since)}
    return _page("listing events", "/v1/events", query, "")


def retrieve_refund(refund_id: str) -> dict[str, Any]:
    """Return the refund as it is now, with its payment intent.

    Raises StripeUnavailable, StripeSessionUnknown, StripeRefused.
    """
    about = f"asking for refund {refund_id}"
    method = client().v1.refunds.retrieve
    return call(about, method, refund_id, WITH_INTENT, expected=StripeSessionUnknown)


def retrieve_dispute(dispute_id: str) -> dict[str, Any]:
    """Return the dispute as it is now, with its payment intent.

    Raises StripeUnavailable, StripeSessionUnknown, StripeRefused.
    """
    about = f"asking for dispute {dispute_id}"
    method = client().v1.disputes.retrieve
    return call(about, method, dispute_id, WITH_INTENT, expected=StripeSessionUnknown)


def retrieve_warning(warning_id: str) -> dict[str, Any]:
    """Return the early fraud warning as it is now, with its payment intent.

    Raises StripeUnavailable, StripeSessionUnknown, StripeRefused.
    """
    about = f"asking for fraud warning {warning_id}"
    method = client().v1.radar.early_fraud_warnings.retrieve
    return call(about, method, warning_id, WITH_INTENT, expected=StripeSessionUnknown)


def create_refund(params: dict[str, Any], *, idempotency_key: str, about: str) -> dict[str, Any]:
    """Create the refund, or get the one made before under this key.

    `about` says to staff which it is. Raises StripeUnavailable when it is unknown whether there is
    one, and StripeRefused when there is none.
    """
    options = {"idempotency_key": idempotency_key}
    return call(about, client().v1.refunds.create, params, options, is_refund=True)


def refunds_of(payment_intent_id: str, *, interactive: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the refunds of one payment, newest first. Raises StripeUnavailable, StripeRefused."""
    about, after = f"listing the refunds of {payment_intent_id}", ""
    query = {"payment_intent": payment_intent_id}
    while True:
        page = _page(about, REFUNDS, query, after, interactive=interactive)
        yield from page.objects
        if not page.cursor:
            return
        after = page.cursor


def _since(moment: datetime) -> dict[str, Any]:
    return {"created": {"gte": int(moment.timestamp())}}


def _page(
    about: str, path: str, query: dict[str, Any], after: str, *, interactive: bool = False
) -> Page:
    query = {**query, "limit": PAGE_SIZE, **({"starting_after": after} if after else {})}
    # The SDK's own lists make several objects of each one that is listed, which costs more than
    # all that is compared.
    listing = partial(client(interactive=interactive).raw_request, "get", path, **query)
    # The object that the page begins after may be gone, which the caller knows about.
    page = call(about, listing, expected=StripeSessionUnknown if after else ())
    return Page(page["data"], page["data"][-1]["id"] if page["has_more"] else "")


def close_session(session_id: str) -> Session:
    """Make sure the session can no longer be paid, and return how it ended.

    It is expired, or complete because it was paid before. Raises StripeUnavailable,
    StripeSessionUnknown, StripeRefused.
    """
    about = f"closing session {session_id}"
    try:
        return ask(client().v1.checkout.sessions.expire, session_id)
    except (StripeSessionUnknown, StripeKeyRefused) as error:
        refusals.report(error.refusal, about=about)
        raise
    except StripeRefused as error:
        # Stripe expires open sessions only. One that is open still was refused for another reason,
        # and must not count as closed: it can be paid.
        session = retrieve_session(session_id)
        if session.get("status") == "open":
            refusals.report(error.refusal, about=about)
            raise
        return session


def text_of(value: Any, *, most: int = LONGEST_ID) -> str:
    """Return an id or another short text of Stripe's, or "" for what no column of ours can hold."""
    return value if isinstance(value, str) and len(value) <= most and is_storable(value) else ""


def is_recordable(payload: dict[str, Any], *texts: str) -> bool:
    """Whether a refund or dispute has an amount and these texts, which every row needs."""
    return isinstance(payload.get("amount"), int) and all(
        text_of(payload.get(name)) for name in texts
    )


def signers(body: bytes, signature: str, *, tolerance: int) -> list[str]:
    """Return which of our secrets signed exactly this body, at most `tolerance` seconds ago: more
    than one while Stripe rolls them.

    Zero is no limit. The SDK raises TypeError for a header that is not ASCII (contracts/stripe,
    section 1): that is no signature.
    """
    return [
        secret
        for secret in settings.STRIPE_WEBHOOK_SECRETS
        if _is_signed_by(secret, body, signature, tolerance)
    ]


def _is_signed_by(secret: str, body: bytes, signature: str, tolerance: int) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, tolerance)
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        return False
    return True
