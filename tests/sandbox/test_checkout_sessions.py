"""Checkout Sessions through the official SDK: what Stripe answers and what it refuses."""

import threading
import time

import pytest
import requests
import stripe

from tests.sandbox_client import STRIPE_KEY

pytestmark = pytest.mark.no_database

ALWAYS = {
    "adaptive_pricing",
    "after_expiration",
    "allow_promotion_codes",
    "amount_subtotal",
    "amount_total",
    "automatic_tax",
    "billing_address_collection",
    "branding_settings",
    "cancel_url",
    "client_reference_id",
    "client_secret",
    "collected_information",
    "consent",
    "consent_collection",
    "created",
    "currency",
    "currency_conversion",
    "custom_fields",
    "custom_text",
    "customer",
    "customer_creation",
    "customer_details",
    "customer_email",
    "discounts",
    "expires_at",
    "id",
    "invoice",
    "invoice_creation",
    "livemode",
    "locale",
    "metadata",
    "mode",
    "object",
    "payment_intent",
    "payment_link",
    "payment_method_collection",
    "payment_method_configuration_details",
    "payment_method_options",
    "payment_method_types",
    "payment_status",
    "permissions",
    "phone_number_collection",
    "recovered_from",
    "saved_payment_method_options",
    "setup_intent",
    "shipping_address_collection",
    "shipping_cost",
    "shipping_options",
    "status",
    "submit_type",
    "subscription",
    "success_url",
    "total_details",
    "ui_mode",
    "url",
    "wallet_options",
}


def changed(order, path, value):
    """Return the order with one entry, at any depth, set; ``...`` takes it out."""
    *parents, last = path
    node = order
    for key in parents:
        node = node[key]
    if value is ...:
        node.pop(last)
    else:
        node[last] = value
    return order


def test_new_session_has_every_field_and_waits_for_payment(client, sandbox, order):
    session = client.v1.checkout.sessions.create(order)
    fields = session.to_dict()
    assert set(fields) >= ALWAYS
    assert "line_items" not in fields
    assert session.id.startswith("cs_test_")
    assert session.url == f"{sandbox.url}/pay/{session.id}"
    assert (session.status, session.payment_status, session.payment_intent, session.livemode) == (
        "open",
        "unpaid",
        None,
        False,
    )
    assert (session.amount_total, session.currency, session.ui_mode) == (4900, "usd", "hosted_page")
    assert session.metadata.to_dict() == {"enrollment": "1"}
    assert session.success_url.endswith("{CHECKOUT_SESSION_ID}")
    assert session.expires_at == order["expires_at"]
    assert session.customer_details.email == "lea@x.test"
    assert session.adaptive_pricing.enabled is False


def test_defaults_of_a_session(client, order):
    del order["expires_at"], order["customer_email"], order["adaptive_pricing"]
    session = client.v1.checkout.sessions.create(order)
    assert session.expires_at == session.created + 24 * 3600
    assert session.customer_details is None
    assert session.adaptive_pricing.enabled is True


def test_expanding_shows_line_items_and_payment(client, sandbox, order):
    order["line_items"][0]["quantity"] = 2
    session = client.v1.checkout.sessions.create({**order, "expand": ["line_items"]})
    assert session.amount_total == 9800
    assert session.line_items.data[0].price.unit_amount == 4900
    sandbox.pay(session.id)
    plain = client.v1.checkout.sessions.retrieve(session.id)
    assert plain.payment_intent.startswith("pi_")
    full = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["line_items", "payment_intent.latest_charge"]}
    )
    assert full.line_items.data[0].description == "Data Analysis"
    assert full.payment_intent.id == plain.payment_intent
    assert full.payment_intent.latest_charge.amount == 9800
    assert client.v1.checkout.sessions.line_items.list(session.id).data[0].quantity == 2
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.checkout.sessions.retrieve(session.id, {"expand": ["nonsense"]})


