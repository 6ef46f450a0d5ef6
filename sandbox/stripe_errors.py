"""Refusals in the shape of Stripe's API errors."""

from __future__ import annotations

from typing import Any

from sandbox.faults import Fault
from sandbox.wire import Response, json_response

DOCS = "https://stripe.com/docs/error-codes/"
LOGS = "https://dashboard.stripe.com/test/logs/"
ACCOUNT_ID = "acct_1Sandbox0000000"


class StripeRefusal(Exception):
    """A request that is answered with an error object.

    ``executed`` says that the endpoint had begun its work, in which case an idempotency key keeps
    the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        param: str = "",
        status: int = 400,
        kind: str = "invalid_request_error",
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.executed = status, executed
        self.error: dict[str, Any] = {"message": message, "type": kind}
        if code:
            self.error |= {"code": code, "doc_url": DOCS + code.replace("_", "-")}
        if param:
            self.error["param"] = param

    def response(self, request_id: str) -> Response:
        error = {**self.error, "request_log_url": LOGS + request_id}
        return json_response({"error": error}, self.status)


def missing(kind: str, name: str, param: str = "id", status: int = 404) -> StripeRefusal:
    return StripeRefusal(
        f"No such {kind}: '{name}'",
        code="resource_missing",
        param=param,
        status=status,
        executed=True,
    )


FAULTS: dict[str, tuple[int, dict[str, str]]] = {
    "400": (400, {"type": "invalid_request_error", "message": "The request was refused."}),
    "401": (
        401,
        {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_****"},
    ),
    "402": (
        402,
        {
            "type": "card_error",
            "code": "card_declined",
            "decline_code": "generic_decline",
            "message": "Your card was declined.",
        },
    ),
    "403": (
        403,
        {
            "type": "invalid_request_error",
            "message": "The provided key does not have the permissions this call needs.",
        },
    ),
    "404": (
        404,
        {"type": "invalid_request_error", "code": "resource_missing", "message": "No such object."},
    ),
    "409": (
        409,
        {
            "type": "idempotency_error",
            "code": "idempotency_key_in_use",
            "message": "Another request is using this idempotency key.",
        },
    ),
    "429": (
        429,
        {
            "type": "invalid_request_error",
            "code": "rate_limit",
            "message": "Request rate limit exceeded.",
        },
    ),
    "lock_timeout": (
        429,
        {
            "type": "invalid_request_error",
            "code": "lock_timeout",
            "message": "This object is being changed by another request.",
        },
    ),
    "500": (500, {"type": "api_error", "message": "An unknown error occurred."}),
}


def fault_answer(fault: Fault) -> Response | None:
    """Return Stripe's own answer for a fault, or None where a proxy's will do."""
    if fault.mode not in FAULTS:
        return None
    status, error = FAULTS[fault.mode]
    headers = [] if fault.retry_after is None else [("Retry-After", str(fault.retry_after))]
    return json_response({"error": error}, status, headers)
