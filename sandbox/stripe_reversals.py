"""The part of the API about money that goes back: refunds, disputes, early fraud warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import stripe_refunds
from sandbox.stripe_errors import StripeRefusal
from sandbox.stripe_lists import EXPAND_ONLY, find, listing
from sandbox.stripe_params import PAGE, anything, fields, integer, list_of, metadata, one_of, text
from sandbox.world import World

Record = dict[str, Any]
NEW_REFUND = fields(
    {
        "charge": text(),
        "payment_intent": text(),
        "amount": integer(1),
        "metadata": metadata,
        "reason": one_of(*stripe_refunds.REASONS),
        "expand": list_of(text()),
        **dict.fromkeys(
            (
                "currency",
                "customer",
                "instructions_email",
                "origin",
                "refund_application_fee",
                "reverse_transfer",
            ),
            anything,
        ),
    },
)
OWNERS = ("charge", "payment_intent")
WARNINGS = "/v1/radar/early_fraud_warnings"
MANY = fields({**PAGE, **dict.fromkeys(OWNERS, text())})


class Reversals:
    """The endpoints under /v1/refunds, /v1/disputes and /v1/radar/early_fraud_warnings."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/v1/refunds", self.create_refund),
            ("GET", r"/v1/refunds", self.list_refunds),
            ("GET", r"/v1/refunds/([^/]+)", self.get_refund),
            ("GET", r"/v1/disputes", self.list_disputes),
            ("GET", r"/v1/disputes/([^/]+)", self.get_dispute),
            ("GET", WARNINGS, self.list_warnings),
            ("GET", WARNINGS + r"/([^/]+)", self.get_warning),
        ]

    def create_refund(self, *, params: Record, who: Record) -> Record:
        checked = NEW_REFUND(params, "")
        if "charge" not in checked and "payment_intent" not in checked:
            raise StripeRefusal(
                "One of these parameters must be given: charge, payment_intent.",
                code="parameter_missing",
                param="charge",
            )
        _check_expand(checked)
        return self._shown(
            stripe_refunds.refund(self.world, self._charge_to_refund(checked), checked, who),
            checked,
        )

    def list_refunds(self, *, params: Record, who: Record) -> Record:
        return self._page(self.book.refunds, "/v1/refunds", params)

    def get_refund(self, refund_id: str, *, params: Record, who: Record) -> Record:
        return self._shown(find(self.book.refunds, refund_id, "refund"), EXPAND_ONLY(params, ""))

    def list_disputes(self, *, params: Record, who: Record) -> Record:
        return self._page(self.book.disputes, "/v1/disputes", params)

    def get_dispute(self, dispute_id: str, *, params: Record, who: Record) -> Record:
        return self._shown(
            find(self.book.disputes, dispute_id, "dispute", "dispute"), EXPAND_ONLY(params, "")
        )

    def list_warnings(self, *, params: Record, who: Record) -> Record:
        return self._page(self.book.warnings, WARNINGS, params)

    def get_warning(self, warning_id: str, *, params: Record, who: Record) -> Record:
        found = find(self.book.warnings, warning_id, "early fraud warning", "early_fraud_warning")
        return self._shown(found, EXPAND_ONLY(params, ""))

    def _charge_to_refund(self, checked: Record) -> Record:
        if "charge" in checked:
            return find(self.book.charges, checked["charge"], "charge", "charge")
        intent = find(
            self.book.intents, checked["payment_intent"], "payment_intent", "payment_intent"
        )
        if intent["status"] != "succeeded":
            raise StripeRefusal(
                f"The PaymentIntent {intent['id']} has no successful charge to refund.",
                param="payment_intent",
                executed=True,
            )
        return self.book.charges[intent["latest_charge"]]

    def _page(self, records: dict[str, Record], url: str, params: Record) -> Record:
        query = MANY(params, "")
        page = listing(
            records,
            url,
            query,
            lambda item: all(item[name] == query[name] for name in OWNERS if name in query),
        )
        inner = {"expand": [name.removeprefix("data.") for name in query.get("expand", [])]}
        page["data"] = [self._shown(item, inner) for item in page["data"]]
        return page

    def _shown(self, item: Record, query: Record) -> Record:
        _check_expand(query)
        sources = {"charge": self.book.charges, "payment_intent": self.book.intents}
        return {**item, **{name: sources[name][item[name]] for name in query.get("expand", [])}}


def _check_expand(query: Record) -> None:
    """Refuse before anything is done: a refund must not be made and then answered with an error."""
    for name in query.get("expand", []):
        if name not in OWNERS:
            raise StripeRefusal(f"This property cannot be expanded ({name}).", param="expand")
