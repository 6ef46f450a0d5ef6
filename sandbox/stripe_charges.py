"""The part of Stripe's API about payment intents, charges and the balance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.book import Book
from sandbox.stripe_lists import EXPAND_ONLY, find, listing
from sandbox.stripe_params import PAGE, fields, text
from sandbox.world import World

Record = dict[str, Any]
LIST = fields({**PAGE, "payment_intent": text(), "customer": text()})


class Charges:
    """The endpoints under /v1/payment_intents, /v1/charges and /v1/balance."""

    def __init__(self, world: World) -> None:
        self.book = world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/v1/payment_intents/([^/]+)", self.get_intent),
            ("GET", r"/v1/charges", self.list_charges),
            ("GET", r"/v1/charges/([^/]+)", self.get_charge),
            ("GET", r"/v1/balance", self.get_balance),
        ]

    def get_intent(self, intent_id: str, *, params: Record, who: Record) -> Record:
        return expanded_intent(
            self.book,
            find(self.book.intents, intent_id, "payment_intent"),
            EXPAND_ONLY(params, "").get("expand", []),
        )

    def list_charges(self, *, params: Record, who: Record) -> Record:
        query = LIST(params, "")
        return listing(
            self.book.charges,
            "/v1/charges",
            query,
            lambda item: query.get("payment_intent") in (None, item["payment_intent"]),
        )

    def get_charge(self, charge_id: str, *, params: Record, who: Record) -> Record:
        return find(self.book.charges, charge_id, "charge")

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


def expanded_intent(book: Book, intent: Record, expand: list[str]) -> Record:
    """Return the payment intent with its latest charge in it, where ``expand`` names that."""
    if "latest_charge" not in expand or not intent["latest_charge"]:
        return intent
    return {**intent, "latest_charge": book.charges[intent["latest_charge"]]}
