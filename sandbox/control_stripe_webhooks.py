"""The control calls about events that are no snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.stripe_endpoints import ping, thin_event
from sandbox.stripe_objects import new_id
from sandbox.world import World

Data = dict[str, Any]


class StripeWebhooksControl:
    """The routes that ``Control`` takes over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/control/stripe/ping", self.ping),
            ("POST", r"/control/stripe/thin", self.thin),
        ]

    def ping(self, data: Data) -> Data:
        """Send the event that the dashboard tries a new destination with; say what came back."""
        body = ping(new_id("evt_test"), self.world.book.now())
        return self.world.webhooks.deliver_body(body)

    def thin(self, data: Data) -> Data:
        """Send a thin event of any ``type``, with any other fields; say what came back."""
        fields = {"id": new_id("evt_test"), **data}
        body = thin_event(str(fields.pop("type")), self.world.book.now(), **fields)
        return self.world.webhooks.deliver_body(body)
