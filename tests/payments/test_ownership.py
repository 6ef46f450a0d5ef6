"""Refunds and disputes of other products on our Stripe account are none of ours (fault M17)."""

from typing import Any

import pytest
import stripe
from django.conf import settings
from django.test import Client

from notifications.models import Alert
from payments import reconcile, waiting_reversals
from payments.models import Dispute, Payment, Refund, StripeEvent
from tests.affiliates.shop import buy, check_out, fresh, visitor
from tests.factories import deliver, make_course
from tests.payments.reconciled import counts
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

OTHERS: dict[str, dict[str, str]] = {
    "no metadata": {},
    "other names": {"order": "17"},
    "our names with numbers": {"payment_id": "17", "enrollment_id": "4"},
    "one of our names": {"payment_id": "0192f3c0-0000-7000-8000-000000000000"},
}


def sale_of_another_product(sandbox: Sandbox, metadata: dict[str, str]) -> str:
    """Sell something through the same account, and return the payment intent."""
    client = stripe.StripeClient(
        settings.STRIPE_SECRET_KEY, base_addresses={"api": sandbox.stripe_url}
    )
    price: Any = {"currency": "usd", "unit_amount": 5000, "product_data": {"name": "A mug"}}
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "success_url": "https://mugs.example/",
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
        }
    )
    sandbox.pay(session.id)
    return client.v1.checkout.sessions.retrieve(session.id).payment_intent


def deliver_all(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Deliver every event of refunds, charges and disputes, and return what was answered."""
    return [
        (event["type"], deliver(Client(), event).json()["message"])
        for event in sandbox.book("events")
        if event["type"].startswith(("refund.", "charge."))
    ]


@pytest.mark.parametrize("metadata", OTHERS.values(), ids=OTHERS)
def test_what_happens_to_another_products_sale_is_not_stored(
    sandbox: Sandbox, metadata: dict[str, str]
):
    intent = sale_of_another_product(sandbox, metadata)
    sandbox.refund_in_dashboard(intent, 1000)
    sandbox.dispute(intent)
    answers = dict(deliver_all(sandbox))
    assert answers.pop("charge.succeeded", "Event ignored") == "Event ignored"
    assert set(answers.values()) == {"Another product's"}
    assert {"refund.created", "charge.refunded", "charge.dispute.created"} <= set(answers)
    assert (Refund.objects.count(), Dispute.objects.count()) == (0, 0)
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.parametrize("metadata", OTHERS.values(), ids=OTHERS)
def test_another_products_sale_alarms_nobody(sandbox: Sandbox, metadata: dict[str, str]):
    sale_of_another_product(sandbox, metadata)
    events = [e for e in sandbox.book("events") if e["type"].startswith("checkout.session.")]
    answers = {deliver(Client(), event).json()["message"] for event in events}
    assert answers <= {"Unknown session", "Event ignored"}
    assert (len(events), Alert.objects.count()) == (1, 0)


def test_reconciliation_does_not_store_it_either_and_does_not_count_it(sandbox: Sandbox):
    sandbox.webhooks(hold=False)
    intent = sale_of_another_product(sandbox, {"order": "17"})
    sandbox.refund_in_dashboard(intent, 1000)
    sandbox.dispute(intent)
    assert counts(reconcile.reconcile()) == {}
    assert (Refund.objects.count(), Dispute.objects.count()) == (0, 0)


def sold_but_not_reported(sandbox: Sandbox) -> tuple[Payment, str]:
    assert check_out(visitor(), make_course()).status_code == 302
    payment = Payment.objects.get()
    sandbox.pay(payment.stripe_session_id)
    return payment, sandbox.sessions()[0]["payment_intent"]


@pytest.mark.every_engine
def test_what_is_reported_before_its_own_sale_waits_for_it(sandbox: Sandbox):
    payment, intent = sold_but_not_reported(sandbox)
    sandbox.refund_in_dashboard(intent)
    assert dict(deliver_all(sandbox))["refund.created"] == "Event processed"
    refund = Refund.objects.get()
    assert (refund.payment_id, refund.status, fresh(payment).status) == (
        None,
        "succeeded",
        "pending",
    )
    for event in sandbox.book("events"):
        deliver(Client(), event)
    assert waiting_reversals.attach_refunds() == 1
    assert (fresh(refund).payment_id, fresh(payment.enrollment).status) == (payment.pk, "refunded")


@pytest.mark.every_engine
def test_what_waits_for_its_sale_is_found_with_it_at_night(sandbox: Sandbox):
    payment, intent = sold_but_not_reported(sandbox)
    sandbox.dispute(intent)
    deliver_all(sandbox)
    sandbox.webhooks(hold=False)
    assert Dispute.objects.get().payment_id is None
    reconcile.reconcile()
    assert (Dispute.objects.get().payment_id, fresh(payment).status) == (payment.pk, "paid")


def test_while_stripe_does_not_say_whose_it_is_it_waits_and_is_dropped_later(sandbox: Sandbox):
    intent = sale_of_another_product(sandbox, {})
    sandbox.refund_in_dashboard(intent, 1000)
    sandbox.fault("stripe", "down")
    [event] = [e for e in sandbox.book("events") if e["type"] == "refund.created"]
    assert deliver(Client(), event).json()["message"] == "Event processed"
    assert Refund.objects.get().payment_id is None
    assert waiting_reversals.attach_refunds() == 0
    sandbox.heal()
    sandbox.webhooks(hold=False)
    reconcile.reconcile()
    assert Refund.objects.count() == 0


def test_a_key_that_may_not_read_payments_keeps_what_it_cannot_tell(sandbox: Sandbox, settings):
    payment, intent = sold_but_not_reported(sandbox)
    sandbox.key("rk_test_shop", ["refund_read", "checkout_session_write"])
    sandbox.refund_in_dashboard(intent)
    settings.STRIPE_SECRET_KEY = "rk_test_shop"
    [event] = [e for e in sandbox.book("events") if e["type"] == "refund.created"]
    assert deliver(Client(), event).json()["message"] == "Event processed"
    assert (Refund.objects.get().payment_id, fresh(payment).status) == (None, "pending")


def test_our_own_refunds_are_known_without_asking(sandbox: Sandbox):
    _, payment = buy(sandbox)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    before = len(sandbox.calls("stripe"))
    [event] = [e for e in sandbox.book("events") if e["type"] == "refund.created"]
    assert deliver(Client(), event).json()["message"] == "Event processed"
    assert len(sandbox.calls("stripe")) == before
