"""The payment that LMS 2.43 to 2.53 wants for its paid courses (L11): made by us, once, and no
longer counted when the purchase is over.
"""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from lms_sync import delivery
from lms_sync.connection import platform_for
from lms_sync.errors import LmsError
from lms_sync.models import SyncJob
from lms_sync.platforms.frappe_payments import needs_payment
from tests.lms_sync.test_delivery import COURSE, EMAIL, NONE, enrolled, failure, make_job
from tests.sandbox_client import LMS_KEY, Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
PAID = {"name": COURSE, "paid_course": 1, "course_price": 49}
PAYMENT = "POST /api/resource/LMS Payment"
ENROLL = "POST /api/resource/LMS Enrollment"
ENROLLMENT_ID = "01900000-0000-7000-8000-000000000001"


@pytest.fixture
def old(sandbox: Sandbox, settings: Settings) -> Sandbox:
    """An LMS 2.50 whose course has a price."""
    sandbox.lms(server="D", courses=[PAID])
    settings.LMS_TIMEOUT_WORKER = timedelta(seconds=1)
    return sandbox


def job_of(**payload: Any) -> SyncJob:
    usual = {"payment_id": "pi_1", "amount": 24950, "currency": "usd"}
    return make_job(payload={**usual, "enrollment_id": ENROLLMENT_ID, **payload})


