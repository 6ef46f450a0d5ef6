"""The hosted page and what paying does: statuses, objects, events, the way back."""

import re
import time

import pytest
import requests

from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database

GOOD, DECLINED, LATER_GOOD, LATER_BAD = (
    "4242 4242 4242 4242",
    "4000 0000 0000 0002",
    "000123456789",
    "000111111116",
)


@pytest.fixture
def session(client, order):
    return client.v1.checkout.sessions.create(order)


def submit(session, number, email="lea@x.test", field="card"):
    form = {"email": email, "name": "Lea Example", field: number}
    return requests.post(session.url, data=form, allow_redirects=False, timeout=30)


def look(client, session):
    return client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )


def test_page_shows_the_order_and_is_a_plain_form(session):
    answer = requests.get(session.url, timeout=5)
    assert answer.status_code == 200
    for text in (
        "SANDBOX",
        "Data Analysis",
        "49.00 USD",
        "4242 4242 4242 4242",
        'value="lea@x.test"',
        "Close without paying",
        'lang="en"',
    ):
        assert text in answer.text
    assert "<script" not in answer.text
    labelled = set(re.findall(r'<label for="([^"]+)"', answer.text))
    assert labelled == set(re.findall(r'<(?:input|select) id="([^"]+)"', answer.text))
    assert 'href="https://shop.example/checkout/cancelled/t/"' in answer.text


def test_paying_by_card_completes_the_session_and_goes_back(client, session, endpoint):
    answer = submit(session, GOOD, email="typed@x.test")
    assert answer.status_code == 303
    assert (
        answer.headers["Location"] == f"https://shop.example/enrollments/t/?session_id={session.id}"
    )
    assert endpoint.types == ["checkout.session.completed"]
    paid = look(client, session)
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert (paid.customer_email, paid.customer_details.email, paid.customer_details.name) == (
        "lea@x.test",
        "typed@x.test",
        "Lea Example",
    )
    intent = paid.payment_intent
    assert (intent.status, intent.amount_received, intent.currency) == ("succeeded", 4900, "usd")
    charge = intent.latest_charge
    assert (charge.status, charge.paid, charge.captured, charge.amount_captured) == (
        "succeeded",
        True,
        True,
        4900,
    )
    assert (charge.amount_refunded, charge.refunded, charge.disputed, charge.payment_intent) == (
        0,
        False,
        False,
        intent.id,
    )
    assert client.v1.charges.retrieve(charge.id).id == charge.id
    assert client.v1.payment_intents.retrieve(intent.id).latest_charge == charge.id


def test_the_page_waits_for_the_webhooks_answer(session, endpoint):
    endpoint.pause = 0.7
    started = time.monotonic()
    assert submit(session, GOOD).status_code == 303
    assert 0.7 <= time.monotonic() - started < 2


def test_the_page_goes_on_without_an_answer_after_its_patience(sandbox, session, endpoint):
    sandbox.stripe(webhook_wait=0.3)
    endpoint.pause = 1.5
    started = time.monotonic()
    assert submit(session, GOOD).status_code == 303
    assert 0.3 <= time.monotonic() - started < 1.2


def test_a_declined_card_keeps_the_session_open(client, session, endpoint):
    answer = submit(session, DECLINED)
    assert answer.status_code == 200
    assert "Your card was declined." in answer.text
    assert 'role="alert"' in answer.text
    still = look(client, session)
    assert (still.status, still.payment_status, still.payment_intent) == ("open", "unpaid", None)
    assert endpoint.received == []
    assert {event.type for event in client.v1.events.list().data} == {
        "charge.failed",
        "payment_intent.payment_failed",
    }
    assert submit(session, GOOD).status_code == 303
    assert look(client, session).payment_status == "paid"


@pytest.mark.parametrize(
    ("number", "email", "text"),
    [("1234", "lea@x.test", "not one of the test numbers"), (GOOD, "nobody", "e-mail address")],
)
def test_what_cannot_be_read_is_asked_again(client, session, number, email, text):
    assert text in submit(session, number, email).text
    assert look(client, session).status == "open"


