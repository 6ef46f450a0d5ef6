"""Each row of the table of Stripe's refusals, over HTTP through the live server: what the buyer
reads, whom it alerts, and what the log keeps.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from enrollments.models import Enrollment
from notifications.models import Alert, Email
from payments.models import Payment, Refund
from payments.refusal_table import (
    BUYER,
    PASSING,
    REFUND_ROWS,
    ROWS,
    SETUP,
    row_of,
)
from tests.affiliates.make import make_staff
from tests.payments.test_refusals import NO_ANSWER, NO_PAYMENTS, NOT_ACCEPTED, SENTENCE
from tests.sandbox_client import Sandbox
from tests.system.leaks import leaks_in
from tests.system.shop import SLUG, TOKEN_IN_FORM, Shop

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite")]

SESSIONS, REFUNDS = "POST /v1/checkout/sessions", "POST /v1/refunds"
PARAM = "line_items[0][price_data]"
# By whose fault: status, code, whether to try again, how many alerts.
ANSWERS = {
    BUYER: (400, "EMAIL_REFUSED", False, 0),
    SETUP: (503, "PAYMENTS_UNAVAILABLE", False, 1),
    PASSING: (503, "CHECKOUT_UNAVAILABLE", True, 0),
}
WORDS = {BUYER: NOT_ACCEPTED, SETUP: NO_PAYMENTS, PASSING: NO_ANSWER}
# The HTTP status that Stripe sends with a code; 400 with the others.
STATUSES = {
    "api_key_expired": 401,
    "platform_api_key_expired": 401,
    "secret_key_required": 401,
    "account_invalid": 403,
    "resource_missing": 404,
    "lock_timeout": 429,
    "rate_limit": 429,
}
# What no row names: by code, parameter and status.
OTHERS = [
    ("", "", 400),
    ("", "", 401),
    ("", "", 403),
    ("", "customer_email", 400),
    ("a_code_of_next_year", "payment_intent_data[receipt_email]", 400),
    ("a_code_of_next_year", PARAM, 402),
    ("charge_disputed", PARAM, 400),
]
REFUSALS = [*((code, PARAM, STATUSES.get(code, 400)) for code in sorted(ROWS)), *OTHERS]
Said = tuple[str, str, int]
LOGGED = ("Stripe refused a request", "Stripe did not answer")


class Buyer:
    """A browser at the live shop that asks for a checkout by its form, and by the API."""

    def __init__(self, shop: Shop) -> None:
        self.address = f"{shop.url}/checkout/{SLUG}/"
        self.api = f"{shop.url}/api/checkout"
        self.http = requests.Session()
        self.token = TOKEN_IN_FORM.search(self.http.get(self.address, timeout=10).text)[1]

    def ask(self) -> requests.Response:
        data = {"courseId": SLUG, "email": "ada@example.com", "acceptTerms": True}
        headers = {"X-CSRFToken": self.token}
        return self.http.post(self.api, json=data, headers=headers, timeout=10)

    def send_form(self) -> requests.Response:
        form = {"email": "ada@example.com", "name": "Ada", "accept_terms": "on"}
        form["csrfmiddlewaretoken"] = self.token
        return self.http.post(self.address, data=form, allow_redirects=False, timeout=10)


def lines_of(shop: Shop) -> Iterator[dict[str, Any]]:
    """Yield what the processes have logged about Stripe since the last call; no secret is in it."""
    output = shop.new_output()
    assert leaks_in(output) == []
    for line in output.splitlines():
        if any(event in line for event in LOGGED):
            yield json.loads(line)


def alerts() -> list[dict[str, Any]]:
    """Return the alerts since the last call."""
    kept = Email.objects.filter(kind="staff_alert")
    found = [mail.context for mail in kept]
    kept.delete()
    Alert.objects.all().delete()  # as if hours had passed: many within one are alerted of once
    return found


def test_each_row_is_said_to_the_buyer_to_staff_and_to_the_log(
    shop: Shop, sandbox: Sandbox
) -> None:
    buyer = Buyer(shop)
    shop.new_output()
    for said in REFUSALS:
        code, param, status = said
        row = row_of(code, param, status=status)
        sandbox.stop_refusing()
        sandbox.refuse(match=SESSIONS, code=code, param=param, status=status, message=SENTENCE)
        answer, page = buyer.ask(), buyer.send_form()
        which = f"{code or 'no code'}, {param}, {status}"
        _check_answers(row.fault, answer, page, which)
        _check_log(list(lines_of(shop)), said, answer, which)
        _check_alerts(row.words if row.alerts else "", said, which)
        assert not Enrollment.objects.live().exists(), which
        assert not Payment.objects.filter(status__in=Payment.OPEN).exists(), which
    assert sandbox.sessions() == []
    sandbox.stop_refusing()
    assert buyer.send_form().status_code == 302


def _check_answers(
    fault: str, answer: requests.Response, page: requests.Response, which: str
) -> None:
    status, name, may_retry, _ = ANSWERS[fault]
    words = WORDS[fault]
    body = answer.json()
    said = (answer.status_code, body["code"], body["retryable"], body["error"])
    assert said == (status, name, may_retry, words), which
    assert body["details"] == ({"fields": {"email": [words]}} if fault == BUYER else {}), which
    assert (page.status_code, words in page.text) == (status, True), which
    assert SENTENCE not in answer.text + page.text, which


def _check_log(
    lines: list[dict[str, Any]], said: Said, answer: requests.Response, which: str
) -> None:
    """Each of the two requests has a line with all that Stripe said, and with whose it was."""
    names = ("stripe_code", "stripe_param", "stripe_status", "fault", "stripe_message", "level")
    fault = row_of(said[0], said[1], status=said[2]).fault
    found = [tuple(line[name] for name in names) for line in lines]
    assert found == [(*said, fault, SENTENCE, "warning")] * 2, which
    assert lines[0]["request_id"] == answer.headers["X-Request-ID"], which
    asked = {line["stripe_request_id"] for line in lines}
    assert len({name for name in asked if re.fullmatch(r"req_\w+", name)}) == 2, which
    about, _, enrollment = lines[0]["about"].rpartition(" ")
    assert about == "a checkout of Data with care, enrollment", which
    assert Enrollment.objects.filter(pk=enrollment).exists(), which


def _check_alerts(words: str, said: Said, which: str) -> None:
    code, param, status = said
    found = alerts()
    if not words:
        assert found == [], which
        return
    [alert] = found
    assert alert["subject"] == f"Stripe refuses our requests: {code or 'see its sentence'}", which
    assert alert["lines"][:2] == [words, f"Stripe says: “{SENTENCE}”"], which
    code, param = code or "none", param or "none"
    facts = f"code: {code}; parameter: {param}; HTTP status: {status}; request: req_"
    assert alert["lines"][3].startswith(facts), which


# --- refunds --------------------------------------------------------------------------------------
class Staff:
    """A member of staff, signed in at the live office, at the form that refunds a payment."""

    def __init__(self, shop: Shop, payment: Payment) -> None:
        user = make_staff(email="boss@example.com")
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        self.http = requests.Session()
        self.http.cookies.set(settings.SESSION_COOKIE_NAME, session.session_key)
        self.address = f"{shop.url}/admin/payments/payment/{payment.pk}/refund/"

    def refund(self, amount: str) -> requests.Response:
        page = self.http.get(self.address, timeout=10).text
        form = {
            "csrfmiddlewaretoken": TOKEN_IN_FORM.search(page)[1],
            "key": re.search(r'name="key" value="([^"]+)"', page)[1],
            "amount": amount,
            "reason": Refund.REASONS[0][0],
            "decide": "1",
        }
        return self.http.post(self.address, data=form, allow_redirects=False, timeout=10)


def test_each_row_of_a_refund_is_said_to_whoever_asked_and_to_the_log(
    shop: Shop, sandbox: Sandbox
) -> None:
    shop.buy("ada@example.com")
    payment = Payment.objects.get()
    staff = Staff(shop, payment)
    shop.new_output()
    for code, status in [*((code, 400) for code in sorted(REFUND_ROWS)), ("", 400), ("", 403)]:
        row = row_of(code, status=status, is_refund=True)
        sandbox.stop_refusing()
        sandbox.refuse(match=REFUNDS, code=code, status=status, message=SENTENCE)
        page = staff.refund("1.00")
        text = re.sub(r"\s+", " ", page.text.replace("&#x27;", "'"))
        assert (page.status_code, f"{row.words} Stripe says: “{SENTENCE}” (" in text) == (200, True)
        refund = Refund.objects.latest("created_at")
        [line] = lines_of(shop)
        assert (line["stripe_code"], line["stripe_status"], line["fault"]) == (
            code,
            status,
            row.fault,
        )
        assert (line["stripe_message"], line["stripe_request_id"] in text) == (SENTENCE, True)
        assert line["about"] == f"refund {refund.pk} of payment {payment.pk}"
        assert refund.status == "failed"
        assert len(alerts()) == row.alerts
    sandbox.stop_refusing()
    assert staff.refund("1.00").status_code == 302
    assert Refund.objects.latest("created_at").status == "succeeded"
    alerts()
