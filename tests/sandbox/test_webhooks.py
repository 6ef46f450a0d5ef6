"""Signed webhooks: what is sent, how often, and every disorder on request."""

import json
import time

import pytest
import stripe

from tests.sandbox_client import WEBHOOK_SECRET, wait_until

pytestmark = pytest.mark.no_database


@pytest.fixture
def session(client, order):
    return client.v1.checkout.sessions.create(order)


def outcomes(sandbox, kind="checkout.session.completed"):
    return [entry["outcome"] for entry in sandbox.book("deliveries") if entry["type"] == kind]


def test_an_event_is_signed_as_the_sdk_verifies_it(sandbox, client, session, endpoint):
    sandbox.pay(session.id, wait=5)
    [(header, body)] = endpoint.received
    assert stripe.WebhookSignature.verify_header(body.decode(), header, WEBHOOK_SECRET, 300)
    event = client.construct_event(body, header, WEBHOOK_SECRET)
    assert (event.type, event.pending_webhooks, event.livemode) == (
        "checkout.session.completed",
        1,
        False,
    )
    assert event.data.object.id == session.id
    assert header == stripe.WebhookSignature.generate_signature_header(
        payload=body.decode(), secret=WEBHOOK_SECRET, timestamp=int(header[2:].split(",")[0])
    )
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body.replace(b"4900", b"1900"), header, WEBHOOK_SECRET)


def test_an_api_call_is_named_in_its_event(client, session, endpoint):
    client.v1.checkout.sessions.expire(session.id, options={"idempotency_key": "expire-1"})
    wait_until(lambda: endpoint.received)
    request = json.loads(endpoint.received[0][1])["request"]
    assert request["id"].startswith("req_")
    assert request["idempotency_key"] == "expire-1"


@pytest.mark.parametrize("status", [500, 400, 302])
def test_a_refused_delivery_is_tried_again_newly_signed(sandbox, session, endpoint, status):
    endpoint.statuses = [status, status]
    answer = sandbox.pay(session.id, wait=5)
    assert answer["answered"] is True
    wait_until(lambda: len(endpoint.received) == 3)
    wait_until(lambda: outcomes(sandbox) == ["failed", "failed", "delivered"])
    assert len(set(endpoint.ids)) == 1
    moments = [entry["at"] for entry in sandbox.book("deliveries")]
    # The pauses are 0.1 and 0.2 s; on a busy machine either may take longer.
    assert moments[1] - moments[0] >= 0.09
    assert moments[2] - moments[1] >= 0.18


def test_retries_that_a_moved_clock_makes_due_are_made_before_it_answers(
    sandbox, session, endpoint
):
    endpoint.statuses = [500, 500]
    sandbox.webhooks(retry_base=3600)
    sandbox.pay(session.id, wait=5)
    for hours, received in ((0.9, 1), (0.2, 2), (1, 2), (1, 3)):
        assert sandbox.advance(hours * 3600, wait=10)
        assert len(endpoint.received) == received


def test_only_the_books_that_are_asked_for_are_sent(sandbox, session):
    state = sandbox.state("sessions", "refunds")
    assert state == {"sessions": sandbox.book("sessions"), "refunds": []}
    with pytest.raises(RuntimeError, match="404"):
        sandbox.state("stamps")


def test_undelivered_events_can_be_asked_for(sandbox, client, session, endpoint):
    endpoint.statuses = [500] * 50
    sandbox.pay(session.id, wait=5)
    pending = client.v1.events.list({"delivery_success": False}).data
    assert [(event.type, event.pending_webhooks) for event in pending] == [
        ("checkout.session.completed", 1)
    ]
    endpoint.statuses = []
    wait_until(lambda: client.v1.events.list({"delivery_success": False}).data == [])
    assert (
        client.v1.events.list({"delivery_success": True, "type": "checkout.session.completed"})
        .data[0]
        .pending_webhooks
        == 0
    )


def test_an_endpoint_that_is_away_gets_the_event_later(sandbox, client, session, endpoint):
    sandbox.webhooks(url="http://127.0.0.1:9/hook")
    sandbox.pay(session.id, wait=5)
    assert set(outcomes(sandbox)) == {"failed"}
    sandbox.webhooks(url=endpoint.url)
    wait_until(lambda: endpoint.types == ["checkout.session.completed"])


def test_a_silent_endpoint_is_a_failure(sandbox, session, endpoint):
    sandbox.webhooks(timeout=0.2)
    endpoint.pause = 0.6
    sandbox.pay(session.id)
    wait_until(lambda: "failed" in outcomes(sandbox))
    endpoint.pause = 0
    sandbox.webhooks(timeout=2)
    wait_until(lambda: "delivered" in outcomes(sandbox))
    wait_until(lambda: len(endpoint.received) == len(outcomes(sandbox)))


def test_each_event_can_be_sent_several_times(sandbox, session, endpoint):
    sandbox.webhooks(duplicates=5)
    sandbox.pay(session.id)
    wait_until(lambda: len(endpoint.received) == 5)
    assert len(set(endpoint.ids)) == 1
    time.sleep(0.3)
    assert len(endpoint.received) == 5