def test_unknown_session_is_a_404(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.retrieve("cs_test_nothing")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    assert caught.value.request_id.startswith("req_")


def test_list_filters_and_pages(client, sandbox, order):
    made = [
        client.v1.checkout.sessions.create({**order, "customer_email": f"b{number}@x.test"}).id
        for number in range(5)
    ]
    sandbox.pay(made[0])
    sandbox.expire(made[1])
    sessions = client.v1.checkout.sessions
    assert [item.id for item in sessions.list({"status": "complete"}).data] == made[:1]
    assert [item.id for item in sessions.list({"status": "expired"}).data] == made[1:2]
    intent = sessions.retrieve(made[0]).payment_intent
    assert [item.id for item in sessions.list({"payment_intent": intent}).data] == made[:1]
    assert [
        item.id for item in sessions.list({"customer_details": {"email": "B3@x.test"}}).data
    ] == [made[3]]
    assert sessions.list({"created": {"gte": int(time.time()) + 60}}).data == []
    first = sessions.list({"limit": 2})
    assert [item.id for item in first.data] == made[:2:-1]
    assert first.has_more
    older = sessions.list({"limit": 3, "starting_after": made[3]})
    assert [item.id for item in older.data] == made[2::-1]
    assert not older.has_more
    assert [item.id for item in first.auto_paging_iter()] == made[::-1]
    assert (
        sessions.list({"limit": 1, "expand": ["data.line_items"]})
        .data[0]
        .line_items.data[0]
        .amount_total
        == 4900
    )


def test_list_has_no_filter_by_reference(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.list({"client_reference_id": "enrollment-1"})
    assert caught.value.code == "parameter_unknown"


def test_only_an_open_session_can_be_expired(client, sandbox, endpoint, order):
    session = client.v1.checkout.sessions.create(order)
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match=r"status in \[\"open\"\]"):
        client.v1.checkout.sessions.expire(session.id)
    paid = client.v1.checkout.sessions.create(order)
    sandbox.pay(paid.id)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(paid.id)
    assert client.v1.checkout.sessions.retrieve(paid.id).status == "complete"


ITEM = ("line_items", 0)
PRICE = (*ITEM, "price_data")
REFUSED = [
    (("payment_method_types",), ["card"], "parameter_unknown", "payment_method_types"),
    (("color",), "red", "parameter_unknown", "color"),
    ((*PRICE, "color"), "red", "parameter_unknown", "line_items[0][price_data][color]"),
    (("mode",), ..., "parameter_missing", "mode"),
    (("mode",), "gift", None, "mode"),
    (("line_items",), ..., "parameter_missing", "line_items"),
    (
        (*PRICE, "product_data"),
        {"description": "x"},
        "parameter_missing",
        "line_items[0][price_data][product_data][name]",
    ),
    (
        (*PRICE, "product_data", "name"),
        "",
        "parameter_invalid_empty",
        "line_items[0][price_data][product_data][name]",
    ),
    ((*PRICE, "product_data"), ..., "parameter_missing", "line_items[0][price_data][product_data]"),
    ((*PRICE, "unit_amount"), ..., "parameter_missing", "line_items[0][price_data][unit_amount]"),
    (
        (*PRICE, "unit_amount"),
        "49.00",
        "parameter_invalid_integer",
        "line_items[0][price_data][unit_amount]",
    ),
    (
        (*PRICE, "unit_amount"),
        -1,
        "parameter_invalid_integer",
        "line_items[0][price_data][unit_amount]",
    ),
    ((*PRICE, "unit_amount"), 49, "amount_too_small", None),
    (
        (*PRICE, "unit_amount"),
        100_000_000,
        "parameter_invalid_integer",
        "line_items[0][price_data][unit_amount]",
    ),
    ((*PRICE, "currency"), "xyz", None, "line_items[0][price_data][currency]"),
    ((*PRICE, "currency"), ..., "parameter_missing", "line_items[0][price_data][currency]"),
    ((*ITEM, "quantity"), ..., "parameter_missing", "line_items[0][quantity]"),
    ((*ITEM, "quantity"), 0, "parameter_invalid_integer", "line_items[0][quantity]"),
    ((*ITEM, "price"), "price_123", "resource_missing", "line_items[0][price]"),
    (("success_url",), ..., "parameter_missing", "success_url"),
    (("success_url",), "/thanks", "url_invalid", "success_url"),
    (("cancel_url",), "javascript:alert(1)", "url_invalid", "cancel_url"),
    (("customer_email",), "not an address", "email_invalid", "customer_email"),
    (("customer_email",), "", "parameter_invalid_empty", "customer_email"),
    (("customer",), "cus_1", None, "customer_email"),
    (
        ("client_reference_id",),
        "x" * 201,
        "parameter_invalid_string_too_long",
        "client_reference_id",
    ),
    (("metadata",), {f"k{number}": "v" for number in range(51)}, None, "metadata"),
    (("metadata",), {"k" * 41: "v"}, None, "metadata"),
    (("metadata",), {"k": "v" * 501}, None, "metadata[k]"),
    (("expires_at",), lambda: int(time.time()) + 29 * 60, None, "expires_at"),
    (("expires_at",), lambda: int(time.time()) + 25 * 3600, None, "expires_at"),
    (("expires_at",), "soon", "parameter_invalid_integer", "expires_at"),
    (("ui_mode",), "hosted", None, "ui_mode"),
    (("ui_mode",), "embedded", None, "ui_mode"),
    (("locale",), "kk", None, "locale"),
    (("adaptive_pricing",), {"enabled": "maybe"}, None, "adaptive_pricing[enabled]"),
    (("adaptive_pricing",), {"on": True}, "parameter_unknown", "adaptive_pricing[on]"),
    (("discounts",), [{"coupon": "HALF"}], "resource_missing", "discounts[0][coupon]"),
    (
        ("payment_intent_data",),
        {"description": "x" * 1001},
        "parameter_invalid_string_too_long",
        "payment_intent_data[description]",
    ),
]


@pytest.mark.parametrize("wrong", REFUSED)
def test_wrong_parameter_is_refused_and_nothing_is_made(client, sandbox, order, wrong):
    path, value, code, param = wrong
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(
            changed(order, path, value() if callable(value) else value)
        )
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)
    assert sandbox.sessions() == []


