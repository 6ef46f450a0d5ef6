"""The part of Stripe's API about Checkout Sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import (
    stripe_account,
    stripe_checkout_params,
    stripe_papers,
    stripe_payments,
    stripe_session_objects,
)
from sandbox.stripe_charges import expanded_intent
from sandbox.stripe_errors import StripeRefusal
from sandbox.stripe_lists import EXPAND_ONLY, find, listing
from sandbox.stripe_params import PAGE, fields, one_of, text
from sandbox.world import World

Record = dict[str, Any]
LIST = fields(
    {
        **PAGE,
        "status": one_of("open", "complete", "expired"),
        "payment_intent": text(),
        "customer_details": fields({"email": text()}, required=("email",)),
        **dict.fromkeys(("customer", "customer_account", "payment_link", "subscription"), text()),
    },
)
EXPANDABLE = {"line_items", "payment_intent", "customer", "invoice", "subscription"}


class Sessions:
    """The endpoints under /v1/checkout/sessions."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/v1/checkout/sessions", self.create),
            ("GET", r"/v1/checkout/sessions", self.list),
            ("GET", r"/v1/checkout/sessions/([^/]+)", self.get),
            ("GET", r"/v1/checkout/sessions/([^/]+)/line_items", self.line_items),
            ("POST", r"/v1/checkout/sessions/([^/]+)/expire", self.expire),
        ]

    def create(self, *, params: Record, who: Record) -> Record:
        now = int(self.book.now())
        checked = stripe_checkout_params.read(params, now)
        amount = stripe_checkout_params.total(checked["line_items"])
        stripe_account.check_session(self.world, checked, amount)
        session = stripe_session_objects.session(
            checked, now, url_base=self.world.pay_url, amount=amount
        )
        stripe_papers.ask(session, checked)
        items = [stripe_session_objects.line_item(item, now) for item in checked["line_items"]]
        self.book.sessions[session["id"]] = session
        self.book.notes[session["id"]] = {
            "items": items,
            "intent_data": checked.get("payment_intent_data", {}),
            "intent": "",
        }
        self.world.watch_expiry(session)
        self.book.dirty = True
        return self._expanded(session, checked)

    def get(self, session_id: str, *, params: Record, who: Record) -> Record:
        return self._expanded(
            find(self.book.sessions, session_id, "checkout.session"), EXPAND_ONLY(params, "")
        )

    def list(self, *, params: Record, who: Record) -> Record:
        query = LIST(params, "")
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

    def line_items(self, session_id: str, *, params: Record, who: Record) -> Record:
        find(self.book.sessions, session_id, "checkout.session")
        return self._line_items(session_id)

    def expire(self, session_id: str, *, params: Record, who: Record) -> Record:
        query = EXPAND_ONLY(params, "")
        find(self.book.sessions, session_id, "checkout.session")
        try:
            return self._expanded(stripe_payments.expire(self.world, session_id, who), query)
        except stripe_payments.NotOpen as problem:
            raise StripeRefusal(str(problem), executed=True) from problem

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
            shown["payment_intent"] = expanded_intent(
                self.book, self.book.intents[session["payment_intent"]], inner
            )
        if session["invoice"] and "invoice" in expand:
            shown["invoice"] = self.book.invoices[session["invoice"]]
        unknown = [
            name
            for name in expand
            if name.split(".")[0]
            not in {"line_items", "payment_intent", "customer", "invoice", "subscription"}
        ]
        if unknown:
            raise StripeRefusal(f"This property cannot be expanded ({unknown[0]}).", param="expand")
        return shown
