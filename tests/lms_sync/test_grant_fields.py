"""What the customer's own method is told of the price and the grant (L10, requirement R061)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import breaker
from lms_sync.connection import platform_for
from lms_sync.errors import LmsError, LmsRefused
from lms_sync.models import PlatformState
from lms_sync.platforms.base import EnrollRequest
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
CONFIRM = "POST /api/method/lms.lms.payment_confirmation.confirm_payment"
COURSE = "free-course"
BASE = {
    "user_email": "asha@example.com",
    "course_id": COURSE,
    "paid_status": True,
    "payment_id": "pi_1",
    "amount": 249.5,
    "currency": "usd",
    "referral_code": "R1",
}
GRANT = {
    "original_amount": 499,
    "discount_percentage": 50,
    "grant_id": "0b1c",
    "enrollment_type": "partial_grant",
}


@pytest.fixture
def custom(sandbox: Sandbox, settings: Settings) -> Sandbox:
    sandbox.lms(server="custom", grant_fields=True)
    settings.FRAPPE_DRIVER = "confirm_payment"
    return sandbox


def enroll(email: str = "asha@example.com", course: str = COURSE, **extra: Any) -> str:
    said = {**GRANT, "original_amount": 49900, "enrollment_id": "7", "course": "8", **extra}
    request = EnrollRequest(
        email,
        "Asha Rao",
        course,
        payment_id="pi_1",
        amount=24950,
        currency="USD",
        referral_code="R1",
        extra=said,
    )
    return platform_for("frappe").enroll(request).enrollment_id


def told(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(call["body"]) for call in sandbox.calls("lms", CONFIRM)]


def test_the_method_gets_every_field_by_its_name_and_nothing_else(custom: Sandbox) -> None:
    enroll()
    assert told(custom) == [{**BASE, **GRANT}]


def test_a_purchase_without_a_grant_says_so(custom: Sandbox) -> None:
    enroll(grant_id="", discount_percentage=0, enrollment_type="paid")
    price = {"original_amount": 499, "discount_percentage": 0, "enrollment_type": "paid"}
    assert told(custom) == [{**BASE, **price}]


def test_the_list_price_is_exact_in_major_units(custom: Sandbox) -> None:
    enroll(original_amount=10**15 + 1)
    assert '"original_amount": 10000000000000.01' in custom.calls("lms", CONFIRM)[0]["body"]


def test_the_setting_leaves_them_out(custom: Sandbox, settings: Settings) -> None:
    settings.FRAPPE_GRANT_FIELDS = False
    enroll()
    assert told(custom) == [BASE]


def test_a_method_that_refuses_them_is_asked_once_more_without_and_remembered(
    custom: Sandbox,
) -> None:
    custom.lms(grant_fields=False)
    assert enroll()
    assert told(custom) == [{**BASE, **GRANT}, BASE]
    enroll("ben@example.com")
    assert told(custom)[2:] == [{**BASE, "user_email": "ben@example.com"}]


@pytest.mark.every_engine
@pytest.mark.parametrize("forgotten_by", ["time", "a probe"])
def test_it_is_forgotten_after_a_while_and_by_a_probe(custom: Sandbox, forgotten_by: str) -> None:
    custom.lms(grant_fields=False)
    enroll()
    custom.lms(grant_fields=True)
    if forgotten_by == "time":
        old = timezone.now() - timedelta(days=8)
        PlatformState.objects.update(grant_fields_refused_at=old)
    else:
        assert breaker.probe_now("frappe")
    enroll("ben@example.com")
    assert told(custom)[-1] == {**BASE, **GRANT, "user_email": "ben@example.com"}


REFUSALS = [
    (400, "Unknown field: grant_id"),
    (417, "Unknown fields: grant_id, original_amount"),
    (400, "Unexpected argument 'enrollment_type'"),
    (400, "Unrecognized field: enrollment_type"),
    (417, "grant_id: Extra inputs are not permitted"),
    (400, "Additional properties are not allowed ('original_amount' was unexpected)"),
]


@pytest.mark.parametrize(("status", "text"), REFUSALS)
def test_other_words_for_it_are_known(custom: Sandbox, status: int, text: str) -> None:
    custom.fault("lms", "error", CONFIRM, times=1, status=status, text=text)
    assert enroll()
    assert told(custom)[-1] == BASE


def test_a_method_that_takes_no_such_argument_is_no_outage(custom: Sandbox) -> None:
    """Python calls it a TypeError, of which Frappe makes a 500 without words."""
    custom.fault("lms", "error", CONFIRM, times=1, status=500, exc_type="TypeError", text="")
    assert enroll()
    assert told(custom) == [{**BASE, **GRANT}, BASE]


def test_any_other_refusal_is_asked_once_and_remembers_nothing(custom: Sandbox) -> None:
    with pytest.raises(LmsRefused, match="refused"):
        enroll(course="no-such-course")
    assert len(told(custom)) == 1
    enroll()
    assert told(custom)[-1] == {**BASE, **GRANT}


def test_a_field_that_is_always_sent_is_refused_for_good(custom: Sandbox) -> None:
    custom.fault("lms", "error", CONFIRM, status=400, text="Unknown field: currency")
    with pytest.raises(LmsError) as caught:
        enroll()
    assert (caught.value.retryable, len(told(custom))) == (False, 2)
    assert custom.enrollments() == []


@pytest.mark.parametrize("mode", ["lost_answer", "503"])
def test_an_answer_that_is_lost_is_no_refusal_of_the_fields(custom: Sandbox, mode: str) -> None:
    custom.fault("lms", mode, CONFIRM, times=1, work=True)
    assert enroll() == custom.enrollments()[0]["name"]
    assert len(told(custom)) == 1
