"""The `confirm_payment` driver: a Frappe LMS with the customer's own payment confirmation method.

HTTP 200 with `success: false` is a refusal. What it says of a field that it does not know is no
refusal of the enrollment: the fields about the grant are left out then. Source:
contracts/frappe, section 9.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings

from lms_sync import refused_fields
from lms_sync.errors import LmsError, LmsRefused, LmsUnavailable, LmsUnreadable
from lms_sync.platforms.answers import plain, read_id
from lms_sync.platforms.base import Enrolled, EnrollRequest
from lms_sync.platforms.frappe import FrappeRest
from lms_sync.platforms.frappe_answers import is_intercepted, lacks_method, meaning, value
from lms_sync.platforms.frappe_users import is_disabled
from lms_sync.platforms.major_units import with_amounts

CONFIRM = "/api/method/lms.lms.payment_confirmation.confirm_payment"
CHECK_USER = "/api/method/lms.lms.doctype.lms_enrollment.lms_enrollment.check_user_exists"
COURSE_INFO = "/api/method/lms.lms.payment_confirmation.get_course_info"
PROBE_ADDRESS = "probe@maaledu.invalid"
GRANT_FIELDS = ("discount_percentage", "grant_id", "enrollment_type")
LIST_PRICE = "original_amount"
# What a method that catches every error passes on of its database's, which says nothing about the
# learner.
PASSING = re.compile(
    r"try restarting transaction|lock wait timeout|deadlock found|server has gone away"
    r"|lost connection to",
    re.IGNORECASE,
)


@dataclass
class FrappeConfirm(FrappeRest):
    most_at_once: ClassVar[int] = 1  # the customer's method takes one

    def enroll_many(self, requests: Sequence[EnrollRequest]) -> dict[str, Enrolled]:
        return {}  # rows that are inserted past the method would not be as it makes them

    def _ensure_user(self, request: EnrollRequest) -> None:
        if not self._knows(request.email):
            super()._ensure_user(request)

    def _insert(self, request: EnrollRequest) -> str:
        platform = self.client.platform
        with_grant = settings.FRAPPE_GRANT_FIELDS and not refused_fields.are_known(platform)
        try:
            return self._confirm(confirmation(request, with_grant=with_grant))
        except (LmsRefused, LmsUnavailable) as error:
            names = (*GRANT_FIELDS, LIST_PRICE)
            if not (with_grant and refused_fields.is_about_a_field(error, names)):
                raise
        made = self._confirm(confirmation(request, with_grant=False))
        # Where it refuses that as well, it was about something else.
        refused_fields.remember(platform)
        return made

    def _confirm(self, body: str) -> str:
        result = self._result("POST", CONFIRM, body=body)
        if not result.get("success"):
            raise refusal(result)
        return read_id(result.get("enrollment_id"))

    def _knows(self, email: str) -> bool:
        """Return whether there is a user who can sign in."""
        result = self._result("POST", CHECK_USER, body=json.dumps({"user_email": email}))
        is_there = result.get("success") is True and result.get("exists") is True
        return is_there and not is_disabled(result)

    def _result(self, method: str, path: str, *, body: str = "") -> dict[str, Any]:
        """Return the method's own object, in `message` or, behind some proxies, bare."""
        answer = self.client.call(method, path, body=body)
        payload = answer.json()
        is_object = answer.status == 200 and isinstance(payload, dict)
        # With `errors` beside it, a gateway's own object says that it refuses the call.
        bare = is_object and "success" in payload and "errors" not in payload
        result = payload if bare else value(answer, "message")
        if not isinstance(result, dict):
            raise LmsUnreadable(
                "The custom method's answer is not an object.",
                kind="wrong_result",
                status=answer.status,
            )
        return result

    def asks_for_payments(self) -> bool:
        return False  # the customer's method enrolls by its own rules

    def _check_insert(self, owner: str) -> None:
        """Ask for none: the customer's method is what enrolls, and how it refuses is its own."""

    def ping(self, *, deep: bool = False) -> str:
        user = super().ping(deep=deep)
        self._knows(PROBE_ADDRESS)
        self._check_method()
        return user

    def _check_method(self) -> None:
        """Raise unless the method is installed.

        Another method of its module is called, which changes nothing: 417 says that there is none.
        """
        answer = self.client.call("GET", COURSE_INFO, query={"course_id": ""})
        if lacks_method(answer) or is_intercepted(answer):
            raise meaning(answer)


def confirmation(request: EnrollRequest, *, with_grant: bool = True) -> str:
    """Return the body as JSON text, with the amounts in major units as exact decimals.

    `with_grant`: with what requirement R061 says of the price and the grant, as far as it is known.
    """
    known: dict[str, Any] = {
        "user_email": request.email,
        "course_id": request.course_id,
        "paid_status": True,
    }
    optional: dict[str, Any] = {
        "payment_id": request.payment_id,
        "currency": request.currency.lower(),
        "referral_code": request.referral_code,
    }
    amounts = {"amount": request.amount}
    if with_grant:
        optional |= {name: request.extra.get(name) for name in GRANT_FIELDS}
        amounts[LIST_PRICE] = request.extra.get(LIST_PRICE)
    body = known | {name: text for name, text in optional.items() if text not in ("", None)}
    return with_amounts(body, amounts, request.currency)


def refusal(result: dict[str, Any]) -> LmsError:
    """Return what a `success: false` means, in the words of the method: mostly a refusal."""
    text = plain(result.get("error") or result.get("message") or "It gave no reason.")
    return (LmsUnavailable if PASSING.search(text) else LmsRefused)(text, status=200)
