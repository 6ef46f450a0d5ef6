"""Words of Stripe's that are not known here: staff are alerted of each once, nothing is guessed.

What depends on such a word stays as it was. A dispute's status is not in this table: what is to be
done about one that is not known is said with the dispute (`payments.disputes`).
"""

from typing import Any

from notifications.alerts import alert_staff
from payments import refunds

LONGEST = 60  # characters of a word in an alert
# The types of events that belong together: one of these that is not handled here is new.
FAMILIES = ("checkout.session.", "refund.", "charge.refund.", "charge.dispute.", "radar.early_")
DISPUTE_REASONS = [
    "bank_cannot_process", "check_returned", "credit_not_processed", "customer_initiated",
    "debit_not_authorized", "duplicate", "fraudulent", "general", "incorrect_account_details",
    "insufficient_funds", "noncompliant", "product_not_received", "product_unacceptable",
    "subscription_canceled", "unrecognized",
]  # fmt: skip
FRAUD_TYPES = [
    "card_never_received", "fraudulent_card_application", "made_with_counterfeit_card",
    "made_with_lost_card", "made_with_stolen_card", "misc", "unauthorized_use_of_card",
]  # fmt: skip
REFUND_REASONS = ["duplicate", "expired_uncaptured_charge", "fraudulent", "requested_by_customer"]
# By kind of object and field, what Stripe documents of API version 2026-10-28.
KNOWN: dict[tuple[str, str], list[str]] = {
    ("checkout.session", "status"): ["open", "complete", "expired"],
    ("checkout.session", "payment_status"): ["paid", "unpaid", "no_payment_required"],
    ("refund", "status"): list(refunds.STATUSES),
    ("refund", "reason"): REFUND_REASONS,
    ("refund", "failure_reason"): list(refunds.FAILURES),
    ("dispute", "reason"): DISPUTE_REASONS,
    ("radar.early_fraud_warning", "fraud_type"): FRAUD_TYPES,
}


def alert_of_words(payload: dict[str, Any]) -> None:
    """Alert staff of each word in an object of Stripe's that is not known here."""
    for (kind, name), words in KNOWN.items():
        word = payload.get(name) if payload.get("object") == kind else None
        if word is not None and word not in words:
            _alert(f"the {name} of a {kind}", word, payload.get("id"))


def alert_of_type(event_type: str, event_id: str) -> None:
    """Alert staff of a type of event that is new in a family whose other types are handled."""
    if event_type.startswith(FAMILIES):
        _alert("the type of an event", event_type, event_id)


def _alert(what: str, word: Any, stripe_id: Any) -> None:
    shown = repr(word)[:LONGEST]
    alert_staff(
        key=f"stripe-word:{what}:{shown}",
        subject="Stripe uses a word that is not known here",
        lines=[
            f"{shown} as {what}, first seen in {stripe_id!s:.60}.",
            (
                "Nothing was done about it. Look at the object in Stripe's dashboard and the word"
                " in Stripe's documentation, then do by hand what it asks for."
            ),
        ],
    )
