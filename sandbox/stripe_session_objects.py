"""Checkout Sessions and their line items with every field that Stripe always sends."""

from __future__ import annotations

import copy
from typing import Any

from sandbox.stripe_objects import ADDRESS, new_id

Record = dict[str, Any]
NO_SESSION_VALUE = dict.fromkeys(
    (
        "after_expiration",
        "branding_settings",
        "client_secret",
        "collected_information",
        "consent",
        "consent_collection",
        "currency_conversion",
        "customer",
        "customer_account",
        "integration_identifier",
        "invoice",
        "origin_context",
        "payment_intent",
        "payment_link",
        "payment_method_configuration_details",
        "permissions",
        "recovered_from",
        "saved_payment_method_options",
        "setup_intent",
        "shipping_address_collection",
        "shipping_cost",
        "subscription",
        "wallet_options",
    )
)
INVOICE_DATA = dict.fromkeys(
    ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
)
SESSION_BASE: Record = {
    "object": "checkout.session",
    **NO_SESSION_VALUE,
    "custom_fields": [],
    "custom_text": dict.fromkeys(
        ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
    ),
    "discounts": [],
    "invoice_creation": {"enabled": False, "invoice_data": {**INVOICE_DATA, "metadata": {}}},
    "livemode": False,
    "managed_payments": {"enabled": False},
    "payment_method_collection": "if_required",
    "payment_method_options": {},
    "payment_method_types": ["card", "us_bank_account"],
    "phone_number_collection": {"enabled": False},
    "shipping_options": [],
    "status": "open",
    "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    "ui_mode": "hosted_page",
}
ECHOED = (
    "allow_promotion_codes",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "locale",
    "submit_type",
    "success_url",
)


def session(params: Record, now: int, *, url_base: str, amount: int) -> Record:
    """Return a new open Checkout Session for checked parameters."""
    session_id, email = new_id("cs_test", 29), params.get("customer_email")
    tax = params.get("automatic_tax", {}).get("enabled", False)
    return {
        "id": session_id,
        **copy.deepcopy(SESSION_BASE),
        **{name: params.get(name) for name in ECHOED},
        "adaptive_pricing": {"enabled": params.get("adaptive_pricing", {}).get("enabled", True)},
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {
            "enabled": tax,
            "liability": None,
            "provider": None,
            "status": "requires_location_inputs" if tax else None,
        },
        "created": now,
        "currency": params["line_items"][0]["price_data"]["currency"],
        "customer_creation": params.get("customer_creation", "if_required"),
        "customer_details": customer_details(email) if email else None,
        "expires_at": params.get("expires_at", now + 24 * 3600),
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "payment_status": "unpaid" if amount else "no_payment_required",
        "url": f"{url_base}/pay/{session_id}",
    }


def customer_details(email: str | None, name: str | None = None, *, paid: bool = False) -> Record:
    return {
        "address": ADDRESS if paid else None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [] if paid else None,
    }


def line_item(item: Record, now: int) -> Record:
    price, quantity = item["price_data"], item["quantity"]
    amount = price["unit_amount"] * quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": price["product_data"]["name"],
        "metadata": item.get("metadata", {}),
        "price": _price(price, now),
        "quantity": quantity,
    }


def _price(price: Record, now: int) -> Record:
    return {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": now,
        "currency": price["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod", 7),
        "recurring": None,
        "tax_behavior": price.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": price["unit_amount"],
        "unit_amount_decimal": str(price["unit_amount"]),
    }
