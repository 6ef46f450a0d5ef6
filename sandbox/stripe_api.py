"""Stripe's API, as far as a shop with hosted Checkout needs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sandbox import (
    faults,
    stripe_checkout_params,
    stripe_idempotency,
    stripe_keys,
    stripe_payments,
)
from sandbox import stripe_objects as objects
from sandbox.faults import Fault
from sandbox.stripe_errors import StripeRefusal, fault_answer
from sandbox.stripe_forms import decode
from sandbox.stripe_lists import find, listing
from sandbox.stripe_params import PAGE, fields, list_of, one_of, text
from sandbox.stripe_reversals import Reversals
from sandbox.stripe_webhook_endpoints import WebhookEndpoints
from sandbox.wire import Header, Request, Response, json_response
from sandbox.world import World

Record = dict[str, Any]
EXPAND_ONLY = fields({"expand": list_of(text())})
LISTS: dict[str, Callable[[Any, str], Any]] = {
    "sessions": fields(
        {
            **PAGE,
            "status": one_of("open", "complete", "expired"),
            "payment_intent": text(),
            "customer_details": fields({"email": text()}, required=("email",)),
            **dict.fromkeys(
                ("customer", "customer_account", "payment_link", "subscription"), text()
            ),
        },
    ),
    "events": fields(
        {
            **PAGE,
            "type": text(),
            "types": list_of(text(), 20),
            "delivery_success": one_of("true", "false"),
        }
    ),
    "charges": fields({**PAGE, "payment_intent": text(), "customer": text()}),
}
EVENTS_KEPT = 30 * 24 * 3600


class StripeApi:
    """The endpoints under /v1, with key check, faults and idempotency around them."""

    def __init__(self, world: World) -> None:
        self.world, self.book, reversals = world, world.book, Reversals(world)
        self.routes: list[tuple[str, re.Pattern[str], Callable[..., object]]] = [
            ("POST", re.compile(r"/v1/checkout/sessions"), self.create_session),
            ("GET", re.compile(r"/v1/checkout/sessions"), self.list_sessions),
            ("GET", re.compile(r"/v1/checkout/sessions/([^/]+)"), self.get_session),
            ("GET", re.compile(r"/v1/checkout/sessions/([^/]+)/line_items"), self.get_line_items),
            ("POST", re.compile(r"/v1/checkout/sessions/([^/]+)/expire"), self.expire_session),
            ("POST", re.compile(r"/v1/refunds"), reversals.create_refund),
            ("GET", re.compile(r"/v1/refunds"), reversals.list_refunds),
            ("GET", re.compile(r"/v1/refunds/([^/]+)"), reversals.get_refund),
            ("GET", re.compile(r"/v1/disputes"), reversals.list_disputes),
            ("GET", re.compile(r"/v1/disputes/([^/]+)"), reversals.get_dispute),
            ("GET", re.compile(r"/v1/events"), self.list_events),
            ("GET", re.compile(r"/v1/events/([^/]+)"), self.get_event),
            ("GET", re.compile(r"/v1/payment_intents/([^/]+)"), self.get_intent),
            ("GET", re.compile(r"/v1/charges"), self.list_charges),
            ("GET", re.compile(r"/v1/charges/([^/]+)"), self.get_charge),
            ("GET", re.compile(r"/v1/balance"), self.get_balance),
        ]
        self.routes += [
            (method, re.compile(path), work)
            for method, path, work in WebhookEndpoints(world).routes
        ]

    def handle(self, request: Request) -> Response:
        """Answer one request as Stripe would."""
        request.path = request.path[request.path.index("/v1") :].rstrip("/")
        request_id = objects.new_id("req", 7)
        try:
            stripe_keys.authenticate(self.world, request)
            fault = self.world.faults.choose("stripe", request.label)
            response = stripe_idempotency.run(
                self.world, request, lambda: self._execute(request, request_id, fault)
            )
        except StripeRefusal as refusal:
            response = refusal.response(request_id)
        response.headers = [*response.headers, *self._headers(request, request_id, response)]
        self._note(request, response)
        return response

    def _execute(
        self, request: Request, request_id: str, fault: Fault | None
    ) -> tuple[Response, Response | None]:
        kept: Response | None = None

        def work() -> Response:
            nonlocal kept
            response, executed = self._answer(request, request_id)
            kept = replace(response) if executed else None
            return response

        response = faults.run(fault, work, fault_answer)
        if kept is None and fault is not None and fault.mode == "500":
            kept = response
        return response, kept

    def _answer(self, request: Request, request_id: str) -> tuple[Response, bool]:
        who = {"id": request_id, "idempotency_key": request.headers.get("idempotency-key")}
        try:
            params = decode(
                request.query
                if request.method == "GET"
                else request.body.decode("utf-8", "replace")
            )
            return self._route(request, params, who), True
        except StripeRefusal as refusal:
            return refusal.response(request_id), refusal.executed

    def _route(self, request: Request, params: Record, who: Record) -> Response:
        stripe_keys.authorize(self.world, request, params)
        self.world.stripe.refusals.strike(request.label)
        for method, pattern, work in self.routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                with self.book.lock:
                    return json_response(
                        work(*match.groups(), params=params, who=who),
                        headers=[("Request-Id", who["id"])],
                    )
        raise StripeRefusal(
            f"Unrecognized request URL ({request.method}: {request.path}).", status=404
        )

    def _headers(self, request: Request, request_id: str, response: Response) -> list[Header]:
        named = {name for name, _ in response.headers}
        headers = [] if "Request-Id" in named else [("Request-Id", request_id)]
        headers.append(
            ("Stripe-Version", request.headers.get("stripe-version", objects.API_VERSION))
        )
        key = request.headers.get("idempotency-key")
        if key and "Idempotency-Key" not in named:
            headers.append(("Idempotency-Key", key.encode("ascii", "replace").decode()))
        return headers

    def _note(self, request: Request, response: Response) -> None:
        call = {
            "call": request.label,
            "query": request.query,
            "status": response.status,
            "transport": response.transport,
        }
        call["version"] = request.headers.get("stripe-version", "")
        call["idempotency_key"] = request.headers.get("idempotency-key", "")
        call["body"] = request.body[:2000].decode("utf-8", "replace")
        self.book.note_call("stripe", call)

    def create_session(self, *, params: Record, who: Record) -> Record:
        now = int(self.book.now())
        checked = stripe_checkout_params.read(params, now)
        amount = stripe_checkout_params.total(checked["line_items"])
        session = objects.session(checked, now, url_base=self.world.base_url, amount=amount)
        items = [objects.line_item(item, now) for item in checked["line_items"]]
        self.book.sessions[session["id"]] = session
        self.book.notes[session["id"]] = {
            "items": items,
            "intent_data": checked.get("payment_intent_data", {}),
            "intent": "",
        }
        self.world.watch_expiry(session)
        self.book.dirty = True
        return self._expanded(session, checked)

    def get_session(self, session_id: str, *, params: Record, who: Record) -> Record:
        return self._expanded(
            self._find("sessions", session_id, "checkout.session"), EXPAND_ONLY(params, "")
        )

    def list_sessions(self, *, params: Record, who: Record) -> Record:
        query = LISTS["sessions"](params, "")
        email = query.get("customer_details", {}).get("email", "").lower()

        def fits(session: Record) -> bool:
            if email and ((session["customer_details"] or {}).get("email") or "").lower() != email:
                return False
            return all(
                session[name] == query[name]
                for name in ("status", "payment_intent", "customer", "payment_link")
                if name in query
            )

        page = listing(self.book.sessions, "/v1/checkout/sessions", query, fits)
        inner = {"expand": [name.removeprefix("data.") for name in query.get("expand", [])]}
        page["data"] = [self._expanded(session, inner) for session in page["data"]]
        return page

    def get_line_items(self, session_id: str, *, params: Record, who: Record) -> Record:
        self._find("sessions", session_id, "checkout.session")
        return self._line_items(session_id)

    def expire_session(self, session_id: str, *, params: Record, who: Record) -> Record:
        query = EXPAND_ONLY(params, "")
        self._find("sessions", session_id, "checkout.session")
        try:
            return self._expanded(stripe_payments.expire(self.world, session_id, who), query)
        except stripe_payments.NotOpen as problem:
            raise StripeRefusal(str(problem), executed=True) from problem

    def list_events(self, *, params: Record, who: Record) -> Record:
        query = LISTS["events"](params, "")
        types = set(query.get("types", [])) | ({query["type"]} if "type" in query else set())
        oldest = self.book.now() - EVENTS_KEPT

        def fits(event: Record) -> bool:
            delivered = str(not event["pending_webhooks"]).lower()
            return (
                event["created"] >= oldest
                and (not types or event["type"] in types)
                and query.get("delivery_success", delivered) == delivered
            )

        return listing(self.book.events, "/v1/events", query, fits)

    def get_event(self, event_id: str, *, params: Record, who: Record) -> Record:
        return self._find("events", event_id, "event")

    def get_intent(self, intent_id: str, *, params: Record, who: Record) -> Record:
        return self._expanded_intent(
            self._find("intents", intent_id, "payment_intent"),
            EXPAND_ONLY(params, "").get("expand", []),
        )

    def list_charges(self, *, params: Record, who: Record) -> Record:
        query = LISTS["charges"](params, "")
        return listing(
            self.book.charges,
            "/v1/charges",
            query,
            lambda item: query.get("payment_intent") in (None, item["payment_intent"]),
        )

    def get_charge(self, charge_id: str, *, params: Record, who: Record) -> Record:
        return self._find("charges", charge_id, "charge")

    def get_balance(self, *, params: Record, who: Record) -> Record:
        totals: dict[str, int] = {}
        for charge in self.book.charges.values():
            totals[charge["currency"]] = (
                totals.get(charge["currency"], 0)
                + charge["amount_captured"]
                - charge["amount_refunded"]
            )
        for dispute in self.book.disputes.values():
            totals[dispute["currency"]] += sum(
                entry["net"] for entry in dispute["balance_transactions"]
            )
        funds = [
            {"amount": amount, "currency": code, "source_types": {"card": amount}}
            for code, amount in sorted(totals.items())
        ]
        return {
            "object": "balance",
            "available": funds or [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}],
            "livemode": False,
            "pending": [],
        }

    def _find(self, shelf: str, name: str, kind: str) -> Record:
        return find(getattr(self.book, shelf), name, kind)

    def _line_items(self, session_id: str) -> Record:
        items = self.book.notes[session_id]["items"]
        return {
            "object": "list",
            "data": items,
            "has_more": False,
            "url": f"/v1/checkout/sessions/{session_id}/line_items",
        }

    def _expanded(self, session: Record, params: Record) -> Record:
        expand, shown = params.get("expand", []), dict(session)
        if "line_items" in expand:
            shown["line_items"] = self._line_items(session["id"])
        if session["payment_intent"] and any(name.startswith("payment_intent") for name in expand):
            inner = [
                name.removeprefix("payment_intent.")
                for name in expand
                if name.startswith("payment_intent.")
            ]
            shown["payment_intent"] = self._expanded_intent(
                self.book.intents[session["payment_intent"]], inner
            )
        unknown = [
            name
            for name in expand
            if name.split(".")[0]
            not in {"line_items", "payment_intent", "customer", "invoice", "subscription"}
        ]
        if unknown:
            raise StripeRefusal(f"This property cannot be expanded ({unknown[0]}).", param="expand")
        return shown

    def _expanded_intent(self, intent: Record, expand: list[str]) -> Record:
        if "latest_charge" not in expand or not intent["latest_charge"]:
            return intent
        return {**intent, "latest_charge": self.book.charges[intent["latest_charge"]]}
