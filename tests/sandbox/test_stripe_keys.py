"""Restricted and expired API keys: what each may do, and what Stripe answers about others."""

import pytest
import requests
import stripe

from tests.sandbox_client import STRIPE_KEY

pytestmark = pytest.mark.no_database

RESTRICTED = "rk_test_shop1234"


@pytest.fixture
def restricted(sandbox, transport):
    return stripe.StripeClient(
        RESTRICTED, base_addresses={"api": sandbox.stripe_url}, http_client=transport
    )


def refused(work, *arguments):
    with pytest.raises(stripe.PermissionError) as caught:
        work(*arguments)
    return caught.value


def test_a_key_without_the_permission_is_refused_with_the_permissions_name(
    sandbox, restricted, order
):
    sandbox.key(RESTRICTED, ["checkout_session_read"])
    error = refused(restricted.v1.checkout.sessions.create, order)
    assert error.http_status == 403
    assert error.error.type == "invalid_request_error"
    assert error.code is None
    assert error.user_message == (
        "The provided key 'rk_test_****1234' does not have the required permissions for this"
        " endpoint on account 'acct_1Sandbox0000000'. Having the 'rak_checkout_session_write'"
        " permission would allow this request to continue."
    )
    assert error.error.request_log_url.endswith(error.request_id)
    assert sandbox.sessions() == []


def test_writing_includes_reading(sandbox, restricted, order):
    sandbox.key(RESTRICTED, ["rak_checkout_session_write"])
    session = restricted.v1.checkout.sessions.create(order)
    assert restricted.v1.checkout.sessions.retrieve(session.id).id == session.id


def test_what_is_expanded_needs_its_own_permission(sandbox, client, restricted, order):
    session = client.v1.checkout.sessions.create(order)
    sandbox.pay(session.id)
    for expand, given, missing in (
        ("payment_intent", [], "rak_payment_intent_read"),
        ("payment_intent.latest_charge", ["payment_intent_read"], "rak_charge_read"),
    ):
        sandbox.key(RESTRICTED, ["checkout_session_read", *given])
        retrieve = restricted.v1.checkout.sessions.retrieve
        error = refused(retrieve, session.id, {"expand": [expand]})
        assert f"Having the '{missing}' permission" in error.user_message
    assert restricted.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        (lambda client: client.v1.refunds.create({"payment_intent": "pi_x"}), "rak_refund_write"),
        (lambda client: client.v1.refunds.list(), "rak_refund_read"),
        (lambda client: client.v1.disputes.list(), "rak_dispute_read"),
        (lambda client: client.v1.events.list(), "rak_event_read"),
        (lambda client: client.v1.payment_intents.retrieve("pi_x"), "rak_payment_intent_read"),
        (lambda client: client.v1.charges.list(), "rak_charge_read"),
        (lambda client: client.v1.balance.retrieve(), "rak_balance_read"),
    ],
)
def test_each_kind_of_object_has_its_permission(sandbox, restricted, call, missing):
    sandbox.key(RESTRICTED, [])
    assert f"'{missing}'" in refused(call, restricted).user_message


def test_an_expired_key_says_so(sandbox, client):
    sandbox.key(STRIPE_KEY, expired=True)
    with pytest.raises(stripe.AuthenticationError) as caught:
        client.v1.refunds.list()
    assert (caught.value.http_status, caught.value.error.code) == (401, "api_key_expired")


def test_an_unknown_permission_is_a_mistake_of_the_test(sandbox):
    with pytest.raises(RuntimeError, match="unknown permissions: sessions_write"):
        sandbox.key(RESTRICTED, ["sessions_write"])


def test_a_reset_takes_the_restricted_keys_away(sandbox, restricted):
    sandbox.key(RESTRICTED, ["refund_read"])
    sandbox.reset()
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
        restricted.v1.refunds.list()


def test_a_key_may_come_as_a_user_name(sandbox):
    sandbox.key(RESTRICTED, ["refund_read"])
    answers = [
        requests.get(f"{sandbox.stripe_url}/v1/{path}", auth=(RESTRICTED, ""), timeout=10)
        for path in ("refunds", "disputes")
    ]
    assert [answer.status_code for answer in answers] == [200, 403]