@pytest.mark.parametrize(
    ("currency", "least"), [("usd", 50), ("eur", 50), ("gbp", 30), ("aed", 200), ("jpy", 50)]
)
def test_least_amount_is_taken_and_one_unit_less_is_not(client, order, currency, least):
    price = order["line_items"][0]["price_data"]
    price.update(currency=currency, unit_amount=least)
    assert client.v1.checkout.sessions.create(order).amount_total == least
    price["unit_amount"] = least - 1
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(order)
    assert caught.value.code == "amount_too_small"


def test_limits_are_inclusive(client, order):
    order["metadata"] = {f"{number:040}": "v" * 500 for number in range(50)}
    order["client_reference_id"] = "r" * 200
    order["expires_at"] = int(time.time()) + 30 * 60
    session = client.v1.checkout.sessions.create(order)
    assert len(session.metadata.to_dict()) == 50


def test_a_total_of_zero_needs_no_payment(client, sandbox, order):
    order["line_items"][0]["price_data"]["unit_amount"] = 0
    session = client.v1.checkout.sessions.create(order)
    sandbox.pay(session.id)
    done = client.v1.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_status, done.payment_intent) == (
        "complete",
        "no_payment_required",
        None,
    )


@pytest.mark.parametrize("key", ["sk_test_other", "sk_live_123", ""])
def test_unknown_key_is_a_401_in_stripes_shape(sandbox, transport, order, key):
    other = stripe.StripeClient(
        key, base_addresses={"api": sandbox.stripe_url}, http_client=transport
    )
    with pytest.raises(stripe.AuthenticationError) as caught:
        other.v1.checkout.sessions.create(order)
    assert caught.value.http_status == 401
    assert sandbox.sessions() == []


def test_unknown_address_is_a_404_in_stripes_shape(sandbox):
    answer = requests.get(
        f"{sandbox.stripe_url}/v1/nothing",
        headers={"Authorization": f"Bearer {STRIPE_KEY}"},
        timeout=5,
    )
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["Request-Id"].startswith("req_")


