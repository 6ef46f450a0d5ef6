"""Refunds: by the API and in the dashboard, pending, returned, and refused ones."""

import json
import time

import pytest
import stripe

from tests.sandbox.conftest import always_sent
from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database

MADE = ["refund.created", "charge.refunded", "refund.updated", "charge.refund.updated"]
ENDED = ["refund.updated", "charge.refund.updated"]


def events(client, **query):
    """The types of all events since the payment, oldest first."""
    listed = [event.type for event in client.v1.events.list({"limit": 100, **query}).data]
    return [kind for kind in reversed(listed) if "refund" in kind]


def charge_of(client, payment):
    return client.v1.charges.list({"payment_intent": payment}).data[0]


def refunded(client, payment):
    charge = charge_of(client, payment)
    return charge.amount_refunded, charge.refunded


def test_refunds_add_up_and_stop_at_the_charge(client, sandbox, payment, endpoint):
    params = {"payment_intent": payment, "amount": 1900, "reason": "requested_by_customer"}
    part = client.v1.refunds.create(params, {"idempotency_key": "r1"})
    charge = charge_of(client, payment)
    assert (part.status, part.amount, part.charge, part.reason) == (
        "succeeded",
        1900,
        charge.id,
        "requested_by_customer",
    )
    assert client.v1.refunds.create(params, {"idempotency_key": "r1"}).id == part.id
    assert refunded(client, payment) == (1900, False)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"charge": charge.id, "amount": 3001})
    assert refunded(client, payment) == (1900, False)
    second = client.v1.refunds.create({"charge": charge.id})
    assert second.amount == 3000
    assert refunded(client, payment) == (4900, True)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"charge": charge.id})
    assert caught.value.code == "charge_already_refunded"
    assert [item.id for item in client.v1.refunds.list({"payment_intent": payment}).data] == [
        second.id,
        part.id,
    ]
    assert events(client) == MADE * 2
    wait_until(lambda: len(endpoint.types) == 6)
    assert sorted(endpoint.types) == sorted(
        ["refund.created", "charge.refunded", "refund.updated"] * 2
    )


def test_a_refund_has_every_field_stripe_always_sends(client, payment):
    refund = client.v1.refunds.create({"payment_intent": payment})
    assert {"amount", "created", "currency", "id", "object"} == always_sent(stripe.Refund)
    assert always_sent(stripe.Refund) <= set(refund.to_dict())
    assert refund.destination_details.card.reference_status == "pending"
    assert (
        client.v1.refunds.retrieve(refund.id).destination_details.card.reference_status
        == "available"
    )


def test_updates_say_what_was_before(client, payment):
    client.v1.refunds.create({"payment_intent": payment, "amount": 900})
    refund = client.v1.refunds.create({"payment_intent": payment})
    changed = client.v1.events.list({"type": "charge.refunded", "limit": 1}).data[0]
    assert changed.data.previous_attributes.to_dict() == {"amount_refunded": 900, "refunded": False}
    updated = client.v1.events.list({"type": "refund.updated", "limit": 1}).data[0]
    assert updated.data.previous_attributes.to_dict() == {
        "destination_details": refund.destination_details.to_dict()
    }


def test_who_asked_over_the_api_is_named_in_the_event(client, sandbox, payment):
    client.v1.refunds.create(
        {"payment_intent": payment, "amount": 100}, {"idempotency_key": "mine"}
    )
    sandbox.refund_in_dashboard(payment, 200)
    by_hand, by_key = client.v1.events.list({"type": "refund.created"}).data
    assert by_key.request.idempotency_key == "mine"
    assert (by_hand.request.id, by_hand.request.idempotency_key) == (None, None)


def test_a_refund_in_the_dashboard_is_like_any_other(client, sandbox, payment, endpoint):
    part = sandbox.refund_in_dashboard(payment, 1200, reason="duplicate", wait=5)
    assert (part["status"], part["amount"], part["reason"], part["metadata"]) == (
        "succeeded",
        1200,
        "duplicate",
        {},
    )
    assert sorted(endpoint.types) == ["charge.refunded", "refund.created", "refund.updated"]
    second = sandbox.refund_in_dashboard(charge_of(client, payment).id)
    assert (second["amount"], second["reason"], second["payment_intent"]) == (3700, None, payment)
    assert refunded(client, payment) == (4900, True)
    assert events(client) == MADE * 2
    with pytest.raises(RuntimeError, match=r"400 .*has already been refunded"):
        sandbox.refund_in_dashboard(payment)
    assert len(sandbox.book("refunds")) == 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"amount": 0}, "amount must be"),
        ({"amount": "12"}, "amount must be"),
        ({"amount": 4901}, "more than the 4900 left"),
        ({"reason": "regret"}, "reason must be one of"),
    ],
)
def test_a_wrong_refund_in_the_dashboard_is_refused(sandbox, client, payment, data, sentence):
    with pytest.raises(RuntimeError, match=f"400 .*{sentence}"):
        sandbox.call("POST", f"/control/stripe/charges/{payment}/refund", data)
    assert sandbox.book("refunds") == []
    assert refunded(client, payment) == (0, False)


