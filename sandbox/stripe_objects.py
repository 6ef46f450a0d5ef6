"""What all of Stripe's objects share, and the event about an object."""

from __future__ import annotations

import json
import secrets
from typing import Any

API_VERSION = "2026-10-28.endive"
Record = dict[str, Any]
ADDRESS = {
    "city": None,
    "country": "US",
    "line1": None,
    "line2": None,
    "postal_code": "94105",
    "state": None,
}


def new_id(prefix: str, size: int = 12) -> str:
    return f"{prefix}_{secrets.token_hex(size)}"


def event(
    kind: str, data: Record, now: int, *, listened: bool, request: Record | None = None
) -> Record:
    """Return an Event with a snapshot of the object as it is now."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": json.loads(json.dumps(data))},
        "livemode": bool(data.get("livemode", False)),
        "pending_webhooks": 1 if listened else 0,
        "request": request or {"id": None, "idempotency_key": None},
        "type": kind,
    }
