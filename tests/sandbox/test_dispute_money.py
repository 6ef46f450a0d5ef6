"""Where the money of a dispute is: by its status, or as a test has it; and what happens later."""

import pytest

from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database
DAY = 86400


def net(dispute):
    return sum(entry["net"] for entry in dispute["balance_transactions"])


def kinds(endpoint):
    return [kind.removeprefix("charge.dispute.") for kind in sorted(endpoint.types)]


def test_a_prevented_dispute_takes_the_amount_without_a_fee_and_no_answer(
    sandbox, payment, endpoint
):
    dispute = sandbox.dispute(payment, status="prevented", wait=5)
    assert (dispute["status"], net(dispute), dispute["is_charge_refundable"]) == (
        "prevented",
        -4900,
        False,
    )
    assert dispute["evidence_details"]["due_by"] == 0
    assert dispute["payment_method_details"]["card"]["case_type"] == "resolution"
    assert kinds(endpoint) == ["created", "funds_withdrawn"]


@pytest.mark.parametrize("status", ["prevented", "needs_response"])
def test_the_money_can_be_left_where_it_is(sandbox, payment, endpoint, status):
    dispute = sandbox.dispute(payment, status=status, funds="untouched", wait=5)
    assert dispute["balance_transactions"] == []
    assert "funds_withdrawn" not in kinds(endpoint)


def test_money_can_be_withdrawn_on_a_warning_and_come_back(sandbox, payment, endpoint):
    warning = sandbox.dispute(payment, status="warning_needs_response", wait=5)
    endpoint.clear()
    taken = sandbox.close_dispute(
        warning["id"], "warning_needs_response", funds="withdrawn", wait=5
    )
    assert (taken["status"], net(taken)) == ("warning_needs_response", -6400)
    assert kinds(endpoint) == ["funds_withdrawn"]
    back = sandbox.close_dispute(warning["id"], "warning_closed", funds="reinstated", wait=5)
    assert (back["status"], net(back)) == ("warning_closed", -1500)


def test_a_lost_dispute_is_appealed_with_another_date_and_won(sandbox, payment, endpoint):
    dispute = sandbox.dispute(payment)
    first_date = dispute["evidence_details"]["due_by"]
    sandbox.close_dispute(dispute["id"], "lost")
    assert sandbox.advance(20 * DAY, wait=30)
    endpoint.clear()
    appeal = sandbox.close_dispute(dispute["id"], "appeal_needs_response", wait=5)
    assert (appeal["status"], net(appeal)) == ("appeal_needs_response", -6400)
    assert appeal["evidence_details"]["due_by"] == first_date + 20 * DAY
    review = sandbox.close_dispute(dispute["id"], "appeal_under_review", wait=5)
    assert review["evidence_details"]["has_evidence"] is True
    won = sandbox.close_dispute(dispute["id"], "won", wait=5)
    assert net(won) == -1500
    assert kinds(endpoint) == ["closed", "funds_reinstated", "updated", "updated"]


def test_a_wrong_place_for_the_money_changes_nothing(sandbox, payment):
    with pytest.raises(RuntimeError, match="funds must be one of withdrawn, reinstated, untouched"):
        sandbox.dispute(payment, funds="lost")
    assert sandbox.state()["disputes"] == []
    dispute = sandbox.dispute(payment)
    with pytest.raises(RuntimeError, match="funds must be one of"):
        sandbox.close_dispute(dispute["id"], "won", funds="lost")
    assert sandbox.state()["disputes"] == [dispute]


def test_a_dispute_is_decided_weeks_later_by_itself(sandbox, client, payment, endpoint):
    dispute = sandbox.dispute(payment, wait=5)
    sandbox.close_dispute(dispute["id"], "won", after=21 * DAY)
    sandbox.advance(20 * DAY)
    assert client.v1.disputes.retrieve(dispute["id"]).status == "needs_response"
    sandbox.advance(DAY + 1)
    assert client.v1.disputes.retrieve(dispute["id"]).status == "won"
    wait_until(lambda: "charge.dispute.closed" in endpoint.types)


@pytest.mark.parametrize(
    ("end", "status"), [("settle_refund", "succeeded"), ("fail_refund", "failed")]
)
def test_a_refund_ends_days_later_by_itself(sandbox, client, payment, endpoint, end, status):
    sandbox.stripe(refund_status="pending")
    refund = sandbox.refund_in_dashboard(payment, 900)
    getattr(sandbox, end)(refund["id"], after=4 * DAY)
    assert client.v1.refunds.retrieve(refund["id"]).status == "pending"
    sandbox.advance(4 * DAY + 1)
    assert client.v1.refunds.retrieve(refund["id"]).status == status
    wait_until(lambda: status in [each["status"] for each in endpoint.objects("refund.updated")])


def test_a_refund_that_succeeded_is_sent_back_a_month_later(sandbox, client, payment):
    refund = sandbox.refund_in_dashboard(payment)
    sandbox.fail_refund(refund["id"], after=30 * DAY, reason="expired_or_canceled_card")
    sandbox.advance(30 * DAY + 1)
    found = client.v1.refunds.retrieve(refund["id"])
    assert (found.status, found.failure_reason) == ("failed", "expired_or_canceled_card")
    assert client.v1.charges.retrieve(refund["charge"]).amount_refunded == 0


def test_what_was_to_happen_to_a_refund_that_has_ended_does_not(sandbox, client, payment):
    sandbox.stripe(refund_status="pending")
    refund = sandbox.refund_in_dashboard(payment, 900)
    sandbox.settle_refund(refund["id"], after=DAY)
    sandbox.cancel_refund(refund["id"])
    sandbox.advance(DAY + 1)
    assert client.v1.refunds.retrieve(refund["id"]).status == "canceled"
    assert client.v1.refunds.create({"payment_intent": payment, "amount": 4900}).amount == 4900


def test_a_debit_ends_days_later(sandbox, client, order, endpoint):
    for outcome, kind in (
        ("delayed_success", "checkout.session.async_payment_succeeded"),
        ("delayed_failure", "checkout.session.async_payment_failed"),
    ):
        session = client.v1.checkout.sessions.create(order)
        sandbox.pay(session.id, outcome, delay=5 * DAY, wait=5)
        sandbox.advance(4 * DAY)
        assert kind not in endpoint.types
        sandbox.advance(DAY + 1)
        wait_until(lambda kind=kind: kind in endpoint.types)
        order["expires_at"] += 5 * DAY