def test_v1_answers_at_the_root_too_and_by_basic_auth(sandbox):
    answer = requests.get(f"{sandbox.url}/v1/balance", auth=(STRIPE_KEY, ""), timeout=5)
    assert answer.json()["object"] == "balance"
    assert answer.json()["livemode"] is False


def test_api_version_is_read_and_remembered(client, sandbox, order):
    session = client.v1.checkout.sessions.create(order)
    assert session.last_response.headers["Stripe-Version"] == "2026-10-28.endive"
    call = sandbox.calls("stripe", "POST /v1/checkout/sessions")[-1]
    assert call["version"] == "2026-10-28.endive"
    assert "line_items[0]" in call["body"]


def test_same_key_and_parameters_replay_the_first_answer(client, sandbox, order):
    first = client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
    again = client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
    assert again.to_dict() == first.to_dict()
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(sandbox.sessions()) == 1


def test_same_key_with_other_parameters_is_refused(client, sandbox, order):
    client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
    order["client_reference_id"] = "enrollment-2"
    with pytest.raises(stripe.IdempotencyError) as caught:
        client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
    assert caught.value.http_status == 400
    assert len(sandbox.sessions()) == 1


def test_a_stored_500_replays_and_a_new_key_works(client, sandbox, order):
    sandbox.fault("stripe", "500", "POST /v1/checkout/sessions", times=1)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
        assert caught.value.http_status == 500
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert (
        client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-2"}).status == "open"
    )
    assert len(sandbox.sessions()) == 1


def test_a_refused_parameter_does_not_use_the_key_up(client, order):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(
            {**order, "mode": "gift"}, {"idempotency_key": "attempt-1"}
        )
    assert (
        client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"}).status == "open"
    )


def test_lost_answer_leaves_a_session_that_the_same_key_finds(client, sandbox, order):
    sandbox.fault("stripe", "lost_answer", "POST /v1/checkout/sessions", times=1)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
    [kept] = sandbox.sessions()
    assert (
        client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"}).id == kept["id"]
    )
    assert len(sandbox.sessions()) == 1


def test_the_sdks_own_retry_makes_one_session(sandbox, transport, order):
    retrying = stripe.StripeClient(
        STRIPE_KEY,
        base_addresses={"api": sandbox.stripe_url},
        http_client=transport,
        max_network_retries=2,
    )
    sandbox.fault("stripe", "lost_answer", "POST /v1/checkout/sessions", times=1)
    assert retrying.v1.checkout.sessions.create(order).status == "open"
    assert len(sandbox.sessions()) == 1


def test_a_key_in_use_is_a_409(client, sandbox, order):
    sandbox.fault("stripe", "slow", "POST /v1/checkout/sessions", seconds=0.6, times=1)
    made = []
    slow = threading.Thread(
        target=lambda: made.append(
            client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
        )
    )
    slow.start()
    time.sleep(0.25)
    with pytest.raises(stripe.StripeError) as caught:
        client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"})
    slow.join()
    assert (caught.value.http_status, caught.value.error.code) == (409, "idempotency_key_in_use")
    assert [session["id"] for session in sandbox.sessions()] == [made[0].id]


def test_twenty_threads_with_one_key_make_one_session(client, sandbox, order):
    ids, refusals = [], []

    def create():
        try:
            ids.append(
                client.v1.checkout.sessions.create(order, {"idempotency_key": "attempt-1"}).id
            )
        except stripe.StripeError as error:
            refusals.append(error.http_status)

    threads = [threading.Thread(target=create) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1
    assert set(refusals) <= {409}
    assert len(ids) + len(refusals) == 20
    assert len(sandbox.sessions()) == 1


def test_sessions_expire_by_the_clock(client, sandbox, endpoint, order):
    session = client.v1.checkout.sessions.create(order)
    sandbox.advance(35 * 60)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    sandbox.advance(2 * 60)
    expired = client.v1.checkout.sessions.retrieve(session.id)
    assert (expired.status, expired.payment_status, expired.url) == ("expired", "unpaid", None)
    assert [event.type for event in client.v1.events.list().data] == ["checkout.session.expired"]
