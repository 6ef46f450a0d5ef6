"""One purchase is followed by one id through browser, web server, Stripe, worker, LMS and mail
(requirement R176).
"""

import json
from typing import Any

import pytest

from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from notifications.models import Email
from payments.models import StripeEvent
from tests.sandbox_client import Sandbox, wait_until
from tests.system.books import wait_settled
from tests.system.leaks import leaks_in
from tests.system.shop import Shop

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite", "postgres")]
GIVEN, ASHA, BEN = "proxy-0a1b2c3d", "asha@example.com", "ben@example.com"
CREATE_SESSION = "POST /v1/checkout/sessions"


def test_one_id_follows_a_purchase_through_all_processes(shop: Shop, sandbox: Sandbox) -> None:
    ids = {
        ASHA: buy(shop, sandbox, ASHA, **{"X-Request-ID": GIVEN}),
        BEN: buy(shop, sandbox, BEN),
    }
    assert ids[ASHA] == GIVEN != ids[BEN]
    wait_settled(sandbox, 2, 30)
    payment = Enrollment.objects.get(email=ASHA).payments.get()
    refund = sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    wait_until(lambda: SyncJob.objects.filter(action=SyncJob.REVOKE, status="done").exists(), 20)
    wait_until(lambda: len(sandbox.mails(ASHA)) == 2, 20)

    output = shop.new_output()
    assert leaks_in(output) == []
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    for email, request_id in ids.items():
        enrollment = Enrollment.objects.get(email=email)
        assert enrollment.request_id == request_id
        assert_rows_have_it(enrollment)
        assert_calls_have_it(sandbox, enrollment)
        assert_mails_have_it(sandbox, enrollment)
        assert_lines_have_it(lines, enrollment)
    events = StripeEvent.objects.filter(payload__data__object__id=refund["id"])
    assert set(events.values_list("request_id", flat=True)) == {GIVEN}


def buy(shop: Shop, sandbox: Sandbox, email: str, **headers: str) -> str:
    """Return the id that the checkout's answer named."""
    answer = shop.post_form(email, **headers)
    sandbox.pay(answer.headers["Location"].rpartition("/")[2], wait=5)
    return answer.headers["X-Request-ID"]


def assert_rows_have_it(enrollment: Enrollment) -> None:
    jobs = SyncJob.objects.filter(email=enrollment.email)
    mails = Email.objects.filter(to=enrollment.email)
    session = enrollment.payments.get().stripe_session_id
    for rows in (jobs, mails, StripeEvent.objects.filter(session_id=session)):
        assert set(rows.values_list("request_id", flat=True)) == {enrollment.request_id}


def assert_calls_have_it(sandbox: Sandbox, enrollment: Enrollment) -> None:
    made = [call for call in sandbox.calls("stripe", CREATE_SESSION) if is_about(call, enrollment)]
    lms = [call for call in sandbox.calls("lms") if is_about(call, enrollment)]
    assert (len(made), len(lms) >= 4) == (1, True)  # at least: two looks, user and enrollment
    assert {call["request_id"] for call in [*made, *lms]} == {enrollment.request_id}


def is_about(call: dict[str, Any], enrollment: Enrollment) -> bool:
    name = enrollment.email.partition("@")[0]
    return name in json.dumps([call["call"], call["query"], call["body"]])


def assert_mails_have_it(sandbox: Sandbox, enrollment: Enrollment) -> None:
    headers = [dict(mail["headers"]) for mail in sandbox.mails(enrollment.email)]
    assert headers
    assert {each.get("X-Request-ID") for each in headers} == {enrollment.request_id}


def assert_lines_have_it(lines: list[dict[str, Any]], enrollment: Enrollment) -> None:
    """One grep for the id finds each line about the purchase, of each process."""
    found = [line for line in lines if enrollment.request_id in json.dumps(line)]
    assert [line for line in lines if names(line, enrollment) and line not in found] == []
    paths = {line.get("path") for line in found if line["event"] == "request"}
    assert paths >= {"/checkout/data-with-care/", "/api/webhook"}
    assert {line["event"] for line in found} >= {
        "enrollment paid",
        "Attempting Frappe LMS enrollment",
        "FrappeLMS enrollment successful",
    }


def names(line: dict[str, Any], enrollment: Enrollment) -> bool:
    return line.get("enrollment") == str(enrollment.pk)
