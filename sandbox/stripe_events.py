"""Stripe's events: written into the book and handed to the webhooks, and listed by the API."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sandbox import stripe_objects
from sandbox.stripe_errors import StripeRefusal
from sandbox.stripe_lists import find, listing
from sandbox.stripe_params import PAGE, fields, list_of, one_of, text
from sandbox.world import World

Record = dict[str, Any]
LIST = fields(
    {
        **PAGE,
        "type": text(),
        "types": list_of(text(), 20),
        "delivery_success": one_of("true", "false"),
    }
)
SECONDS_KEPT = 30 * 24 * 3600


def emit(
    world: World,
    kind: str,
    data: Record,
    request: Record | None = None,
    *,
    before: Record | None = None,
) -> Record:
    """Write an event into the book and hand it to the webhooks.

    ``before`` holds the earlier values of the fields that changed.
    """
    hooks = world.webhooks
    listeners = hooks.listeners(kind)
    event = stripe_objects.event(
        kind, data, int(world.book.now()), listened=bool(listeners), request=request
    )
    event |= {"api_version": hooks.default_version, "pending_webhooks": len(listeners)}
    if before is not None:
        event["data"]["previous_attributes"] = copy.deepcopy(before)
    world.book.events[event["id"]] = event
    world.book.owed[event["id"]] = listeners
    world.book.dirty = True
    hooks.send(event)
    return event


class Events:
    """The endpoints under /v1/events."""

    def __init__(self, world: World) -> None:
        self.book = world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/v1/events", self.list),
            ("GET", r"/v1/events/([^/]+)", self.get),
        ]

    def list(self, *, params: Record, who: Record) -> Record:
        query = LIST(params, "")
        if "type" in query and "types" in query:
            raise StripeRefusal("You may pass either type or types, but not both.", param="types")
        types = set(query.get("types", [])) | ({query["type"]} if "type" in query else set())
        oldest = self.book.now() - SECONDS_KEPT

        def fits(event: Record) -> bool:
            delivered = str(not event["pending_webhooks"]).lower()
            return (
                event["created"] >= oldest
                and (not types or event["type"] in types)
                and query.get("delivery_success", delivered) == delivered
            )

        return listing(self.book.events, "/v1/events", query, fits)

    def get(self, event_id: str, *, params: Record, who: Record) -> Record:
        return find(self.book.events, event_id, "event")
