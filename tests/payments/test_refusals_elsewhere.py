"""Refusals of Stripe's where no new checkout begins: no request to it is refused in silence.

A returning buyer, the cancel page, the status page, the sweep, the night, and refunds.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from enrollments.models import Enrollment
from payments import gateway, overdue, refund_requests
from payments.errors import RefundNotPossible, StripeKeyRefused
from payments.models import Payment, Refund
from payments.refusal_table import REFUND_ROWS, UNKNOWN
from tests.affiliates.shop import buy
from tests.factories import completed, deliver, make_course, make_pending
from tests.grants.make import HOLDER, make_coupon
from tests.payments.test_checkout import EMAIL, age, post, post_json
from tests.payments.test_refunds import ask, at_stripe, fresh, resume, state_of
from tests.payments.test_refusals import NO_PAYMENTS, SENTENCE, alerts
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

RESTRICTED = "rk_test_shop1234"
REFUNDS = "POST /v1/refunds"
LONG_AGO = timedelta(minutes=50)
GUIDE = [
    "checkout_session_write",
    "refund_write",
    "payment_intent_read",
    "charge_read",
    "dispute_read",
    "early_fraud_warning_read",
    "event_read",
    "webhook_read",
]


@pytest.fixture
def restrict(sandbox: Sandbox, settings) -> Iterator[object]:
    """Return a function that leaves the shop a key with these permissions only."""

    def restrict(*permissions: str) -> None:
        sandbox.key(RESTRICTED, list(permissions))
        settings.STRIPE_SECRET_KEY = RESTRICTED

    return restrict


def named() -> list[str]:
    """Return, for each alert, the permission that Stripe's sentence names, or the whole of it."""
    return [alert["lines"][1].partition("Having the '")[2].partition("'")[0] for alert in alerts()]


def test_a_returning_buyer_reads_words_and_staff_which_permission_is_missing(
    buyer: Client, sandbox: Sandbox, restrict
) -> None:
    course = make_course()
    post(buyer, course.slug)
    age(Payment.objects.get(), LONG_AGO)
    sandbox.expire(Payment.objects.get().stripe_session_id)
    restrict("checkout_session_write")
    page, answer = post(buyer, course.slug), post_json(buyer, courseId=course.slug)
    assert page.status_code == 503
    text = page.content.decode()
    assert NO_PAYMENTS in text
    assert "PermissionError" not in text
    assert "rak_" not in text
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (
        503,
        "PAYMENTS_UNAVAILABLE",
        NO_PAYMENTS,
    )
    assert named() == ["rak_payment_intent_read"]
    assert (Enrollment.objects.get().status, Payment.objects.get().status) == ("pending", "pending")
    restrict(*GUIDE)
    assert post(buyer, course.slug).status_code == 302


def test_a_returning_buyer_whose_session_cannot_be_closed_is_not_sent_to_the_old_price(
    buyer: Client, sandbox: Sandbox, restrict
) -> None:
    course = make_course(price=49900)
    grant = make_coupon(course, percent=50)
    assert post(buyer, course.slug, email=HOLDER).status_code == 302
    restrict("checkout_session_read", "payment_intent_read")
    answer = post(buyer, course.slug, email=HOLDER, coupon=grant.code)
    assert (answer.status_code, NO_PAYMENTS in answer.content.decode()) == (503, True)
    assert named() == ["rak_checkout_session_write"]
    assert [(session["status"], session["amount_total"]) for session in sandbox.sessions()] == [
        ("open", 49900)
    ]
    assert (Enrollment.objects.get().status, Payment.objects.get().status) == ("pending", "pending")