def payments(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.book("lms_payments")


@pytest.mark.parametrize(
    ("version", "asks"),
    [
        ("2.42.9", False), ("2.43.0", True), ("2.45.2", True), ("2.50.0-beta", True),
        ("2.53.2", True), ("2.54.0", False), ("2.61.0", False), ("3.43.0", False), ("", False),
    ],
)  # fmt: skip
def test_the_versions_that_ask_for_one(version: str, asks: bool) -> None:
    assert needs_payment(version) is asks


def test_a_paid_course_is_entered_by_one_payment_that_says_what_was_paid(old: Sandbox) -> None:
    job = job_of()
    assert [enrolled(job)] == [row["name"] for row in old.enrollments(EMAIL, COURSE)]
    [row] = payments(old)
    said = {
        "member": EMAIL,
        "billing_name": "Asha Rao",
        "amount": 249.5,
        "currency": "USD",
        "payment_for_document_type": "LMS Course",
        "payment_for_document": COURSE,
        "payment_id": "pi_1",
        "order_id": ENROLLMENT_ID,
        "payment_received": 1,
    }
    assert {name: row[name] for name in said} == said
    job.refresh_from_db()
    assert (job.creates_sent, job.lms_origin) == (1, "made")


def test_address_and_source_are_made_once_for_all(old: Sandbox) -> None:
    for number in range(3):
        email = f"learner{number}@example.com"
        delivery.deliver(make_job(email=email, payload={"payment_id": f"pi_{number}"}))
    assert len(payments(old)) == len(old.enrollments()) == 3
    assert [address["address_line1"] for address in old.book("addresses")] == ["Online"]
    assert len(old.calls("lms", PAYMENT)) == 4  # the first one found neither


def test_free_enrollments_have_payments_of_their_own(old: Sandbox) -> None:
    """The word FREE stands for the payment of each."""
    for key in ("a", "b"):
        payload = {"payment_id": "FREE", "amount": 0, "currency": "usd", "enrollment_id": key}
        delivery.deliver(make_job(email=f"{key}@example.com", payload=payload))
    assert [(row["payment_id"], row["amount"]) for row in payments(old)] == [("a", 0), ("b", 0)]


@pytest.mark.parametrize("mode", ["lost_answer", "hang_after", "half_answer", "500", "503", "drip"])
@pytest.mark.parametrize("match", [PAYMENT, ENROLL])
def test_however_often_it_is_tried_there_is_one(old: Sandbox, mode: str, match: str) -> None:
    """Cut at the payment, or at the enrollment that follows it."""
    job, skip = job_of(), int(match == ENROLL)
    delivery.deliver(
        make_job(email="first@example.com", payload={"payment_id": "pi_0"})
    )  # whose address is there for the rest
    old.fault("lms", mode, match, times=1, skip=skip, work=True, seconds=1.5)
    for _ in range(3):
        with suppress(LmsError):
            delivery.deliver(SyncJob.objects.get(pk=job.pk))
    assert enrolled(SyncJob.objects.get(pk=job.pk)) == old.enrollments(EMAIL)[0]["name"]
    assert len([row for row in payments(old) if row["member"] == EMAIL]) == 1
    assert len(old.enrollments(EMAIL)) == 1


@pytest.mark.every_engine
def test_a_lost_answer_rests_until_the_lms_cannot_be_at_it_any_more(
    old: Sandbox, settings: Settings
) -> None:
    delivery.deliver(make_job(email="first@example.com", payload={"payment_id": "pi_0"}))
    old.fault("lms", "reset", PAYMENT, times=1)
    error = failure(job_of())
    assert error.retry_after == settings.LMS_LOST_CREATE_WAIT
    assert SyncJob.objects.get(email=EMAIL).creates_sent == 0, "a payment is no enrollment"


def test_a_payment_of_the_learners_own_is_enough_and_stays(old: Sandbox) -> None:
    delivery.deliver(make_job(email="first@example.com", payload={"payment_id": "pi_0"}))
    [row] = payments(old)
    address = f"{old.lms_url}/api/resource/LMS Payment/{row['name']}"
    key = {"Authorization": f"token {LMS_KEY}"}
    assert old.http.put(address, json={"member": EMAIL}, headers=key).ok
    old.fault("lms", "error", ENROLL, times=1, status=417, text="Something else.")
    enrolled(job_of())
    delivery.withdraw(make_job(action=SyncJob.REVOKE), made=NONE)
    [row] = payments(old)
    assert (row["payment_id"], row["payment_received"]) == ("pi_0", 1)
    assert old.enrollments(EMAIL) == []


def test_the_end_of_the_purchase_withdraws_ours_and_a_new_beginning_takes_it_again(
    old: Sandbox,
) -> None:
    enrolled(job_of())
    delivery.withdraw(make_job(action=SyncJob.REVOKE), made=NONE)
    assert [row["payment_received"] for row in payments(old)] == [0]
    assert old.enrollments() == []
    enrolled(job_of())
    assert [row["payment_received"] for row in payments(old)] == [1]


def test_a_revocation_elsewhere_asks_nothing_about_payments(sandbox: Sandbox) -> None:
    enrolled(job_of())
    delivery.withdraw(make_job(action=SyncJob.REVOKE), made=NONE)
    assert [call for call in sandbox.calls("lms") if "Payment" in call["call"]] == []


def test_a_course_that_staff_corrected_gets_the_payment_of_the_purchase(old: Sandbox) -> None:
    old.lms(courses=[{**PAID, "name": "other-course"}])
    old.fault("lms", "500", ENROLL, times=1, skip=1)
    job = job_of()
    failure(job)
    SyncJob.objects.filter(pk=job.pk).update(course_id="other-course")
    enrolled(SyncJob.objects.get(pk=job.pk))
    assert [row["payment_for_document"] for row in payments(old)] == ["other-course"]


@pytest.mark.parametrize(
    "course", [{"paid_course": 0}, {"published": 0}], ids=["without a price", "not published"]
)
def test_no_payment_is_made_where_it_is_not_what_lacks(
    old: Sandbox, course: dict[str, int]
) -> None:
    old.lms(courses=[{**PAID, **course}])
    old.fault("lms", "error", ENROLL, status=417, text="Something else.")
    error = failure(job_of())
    assert (error.code, error.retryable) == ("LMS_REFUSED", False)
    assert payments(old) == []
    assert SyncJob.objects.get().creates_sent == 0


def test_a_country_that_the_lms_lacks_is_a_fault_of_ours(old: Sandbox, settings: Settings) -> None:
    settings.FRAPPE_PAYMENT_COUNTRY = "Atlantis"
    error = failure(job_of())
    assert error.code in ("LMS_DENIED", "LMS_MISCONFIGURED")
    assert "FRAPPE_PAYMENT_COUNTRY" in getattr(error, "reason", "")
    assert (payments(old), old.enrollments()) == ([], [])


def test_where_the_address_is_there_already_no_country_is_asked_for(
    old: Sandbox, settings: Settings
) -> None:
    enrolled(job_of())
    settings.FRAPPE_PAYMENT_COUNTRY = "Atlantis"
    assert platform_for("frappe").course(COURSE).obstacles == ()


def test_newer_and_older_versions_are_asked_nothing_more(sandbox: Sandbox) -> None:
    for server in ("A", "B", "C"):
        sandbox.lms(server=server, courses=[PAID])
        delivery.deliver(make_job(email=f"{server.lower()}@example.com"))
    assert (payments(sandbox), len(sandbox.enrollments())) == ([], 3)
    assert json.dumps(sandbox.calls("lms")).count("get_versions") == 0
