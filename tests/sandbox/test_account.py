"""The Stripe account: what it says of itself, what it cannot sell, its domain and its clock."""

import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests
import stripe

from tests.sandbox_client import STRIPE_KEY, WEBHOOK_SECRET

pytestmark = pytest.mark.no_database


def priced(order, amount, currency="usd"):
    item = order["line_items"][0]
    price = {**item["price_data"], "unit_amount": amount, "currency": currency}
    return {**order, "line_items": [{**item, "price_data": price}]}


def refused(client, params):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(params)
    return caught.value


def test_the_account_says_what_it_is(sandbox, client):
    sandbox.account(business_name="Learning House", country="AE", default_currency="aed")
    account = client.v1.accounts.retrieve_current()
    assert (account.id, account.country, account.default_currency, account.charges_enabled) == (
        "acct_1Sandbox0000000",
        "AE",
        "aed",
        True,
    )
    assert account.business_profile.name == "Learning House"
    assert account.settings.dashboard.display_name == "Learning House"
    assert account.requirements.disabled_reason is None


def test_an_account_that_cannot_charge_refuses_sessions(sandbox, client, order):
    sandbox.account(charges_enabled=False)
    account = client.v1.accounts.retrieve_current()
    assert (account.charges_enabled, account.requirements.disabled_reason) == (
        False,
        "requirements.past_due",
    )
    error = refused(client, order)
    assert (error.http_status, error.code) == (400, None)
    assert error.user_message == "Your account cannot currently make charges."


def test_an_account_without_a_name_refuses_sessions(sandbox, client, order):
    sandbox.account(business_name="")
    assert "set an account or business name" in refused(client, order).user_message


def test_reading_the_account_needs_its_permission(sandbox, transport):
    sandbox.key("rk_test_shop", ["charge_read"])
    client = stripe.StripeClient(
        "rk_test_shop", base_addresses={"api": sandbox.stripe_url}, http_client=transport
    )
    with pytest.raises(stripe.PermissionError, match="rak_accounts_kyc_basic_read"):
        client.v1.accounts.retrieve_current()


@pytest.mark.parametrize(
    ("settles_in", "converted"),
    [
        ("aed", "2.00 AED. 0.50 USD converts to approximately 1.83 AED"),
        ("chf", "0.50 CHF. 0.50 USD converts to approximately 0.44 CHF"),
    ],
)
def test_an_amount_is_too_small_by_the_currency_it_settles_in(
    sandbox, client, order, settles_in, converted
):
    sandbox.account(default_currency=settles_in, settlement=[settles_in])
    error = refused(client, priced(order, 50))
    assert (error.code, error.http_status) == ("amount_too_small", 400)
    assert converted in error.user_message


def test_the_same_amount_is_enough_where_it_settles_as_it_is(sandbox, client, order):
    sandbox.account(default_currency="aed", settlement=["aed", "usd"])
    assert client.v1.checkout.sessions.create(priced(order, 50)).amount_total == 50
    sandbox.account(settlement=["aed"])
    assert client.v1.checkout.sessions.create(priced(order, 55)).amount_total == 55


def test_a_pay_page_may_be_on_a_domain_of_its_own(sandbox, client, order):
    port = urlsplit(sandbox.url).port
    sandbox.account(pay_url=f"http://pay.localhost:{port}")
    session = client.v1.checkout.sessions.create(order)
    assert session.url == f"http://pay.localhost:{port}/pay/{session.id}"
    here = session.url.replace("pay.localhost", "127.0.0.1")
    assert "Pay 49.00 USD" in requests.get(here, timeout=10).text


def date_of(sandbox):
    answer = requests.get(f"{sandbox.stripe_url}/v1/balance", auth=(STRIPE_KEY, ""), timeout=10)
    return parsedate_to_datetime(answer.headers["Date"]).timestamp()


@pytest.mark.parametrize("ahead", [0, 70, -600])
def test_answers_carry_stripes_time(sandbox, ahead):
    sandbox.set_clock_ahead(ahead)
    assert abs(date_of(sandbox) - time.time() - ahead) < 3


def test_a_session_must_last_half_an_hour_by_stripes_clock(sandbox, client, order):
    sandbox.set_clock_ahead(70)
    error = refused(client, {**order, "expires_at": int(time.time()) + 31 * 60})
    assert (error.http_status, error.param) == (400, "expires_at")
    assert "at least 30 minutes" in error.user_message
    later = {**order, "expires_at": int(time.time()) + 36 * 60}
    assert client.v1.checkout.sessions.create(later).status == "open"


def test_a_clock_that_is_off_makes_signatures_too_old(sandbox, client, order, endpoint):
    sandbox.set_clock_ahead(-600)
    sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)
    [(header, body)] = endpoint.received
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        client.construct_event(body, header, WEBHOOK_SECRET)


@pytest.mark.parametrize("wrong", [{"owner": "me"}, {"charges_enabled": "no"}])
def test_a_wrong_switch_is_a_sentence(sandbox, wrong):
    with pytest.raises(RuntimeError, match="is no field of the account, or no such value"):
        sandbox.account(**wrong)
