"""Webhook endpoints of the API, and how their version and form change what they get."""

import json
import time

import pytest
import stripe

from tests.sandbox.conftest import Endpoint, always_sent
from tests.sandbox_client import STRIPE_KEY, WEBHOOK_SECRET, Sandbox, wait_until

pytestmark = pytest.mark.no_database
OURS = "2026-10-28.endive"
OLD = "2024-09-30.acacia"
EVENTS = ["checkout.session.completed", "charge.refunded", "refund.created", "refund.updated"]


@pytest.fixture
def second():
    server = Endpoint()
    yield server
    server.shutdown()
    server.server_close()


def create(client, endpoint, **more):
    return client.v1.webhook_endpoints.create(
        {"url": endpoint.url, "enabled_events": EVENTS, **more}
    )


def bodies(endpoint):
    return [json.loads(body) for _, body in endpoint.received]


def test_an_endpoint_is_made_with_a_version_and_its_secret_is_shown_once(sandbox, client, second):
    made = create(client, second, api_version=OURS, description="The shop")
    assert made.secret.startswith("whsec_")
    found = client.v1.webhook_endpoints.retrieve(made.id)
    assert always_sent(stripe.WebhookEndpoint) <= set(found.to_dict())
    assert (found.url, found.api_version, found.status, found.description, found.livemode) == (
        second.url,
        OURS,
        "enabled",
        "The shop",
        False,
    )
    assert list(found.enabled_events) == EVENTS
    assert "secret" not in found
    assert all("secret" not in each for each in client.v1.webhook_endpoints.list().data)


def test_the_switches_own_endpoint_is_listed_with_the_types_it_gets(sandbox, client, endpoint):
    sandbox.webhooks(events=["checkout.session.*", "refund.failed"])
    [main] = client.v1.webhook_endpoints.list().data
    assert (main.url, main.api_version, main.status) == (endpoint.url, OURS, "enabled")
    assert list(main.enabled_events) == [
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "refund.failed",
    ]
    sandbox.webhooks(events="*", status="disabled", api_version="")
    [main] = client.v1.webhook_endpoints.list().data
    assert (list(main.enabled_events), main.status, main.api_version) == (["*"], "disabled", None)


def test_a_made_endpoint_gets_its_events_signed_with_its_secret(
    sandbox, client, order, endpoint, second
):
    made = create(client, second)
    sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)
    [(header, body)] = second.received
    assert stripe.WebhookSignature.verify_header(body.decode(), header, made.secret)
    assert not _verifies(body, header, WEBHOOK_SECRET)
    assert endpoint.ids == second.ids


def _verifies(body, header, secret):
    try:
        return stripe.WebhookSignature.verify_header(body.decode(), header, secret)
    except stripe.SignatureVerificationError:
        return False


def test_an_event_is_pending_until_every_endpoint_has_it(sandbox, client, order, second):
    create(client, second)
    second.statuses = [500] * 3
    event = sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)["events"][-1]
    assert client.v1.events.retrieve(event).pending_webhooks == 1
    assert [each.id for each in client.v1.events.list({"delivery_success": False}).data] == [event]
    wait_until(lambda: client.v1.events.retrieve(event).pending_webhooks == 0)
    assert client.v1.events.list({"delivery_success": False}).data == []


