"""Requests that are made before the clock runs.

They travel as JSON from the process that makes them to the one that sends them.
"""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

WEBHOOK_SECRET = b"whsec_sandbox"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Case:
    """`make(n)` returns n requests, each of which is answered with `status`."""

    make: Callable[[int], list[Request]]
    status: int = 200


def same_page(path: str) -> Case:
    return Case(partial(_page_requests, path))


def new_page(path: str) -> Case:
    """Return the case of a page that is asked for under ever new addresses: no cache has it."""
    return Case(partial(_new_page_requests, path))


def _page_requests(path: str, count: int) -> list[Request]:
    return [Request("GET", path)] * count


def _new_page_requests(path: str, count: int) -> list[Request]:
    return [Request("GET", f"{path}?v={uuid.uuid4().hex[:8]}") for _ in range(count)]


def signed(path: str, session: dict[str, Any]) -> Request:
    """Return the delivery of a `checkout.session.completed` about this session, signed."""
    event = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": session},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "checkout.session.completed",
    }
    body, moment = json.dumps(event), int(time.time())
    digest = hmac.new(WEBHOOK_SECRET, f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
    return Request(
        "POST",
        path,
        body,
        {"Content-Type": "application/json", "Stripe-Signature": f"t={moment},v1={digest}"},
    )
