"""Stripe's API, as far as a shop with hosted Checkout needs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from typing import Any

from sandbox import faults, stripe_idempotency, stripe_keys
from sandbox.faults import Fault
from sandbox.stripe_account import Accounts
from sandbox.stripe_charges import Charges
from sandbox.stripe_errors import StripeRefusal, fault_answer
from sandbox.stripe_events import Events
from sandbox.stripe_forms import decode
from sandbox.stripe_objects import API_VERSION, new_id
from sandbox.stripe_papers import Invoices
from sandbox.stripe_reversals import Reversals
from sandbox.stripe_sessions import Sessions
from sandbox.stripe_webhook_endpoints import WebhookEndpoints
from sandbox.wire import Header, Request, Response, json_response, traced
from sandbox.world import World

Record = dict[str, Any]


class StripeApi:
    """The endpoints under /v1, with key check, faults and idempotency around them."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            *Accounts(world).routes,
            *Charges(world).routes,
            *Events(world).routes,
            *Invoices(world).routes,
            *Reversals(world).routes,
            *Sessions(world).routes,
            *WebhookEndpoints(world).routes,
        ]

    def handle(self, request: Request) -> Response:
        """Answer one request as Stripe would."""
        request.path = request.path.removeprefix("/stripe").rstrip("/")
        request_id = new_id("req", 7)
        try:
            stripe_keys.authenticate(self.world, request)
            fault = self.world.faults.choose("stripe", request.label)
            response = stripe_idempotency.run(
                self.world, request, partial(self._execute, request, request_id, fault)
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
            match = re.fullmatch(pattern, request.path)
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
        headers.append(("Date", formatdate(self.book.now(), usegmt=True)))
        headers.append(("Stripe-Version", request.headers.get("stripe-version", API_VERSION)))
        key = request.headers.get("idempotency-key")
        if key and "Idempotency-Key" not in named:
            headers.append(("Idempotency-Key", key.encode("ascii", "replace").decode()))
        return headers

    def _note(self, request: Request, response: Response) -> None:
        facts = {
            "version": request.headers.get("stripe-version", ""),
            "idempotency_key": request.headers.get("idempotency-key", ""),
            **traced(request),
        }
        self.book.note_call("stripe", request, response, facts)