def test_held_events_leave_in_the_order_asked(sandbox, client, order, endpoint):
    sandbox.webhooks(hold=True)
    for _ in range(4):
        sandbox.pay(client.v1.checkout.sessions.create(order).id)
    held = sandbox.book("held")
    assert len(held) == 4
    time.sleep(0.2)
    assert endpoint.received == []
    wanted = [held[2], held[0], held[2], held[3], held[1]]
    assert sandbox.webhooks(hold=False, order=wanted)["released"] == wanted
    wait_until(lambda: len(endpoint.received) == 5)
    assert endpoint.ids == wanted


@pytest.mark.parametrize(("order_of", "expected"), [("reversed", [2, 1, 0]), ("given", [0, 1, 2])])
def test_held_events_can_be_released_in_a_named_order(
    sandbox, client, order, endpoint, order_of, expected
):
    sandbox.webhooks(hold=True)
    for _ in range(3):
        sandbox.pay(client.v1.checkout.sessions.create(order).id)
    held = sandbox.book("held")
    sandbox.webhooks(hold=False, order=order_of)
    wait_until(lambda: len(endpoint.received) == 3)
    assert endpoint.ids == [held[index] for index in expected]


def test_shuffling_is_repeatable(sandbox, client, order):
    orders = []
    for _ in range(2):
        sandbox.reset()
        sandbox.webhooks(url="http://127.0.0.1:9/hook", hold=True)
        for _ in range(8):
            sandbox.pay(client.v1.checkout.sessions.create(order).id)
        held = sandbox.book("held")
        released = sandbox.webhooks(hold=False, order="shuffled", seed=7)["released"]
        assert sorted(released) == sorted(held)
        assert released != held
        orders.append([held.index(event) for event in released])
    assert orders[0] == orders[1]


def test_a_dropped_event_never_arrives_but_is_on_the_list(sandbox, client, session, endpoint):
    sandbox.webhooks(drop=1)
    sandbox.pay(session.id)
    time.sleep(0.4)
    assert endpoint.received == []
    assert outcomes(sandbox) == ["dropped"]
    assert (
        client.v1.events.list({"delivery_success": False}).data[0].type
        == "checkout.session.completed"
    )


def test_deliveries_can_be_late(sandbox, session, endpoint):
    sandbox.webhooks(delay=0.5)
    sandbox.pay(session.id)
    time.sleep(0.2)
    assert endpoint.received == []
    wait_until(lambda: endpoint.received)


def test_twenty_deliveries_at_once_and_what_came_back(sandbox, session, endpoint):
    event = sandbox.pay(session.id, wait=5)["events"][-1]
    endpoint.clear()
    endpoint.pause = 0.3
    started = time.monotonic()
    results = sandbox.deliver(event, times=20)
    assert time.monotonic() - started < 3
    assert [result["status"] for result in results] == [200] * 20
    assert len(endpoint.received) == 20


def test_deliveries_one_after_the_other(sandbox, session, endpoint):
    sandbox.webhooks(hold=True, events="*")
    events = sandbox.pay(session.id)["events"]
    wanted = [events[2], events[0], events[2], events[1]]
    assert [result["status"] for result in sandbox.deliver_in_order(wanted)] == [200] * 4
    assert endpoint.ids == wanted


def test_only_the_endpoints_types_are_sent(sandbox, client, order, endpoint):
    sandbox.webhooks(events=["payment_intent.*"])
    sandbox.pay(client.v1.checkout.sessions.create(order).id)
    wait_until(lambda: endpoint.received)
    time.sleep(0.2)
    assert endpoint.types == ["payment_intent.succeeded"]


def test_any_event_can_be_made_up(sandbox, endpoint):
    sandbox.send_event(
        "invoice.paid",
        {"id": "in_1", "object": "invoice"},
        livemode=True,
        api_version="2024-01-01",
        id="evt_mine",
    )
    wait_until(lambda: endpoint.received)
    event = json.loads(endpoint.received[0][1])
    assert (event["id"], event["type"], event["livemode"], event["api_version"]) == (
        "evt_mine",
        "invoice.paid",
        True,
        "2024-01-01",
    )


def test_another_secret_signs_otherwise(sandbox, session, endpoint):
    sandbox.webhooks(secret="whsec_other")
    sandbox.pay(session.id, wait=5)
    header, body = endpoint.received[0]
    assert stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_other")
    sandbox.webhooks(secret=WEBHOOK_SECRET)


def test_without_an_endpoint_nothing_is_pending(sandbox, client, session):
    sandbox.webhooks(url="")
    sandbox.pay(session.id)
    assert {event.pending_webhooks for event in client.v1.events.list().data} == {0}


def test_what_was_held_goes_to_the_address_given_on_release(sandbox, session, endpoint):
    sandbox.webhooks(url="", hold=True)
    sandbox.pay(session.id)
    sandbox.webhooks(url=endpoint.url, hold=False)
    wait_until(lambda: endpoint.types == ["checkout.session.completed"])
