"""Stripe's API keys: secret and restricted ones, what each may do, and expired ones."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.stripe_errors import ACCOUNT_ID, StripeRefusal
from sandbox.stripe_settings import StripeKey
from sandbox.wire import Request
from sandbox.world import World

# The beginning of a path, and the resource that Stripe's permissions name for it.
RESOURCES = {
    "/v1/checkout/sessions": "checkout_session",
    "/v1/refunds": "refund",
    "/v1/disputes": "dispute",
    "/v1/events": "event",
    "/v1/payment_intents": "payment_intent",
    "/v1/charges": "charge",
    "/v1/balance": "balance",
    "/v1/invoices": "invoice",
    "/v1/webhook_endpoints": "webhook",
    "/v2/core/event_destinations": "webhook",
    "/v1/radar/early_fraud_warnings": "early_fraud_warning",
    "/v1/account": "accounts_kyc_basic",
}
# What an answer shows when it is expanded is read, too.
EXPANDED = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "invoice": "invoice",
    "customer": "customer",
}
ALL = frozenset(
    f"{resource}_{level}"
    for resource in {*RESOURCES.values(), *EXPANDED.values()}
    for level in ("read", "write")
)
PREFIX = "rak_"


def permissions(names: Iterable[str]) -> frozenset[str]:
    """Return the permissions named, with or without ``rak_``. Raises ValueError for others."""
    given = frozenset(name.removeprefix(PREFIX) for name in names)
    if unknown := sorted(given - ALL):
        raise ValueError(f"unknown permissions: {', '.join(unknown)}")
    return given


def authenticate(world: World, request: Request) -> None:
    """Refuse a request without a key, with an unknown or an expired one."""
    value = _value(request)
    if not value:
        raise StripeRefusal(
            "You did not provide an API key. Send it as Authorization: Bearer YOUR_SECRET_KEY.",
            status=401,
        )
    key = _find(world, value)
    if key is None:
        raise StripeRefusal(f"Invalid API Key provided: {_masked(value)}", status=401)
    if key.expired:
        raise StripeRefusal(
            f"Expired API Key provided: {_masked(value)}", code="api_key_expired", status=401
        )


def authorize(world: World, request: Request, params: dict[str, Any]) -> None:
    """Refuse what the request's key has no permission for, in the answer's expansions too."""
    value = _value(request)
    key = _find(world, value)
    if key is None or key.permissions is None:
        return
    for permission in _needed(request, params):
        allowed = {permission, permission.replace("_read", "_write")}
        if not allowed & key.permissions:
            raise StripeRefusal(
                f"The provided key '{_masked(value)}' does not have the required permissions for"
                f" this endpoint on account '{ACCOUNT_ID}'. Having the '{PREFIX}{permission}'"
                " permission would allow this request to continue.",
                status=403,
            )


def _needed(request: Request, params: dict[str, Any]) -> Iterator[str]:
    level = "read" if request.method == "GET" else "write"
    for path, resource in RESOURCES.items():
        if request.path == path or request.path.startswith(f"{path}/"):
            yield f"{resource}_{level}"
    for name in _texts(params.get("expand")):
        for part in name.split("."):
            if part in EXPANDED:
                yield f"{EXPANDED[part]}_read"


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _find(world: World, value: str) -> StripeKey | None:
    if value in world.stripe.keys:
        return world.stripe.keys[value]
    return StripeKey() if value == world.options.stripe_key else None


def _value(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        value = base64.b64decode(value, validate=False).decode("latin-1").partition(":")[0]
    return value.strip()


def _masked(value: str) -> str:
    return f"{value[:8]}****{value[-4:]}"
