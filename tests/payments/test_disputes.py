"""Stripe's latest report of a dispute is kept, in whichever order the events arrive."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from notifications.models import Alert
from payments import learner_refunds, reconcile
from payments.disputes import SET_ASIDE
from payments.models import Dispute, Payment, Refund
from tests.affiliates.make import make_affiliate, make_staff, sell
from tests.affiliates.shop import buy, deliver_events
from tests.any_engine import seldom
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    intent_of,
    make_payment,
    refund_of,
    refunded,
)
from tests.payments.reconciled import mended
from tests.sandbox_client import Sandbox

MINUTE = 60
START = 1_790_000_000
FIRST_DATE, LATER_DATE = START + 7 * 86400, START + 21 * 86400


def says(
    payment: Payment, at: int, status: str, due_by: int | None = FIRST_DATE, **fields: Any
) -> dict[str, Any]:
    """Return the event by which Stripe reports, at this moment, a dispute of this payment."""
    dispute = dispute_of(payment, status, evidence_details={"due_by": due_by}, **fields)
    return {**disputed(dispute, "charge.dispute.updated"), "created": at}


def state_of(dispute: Dispute | None = None) -> tuple[str, str, int | None]:
    dispute = dispute or Dispute.objects.get()
    due_by = int(dispute.evidence_due_by.timestamp()) if dispute.evidence_due_by else None
    return dispute.status, dispute.stripe_status, due_by


@pytest.mark.any_engine
def test_a_later_report_replaces_the_first_one(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, says(payment, START, "needs_response"))
    answer = deliver(client, says(payment, START + MINUTE, "under_review", LATER_DATE))
    assert answer.json()["message"] == "Event processed"
    assert state_of() == ("open", "under_review", LATER_DATE)
    assert Dispute.objects.get().reported_at == datetime.fromtimestamp(START + MINUTE, UTC)


@pytest.mark.any_engine
def test_the_same_report_again_is_nothing_new_but_keeps_older_ones_out(client: Client):
    _, payment = sell(client, make_affiliate())
    messages = [
        deliver(client, says(payment, START + at, status)).json()["message"]
        for at, status in (
            (0, "under_review"),
            (2 * MINUTE, "under_review"),
            (MINUTE, "needs_response"),
        )
    ]
    assert messages == ["Event processed", "Dispute already recorded", "Dispute already recorded"]
    assert state_of() == ("open", "under_review", FIRST_DATE)


LIVES: dict[str, tuple[list[tuple[int, str, int | None]], tuple[str, str, int | None]]] = {
    "lost": (
        [(0, "needs_response", FIRST_DATE), (1, "under_review", LATER_DATE), (2, "lost", None)],
        ("lost", "lost", None),
    ),
    "won": (
        [
            (0, "warning_needs_response", FIRST_DATE),
            (1, "needs_response", LATER_DATE),
            (2, "won", None),
        ],
        ("won", "won", None),
    ),
    "all within a second": (
        [(0, "needs_response", 1), (0, "under_review", 2), (0, "won", 3)],
        ("won", "won", 3),
    ),
    "an inquiry": (
        [
            (0, "warning_needs_response", 1),
            (0, "warning_under_review", 2),
            (0, "warning_closed", 3),
        ],
        ("warning", "warning_closed", 3),
    ),
    "a status that is new": (
        [(0, "lost", None), (1, "appeal_under_review", LATER_DATE)],
        ("lost", "appeal_under_review", LATER_DATE),
    ),
    "won after all": (
        [(0, "needs_response", 1), (1, "lost", 2), (2, "won", 3)],
        ("lost", "won", 3),
    ),
}


@pytest.mark.parametrize("name", seldom(LIVES, on_every_engine=["lost", "won", "won after all"]))
def test_in_whichever_order_reports_arrive_the_newest_one_is_kept(client: Client, name: str):
    """Contracts, I5: the end is a function of the set of events."""
    reports, end = LIVES[name]
    for order in itertools.permutations(reports):
        _, payment = sell(client, make_affiliate())
        for at, status, due_by in order:
            assert deliver(client, says(payment, START + at, status, due_by)).status_code == 200
        assert state_of(Dispute.objects.get(payment=payment)) == end, order


@pytest.mark.any_engine
@pytest.mark.parametrize("created", ["yesterday", None, -1, 2**40, 1.5])
def test_a_moment_that_is_none_counts_as_the_oldest(client: Client, created: Any):
    _, payment = sell(client, make_affiliate())
    deliver(client, {**says(payment, 0, "needs_response"), "created": created})
    assert state_of() == ("open", "needs_response", FIRST_DATE)
    deliver(client, says(payment, START, "under_review"))
    deliver(client, {**says(payment, 0, "needs_response"), "created": created})
    assert state_of() == ("open", "under_review", FIRST_DATE)


def test_a_dispute_without_a_moment_takes_the_next_report(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, says(payment, START, "needs_response"))
    Dispute.objects.update(reported_at=None)
    deliver(client, says(payment, START - MINUTE, "under_review", LATER_DATE))
    assert state_of() == ("open", "under_review", LATER_DATE)


def test_reconciliation_records_the_report_that_no_event_brought(sandbox: Sandbox):
    _, payment = buy(sandbox, through=make_affiliate())
    sandbox.dispute(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    sandbox.webhooks(hold=False)
    sandbox.close_dispute(Dispute.objects.get().stripe_dispute_id, "under_review")
    Dispute.objects.update(reported_at=datetime.fromtimestamp(START, UTC))
    assert mended(reconcile.reconcile()) == {"disputes": 1}
    assert state_of()[:2] == ("open", "under_review")
    assert mended(reconcile.reconcile()) == {}


def test_an_appeal_waits_for_our_answer_though_the_dispute_was_lost(client: Client):
    _, payment = sell(client, make_affiliate())
    waits = []
    for at, status in enumerate(("needs_response", "lost", "appeal_needs_response", "lost")):
        deliver(client, says(payment, START + at * MINUTE, status))
        waits.append(Dispute.objects.waiting_for_answer().exists())
    assert (waits, Dispute.objects.get().status) == ([True, False, True, False], "lost")


def test_of_a_payment_that_was_set_aside_staff_read_that_nothing_depends_on_it(client: Client):
    """A buyer who paid twice, and whose bank takes the second payment back."""
    enrollment, _ = sell(client, make_affiliate())
    second = Payment(
        enrollment=enrollment,
        status="paid",
        review_reason=Payment.DUPLICATE,
        amount=49900,
        amount_received=49900,
        currency="usd",
        currency_received="usd",
        idempotency_key="checkout-2",
        stripe_session_id="cs_2",
        expires_at=enrollment.created_at,
        paid_at=enrollment.created_at,
    )
    second.stripe_payment_intent_id = intent_of(second)
    second.save()
    for at, status in ((0, "needs_response"), (1, "lost")):
        deliver(client, says(second, START + at, status))
    texts = [alert.lines for alert in Alert.objects.filter(kind="dispute")]
    enrollment.refresh_from_db()
    assert (enrollment.status, len(texts)) == ("paid", 2)
    assert all(SET_ASIDE in lines[1] and "has ended" not in lines[1] for lines in texts)


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_what_a_lost_dispute_gave_back_waits_for_no_refund(client: Client):
    enrollment, first = sell(client, make_affiliate())
    second = make_payment(enrollment, attempt=2)
    deliver(client, completed(second))
    request = learner_refunds.ask(enrollment)
    failed = refund_of(first)
    deliver(client, refunded(failed))
    deliver(client, refunded({**failed, "status": "failed"}, "refund.failed"))
    waiting = (Payment.objects.set_aside, Refund.objects.not_made_good)
    assert [rows().count() for rows in waiting] == [1, 1]
    for payment in (first, second):
        deliver(client, says(payment, START, "lost", id=f"du_{payment.pk}"))
    assert [rows().count() for rows in waiting] == [0, 0]
    assert learner_refunds.refund(request, by="staff@example.com")
    assert (Refund.objects.count(), request.status) == (1, "refunded")


@pytest.mark.any_engine
def test_the_office_shows_what_stripe_said_last(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, says(payment, START, "needs_response"))
    deliver(client, says(payment, START + MINUTE, "under_review", LATER_DATE))
    client.force_login(make_staff())
    dispute = Dispute.objects.get()
    for page in ("dispute/", f"dispute/{dispute.pk}/change/", f"payment/{payment.pk}/change/"):
        # The list says it in words.
        shown = client.get(f"/admin/payments/{page}").content.decode().replace("_", " ")
        assert "under review" in shown, page
        assert "needs response" not in shown, page
