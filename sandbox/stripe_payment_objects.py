"""Payment intents and charges with every field that Stripe always sends."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox.stripe_objects import ADDRESS, new_id

Record = dict[str, Any]
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