def test_an_endpoint_is_disabled_changed_and_deleted(sandbox, client, order, second):
    made = create(client, second)
    assert client.v1.webhook_endpoints.update(made.id, {"disabled": True}).status == "disabled"
    sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)
    assert second.received == []
    changed = client.v1.webhook_endpoints.update(
        made.id, {"disabled": False, "enabled_events": ["checkout.session.expired"]}
    )
    assert (changed.status, list(changed.enabled_events)) == (
        "enabled",
        ["checkout.session.expired"],
    )
    assert client.v1.webhook_endpoints.delete(made.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.webhook_endpoints.retrieve(made.id)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"enabled_events": ["checkout.session.paid"]}, "enabled_events[0]"),
        ({"url": "learn.example.com/api/webhook"}, "url"),
        ({"api_version": "2024-02-30"}, "api_version"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_wrong_parameters_are_refused(client, second, wrong, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(client, second, **wrong)
    assert caught.value.param == param
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: api_version"):
        client.v1.webhook_endpoints.update(create(client, second).id, {"api_version": OURS})


def test_an_old_endpoint_hears_of_a_refund_only_by_its_charge(
    sandbox, client, payment, endpoint, second
):
    create(client, second, api_version=OLD)
    client.v1.refunds.create({"payment_intent": payment})
    wait_until(lambda: "refund.updated" in endpoint.types)
    wait_until(lambda: second.received)
    time.sleep(0.2)
    assert second.types == ["charge.refunded"]
    assert "refund.created" in endpoint.types


def test_the_main_endpoint_can_be_an_old_one(sandbox, client, payment, endpoint):
    sandbox.webhooks(api_version=OLD)
    client.v1.refunds.create({"payment_intent": payment})
    wait_until(lambda: endpoint.received)
    time.sleep(0.2)
    assert set(endpoint.types) == {"charge.refunded"}
    assert client.v1.events.list({"types": ["refund.created"]}).data[0].pending_webhooks == 0


@pytest.mark.parametrize("version", [OLD, OURS])
def test_events_come_in_the_version_of_their_endpoint(
    sandbox, client, order, endpoint, second, version
):
    create(client, second, api_version=version)
    sandbox.webhooks(default_version="2022-11-15", api_version="")
    event = sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)["events"][-1]
    assert [body["api_version"] for body in bodies(second)] == [version]
    assert [body["api_version"] for body in bodies(endpoint)] == ["2022-11-15"]
    assert client.v1.events.retrieve(event).api_version == "2022-11-15"


def test_a_destination_of_thin_events_gets_no_objects(sandbox, client, order, endpoint):
    sandbox.webhooks(payload="thin")
    session = client.v1.checkout.sessions.create(order)
    event = sandbox.pay(session.id, wait=5)["events"][-1]
    [(header, body)] = endpoint.received
    assert stripe.WebhookSignature.verify_header(body.decode(), header, WEBHOOK_SECRET)
    with pytest.raises(ValueError, match="thin"):
        client.construct_event(body, header, WEBHOOK_SECRET)
    [thin] = bodies(endpoint)
    assert (thin["object"], thin["type"], thin["snapshot_event"]) == (
        "v2.core.event",
        "v1.checkout.session.completed",
        event,
    )
    assert thin["related_object"] == {
        "id": session.id,
        "type": "checkout.session",
        "url": f"/v1/checkout/sessions/{session.id}",
    }
    assert "data" not in thin


def test_the_sdk_reads_the_thin_event_and_the_ping(sandbox, client, endpoint):
    about = {"id": "re_1", "type": "refund", "url": "/v1/refunds/re_1"}
    sandbox.send_thin_event("v1.refund.created", id="evt_test_mine", related_object=about)
    answer = sandbox.ping()
    assert (answer["status"], answer["outcome"]) == (200, "delivered")
    for (header, body), kind in zip(
        endpoint.received, ("v1.refund.created", "v2.core.event_destination.ping"), strict=True
    ):
        assert client.parse_event_notification(body, header, WEBHOOK_SECRET).type == kind


def test_what_answered_the_ping_is_said(sandbox, endpoint):
    endpoint.statuses = [400]
    answer = sandbox.ping()
    assert (answer["status"], answer["outcome"], answer["answer"]) == (400, "failed", "ok")


def test_deliveries_are_given_up_after_three_days(sandbox, client, order, endpoint):
    sandbox.webhooks(retry_base=3600)
    endpoint.statuses = [500] * 20
    sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)
    for hours, tries in ((0, 1), (1, 2), (2, 3), (4, 4), (8, 5), (16, 6), (32, 7), (64, 7)):
        sandbox.advance(hours * 3600)
        wait_until(lambda tries=tries: len(sandbox.book("deliveries")) == tries, 10)
        time.sleep(0.1)  # until the next try is in the queue
    time.sleep(0.6)
    assert len(endpoint.received) == 7
    assert len(client.v1.events.list({"delivery_success": False}).data) == 1


def test_a_wrong_switch_is_a_sentence(sandbox):
    with pytest.raises(RuntimeError, match="payload must be one of snapshot, thin"):
        sandbox.webhooks(payload="thick")


def test_made_endpoints_and_what_they_wait_for_survive_a_restart(
    tmp_path, order, second, transport
):
    with Sandbox(state=tmp_path / "book.json", webhook_retry_base=0.1) as sandbox:
        client = stripe.StripeClient(
            STRIPE_KEY, base_addresses={"api": sandbox.stripe_url}, http_client=transport
        )
        create(client, second)
        second.statuses = [500] * 2
        sandbox.pay(client.v1.checkout.sessions.create(order).id, wait=5)
        sandbox.stop()
        second.clear()
        sandbox.start()
        wait_until(lambda: second.types == ["checkout.session.completed"])
