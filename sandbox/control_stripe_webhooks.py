"""The control calls about webhooks: the endpoint, events of any kind, and their deliveries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import stripe_objects
from sandbox.stripe_endpoints import DISABLED, ENABLED, PAYLOADS, ping, thin_event
from sandbox.stripe_objects import new_id
from sandbox.wire import pick
from sandbox.world import World

Data = dict[str, Any]
WEBHOOK_SETTINGS = (
    "url",
    "secret",
    "duplicates",
    "delay",
    "drop",
    "retry_base",
    "timeout",
    "api_version",
    "default_version",
    "status",
    "payload",
)
WEBHOOK_CHOICES = {"status": (ENABLED, DISABLED), "payload": PAYLOADS}


class StripeWebhooksControl:
    """The routes that ``Control`` takes over."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/control/webhooks", self.webhooks),
            ("POST", r"/control/stripe/events", self.event),
            ("POST", r"/control/stripe/events/([^/]+)/deliver", self.deliver),
            ("POST", r"/control/stripe/deliveries", self.deliver_in_order),
            ("POST", r"/control/stripe/ping", self.ping),
            ("POST", r"/control/stripe/thin", self.thin),
        ]

    def webhooks(self, data: Data) -> Data:
        """Change the endpoint.

        ``hold`` keeps deliveries back, and turning it off releases them in ``order``.
        """
        hooks = self.world.webhooks
        for name, allowed in WEBHOOK_CHOICES.items():
            if data.get(name, allowed[0]) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        for name, value in pick(data, *WEBHOOK_SETTINGS).items():
            setattr(hooks, name, type(getattr(hooks, name))(value))
        if "events" in data:
            hooks.types = (
                data["events"]
                if isinstance(data["events"], list)
                else str(data["events"]).split(",")
            )
        released: list[str] = []
        if data.get("hold") is False or ("order" in data and "hold" not in data):
            released = hooks.release(data.get("order", "given"), int(data.get("seed", 1)))
        elif "hold" in data:
            hooks.hold = bool(data["hold"])
        return {
            "url": hooks.url,
            "hold": hooks.hold,
            "held": list(hooks.held),
            "released": released,
            "duplicates": hooks.duplicates,
            "drop": hooks.drop,
        }

    def event(self, data: Data) -> Data:
        """Send an event of any type with any object: the newest kinds, or wrong ones."""
        hooks = self.world.webhooks
        made = stripe_objects.event(
            data["type"],
            data.get("object", {}),
            int(self.book.now()),
            listened=bool((hooks.url or hooks.hold) and data.get("send", True)),
        )
        made.update(pick(data, "id", "api_version", "created", "livemode"))
        with self.book.lock:
            self.book.events[made["id"]] = made
            hooks.send(made)
        return made

    def deliver(self, event_id: str, data: Data) -> Data:
        """Deliver an event again, ``times`` at the same moment, and say what came back."""
        if event_id not in self.book.events:
            raise KeyError(event_id)
        return {"deliveries": self.world.webhooks.deliver(event_id, int(data.get("times", 1)))}

    def deliver_in_order(self, data: Data) -> Data:
        """Deliver the named events one after the other; an event may be named several times."""
        lost = [event_id for event_id in data["events"] if event_id not in self.book.events]
        if lost:
            raise KeyError(lost[0])
        return {"deliveries": self.world.webhooks.deliver_in_order(data["events"])}

    def ping(self, data: Data) -> Data:
        """Send the event that the dashboard tries a new destination with; say what came back."""
        body = ping(new_id("evt_test"), self.world.book.now())
        return self.world.webhooks.deliver_body(body)

    def thin(self, data: Data) -> Data:
        """Send a thin event of any ``type``, with any other fields; say what came back."""
        fields = {"id": new_id("evt_test"), **data}
        body = thin_event(str(fields.pop("type")), self.world.book.now(), **fields)
        return self.world.webhooks.deliver_body(body)
