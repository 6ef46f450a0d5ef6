"""Disputes: what a bank does, the money and events of it, and what Stripe refuses meanwhile."""

import json
from datetime import UTC, datetime

import pytest
import stripe

from tests.sandbox.conftest import always_sent
from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database

OPENED = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
NOBODY_KNOWS = "arbitration_in_atlantis"


@pytest.fixture
def dispute(sandbox, payment, endpoint):
    made = sandbox.dispute(payment, wait=5)
    endpoint.clear()
    return made


def events(client):
    """The types of the dispute events so far, oldest first."""
    listed = [event.type for event in client.v1.events.list({"limit": 100}).data]
    return [kind for kind in reversed(listed) if kind.startswith("charge.dispute.")]


def moved(dispute):
    return [
        (entry["amount"], entry["fee"], entry["net"]) for entry in dispute["balance_transactions"]
    ]


def test_a_dispute_takes_the_money_at_once(client, sandbox, payment, endpoint):
    sandbox.dispute(payment, wait=5)
    assert sorted(endpoint.types) == sorted(OPENED)
    assert events(client) == OPENED
    [dispute] = client.v1.disputes.list({"payment_intent": payment}).data
    charge = client.v1.charges.retrieve(dispute.charge)
    assert dispute.id.startswith("du_")
    assert (dispute.object, dispute.status, dispute.reason, dispute.amount, dispute.currency) == (
        "dispute", "needs_response", "fraudulent", 4900, "usd",
    )  # fmt: skip
    assert (dispute.charge, dispute.payment_intent, charge.payment_intent) == (
        charge.id,
        payment,
        payment,
    )
    assert (charge.disputed, charge.refunded, charge.amount_refunded) == (True, False, 0)
    assert (dispute.is_charge_refundable, dispute.livemode, dispute.metadata.to_dict()) == (
        False,
        False,
        {},
    )
    assert moved(dispute) == [(-4900, 1500, -6400)]
    sent = endpoint.objects("charge.dispute.created")[0]
    assert (sent["id"], sent["balance_transactions"][0]["source"]) == (dispute.id, dispute.id)


def test_a_dispute_has_every_field_stripe_always_sends(client, dispute):
    found = client.v1.disputes.retrieve(dispute["id"])
    assert {
        "balance_transactions",
        "charge",
        "evidence",
        "is_charge_refundable",
        "reason",
        "status",
    } <= always_sent(stripe.Dispute)
    assert always_sent(stripe.Dispute) <= set(found.to_dict())
    assert always_sent(stripe.BalanceTransaction) <= set(found.balance_transactions[0].to_dict())
    details = found.evidence_details
    assert always_sent(stripe.Dispute.EvidenceDetails) <= set(details.to_dict())
    assert (details.has_evidence, details.past_due, details.submission_count) == (False, False, 0)
    due = datetime.fromtimestamp(details.due_by, UTC)
    assert (due.hour, due.minute, due.second) == (23, 59, 59)
    assert (due.date() - datetime.fromtimestamp(found.created, UTC).date()).days == 8
    evidence = found.evidence.to_dict()
    assert evidence.pop("enhanced_evidence") == {}
    assert (len(evidence), set(evidence.values())) == (27, {None})
    case = found.payment_method_details.card
    assert (case.brand, case.case_type, case.network, case.network_reason_code) == (
        "visa",
        "chargeback",
        "visa",
        "10.4",
    )


def test_part_of_a_charge_can_be_disputed_for_another_reason(client, sandbox, payment):
    charge = client.v1.charges.list({"payment_intent": payment}).data[0]
    dispute = sandbox.dispute(charge.id, amount=1000, reason="product_not_received")
    assert (dispute["amount"], dispute["reason"], moved(dispute)) == (
        1000,
        "product_not_received",
        [(-1000, 1500, -2500)],
    )


def test_what_was_refunded_is_not_disputed_again(sandbox, payment):
    sandbox.refund_in_dashboard(payment, 900)
    assert sandbox.dispute(payment)["amount"] == 4000


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"amount": 0}, "amount must be"),
        ({"amount": 4901}, "from 1 to 4900"),
        ({"amount": "all"}, "amount must be"),
        ({"reason": "regret"}, "reason must be one of"),
    ],
)
def test_a_wrong_dispute_is_refused(client, sandbox, payment, data, sentence):
    with pytest.raises(RuntimeError, match=f"400 .*{sentence}"):
        sandbox.dispute(payment, **data)
    assert sandbox.book("disputes") == []
    assert client.v1.charges.list({"payment_intent": payment}).data[0].disputed is False