def test_delayed_success_is_unpaid_first_and_paid_later(client, session, endpoint):
    assert submit(session, LATER_GOOD, field="account").status_code == 303
    first = look(client, session)
    assert (first.status, first.payment_status, first.payment_intent.status) == (
        "complete",
        "unpaid",
        "processing",
    )
    wait_until(lambda: len(endpoint.types) == 2)
    assert endpoint.types == [
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
    ]
    later = look(client, session)
    assert (
        later.payment_status,
        later.payment_intent.status,
        later.payment_intent.latest_charge.paid,
    ) == ("paid", "succeeded", True)


def test_delayed_failure_stays_unpaid(client, session, endpoint):
    assert submit(session, LATER_BAD, field="account").status_code == 303
    wait_until(lambda: len(endpoint.types) == 2)
    assert endpoint.types == ["checkout.session.completed", "checkout.session.async_payment_failed"]
    later = look(client, session)
    assert (later.status, later.payment_status) == ("complete", "unpaid")
    assert later.payment_intent.status == "requires_payment_method"
    assert later.payment_intent.last_payment_error.message


def test_a_closed_session_says_so_and_takes_no_money(client, sandbox, session, order):
    submit(session, GOOD)
    assert "Already paid" in requests.get(session.url, timeout=5).text
    assert "Already paid" in submit(session, GOOD).text
    assert len(sandbox.book("charges")) == 1
    expired = client.v1.checkout.sessions.create(order)
    sandbox.expire(expired.id)
    assert "has expired" in submit(expired, GOOD).text
    assert look(client, expired).payment_status == "unpaid"
    assert requests.get(f"{sandbox.url}/pay/cs_test_nothing", timeout=5).status_code == 404


def test_two_buttons_pressed_at_once_charge_once(sandbox, session):
    results = [sandbox.pay(session.id)]
    with pytest.raises(RuntimeError, match="This session is complete"):
        sandbox.pay(session.id)
    assert results[0]["session"]["payment_status"] == "paid"
    assert len(sandbox.book("charges")) == 1


def test_paying_after_expiry_happens_on_request(client, sandbox, session, endpoint):
    sandbox.expire(session.id)
    with pytest.raises(RuntimeError, match="This session is expired"):
        sandbox.pay(session.id)
    sandbox.pay(session.id, "paid_late", wait=5)
    assert look(client, session).payment_status == "paid"
    wait_until(
        lambda: sorted(endpoint.types) == ["checkout.session.completed", "checkout.session.expired"]
    )


def test_wrong_amount_currency_and_mode_on_request(sandbox, session, endpoint, client):
    sandbox.pay(
        session.id, amount_total=100, currency="eur", livemode=True, email="else@x.test", wait=5
    )
    event = client.v1.events.list({"type": "checkout.session.completed"}).data[0]
    data = event.data.object
    assert (data.amount_total, data.currency, data.livemode, data.customer_details.email) == (
        100,
        "eur",
        True,
        "else@x.test",
    )
    assert event.livemode is True


def test_events_tell_the_whole_story_newest_first(client, sandbox, session):
    sandbox.pay(session.id, wait=5)
    events = client.v1.events.list().data
    assert [event.type for event in events] == [
        "checkout.session.completed",
        "payment_intent.succeeded",
        "charge.succeeded",
    ]
    event = client.v1.events.retrieve(events[0].id)
    assert (event.api_version, event.livemode, event.object) == (
        "2026-10-28.endive",
        False,
        "event",
    )
    assert event.data.object.id == session.id
    chosen = client.v1.events.list({"types": ["charge.succeeded", "charge.failed"]}).data
    assert [item.type for item in chosen] == ["charge.succeeded"]
    assert (
        client.v1.events.list({"limit": 1, "starting_after": events[0].id}).data[0].id
        == events[1].id
    )
    assert client.v1.events.list({"created": {"gt": events[0].created}}).data == []


def test_an_event_is_a_snapshot(client, sandbox, session):
    sandbox.expire(session.id)
    sandbox.pay(session.id, "paid_late")
    first = client.v1.events.list({"type": "checkout.session.expired"}).data[0]
    assert first.data.object.status == "expired"
    assert look(client, session).status == "complete"


def test_balance_is_what_was_captured_and_not_refunded(client, sandbox, session):
    sandbox.pay(session.id)
    client.v1.refunds.create(
        {"payment_intent": look(client, session).payment_intent.id, "amount": 900}
    )
    balance = client.v1.balance.retrieve()
    assert [(fund.amount, fund.currency) for fund in balance.available] == [(4000, "usd")]
