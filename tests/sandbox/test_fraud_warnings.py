"""Early fraud warnings: what Stripe sends and lists when a card's issuer reports fraud."""

import json

import pytest
import stripe

from tests.sandbox.conftest import always_sent

pytestmark = pytest.mark.no_database
CREATED, UPDATED = "radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"


def test_a_warning_has_an_event_and_is_listed(sandbox, client, payment, endpoint):
    made = sandbox.warn_of_fraud(payment, fraud_type="made_with_lost_card", wait=5)
    assert endpoint.types == [CREATED]
    assert endpoint.objects(CREATED) == [made]
    found = client.v1.radar.early_fraud_warnings.retrieve(made["id"])
    assert always_sent(stripe.radar.EarlyFraudWarning) <= set(found.to_dict())
    assert (found.fraud_type, found.actionable, found.payment_intent, found.livemode) == (
        "made_with_lost_card",
        True,
        payment,
        False,
    )
    [listed] = client.v1.radar.early_fraud_warnings.list({"payment_intent": payment}).data
    assert listed.id == made["id"]
    assert client.v1.radar.early_fraud_warnings.list({"charge": "ch_other"}).data == []


def test_a_warning_can_be_expanded(sandbox, client, payment):
    made = sandbox.warn_of_fraud(payment)
    found = client.v1.radar.early_fraud_warnings.retrieve(
        made["id"], {"expand": ["charge", "payment_intent"]}
    )
    assert (found.charge.id, found.payment_intent.id) == (made["charge"], payment)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.radar.early_fraud_warnings.retrieve(made["id"], {"expand": ["review"]})


def test_a_warning_is_over_when_all_is_refunded(sandbox, client, payment, endpoint):
    made = sandbox.warn_of_fraud(payment)
    sandbox.refund_in_dashboard(payment, 900, wait=5)
    assert client.v1.radar.early_fraud_warnings.retrieve(made["id"]).actionable is True
    sandbox.refund_in_dashboard(payment, wait=5)
    assert client.v1.radar.early_fraud_warnings.retrieve(made["id"]).actionable is False
    [updated] = [json.loads(body) for _, body in endpoint.received if UPDATED in body.decode()]
    assert updated["data"]["previous_attributes"] == {"actionable": True}


def test_a_warning_is_over_when_a_dispute_follows(sandbox, client, payment, endpoint):
    made = sandbox.warn_of_fraud(payment)
    sandbox.dispute(payment, wait=5)
    assert client.v1.radar.early_fraud_warnings.retrieve(made["id"]).actionable is False
    assert endpoint.objects(UPDATED)[0]["actionable"] is False
    assert sandbox.warn_of_fraud(payment)["actionable"] is False


@pytest.mark.parametrize("kind", ["regret", 7])
def test_an_unknown_type_of_fraud_is_refused(sandbox, payment, kind):
    with pytest.raises(RuntimeError, match="fraud_type must be one of"):
        sandbox.warn_of_fraud(payment, fraud_type=kind)
    assert sandbox.book("warnings") == []


def test_a_payment_that_failed_has_no_fraud(sandbox, client, order):
    session = client.v1.checkout.sessions.create(order)
    sandbox.pay(session.id, "declined")
    [charge] = sandbox.book("charges")
    with pytest.raises(RuntimeError, match="Only a paid charge"):
        sandbox.warn_of_fraud(charge["id"])