def test_what_was_not_paid_or_is_all_refunded_cannot_be_disputed(client, sandbox, payment, order):
    sandbox.refund_in_dashboard(payment)
    debit = sandbox.pay(client.v1.checkout.sessions.create(order).id, "delayed_success", delay=600)[
        "session"
    ]["payment_intent"]
    for intent in (payment, debit):
        with pytest.raises(RuntimeError, match=r"400 .*Only a paid charge"):
            sandbox.dispute(intent)
    with pytest.raises(RuntimeError, match="404"):
        sandbox.dispute("pi_none")
    assert sandbox.book("disputes") == []


def test_a_bank_debit_can_be_disputed_and_is_lost_at_once(client, sandbox, order):
    intent = sandbox.pay(client.v1.checkout.sessions.create(order).id, "delayed_success", delay=0)[
        "session"
    ]["payment_intent"]
    wait_until(lambda: client.v1.payment_intents.retrieve(intent).status == "succeeded")
    dispute = sandbox.dispute(intent, status="lost", reason="debit_not_authorized")
    assert "payment_method_details" not in dispute
    assert events(client) == [*OPENED, "charge.dispute.closed"]


def test_winning_gives_the_money_back_and_keeps_the_fee(
    client, sandbox, payment, dispute, endpoint
):
    won = sandbox.close_dispute(dispute["id"], "won", wait=5)
    assert sorted(endpoint.types) == ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
    assert events(client) == [*OPENED, "charge.dispute.funds_reinstated", "charge.dispute.closed"]
    assert endpoint.objects("charge.dispute.closed")[0]["status"] == "won"
    assert (won["status"], won["is_charge_refundable"]) == ("won", True)
    assert moved(won) == [(-4900, 1500, -6400), (4900, 0, 4900)]
    assert client.v1.charges.retrieve(dispute["charge"]).disputed is True


def test_losing_leaves_the_money_with_the_buyer(client, sandbox, dispute, endpoint):
    lost = sandbox.close_dispute(dispute["id"], "lost", wait=5)
    assert endpoint.types == ["charge.dispute.closed"]
    assert events(client) == [*OPENED, "charge.dispute.closed"]
    assert (lost["status"], lost["is_charge_refundable"], moved(lost)) == (
        "lost",
        False,
        [(-4900, 1500, -6400)],
    )


def test_an_answer_is_under_review_first(client, sandbox, dispute, endpoint):
    sandbox.close_dispute(dispute["id"], "under_review", wait=5)
    [(_, body)] = endpoint.received
    event = json.loads(body)
    assert (event["type"], event["data"]["previous_attributes"]) == (
        "charge.dispute.updated",
        {"status": "needs_response"},
    )
    details = client.v1.disputes.retrieve(dispute["id"]).evidence_details
    assert (details.has_evidence, details.submission_count, details.submission_method) == (
        True,
        1,
        "manual",
    )
    sandbox.close_dispute(dispute["id"], "lost")
    assert events(client) == [*OPENED, "charge.dispute.updated", "charge.dispute.closed"]


@pytest.mark.parametrize("status", ["prevented", "appeal_needs_response", NOBODY_KNOWS])
def test_a_status_of_tomorrow_is_sent_as_an_update(client, sandbox, dispute, endpoint, status):
    assert sandbox.close_dispute(dispute["id"], status, wait=5)["status"] == status
    assert endpoint.types == ["charge.dispute.updated"]
    assert endpoint.objects("charge.dispute.updated")[0]["status"] == status
    assert client.v1.disputes.retrieve(dispute["id"]).status == status


def test_the_same_status_again_changes_nothing(client, sandbox, dispute):
    sandbox.close_dispute(dispute["id"], "won")
    before = events(client)
    assert moved(sandbox.close_dispute(dispute["id"], "won")) == [
        (-4900, 1500, -6400),
        (4900, 0, 4900),
    ]
    assert events(client) == before


def test_a_decision_may_be_overturned(client, sandbox, dispute):
    sandbox.close_dispute(dispute["id"], "lost")
    assert moved(sandbox.close_dispute(dispute["id"], "won")) == [
        (-4900, 1500, -6400),
        (4900, 0, 4900),
    ]
    assert events(client)[-2:] == ["charge.dispute.funds_reinstated", "charge.dispute.closed"]