def test_a_session_that_stripe_would_not_close_counts_as_open(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Whatever the reason: the buyer could pay it as well as the one that replaces it."""
    course = make_course(price=49900)
    grant = make_coupon(course, percent=50)
    assert post(buyer, course.slug, email=HOLDER).status_code == 302
    session_id = sandbox.sessions()[0]["id"]
    sandbox.refuse(match=f"POST /v1/checkout/sessions/{session_id}/expire", message=SENTENCE)
    answer = post_json(buyer, courseId=course.slug, email=HOLDER, couponCode=grant.code)
    assert (answer.status_code, answer.json()["code"]) == (503, "PAYMENTS_UNAVAILABLE")
    assert [alert["lines"][1:3] for alert in alerts()] == [
        [f"Stripe says: “{SENTENCE}”", f"The first one today: closing session {session_id}."]
    ]
    assert [session["status"] for session in sandbox.sessions()] == ["open"]
    assert (Enrollment.objects.get().status, Payment.objects.get().status) == ("pending", "pending")


def test_closing_what_has_ended_is_no_refusal(buyer: Client, sandbox: Sandbox) -> None:
    course = make_course()
    post(buyer, course.slug)
    sandbox.expire(sandbox.sessions()[0]["id"])
    enrollment = Enrollment.objects.get()
    assert buyer.post(f"/checkout/cancelled/{enrollment.token}/").status_code == 200
    assert fresh(enrollment).status == "cancelled"
    assert alerts() == []


@pytest.mark.parametrize("path", ["/checkout/cancelled/{}/", "/enrollments/{}/"])
def test_a_page_that_asks_stripe_alerts_staff_and_shows_what_is_known(
    buyer: Client, sandbox: Sandbox, path: str
) -> None:
    post(buyer, make_course().slug)
    enrollment = Enrollment.objects.get()
    sandbox.refuse(match="", code="a_code_of_next_year", message=SENTENCE)
    page = buyer.get(path.format(enrollment.token))
    assert page.status_code == 200
    assert SENTENCE not in page.content.decode()
    assert fresh(enrollment).status == "pending"
    [alert] = alerts()
    assert alert["subject"] == "Stripe refuses our requests: a_code_of_next_year"
    assert alert["lines"][1] == f"Stripe says: “{SENTENCE}”"
    assert sandbox.sessions()[0]["id"] in alert["lines"][2]


def test_a_sweep_with_a_refused_key_alerts_once_asks_three_times_and_ends_nothing(
    buyer: Client, sandbox: Sandbox, restrict
) -> None:
    for number in range(5):
        post(buyer, make_course().slug, email=f"b{number}@example.com")
    for payment in Payment.objects.all():
        age(payment, LONG_AGO)
    restrict("refund_write")
    before = len(sandbox.calls("stripe"))
    assert overdue.end_overdue() == 0
    assert named() == ["rak_checkout_session_write"]
    assert len(sandbox.calls("stripe")) - before == 3
    assert set(Payment.objects.values_list("status", flat=True)) == {"pending"}
    restrict(*GUIDE)
    assert overdue.end_overdue() == 5


@pytest.mark.every_engine
def test_a_key_that_is_replaced_under_a_running_shop_loses_no_payment(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    """Between the change at Stripe and the restart with the new key."""
    for name in ("reported", "unreported"):
        post(buyer, make_course(slug=name).slug, email=f"{name}@example.com")
    reported, unreported = Payment.objects.order_by("created_at")
    sandbox.key(settings.STRIPE_SECRET_KEY, expired=True)
    refused = post(buyer, "reported", email="late@example.com")
    assert refused.status_code == 503
    for payment in (reported, unreported):
        sandbox.pay(payment.stripe_session_id)
    assert deliver(buyer, completed(reported)).status_code == 200
    age(unreported, LONG_AGO)
    assert overdue.end_overdue() == 0
    assert (fresh(reported).status, fresh(unreported).status) == ("paid", "pending")

    settings.STRIPE_SECRET_KEY = "sk_test_of_today"
    sandbox.key(settings.STRIPE_SECRET_KEY)
    overdue.end_overdue()
    assert fresh(unreported).status == "paid"
    assert post(buyer, "reported", email="late@example.com").status_code == 302
    assert Enrollment.objects.paid().count() == 2


@pytest.mark.every_engine
def test_a_payment_that_is_refused_by_itself_does_not_keep_the_others_from_ending(
    buyer: Client, sandbox: Sandbox
) -> None:
    for number in range(5):
        post(buyer, make_course().slug, email=f"b{number}@example.com")
    payments = list(Payment.objects.order_by("expires_at"))
    for payment in payments:
        age(payment, LONG_AGO)
    for payment in payments[:4]:
        sandbox.refuse(
            match=f"POST /v1/checkout/sessions/{payment.stripe_session_id}", message="No."
        )
        sandbox.refuse(
            match=f"GET /v1/checkout/sessions/{payment.stripe_session_id}", message="No."
        )
    assert overdue.end_overdue() == 1
    assert [fresh(payment).status for payment in payments] == ["pending"] * 4 + ["expired"]
    assert len(alerts()) == 1


def test_a_session_that_stripe_does_not_know_ends_and_staff_check_the_key(sandbox: Sandbox) -> None:
    _, payment = make_pending()
    age(payment, LONG_AGO)
    assert overdue.end_overdue() == 1
    assert fresh(payment).status == "expired"
    assert [(alert["subject"], alert["lines"][0]) for alert in alerts()] == [
        (
            "Stripe refuses our requests: resource_missing",
            UNKNOWN.words,
        )
    ]


def test_a_night_with_a_refused_key_alerts_of_each_permission_once(
    sandbox: Sandbox, restrict
) -> None:
    restrict()
    for _ in range(2):
        with pytest.raises(CommandError, match="Not done tonight"):
            call_command("nightly")
    assert sorted(named()) == [
        "rak_checkout_session_read",
        "rak_dispute_read",
        "rak_early_fraud_warning_read",
        "rak_event_read",
        "rak_refund_read",
    ]
    assert {alert["subject"] for alert in alerts()} == {
        "Stripe refuses our requests: see its sentence"
    }


def test_the_command_says_to_staff_what_stripe_says(sandbox: Sandbox, restrict) -> None:
    restrict("refund_write")
    with pytest.raises(CommandError, match="Having the 'rak_checkout_session_read' permission"):
        call_command("reconcile_stripe")


def test_the_permissions_of_the_guide_are_enough_for_all_that_we_ask(
    buyer: Client, sandbox: Sandbox, restrict
) -> None:
    restrict(*GUIDE)
    _, payment = buy(sandbox, email=EMAIL)
    assert ask(payment, 100).status == "succeeded"
    post(buyer, make_course().slug)
    assert (
        buyer.post(
            f"/checkout/cancelled/{Enrollment.objects.latest('created_at').token}/"
        ).status_code
        == 200
    )
    call_command("reconcile_stripe")
    list(gateway.refunds_of(payment.stripe_payment_intent_id))
    assert sandbox.calls("stripe")
    assert alerts() == []


# --- refunds --------------------------------------------------------------------------------------
@pytest.mark.parametrize("code", ["balance_insufficient", ""])
def test_staff_read_why_stripe_refuses_a_refund(sandbox: Sandbox, code: str) -> None:
    enrollment, payment = buy(sandbox)
    sandbox.refuse(match=REFUNDS, code=code, message=SENTENCE)
    words = REFUND_ROWS[code].words if code else "Stripe refuses this refund."
    with pytest.raises(RefundNotPossible) as refused:
        ask(payment)
    assert refused.value.message.startswith(f"{words} Stripe says: “{SENTENCE}” (")
    assert ", req_" in refused.value.message or not code
    refund = Refund.objects.get()
    assert (refund.status, refund.failure_reason) == (
        "failed",
        ": ".join(filter(None, (code, SENTENCE))),
    )
    assert (state_of(enrollment), at_stripe(sandbox), alerts()) == (("paid", 0), [], [])
    sandbox.stop_refusing()
    assert ask(payment).status == "succeeded"


@pytest.mark.parametrize(
    "refusal", ["balance_insufficient", "charge_not_refundable", "refund_too_late"]
)
def test_a_refund_that_is_refused_in_the_sweep_alerts_whoever_asked(
    sandbox: Sandbox, refusal: str
) -> None:
    enrollment, payment = buy(sandbox)
    sandbox.fault("stripe", "503", REFUNDS, times=1)
    refund = ask(payment)
    assert refund.status == "requested"
    said = sandbox.refuse(refusal)["message"]
    resume()
    assert fresh(refund).status == "failed"
    [alert] = alerts()
    assert alert["subject"] == "Stripe refused a refund"
    assert alert["lines"][0] == (
        f"$499.00 of payment {payment.pk}, asked for by staff@example.com."
    )
    assert f"Stripe says: “{said}”" in alert["lines"][1]
    assert state_of(enrollment) == ("paid", 0)
    resume()
    assert len(alerts()) == 1


def test_a_refund_waits_in_the_sweep_while_our_own_set_up_is_wrong(
    sandbox: Sandbox, restrict
) -> None:
    _, payment = buy(sandbox)
    sandbox.fault("stripe", "503", REFUNDS, times=1)
    refund = ask(payment)
    restrict("refund_read")
    assert resume() == 0
    assert fresh(refund).status == "requested"
    assert named() == ["rak_refund_write"]
    restrict("refund_write")
    assert (resume(), fresh(refund).status, at_stripe(sandbox)) == (
        1,
        "succeeded",
        [(49900, "succeeded")],
    )


def test_a_refund_waits_in_the_sweep_while_stripe_does_not_take_our_request(
    sandbox: Sandbox,
) -> None:
    _, payment = buy(sandbox)
    sandbox.fault("stripe", "503", REFUNDS, times=1)
    refund = ask(payment)
    # Not executed: Stripe keeps no answer under the key for a request that it could not read.
    sandbox.refuse(match=REFUNDS, code="parameter_unknown", message=SENTENCE, executed=False)
    assert (resume(), resume(), fresh(refund).status) == (0, 0, "requested")
    assert [alert["subject"] for alert in alerts()] == [
        "Stripe refuses our requests: parameter_unknown"
    ]
    sandbox.stop_refusing()
    assert (resume(), at_stripe(sandbox)) == (1, [(49900, "succeeded")])


def test_a_refund_that_our_key_may_not_make_alerts_and_says_so(sandbox: Sandbox, restrict) -> None:
    _, payment = buy(sandbox)
    restrict("refund_read")
    with pytest.raises(RefundNotPossible, match="The API key lacks a permission"):
        ask(payment)
    assert named() == ["rak_refund_write"]
    assert Refund.objects.get().status == "failed"


def test_a_refused_key_uses_up_no_attempt_of_a_job(sandbox: Sandbox, restrict) -> None:
    restrict()
    with pytest.raises(StripeKeyRefused) as refused:
        gateway.retrieve_session("cs_test_1")
    assert (refused.value.retryable, refused.value.consumes_attempt) == (True, False)
    assert refused.value.message == "The payment service refused the request."
    assert "rak_checkout_session_read" in str(refused.value)
    assert refund_requests.resume_requested() == 0
