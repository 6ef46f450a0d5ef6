"""What Stripe refuses: what the buyer reads, and what staff are alerted of.

Each row of the table, with what the log keeps, is in tests/system/test_refusals.py.
"""

import json

import pytest
from django.test import Client

from enrollments.models import Enrollment
from grants.models import Grant
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.queue import EMAILS
from payments.models import Payment
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon
from tests.lms_sync.rawserver import raw_server, response
from tests.payments.test_checkout import EMAIL, FORM, post, post_json
from tests.sandbox_client import STRIPE_KEY, Sandbox

pytestmark = pytest.mark.any_engine

SESSIONS = "POST /v1/checkout/sessions"
SENTENCE = "Stripe's own sentence about this."
NOT_ACCEPTED = (
    "The payment service does not accept this e-mail address. Please check it for typing mistakes,"
    " or use another one."
)
NO_PAYMENTS = (
    "We cannot take payments at the moment. Nothing was charged, and our team has been notified;"
    " please try again later."
)
NO_ANSWER = "The payment service did not answer. Nothing was charged; please try again in a moment."


def alerts() -> list[dict]:
    kept = Email.objects.filter(kind="staff_alert").order_by("created_at")
    return [email.context for email in kept]


def nothing_is_reserved(sandbox: Sandbox) -> bool:
    return (
        not Enrollment.objects.live().exists()
        and not Payment.objects.filter(status__in=Payment.OPEN).exists()
        and sandbox.sessions() == []
    )


SIX = {
    "amount_too_small": "amount_too_small",
    "amount_too_large": "amount_too_large",
    "account_invalid": "account_invalid",
    "api_key_expired": "api_key_expired",
    "no_payment_method": "see its sentence",
    "account_name_missing": "see its sentence",
}


def test_each_cause_of_one_day_alerts_once_with_stripes_sentence_and_the_requests_id(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "checkout": "100/15m"}
    course = make_course(title="Soil and water")
    said = []
    for _ in range(2):
        for reason in SIX:
            said.append(sandbox.refuse(reason, times=1)["message"])
            assert post(buyer, course.slug).status_code == 503
    assert [alert["subject"] for alert in alerts()] == [
        f"Stripe refuses our requests: {named}" for named in SIX.values()
    ]
    enrollments = Enrollment.objects.order_by("created_at")
    for alert, sentence, enrollment in zip(alerts(), said[:6], enrollments, strict=False):
        words, says, about, facts = alert["lines"]
        assert len(words) > 20
        assert says == f"Stripe says: “{' '.join(sentence.split())[:300]}”"
        assert about == (
            f"The first one today: a checkout of Soil and water, enrollment {enrollment.pk}."
        )
        assert "; request: req_" in facts
    assert alerts()[0]["lines"][3].startswith("code: amount_too_small; parameter: none; HTTP")


def test_one_code_about_two_parameters_is_two_causes(buyer: Client, sandbox: Sandbox) -> None:
    course = make_course()
    for param in ("line_items[0][price_data][product_data][name]", "success_url"):
        sandbox.refuse(
            match=SESSIONS,
            code="parameter_invalid_string_empty",
            param=param,
            message="No.",
            times=1,
        )
        post(buyer, course.slug)
    assert [alert["lines"][3].split("; ")[1] for alert in alerts()] == [
        "parameter: line_items[0][price_data][product_data][name]",
        "parameter: success_url",
    ]