def test_an_inquiry_takes_no_money_and_may_just_end(client, sandbox, payment, endpoint):
    inquiry = sandbox.dispute(payment, status="warning_needs_response", wait=5)
    assert endpoint.types == ["charge.dispute.created"]
    assert (inquiry["is_charge_refundable"], moved(inquiry)) == (True, [])
    assert inquiry["payment_method_details"]["card"]["case_type"] == "inquiry"
    sandbox.close_dispute(inquiry["id"], "warning_under_review")
    closed = sandbox.close_dispute(inquiry["id"], "warning_closed")
    assert (closed["status"], moved(closed)) == ("warning_closed", [])
    assert events(client) == [
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
    ]


def test_an_inquiry_that_escalates_takes_the_money_then(client, sandbox, payment):
    inquiry = sandbox.dispute(payment, status="warning_needs_response")
    escalated = sandbox.close_dispute(inquiry["id"], "needs_response")
    assert (escalated["is_charge_refundable"], moved(escalated)) == (False, [(-4900, 1500, -6400)])
    assert escalated["payment_method_details"]["card"]["case_type"] == "chargeback"
    assert events(client) == [
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
    ]


@pytest.mark.parametrize(
    "status", ["needs_response", "under_review", "lost", "prevented", NOBODY_KNOWS]
)
def test_a_charge_that_was_charged_back_is_not_refunded(client, sandbox, payment, dispute, status):
    sandbox.close_dispute(dispute["id"], status)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": payment, "amount": 100})
    assert (caught.value.http_status, caught.value.code) == (400, "charge_disputed")
    assert (
        str(caught.value.user_message)
        == f"Charge {dispute['charge']} has been charged back; cannot issue a refund."
    )
    with pytest.raises(RuntimeError, match=r"400 .*charged back"):
        sandbox.refund_in_dashboard(payment)
    assert sandbox.book("refunds") == []
    assert client.v1.charges.retrieve(dispute["charge"]).amount_refunded == 0


@pytest.mark.parametrize(
    "status", ["warning_needs_response", "warning_under_review", "warning_closed", "won"]
)
def test_an_inquiry_or_a_dispute_that_was_won_does_not_hinder_a_refund(
    client, sandbox, payment, status
):
    dispute = sandbox.dispute(payment, status="warning_needs_response")
    sandbox.close_dispute(dispute["id"], status)
    assert client.v1.refunds.create({"payment_intent": payment}).status == "succeeded"


def test_disputes_are_found_by_charge_by_payment_by_time_and_by_page(
    client, sandbox, payment, dispute, order
):
    sandbox.advance(3600)
    del order["expires_at"]
    intents = [
        sandbox.pay(client.v1.checkout.sessions.create(order).id)["session"]["payment_intent"]
        for _ in range(2)
    ]
    second, third = [sandbox.dispute(intent) for intent in intents]

    def found(**query):
        return [item.id for item in client.v1.disputes.list(query).data]

    assert found() == [third["id"], second["id"], dispute["id"]]
    assert found(charge=dispute["charge"]) == [dispute["id"]]
    assert found(payment_intent=intents[0]) == [second["id"]]
    assert found(created={"gt": dispute["created"]}) == [third["id"], second["id"]]
    assert found(created={"lte": dispute["created"]}) == [dispute["id"]]
    assert found(limit=1, starting_after=third["id"]) == [second["id"]]
    assert [item.id for item in client.v1.disputes.list({"limit": 1}).auto_paging_iter()] == found()
    expanded = client.v1.disputes.list({"expand": ["data.charge"], "limit": 1}).data[0]
    assert (expanded.charge.id, expanded.charge.disputed) == (third["charge"], True)


def test_an_unknown_dispute_is_missing(client, sandbox):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.disputes.retrieve("du_none")
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (
        404,
        "resource_missing",
        "dispute",
    )
    for path, data in (
        ("disputes/du_none", {"status": "won"}),
        ("refunds/re_none/succeed", {}),
        ("refunds/re_none/explode", {}),
    ):
        with pytest.raises(RuntimeError, match="404"):
            sandbox.call("POST", f"/control/stripe/{path}", data)


def test_a_dispute_needs_a_status(sandbox, dispute):
    with pytest.raises(RuntimeError, match=r"400 .*status must not be empty"):
        sandbox.close_dispute(dispute["id"], "")
    assert sandbox.book("disputes")[0]["status"] == "needs_response"


def test_the_balance_knows_of_disputes(client, sandbox, payment, dispute):
    assert [(fund.amount, fund.currency) for fund in client.v1.balance.retrieve().available] == [
        (4900 - 6400, "usd")
    ]
    sandbox.close_dispute(dispute["id"], "won")
    assert [(fund.amount, fund.currency) for fund in client.v1.balance.retrieve().available] == [
        (4900 - 1500, "usd")
    ]
