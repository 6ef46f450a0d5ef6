"""Webhook endpoints as records: which events each one gets, and in which form."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from sandbox.stripe_event_types import EVENT_TYPES

Record = dict[str, Any]
MAIN_ID = "we_1SandboxMain000000"
ENABLED, DISABLED = "enabled", "disabled"
SNAPSHOT, THIN = "snapshot", "thin"
PAYLOADS = (SNAPSHOT, THIN)
# From this version on, refunds of charges have events of their own.
REFUND_EVENTS_SINCE = "2024-10-28"
# Where a thin event says its object can be fetched, by the object's type.
PATHS = {
    "checkout.session": "/v1/checkout/sessions/",
    "payment_intent": "/v1/payment_intents/",
    "charge": "/v1/charges/",
    "refund": "/v1/refunds/",
    "dispute": "/v1/disputes/",
    "invoice": "/v1/invoices/",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/",
}


def is_for(endpoint: Record, event_type: str, default_version: str) -> bool:
    """Say whether Stripe sends events of this type to the endpoint."""
    version = endpoint["api_version"] or default_version
    if event_type.startswith("refund.") and version < REFUND_EVENTS_SINCE:
        return False
    return endpoint["status"] == ENABLED and any(
        fnmatchcase(event_type, pattern) for pattern in endpoint["enabled_events"]
    )


def rendered(event: Record, endpoint: Record, default_version: str) -> Record:
    """Return the body of a delivery: the event in the endpoint's version, or a thin one.

    An event that was made with a version of its own keeps it.
    """
    if endpoint["payload"] == THIN:
        return thin(event)
    if event["api_version"] != default_version:
        return event
    return {**event, "api_version": endpoint["api_version"] or default_version}


def thin(event: Record) -> Record:
    """Return the thin event of a snapshot: what happened to which object, without the object."""
    about = event["data"]["object"]
    kind = str(about.get("object", ""))
    reason = {"type": "request", "request": event["request"]} if event["request"]["id"] else None
    return thin_event(
        f"v1.{event['type']}",
        event["created"],
        id="evt_test_" + event["id"].removeprefix("evt_"),
        livemode=event["livemode"],
        reason=reason,
        snapshot_event=event["id"],
        related_object={
            "id": about.get("id"),
            "type": kind,
            "url": PATHS.get(kind, f"/v1/{kind}s/") + str(about.get("id")),
        },
    )


def thin_event(kind: str, created: float, **more: object) -> Record:
    moment = datetime.fromtimestamp(created, UTC)
    return {
        "object": "v2.core.event",
        "type": kind,
        "created": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "livemode": False,
        "changes": None,
        "context": None,
        "reason": None,
        "related_object": None,
        "snapshot_event": None,
        **more,
    }


def ping(name: str, created: float) -> Record:
    """Return the event that Stripe's dashboard sends to try a new event destination."""
    destination = "ed_test_1Sandbox"
    return thin_event(
        "v2.core.event_destination.ping",
        created,
        id=name,
        related_object={
            "id": destination,
            "type": "v2.core.event_destination",
            "url": f"/v2/core/event_destinations/{destination}",
        },
    )


def enabled_events(patterns: list[str]) -> list[str]:
    """Return the event types that the patterns of a switch mean, as Stripe lists them."""
    if "*" in patterns:
        return ["*"]
    named = (kind for each in patterns for kind in EVENT_TYPES if fnmatchcase(kind, each))
    return list(dict.fromkeys(named))
