"""Refusals on demand: what Stripe answers for reasons that lie in the account, not in the call."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields
from typing import Any

from sandbox.stripe_errors import ACCOUNT_ID, StripeRefusal

CHECKOUT, REFUND = "POST /v1/checkout/sessions", "POST /v1/refunds"
# Stripe's own, by name: a test gives the name and need not know the sentence. The names that no
# code of Stripe's has are of refusals that carry only a sentence.
KNOWN: dict[str, dict[str, Any]] = {
    "email_invalid": {
        "match": CHECKOUT,
        "executed": False,
        "param": "customer_email",
        "message": "Invalid email address: the address cannot receive e-mail.",
    },
    "amount_too_small": {
        "match": CHECKOUT,
        "message": "The Checkout Session's total amount must convert to at least 50 cents.",
    },
    "amount_too_large": {
        "match": CHECKOUT,
        "message": "The Checkout Session's total amount must be no more than 999,999.99 USD.",
    },
    "account_invalid": {
        "status": 403,
        "executed": False,
        "message": (
            f"The provided key does not have access to account '{ACCOUNT_ID}' (or that account does"
            " not exist). Application access may have been revoked."
        ),
    },
    "api_key_expired": {
        "status": 401,
        "executed": False,
        "message": "Expired API Key provided: sk_test_****",
    },
    "refund_disputed_payment": {
        "match": REFUND,
        "message": "This payment is disputed and cannot be refunded before the dispute is closed.",
    },
    "balance_insufficient": {
        "match": REFUND,
        "message": "Insufficient funds in your Stripe balance to refund this amount.",
    },
    "charge_not_refundable": {"match": REFUND, "message": "This charge cannot be refunded."},
    "no_payment_method": {
        "match": CHECKOUT,
        "code": "",
        "message": (
            "No valid payment method types for this Checkout Session. Please ensure that you have"
            " activated payment methods compatible with your chosen currency in your dashboard"
            " (https://dashboard.stripe.com/settings/payment_methods)."
        ),
    },
    "account_name_missing": {
        "match": CHECKOUT,
        "code": "",
        "message": (
            "In order to use Checkout, you must set an account or business name at"
            " https://dashboard.stripe.com/account."
        ),
    },
    "refund_too_late": {
        "match": REFUND,
        "code": "",
        "message": "This charge is too old to be refunded with the payment method it was made by.",
    },
}


@dataclass(slots=True)
class Refusal:
    """One refusal that is switched on, for the calls that begin with ``match``, ``times`` often.
    With ``executed``, the call's idempotency key keeps the answer.
    """

    match: str = ""
    code: str = ""
    param: str = ""
    message: str = ""
    status: int = 400
    type: str = "invalid_request_error"
    decline_code: str = ""
    executed: bool = True
    times: int | None = None
    hits: int = 0

    def applies(self, label: str) -> bool:
        return self.times != 0 and label.startswith(self.match)

    def error(self) -> StripeRefusal:
        refusal = StripeRefusal(
            self.message,
            code=self.code,
            param=self.param,
            status=self.status,
            kind=self.type,
            executed=self.executed,
        )
        if self.decline_code:
            refusal.error["decline_code"] = self.decline_code
        return refusal


class Refusals:
    """The refusals that are switched on, the newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: list[Refusal] = []

    def add(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Switch a refusal on: a known one by ``reason``, or any. Raises ValueError for neither."""
        refusal = _read(spec)
        with self._lock:
            self._refusals.insert(0, refusal)
        return asdict(refusal)

    def clear(self) -> None:
        with self._lock:
            self._refusals.clear()

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(refusal) for refusal in self._refusals]

    def strike(self, label: str) -> None:
        """Raise the refusal that is meant for this call, if there is one."""
        with self._lock:
            for refusal in self._refusals:
                if refusal.applies(label):
                    refusal.hits += 1
                    refusal.times = None if refusal.times is None else refusal.times - 1
                    raise refusal.error()


def _read(spec: dict[str, Any]) -> Refusal:
    reason = str(spec.get("reason", ""))
    if reason and reason not in KNOWN:
        raise ValueError(f"reason must be one of {', '.join(KNOWN)}")
    known = {"code": reason, **KNOWN[reason]} if reason else {}
    given = {name: value for name, value in spec.items() if name != "reason"}
    allowed = {item.name for item in fields(Refusal)} - {"hits"}
    if unknown := sorted(set(given) - allowed):
        raise ValueError(f"unknown entries in a refusal: {', '.join(unknown)}")
    refusal = Refusal(**{**known, **given})
    if not refusal.message:
        raise ValueError("a refusal that is not a known one needs a message")
    return refusal
