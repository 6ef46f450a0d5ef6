"""The `confirm_payment` driver: a Frappe LMS with the customer's own payment confirmation method.

HTTP 200 with `success: false` is a refusal. Only the fields the method knows are sent, because it
answers 400 to others. Source: contracts/frappe, section 9.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lms_sync.errors import LmsError, LmsRefused, LmsUnreadable
from lms_sync.platforms.base import EnrollRequest
from lms_sync.platforms.frappe import FrappeRest
from lms_sync.platforms.frappe_answers import lacks_method, meaning, plain, read_id, value
from lms_sync.platforms.frappe_users import ensure_user
from maaledu.money import CURRENCIES

CONFIRM = "/api/method/lms.lms.payment_confirmation.confirm_payment"
CHECK_USER = "/api/method/lms.lms.doctype.lms_enrollment.lms_enrollment.check_user_exists"
COURSE_INFO = "/api/method/lms.lms.payment_confirmation.get_course_info"
PROBE_ADDRESS = "probe@maaledu.invalid"


@dataclass
class FrappeConfirm(FrappeRest):
    def enroll(self, request: EnrollRequest) -> str:
        if not self._knows(request.email):
            ensure_user(self.client, request.email, full_name=request.full_name)
        rows = self.find(request.email, request.course_id)
        return rows[0].enrollment_id if rows else self._create(request)

    def _insert(self, request: EnrollRequest) -> str:
        result = self._result("POST", CONFIRM, body=confirmation(request))
        if not result.get("success"):
            raise refusal(result)
        return read_id(result.get("enrollment_id"))

    def _knows(self, email: str) -> bool:
        result = self._result("POST", CHECK_USER, body=json.dumps({"user_email": email}))
        return result.get("success") is True and result.get("exists") is True

    def _result(self, method: str, path: str, *, body: str = "") -> dict[str, Any]:
        """Return the method's own object, in `message` or, behind some proxies, bare."""
        answer = self.client.call(method, path, body=body)
        payload = answer.json()
        bare = answer.status == 200 and isinstance(payload, dict) and "success" in payload
        result = payload if bare else value(answer, "message")
        if not isinstance(result, dict):
            raise LmsUnreadable(
                "The custom method's answer is not an object.",
                kind="wrong_result",
                status=answer.status,
            )
        return result

    def ping(self) -> str:
        user = super().ping()
        self._knows(PROBE_ADDRESS)
        self._check_method()
        return user

    def _check_method(self) -> None:
        """Raise unless the method is installed.

        Another method of its module is called, which changes nothing: 417 says that there is none.
        """
        answer = self.client.call("GET", COURSE_INFO, query={"course_id": ""})
        if lacks_method(answer):
            raise meaning(answer, answer.json())


def confirmation(request: EnrollRequest) -> str:
    """Return the body as JSON text, with the amount in major units as an exact decimal."""
    known: dict[str, Any] = {
        "user_email": request.email,
        "course_id": request.course_id,
        "paid_status": True,
    }
    optional = {
        "payment_id": request.payment_id,
        "currency": request.currency.lower(),
        "referral_code": request.referral_code,
    }
    body = json.dumps(known | {name: text for name, text in optional.items() if text})
    if request.amount is None:
        return body
    return f'{body[:-1]}, "amount": {major_units(request.amount, request.currency)}}}'


def major_units(amount: int, currency: str) -> str:
    """Return minor units as an exact decimal number: 24950 usd is 249.50, 5000 jpy is 5000."""
    exponent = CURRENCIES[currency.lower()].exponent if currency else 2
    return str(Decimal(amount).scaleb(-exponent))


def refusal(result: dict[str, Any]) -> LmsError:
    """Return the refusal in a `success: false`, in the words of the method."""
    return LmsRefused(
        plain(result.get("error") or result.get("message") or "It gave no reason."), status=200
    )
