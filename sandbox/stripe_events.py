"""Events: written into the book and handed to the webhooks."""

from __future__ import annotations

import copy
from typing import Any

from sandbox import stripe_objects as objects
from sandbox.world import World

Record = dict[str, Any]


def emit(
    world: World,
    kind: str,
    data: Record,
    request: Record | None = None,
    *,
    before: Record | None = None,
) -> Record:
    """Write an event into the book and hand it to the webhooks. ``before`` holds what the changed
    fields said until now.
    """
    hooks = world.webhooks
    listeners = hooks.listeners(kind)
    event = objects.event(
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
