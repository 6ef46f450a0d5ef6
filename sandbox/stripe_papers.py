"""What the buyer gets on paper: a receipt of each charge, and an invoice where one was asked for.

In test mode Stripe sends none of them by e-mail, and neither does the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.stripe_errors import ACCOUNT_ID
from sandbox.stripe_events import emit
from sandbox.stripe_lists import EXPAND_ONLY, find, listing
from sandbox.stripe_objects import new_id
from sandbox.stripe_params import PAGE, fields, one_of, text
from sandbox.world import World

Record = dict[str, Any]
RECEIPTS, INVOICES = "/papers/receipts/", "/papers/invoices/"
EVENTS = ("invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded")
LIST = fields({**PAGE, "customer": text(), "status": one_of("draft", "open", "paid", "void")})
NO_INVOICE_VALUE = dict.fromkeys(
    (
        "application",
        "automatically_finalizes_at",
        "customer_account",
        "customer_phone",
        "customer_shipping",
        "default_payment_method",
        "default_source",
        "due_date",
        "ending_balance",
        "from_invoice",
        "last_finalization_error",
        "latest_revision",
        "next_payment_attempt",
        "on_behalf_of",
        "parent",
        "receipt_number",
        "shipping_cost",
        "shipping_details",
        "statement_descriptor",
        "test_clock",
    )
)
INVOICE_BASE: Record = {
    "object": "invoice",
    **NO_INVOICE_VALUE,
    "attempt_count": 0,
    "attempted": True,
    "auto_advance": False,
    "billing_reason": "manual",
    "collection_method": "charge_automatically",
    "default_tax_rates": [],
    "discounts": [],
    "status": "paid",
}
NO_AMOUNTS = dict.fromkeys(
    (
        "amount_overpaid",
        "amount_remaining",
        "amount_shipping",
        "post_payment_credit_notes_amount",
        "pre_payment_credit_notes_amount",
        "starting_balance",
    ),
    0,
)


def ask(session: Record, checked: Record) -> None:
    """Note on a new session which papers and which of the buyer's details were asked for."""
    invoice, tax_id = checked.get("invoice_creation", {}), checked.get("tax_id_collection", {})
    session["invoice_creation"]["enabled"] = invoice.get("enabled", False)
    session["invoice_creation"]["invoice_data"] |= invoice.get("invoice_data", {})
    session["tax_id_collection"] = {"enabled": tax_id.get("enabled", False), "required": "never"}


def write(world: World, session: Record, charge: Record) -> None:
    """Write the receipt of a charge that succeeded, and the session's invoice."""
    charge["receipt_url"] = world.base_url + RECEIPTS + charge["id"]
    if not session["invoice_creation"]["enabled"]:
        return
    invoice = _invoice(world, session)
    world.book.invoices[invoice["id"]] = invoice
    session |= {"invoice": invoice["id"], "customer": invoice["customer"]}
    for kind in EVENTS:
        emit(world, kind, invoice)


class Invoices:
    """The endpoints under /v1/invoices."""

    def __init__(self, world: World) -> None:
        self.book = world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/v1/invoices", self.list),
            ("GET", r"/v1/invoices/([^/]+)", self.get),
        ]

    def list(self, *, params: Record, who: Record) -> Record:
        query = LIST(params, "")
        return listing(
            self.book.invoices,
            "/v1/invoices",
            query,
            lambda item: all(
                item[name] == query[name] for name in ("customer", "status") if name in query
            ),
        )

    def get(self, invoice_id: str, *, params: Record, who: Record) -> Record:
        EXPAND_ONLY(params, "")
        return find(self.book.invoices, invoice_id, "invoice", "invoice")


def _invoice(world: World, session: Record) -> Record:
    invoice_id, now = new_id("in"), int(world.book.now())
    address = world.base_url + INVOICES + invoice_id
    data = session["invoice_creation"]["invoice_data"]
    return {
        "id": invoice_id,
        **INVOICE_BASE,
        **_amounts(session),
        **_customer(session),
        **{name: data[name] for name in ("custom_fields", "description", "footer", "metadata")},
        "account_country": world.stripe.account.country,
        "account_name": world.stripe.account.business_name,
        "account_tax_ids": data["account_tax_ids"],
        "automatic_tax": {**session["automatic_tax"], "disabled_reason": None},
        "created": now,
        "effective_at": now,
        "hosted_invoice_url": address,
        "invoice_pdf": f"{address}/pdf",
        "issuer": {"type": "self", "account": ACCOUNT_ID},
        "lines": _lines(world, session, invoice_id, now),
        "livemode": session["livemode"],
        "number": f"SANDBOX-{len(world.book.invoices) + 1:04d}",
        "payment_settings": dict.fromkeys(
            ("default_mandate", "payment_method_options", "payment_method_types")
        ),
        "period_end": now,
        "period_start": now,
        "rendering": data["rendering_options"],
        "status_transitions": {
            "finalized_at": now,
            "marked_uncollectible_at": None,
            "paid_at": now,
            "voided_at": None,
        },
    }


def _amounts(session: Record) -> Record:
    total, tax = session["amount_total"], session["total_details"]["amount_tax"]
    return {
        **NO_AMOUNTS,
        "amount_due": total,
        "amount_paid": total,
        "currency": session["currency"],
        "subtotal": session["amount_subtotal"],
        "subtotal_excluding_tax": total - tax,
        "total": total,
        "total_excluding_tax": total - tax,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [{"amount": tax, "tax_behavior": "inclusive"}] if tax else [],
    }


def _customer(session: Record) -> Record:
    details = session["customer_details"]
    return {
        "customer": session["customer"] or new_id("cus", 7),
        "customer_address": details["address"],
        "customer_email": details["email"],
        "customer_name": details["business_name"] or details["name"],
        "customer_tax_exempt": details["tax_exempt"],
        "customer_tax_ids": details["tax_ids"],
    }


def _lines(world: World, session: Record, invoice_id: str, now: int) -> Record:
    return {
        "object": "list",
        "data": [
            {
                "id": new_id("il"),
                "object": "line_item",
                "amount": item["amount_total"],
                "currency": item["currency"],
                "description": item["description"],
                "discount_amounts": [],
                "discountable": True,
                "discounts": [],
                "invoice": invoice_id,
                "livemode": session["livemode"],
                "metadata": {},
                "period": {"start": now, "end": now},
                "quantity": item["quantity"],
            }
            for item in world.book.notes[session["id"]]["items"]
        ],
        "has_more": False,
        "url": f"/v1/invoices/{invoice_id}/lines",
    }
