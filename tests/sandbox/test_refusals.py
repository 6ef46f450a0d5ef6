"""Refusals on demand: Stripe's known ones, any other, and those that carry only a sentence."""

import pytest
import stripe

pytestmark = pytest.mark.no_database
KNOWN_TO_CHECKOUT = {
    "email_invalid": (stripe.InvalidRequestError, 400, "email_invalid", "customer_email"),
    "amount_too_small": (stripe.InvalidRequestError, 400, "amount_too_small", None),
    "amount_too_large": (stripe.InvalidRequestError, 400, "amount_too_large", None),
    "account_invalid": (stripe.PermissionError, 403, "account_invalid", None),
    "api_key_expired": (stripe.AuthenticationError, 401, "api_key_expired", None),
    "no_payment_method": (stripe.InvalidRequestError, 400, None, None),
    "account_name_missing": (stripe.InvalidRequestError, 400, None, None),
}
KNOWN_TO_REFUNDS = [
    ("refund_disputed_payment", "refund_disputed_payment"),
    ("balance_insufficient", "balance_insufficient"),
    ("charge_not_refundable", "charge_not_refundable"),
    ("refund_too_late", None),
]


@pytest.mark.parametrize("reason", KNOWN_TO_CHECKOUT)
def test_a_session_is_refused_for_a_known_reason(sandbox, client, order, reason):
    kind, *facts = KNOWN_TO_CHECKOUT[reason]
    sandbox.refuse(reason)
    with pytest.raises(kind) as caught:
        client.v1.checkout.sessions.create(order)
    error = caught.value
    # The SDK gives `code` of a 401 or 403 only in its `error`.
    assert (error.http_status, error.error.code, error.error.param) == tuple(facts)
    assert error.user_message
    assert error.request_id.startswith("req_")
    assert sandbox.sessions() == []


@pytest.mark.parametrize(("reason", "code"), KNOWN_TO_REFUNDS)
def test_a_refund_is_refused_for_a_known_reason(sandbox, client, payment, reason, code):
    sandbox.refuse(reason, times=1)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": payment})
    assert (caught.value.http_status, caught.value.code) == (400, code)
    assert client.v1.refunds.create({"payment_intent": payment}).status == "succeeded"


def test_any_refusal_can_be_made_up(sandbox, client, order):
    sandbox.refuse(
        match="POST /v1/checkout/sessions",
        status=402,
        type="card_error",
        code="card_declined",
        decline_code="do_not_honor",
        param="line_items",
        message="Not this time.",
    )
    with pytest.raises(stripe.CardError) as caught:
        client.v1.checkout.sessions.create(order)
    error = caught.value
    assert (error.code, error.param, error.user_message) == (
        "card_declined",
        "line_items",
        "Not this time.",
    )
    assert error.error.decline_code == "do_not_honor"


def test_a_refusal_may_be_only_a_sentence(sandbox, client):
    sandbox.refuse(match="GET /v1/disputes", message="We are looking into your account.")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.disputes.list()
    error = caught.value
    assert (error.code, error.param, error.user_message) == (
        None,
        None,
        "We are looking into your account.",
    )
    assert client.v1.refunds.list().data == []


def test_the_newest_refusal_comes_first_and_all_end_together(sandbox, client):
    sandbox.refuse(match="GET /v1/refunds", message="first")
    sandbox.refuse(match="GET /v1/refunds", message="second", times=1)
    for sentence in ("second", "first", "first"):
        with pytest.raises(stripe.InvalidRequestError, match=sentence):
            client.v1.refunds.list()
    sandbox.stop_refusing()
    assert client.v1.refunds.list().data == []


def test_an_idempotency_key_keeps_a_refusal_of_the_work_and_none_of_the_parameters(
    sandbox, client, order
):
    for reason, kept in (("amount_too_small", True), ("email_invalid", False)):
        sandbox.refuse(reason, times=1)
        options = {"idempotency_key": f"key-{reason}"}
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.checkout.sessions.create(order, options)
        if kept:
            with pytest.raises(stripe.InvalidRequestError, match="must convert"):
                client.v1.checkout.sessions.create(order, options)
        else:
            assert client.v1.checkout.sessions.create(order, options).status == "open"


@pytest.mark.parametrize("email", ["user@localhost", "user@example.c", "us er@example.com"])
def test_an_address_that_stripe_does_not_take_is_refused_without_a_switch(client, order, email):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create({**order, "customer_email": email})
    assert (caught.value.code, caught.value.param) == ("email_invalid", "customer_email")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"reason": "no_such"}, "reason must be one of"),
        ({"match": "POST /v1/refunds"}, "needs a message"),
        ({"message": "No.", "percent": 3}, "unknown entries in a refusal: percent"),
    ],
)
def test_a_wrong_switch_is_a_sentence(sandbox, spec, sentence):
    with pytest.raises(RuntimeError, match=sentence):
        sandbox.refuse(**spec)