@pytest.mark.parametrize(
    ("begins", "pending_reason"), [("pending", "processing"), ("requires_action", None)]
)
def test_a_refund_may_take_its_time(client, sandbox, payment, endpoint, begins, pending_reason):
    assert sandbox.stripe(refund_status=begins)["refund_status"] == begins
    refund = client.v1.refunds.create({"payment_intent": payment})
    assert (refund.status, refund.pending_reason, refund.balance_transaction) == (
        begins,
        pending_reason,
        None,
    )
    assert refunded(client, payment) == (4900, True)
    assert events(client) == ["refund.created", "charge.refunded"]
    wait_until(lambda: len(endpoint.received) == 2)
    endpoint.clear()
    settled = sandbox.settle_refund(refund.id, wait=5)
    assert (settled["status"], settled["pending_reason"]) == ("succeeded", None)
    assert endpoint.types == ["refund.updated"]
    change = json.loads(endpoint.received[0][1])["data"]
    assert (change["previous_attributes"]["status"], change["object"]["status"]) == (
        begins,
        "succeeded",
    )
    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert events(client) == ["refund.created", "charge.refunded", *ENDED]
    assert refunded(client, payment) == (4900, True)


@pytest.mark.parametrize("begins", ["succeeded", "pending", "requires_action"])
def test_a_refund_may_bounce_later(client, sandbox, payment, endpoint, begins):
    sandbox.stripe(refund_status=begins)
    refund = client.v1.refunds.create({"payment_intent": payment})
    before = events(client)
    failed = sandbox.fail_refund(refund.id, wait=5)
    assert (failed["status"], failed["failure_reason"]) == ("failed", "lost_or_stolen_card")
    assert failed["failure_balance_transaction"].startswith("txn_")
    assert events(client) == [*before, *ENDED, "refund.failed"]
    assert endpoint.objects("refund.failed")[0]["status"] == "failed"
    assert refunded(client, payment) == (0, False)
    sandbox.fail_refund(refund.id)
    assert events(client) == [*before, *ENDED, "refund.failed"]
    assert refunded(client, payment) == (0, False)


def test_a_failed_refund_can_be_made_again(client, sandbox, payment):
    first = client.v1.refunds.create({"payment_intent": payment})
    sandbox.fail_refund(first.id, reason="expired_or_canceled_card")
    assert client.v1.refunds.retrieve(first.id).failure_reason == "expired_or_canceled_card"
    second = client.v1.refunds.create({"payment_intent": payment})
    assert (second.status, refunded(client, payment)) == ("succeeded", (4900, True))


def test_a_refund_that_has_not_gone_out_can_be_canceled(client, sandbox, payment):
    sandbox.stripe(refund_status="requires_action")
    refund = client.v1.refunds.create({"payment_intent": payment})
    assert sandbox.cancel_refund(refund.id)["status"] == "canceled"
    assert events(client) == ["refund.created", "charge.refunded", *ENDED]
    assert refunded(client, payment) == (0, False)


@pytest.mark.parametrize(
    ("first", "then"),
    [("fail", "succeed"), ("cancel", "succeed"), ("cancel", "fail"), ("succeed", "cancel")],
)
def test_an_end_is_an_end(client, sandbox, payment, first, then):
    sandbox.stripe(refund_status="pending")
    refund = client.v1.refunds.create({"payment_intent": payment})
    ended = sandbox.call("POST", f"/control/stripe/refunds/{refund.id}/{first}")
    before = events(client), refunded(client, payment)
    with pytest.raises(RuntimeError, match=r"400 .*This refund is .* and cannot become"):
        sandbox.call("POST", f"/control/stripe/refunds/{refund.id}/{then}")
    assert client.v1.refunds.retrieve(refund.id).status == ended["status"]
    assert (events(client), refunded(client, payment)) == before


def test_how_refunds_begin_is_one_of_three_and_reset_forgets_it(client, sandbox, payment):
    with pytest.raises(RuntimeError, match=r"400 .*refund_status must be one of"):
        sandbox.stripe(refund_status="maybe")
    sandbox.stripe(refund_status="pending")
    sandbox.reset()
    assert sandbox.stripe()["refund_status"] == "succeeded"


def test_refunds_are_listed_by_time_and_by_page(client, sandbox, payment):
    first = client.v1.refunds.create({"payment_intent": payment, "amount": 100})
    sandbox.advance(3600)
    later = [client.v1.refunds.create({"payment_intent": payment, "amount": 100}) for _ in range(3)]
    newest_first = [refund.id for refund in reversed(later)]
    assert [
        item.id for item in client.v1.refunds.list({"created": {"gt": first.created}}).data
    ] == newest_first
    assert [
        item.id for item in client.v1.refunds.list({"created": {"lte": first.created}}).data
    ] == [first.id]
    assert client.v1.refunds.list({"created": {"gte": int(time.time()) + 7200}}).data == []
    page = client.v1.refunds.list({"created": {"gte": first.created}, "limit": 2})
    assert (page.has_more, [item.id for item in page.auto_paging_iter()]) == (
        True,
        [*newest_first, first.id],
    )


def test_refunds_can_be_answered_with_what_they_belong_to(client, payment):
    refund = client.v1.refunds.create(
        {"payment_intent": payment, "amount": 100, "expand": ["charge"]}
    )
    assert refund.charge.amount_refunded == 100
    listed = client.v1.refunds.list({"expand": ["data.payment_intent"]}).data[0]
    assert (listed.payment_intent.id, listed.charge) == (payment, refund.charge.id)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.refunds.create({"payment_intent": payment, "expand": ["customer"]})
    assert refunded(client, payment) == (100, False)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"amount": 100}, "parameter_missing"),
        ({"charge": "ch_none"}, "resource_missing"),
        ({"payment_intent": "pi_none"}, "resource_missing"),
        ({"payment_intent": "pi_none", "reason": "regret"}, None),
        ({"payment_intent": "pi_none", "amount": 0}, "parameter_invalid_integer"),
        ({"payment_intent": "pi_none", "note": "x"}, "parameter_unknown"),
    ],
)
def test_wrong_refunds_are_refused(client, sandbox, params, code):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create(params)
    assert caught.value.code == code
    assert sandbox.book("refunds") == []
