"""Stripe's objects with every field the API always sends."""

from __future__ import annotations

import copy
import json
import secrets
from typing import Any

API_VERSION = "2026-10-28.endive"
Record = dict[str, Any]
ADDRESS = {
    "city": None,
    "country": "US",
    "line1": None,
    "line2": None,
    "postal_code": "94105",
    "state": None,
}


def new_id(prefix: str, size: int = 12) -> str:
    return f"{prefix}_{secrets.token_hex(size)}"


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


NO_INTENT_VALUE = dict.fromkeys(
    (
        "application",
        "application_fee_amount",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "customer",
        "customer_account",
        "excluded_payment_method_types",
        "last_payment_error",
        "latest_charge",
        "next_action",
        "on_behalf_of",
        "payment_method_configuration_details",
        "processing",
        "review",
        "setup_future_usage",
        "shipping",
        "source",
        "transfer_data",
        "transfer_group",
    )
)
DESCRIBED = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")


def payment_intent(of_session: Record, note: Record, now: int) -> Record:
    """Return the intent of a session's first payment attempt."""
    data, intent_id = note["intent_data"], new_id("pi")
    card = {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    }
    return {
        "id": intent_id,
        "object": "payment_intent",
        **NO_INTENT_VALUE,
        **{name: data.get(name) for name in DESCRIBED},
        "amount": of_session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": data.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": of_session["currency"],
        "livemode": of_session["livemode"],
        "metadata": data.get("metadata", {}),
        "payment_method": new_id("pm"),
        "payment_method_options": {"card": card},
        "payment_method_types": of_session["payment_method_types"],
        "status": "requires_payment_method",
    }


NO_CHARGE_VALUE = dict.fromkeys(
    (
        "application",
        "application_fee",
        "application_fee_amount",
        "balance_transaction",
        "customer",
        "failure_balance_transaction",
        "failure_code",
        "failure_message",
        "on_behalf_of",
        "receipt_number",
        "receipt_url",
        "review",
        "shipping",
        "source",
        "source_transfer",
        "transfer_data",
        "transfer_group",
    )
)
OUTCOME = {
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "seller_message": "Payment complete.",
    "type": "authorized",
}


def charge(intent: Record, details: Record, now: int, *, method: Record) -> Record:
    """Return the charge that belongs to an intent, pending until it is settled."""
    return {
        "id": new_id("ch"),
        "object": "charge",
        **NO_CHARGE_VALUE,
        **{
            name: intent[name]
            for name in (*DESCRIBED, "amount", "currency", "livemode", "metadata", "payment_method")
        },
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": {
            "address": ADDRESS,
            "email": details["email"],
            "name": details["name"],
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "SANDBOX",
        "captured": False,
        "created": now,
        "disputed": False,
        "fraud_details": {},
        "outcome": OUTCOME,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method_details": method,
        "radar_options": {},
        "refunded": False,
        "status": "pending",
    }


def event(
    kind: str, data: Record, now: int, *, listened: bool, request: Record | None = None
) -> Record:
    """Return an Event with a snapshot of the object as it is now."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": json.loads(json.dumps(data))},
        "livemode": bool(data.get("livemode", False)),
        "pending_webhooks": 1 if listened else 0,
        "request": request or {"id": None, "idempotency_key": None},
        "type": kind,
    }
