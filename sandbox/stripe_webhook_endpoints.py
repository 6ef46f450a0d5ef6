"""The endpoints under /v1/webhook_endpoints, and the list of /v2/core/event_destinations.

The older list has those of Snapshot payload only, the newer one has all.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sandbox.stripe_endpoints import DISABLED, ENABLED, MAIN_ID, SNAPSHOT, THIN, enabled_events
from sandbox.stripe_errors import StripeRefusal
from sandbox.stripe_event_types import EVENT_TYPES, VERSIONS
from sandbox.stripe_lists import find, listing
from sandbox.stripe_objects import new_id
from sandbox.stripe_params import (
    PAGE,
    anything,
    boolean,
    fields,
    integer,
    list_of,
    metadata,
    one_of,
    text,
    url,
)
from sandbox.world import World

Record = dict[str, Any]
MOST_ENDPOINTS = 16
CHANGES = {
    "url": url,
    "enabled_events": list_of(one_of("*", *EVENT_TYPES), len(EVENT_TYPES)),
    "description": text(5000),
    "metadata": metadata,
    "expand": list_of(text()),
}
NEW = fields(
    {**CHANGES, "api_version": one_of(*VERSIONS), "connect": anything},
    required=("url", "enabled_events"),
)
CHANGED = fields({**CHANGES, "disabled": boolean})
ONE = fields({"expand": list_of(text())})
MANY = fields(PAGE)
URL_TOO = "webhook_endpoint.url"
DESTINATIONS = fields(
    {"include": list_of(one_of(URL_TOO)), "limit": integer(1, 100), "page": text()}
)
SHOWN = ("id", "api_version", "created", "description", "metadata", "status", "url")


class WebhookEndpoints:
    """Lists, makes and changes endpoints; the main one of the switches is among them."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        one = r"/v1/webhook_endpoints/([^/]+)"
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/v1/webhook_endpoints", self.list),
            ("POST", r"/v1/webhook_endpoints", self.create),
            ("GET", one, self.retrieve),
            ("POST", one, self.update),
            ("DELETE", one, self.delete),
            ("GET", r"/v2/core/event_destinations", self.destinations),
        ]

    def list(self, *, params: Record, who: Record) -> Record:
        page = listing(self._all(), "/v1/webhook_endpoints", MANY(params, ""), lambda item: True)
        page["data"] = [_shown(item) for item in page["data"]]
        return page

    def create(self, *, params: Record, who: Record) -> Record:
        checked = NEW(params, "")
        if len(self._all()) >= MOST_ENDPOINTS:
            raise StripeRefusal(f"You have reached the limit of {MOST_ENDPOINTS} endpoints.")
        made = {
            "id": new_id("we"),
            "url": checked["url"],
            "secret": f"whsec_{secrets.token_urlsafe(24)}",
            "enabled_events": checked["enabled_events"],
            "api_version": checked.get("api_version"),
            "status": ENABLED,
            "payload": SNAPSHOT,
            "created": int(self.book.now()),
            "description": checked.get("description"),
            "metadata": checked.get("metadata", {}),
        }
        self.book.endpoints[made["id"]] = made
        self.book.dirty = True
        return {**_shown(made), "secret": made["secret"]}

    def retrieve(self, name: str, *, params: Record, who: Record) -> Record:
        ONE(params, "")
        return _shown(find(self._all(), name, "webhook endpoint", "webhook_endpoint"))

    def update(self, name: str, *, params: Record, who: Record) -> Record:
        checked = CHANGED(params, "")
        endpoint = find(self._all(), name, "webhook endpoint", "webhook_endpoint")
        changes = {key: value for key, value in checked.items() if key in endpoint}
        if "disabled" in checked:
            changes["status"] = DISABLED if checked["disabled"] else ENABLED
        endpoint.update(changes)
        if name == MAIN_ID:
            hooks = self.world.webhooks
            hooks.url, hooks.types = endpoint["url"], endpoint["enabled_events"]
            hooks.status = endpoint["status"]
        self.book.dirty = True
        return _shown(endpoint)

    def delete(self, name: str, *, params: Record, who: Record) -> Record:
        find(self._all(), name, "webhook endpoint", "webhook_endpoint")
        self.book.endpoints.pop(name, None)
        if name == MAIN_ID:
            self.world.webhooks.url = ""
        self.book.dirty = True
        return {"id": name, "object": "webhook_endpoint", "deleted": True}

    def destinations(self, *, params: Record, who: Record) -> Record:
        checked = DESTINATIONS(params, "")
        shows_url = URL_TOO in checked.get("include", [])
        return {
            "data": [
                _destination(each, self.world.webhooks.default_version, shows_url=shows_url)
                for each in self._with_url()
            ],
            "next_page_url": None,
            "previous_page_url": None,
        }

    def _all(self) -> dict[str, Record]:
        return {each["id"]: each for each in self._with_url() if each["payload"] == SNAPSHOT}

    def _with_url(self) -> list[Record]:
        return [each for each in self.world.webhooks.endpoints() if each["url"]]


def _shown(endpoint: Record) -> Record:
    return {
        **{name: endpoint[name] for name in SHOWN},
        "object": "webhook_endpoint",
        "application": None,
        "enabled_events": enabled_events(endpoint["enabled_events"]),
        "livemode": False,
    }


def _destination(endpoint: Record, default_version: str, *, shows_url: bool) -> Record:
    """Return an endpoint as the newer list shows it: a thin one has an id of another kind."""
    is_thin = endpoint["payload"] == THIN
    created = datetime.fromtimestamp(endpoint["created"], UTC).isoformat().replace("+00:00", "Z")
    off = {"disabled": {"reason": "user"}} if endpoint["status"] == DISABLED else None
    return {
        "id": endpoint["id"].replace("we_", "ed_test_") if is_thin else endpoint["id"],
        "object": "v2.core.event_destination",
        "created": created,
        "updated": created,
        "description": endpoint["description"] or "",
        "enabled_events": enabled_events(endpoint["enabled_events"]),
        "event_payload": endpoint["payload"],
        "events_from": ["@self"],
        "livemode": False,
        "metadata": endpoint["metadata"],
        "name": endpoint["description"] or "",
        "snapshot_api_version": None if is_thin else endpoint["api_version"] or default_version,
        "status": endpoint["status"],
        "status_details": off,
        "type": "webhook_endpoint",
        "webhook_endpoint": {"signing_secret": None, "url": endpoint["url"] if shows_url else None},
    }