def test_each_missing_permission_is_a_cause_of_its_own(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.STRIPE_SECRET_KEY = "rk_test_shop1234"
    course = make_course()
    sandbox.key("rk_test_shop1234", ["refund_write"])
    for email in ("a@example.com", "b@example.com"):
        answer = post_json(buyer, courseId=course.slug, email=email)
        assert (answer.status_code, answer.json()["code"]) == (503, "PAYMENTS_UNAVAILABLE")
    [alert] = alerts()
    assert "lacks a permission" in alert["lines"][0]
    assert "Having the 'rak_checkout_session_write' permission" in alert["lines"][1]


# --- the buyer's own address ----------------------------------------------------------------------
@pytest.mark.every_engine
@pytest.mark.parametrize(
    "refusal",
    [
        {"code": "email_invalid"},
        {"code": "email_invalid", "param": "payment_intent_data[receipt_email]"},
        {"param": "customer_email"},
    ],
    ids=str,
)
def test_an_address_that_stripe_refuses_is_said_at_its_field_and_alerts_nobody(
    buyer: Client, sandbox: Sandbox, refusal: dict
) -> None:
    sandbox.refuse(match=SESSIONS, message="Invalid email address: ada@example.com", **refusal)
    page = post(buyer, make_course().slug)
    assert page.status_code == 400
    text = page.content.decode()
    assert f'<span class="wrong" id="id_email_error">{NOT_ACCEPTED}</span>' in text
    assert f'<a href="#id_email">E-mail address: {NOT_ACCEPTED}</a>' in text
    assert f'value="{EMAIL}"' in text
    assert "Payment service unavailable" not in text
    assert Enrollment.objects.get().failure_code == "EMAIL_REFUSED"
    assert nothing_is_reserved(sandbox)
    assert alerts() == []


def test_an_address_that_stripe_refuses_gives_its_coupon_back(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course()
    grant = make_coupon(course, percent=50)
    sandbox.refuse("email_invalid", times=1)
    page = post(buyer, course.slug, email=HOLDER, coupon=grant.code)
    assert page.status_code == 400
    assert "$249.50" in page.content.decode()
    assert Grant.objects.get().status == "approved"
    assert post(buyer, course.slug, email=HOLDER, coupon=grant.code).status_code == 302


def test_a_checkout_cut_off_before_stripe_refused_its_address_ends_when_it_is_resumed(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = make_course()
    assert post(buyer, course.slug).status_code == 302
    Payment.objects.update(stripe_session_id=None, checkout_url="")
    sandbox.reset()
    sandbox.refuse("email_invalid")
    assert post(buyer, course.slug).status_code == 400
    assert Payment.objects.get().status == "failed"
    assert Enrollment.objects.get().status == "failed"


@pytest.mark.parametrize(
    "email",
    ["user@localhost", "mıke@example.com", "ſam@example.com", "user@10.0.0.10", "a" * 65 + "@b.co"],
)
def test_an_address_that_stripe_surely_refuses_is_refused_before_stripe_is_asked(
    buyer: Client, sandbox: Sandbox, email: str
) -> None:
    course = make_course()
    assert post(buyer, course.slug, email=email).status_code == 400
    answer = post_json(buyer, courseId=course.slug, email=email)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_CHECKOUT")
    assert sandbox.calls("stripe") == []
    assert not Enrollment.objects.exists()


# --- Stripe's sentence ----------------------------------------------------------------------------
HOSTILE = "<script>alert(1)</script>\r\nBcc: x@example.com " + "y" * 400


def test_staff_read_stripes_sentence_escaped_and_cut(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    sandbox.refuse(match=SESSIONS, message=HOSTILE)
    page = post(buyer, make_course().slug)
    assert page.status_code == 503
    assert "alert(1)" not in page.content.decode()
    drain(EMAILS)
    [mail] = sandbox.mails(settings.STAFF_ALERT_EMAILS[0])
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Bcc: x@example.com yyy" in mail["html"]
    assert "<script>" not in mail["html"]
    assert "y" * 300 not in mail["html"] + mail["text"]


# --- answers that are nobody's --------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "forbidden"}',
        b'{"error": null}',
        b'{"error": 5}',
        b'{"error": [1]}',
        b"<html>blocked by the proxy</html>",
        b"[]",
        b"",
    ],
)
@pytest.mark.parametrize("status", [400, 403])
def test_a_refusal_that_is_not_stripes_is_tried_again_and_alerts_nobody(
    buyer: Client, settings, body: bytes, status: int
) -> None:
    settings.STRIPE_MAX_RETRIES = 0
    with raw_server([response(body, status=f"{status} Refused")] * 2) as server:
        settings.STRIPE_API_BASE = server.url
        answer = post_json(buyer, courseId=make_course().slug)
    assert (answer.status_code, answer.json()["code"]) == (503, "CHECKOUT_UNAVAILABLE")
    assert Enrollment.objects.get().status == "failed"
    assert alerts() == []


def test_an_error_object_with_nonsense_in_it_is_a_refusal_all_the_same(
    buyer: Client, settings
) -> None:
    settings.STRIPE_MAX_RETRIES = 0
    body = json.dumps({"error": {"code": ["x"], "message": {"a": "\0"}, "param": 7}}).encode()
    with raw_server([response(body, status="400 Refused")]) as server:
        settings.STRIPE_API_BASE = server.url
        answer = post_json(buyer, courseId=make_course().slug)
    assert (answer.status_code, answer.json()["code"]) == (503, "PAYMENTS_UNAVAILABLE")
    assert [alert["lines"][1] for alert in alerts()] == ["Stripe says: “nothing”"]


# --- afterwards -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("refusal", "words"),
    [("email_invalid", NOT_ACCEPTED), ("amount_too_small", NO_PAYMENTS), ("", NO_PAYMENTS)],
)
def test_the_status_page_says_what_ended_the_checkout(
    buyer: Client, sandbox: Sandbox, refusal: str, words: str
) -> None:
    if refusal:
        sandbox.refuse(refusal)
    else:
        sandbox.key(STRIPE_KEY, expired=True)
    buyer.post(f"/checkout/{make_course().slug}/", FORM)
    page = buyer.get(Enrollment.objects.get().get_absolute_url()).content.decode()
    assert words in page
    assert "did not answer" not in page
