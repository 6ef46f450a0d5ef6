"""Refunds against Stripe's stand-in: asked for by staff, made in the dashboard, lost on the way,
pending, failed.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Commission, LedgerEntry
from enrollments.models import Enrollment
from grants.models import Grant
from lms_sync.models import SyncJob
from maaledu.work.items import DONE, PENDING
from maaledu.work.queue import drain
from notifications.models import Alert, Email
from notifications.queue import EMAILS
from payments import reconcile, refund_requests, waiting_reversals
from payments.errors import RefundAskedBefore, RefundNotPossible, RefundTooLarge
from payments.models import Payment, Refund, StripeEvent
from payments.refund_requests import Request
from payments.webhooks import EVENTS
from tests.affiliates.make import make_affiliate, make_referred, sell
from tests.affiliates.rivals import rival_before
from tests.affiliates.shop import BUYER, buy, check_out, deliver_events, fresh, long_ago, visitor
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import kinds, race
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import HOLDER, make_coupon
from tests.payments.reconciled import mended
from tests.sandbox_client import Sandbox, wait_until

pytestmark = pytest.mark.any_engine

STAFF = "staff@example.com"
LONG = timedelta(minutes=10)


def ask(payment: Payment, amount: int | None = None, **more: Any) -> Refund:
    return refund_requests.request(
        payment,
        Request(
            payment.amount if amount is None else amount, "requested_by_customer", STAFF, **more
        ),
    )


def at_stripe(sandbox: Sandbox) -> list[tuple[int, str]]:
    """Return Stripe's own book of refunds: the truth."""
    return [(refund["amount"], refund["status"]) for refund in sandbox.book("refunds")]


def asked(sandbox: Sandbox) -> list[dict]:
    return sandbox.calls("stripe", "POST /v1/refunds")


def rows() -> list[tuple[int, str, str]]:
    return list(Refund.objects.order_by("created_at").values_list("amount", "status", "source"))


def state_of(enrollment: Enrollment) -> tuple[str, int]:
    """Return the enrollment's status and how much of its payment is committed to refunds."""
    return (
        fresh(enrollment).status,
        Payment.objects.filter(enrollment=enrollment).latest("created_at").refund_committed,
    )


def mails(kind: str = "refund_made") -> list[dict]:
    return list(
        Email.objects.filter(kind=kind).order_by("created_at").values_list("context", flat=True)
    )


def alerts() -> list[str]:
    return [
        email.context["subject"]
        for email in Email.objects.filter(kind="staff_alert").order_by("created_at")
    ]


def resume() -> int:
    """Let the sweep look at the requests as if their time had come."""
    Refund.objects.filter(status=Refund.REQUESTED).update(updated_at=timezone.now() - LONG)
    return refund_requests.resume_requested()


# --- asked for by staff ---------------------------------------------------------------------------


def test_a_full_refund_is_made_at_stripe_and_ends_the_enrollment(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    refund = ask(payment, note="As agreed by telephone")
    assert at_stripe(sandbox) == [(49900, "succeeded")]
    assert (refund.status, refund.stripe_refund_id) == (
        "succeeded",
        sandbox.book("refunds")[0]["id"],
    )
    assert (refund.requested_by, refund.note, refund.currency, refund.source) == (
        STAFF,
        "As agreed by telephone",
        "usd",
        "staff",
    )
    [call] = asked(sandbox)
    assert call["idempotency_key"] == f"refund-{refund.pk}"
    assert sandbox.book("refunds")[0]["metadata"] == {"refund_id": str(refund.pk)}
    assert state_of(enrollment) == ("refunded", 49900)
    assert fresh(payment).refundable == 0
    assert balance_of(affiliate) == (0, 0, 0, 0)
    assert list(LedgerEntry.objects.order_by("created_at").values_list("kind", "amount")) == [
        ("commission", 4990),
        ("reversal", -4990),
    ]
    assert SyncJob.objects.filter(action=SyncJob.REVOKE).count() == 1
    trail = list(enrollment.events.values_list("from_status", "to_status", "actor"))
    assert trail[-1] == ("paid", "refunded", STAFF)


@pytest.mark.every_engine
def test_stripes_events_about_our_own_refund_change_nothing_more(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    ask(payment)
    before = (
        rows(),
        state_of(enrollment),
        balance_of(affiliate),
        len(mails()),
        SyncJob.objects.count(),
    )
    assert deliver_events(sandbox) == [
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "charge.refund.updated",
    ]
    assert (
        rows(),
        state_of(enrollment),
        balance_of(affiliate),
        len(mails()),
        SyncJob.objects.count(),
    ) == before
    assert set(
        StripeEvent.objects.filter(type__startswith="refund").values_list("outcome", flat=True)
    ) == {"Refund already recorded"}


def test_partial_refunds_keep_the_enrollment_until_the_last_cent(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    for part, left, reversed_ in ((16633, 33267, 1663), (16633, 16634, 3327), (16633, 1, 4990)):
        assert ask(payment, part).status == "succeeded"
        assert fresh(payment).refundable == left
        assert fresh(enrollment).status == "paid"
        assert Commission.objects.get().reversed == reversed_
    ask(payment, 1)
    assert state_of(enrollment) == ("refunded", 49900)
    assert at_stripe(sandbox) == [
        (16633, "succeeded"),
        (16633, "succeeded"),
        (16633, "succeeded"),
        (1, "succeeded"),
    ]
    assert balance_of(affiliate) == (0, 0, 0, 0)
    assert len(mails()) == 4


@pytest.mark.parametrize("amount", [49901, 10**12])
def test_more_than_was_paid_is_refused_and_not_asked_for(sandbox: Sandbox, amount: int):
    enrollment, payment = buy(sandbox)
    with pytest.raises(RefundTooLarge):
        ask(payment, amount)
    assert (rows(), at_stripe(sandbox), asked(sandbox), state_of(enrollment)) == (
        [],
        [],
        [],
        ("paid", 0),
    )


def test_more_than_the_rest_is_refused(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    ask(payment, 40000)
    with pytest.raises(RefundTooLarge):
        ask(payment, 9901)
    assert (at_stripe(sandbox), state_of(enrollment)) == ([(40000, "succeeded")], ("paid", 40000))
    assert ask(payment, 9900).status == "succeeded"
    with pytest.raises(RefundTooLarge):
        ask(payment, 1)
    assert (len(asked(sandbox)), state_of(enrollment)) == (2, ("refunded", 49900))


@pytest.mark.parametrize("amount", [0, -1, -49900])
def test_nothing_or_less_is_no_refund(sandbox: Sandbox, amount: int):
    enrollment, payment = buy(sandbox)
    with pytest.raises(RefundNotPossible):
        ask(payment, amount)
    assert (rows(), asked(sandbox), state_of(enrollment)) == ([], [], ("paid", 0))


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "expired", "cancelled"])
def test_what_was_not_received_cannot_be_refunded(sandbox: Sandbox, status: str):
    enrollment, payment = make_pending()
    Payment.objects.filter(pk=payment.pk).update(status=status, stripe_payment_intent_id="pi_x")
    for amount in (1, payment.amount):
        with pytest.raises(RefundNotPossible):
            ask(fresh(payment), amount)
    assert (rows(), asked(sandbox), state_of(enrollment)) == ([], [], ("pending", 0))


def test_a_payment_without_payment_intent_cannot_be_refunded(sandbox: Sandbox, client: Client):
    enrollment, payment = make_pending()
    deliver(client, completed(payment, payment_intent=None))
    assert fresh(payment).stripe_payment_intent_id == ""
    with pytest.raises(RefundNotPossible):
        ask(fresh(payment))
    assert (rows(), asked(sandbox), state_of(enrollment)) == ([], [], ("paid", 0))


@pytest.mark.every_engine
def test_one_key_is_one_refund(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    wanted = Request(20000, "requested_by_customer", STAFF)
    refund_requests.request(payment, wanted)
    with pytest.raises(RefundAskedBefore):
        refund_requests.request(payment, wanted)
    assert (at_stripe(sandbox), state_of(enrollment)) == ([(20000, "succeeded")], ("paid", 20000))


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_two_full_refunds_at_once_are_one(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    results = race(lambda _: ask(payment), threads=2)
    assert kinds(results) == {"ok": 1, "RefundTooLarge": 1}
    assert (at_stripe(sandbox), state_of(enrollment), len(mails())) == (
        [(49900, "succeeded")],
        ("refunded", 49900),
        1,
    )


@pytest.mark.every_engine
def test_many_partial_refunds_at_once_are_never_more_than_was_paid(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    results = race(lambda _: ask(payment, 10000), threads=10)
    assert kinds(results) == {"ok": 4, "RefundTooLarge": 6}
    assert at_stripe(sandbox) == [(10000, "succeeded")] * 4
    assert state_of(enrollment) == ("paid", 40000)
    assert Commission.objects.get().reversed == 4000
    assert len(mails()) == 4


@pytest.mark.every_engine
def test_one_key_sent_many_times_at_once_is_one_refund(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    wanted = Request(10000, "requested_by_customer", STAFF)
    results = race(lambda _: refund_requests.request(payment, wanted), threads=8)
    assert kinds(results) == {"ok": 1, "RefundAskedBefore": 7}
    assert (at_stripe(sandbox), state_of(enrollment)) == ([(10000, "succeeded")], ("paid", 10000))


@pytest.mark.every_engine
def test_our_request_and_stripes_events_of_it_at_once_are_one_refund(sandbox: Sandbox):
    """The answer of the API and the webhooks say the same; whichever is first writes."""
    affiliate = make_affiliate()
    for number in range(5):
        course, email = make_course(), f"b{number}@example.com"
        enrollment, payment = buy(sandbox, course, through=affiliate, email=email)
        sandbox.fault("stripe", "lost_answer", "POST /v1/refunds", times=1)
        refund = ask(payment)
        assert refund.status == "requested"
        events = [
            event
            for event in sandbox.book("events")
            if event["type"].startswith(("refund", "charge.refund"))
        ]
        mine = [
            event
            for event in events
            if event["data"]["object"].get("payment_intent") == payment.stripe_payment_intent_id
        ]
        race(
            lambda n, mine=mine: resume() if n == 0 else deliver(Client(), mine[n % len(mine)]),
            threads=6,
        )
        drain(EVENTS)
        assert state_of(enrollment) == ("refunded", 49900)
    assert rows() == [(49900, "succeeded", "staff")] * 5
    assert at_stripe(sandbox) == [(49900, "succeeded")] * 5
    assert (len(mails()), balance_of(affiliate)) == (5, (0, 0, 0, 0))


# --- Stripe does not answer -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["down", "503", "429", "reset", "hang"])
def test_a_refund_that_stripe_did_not_take_is_asked_for_again_with_the_same_key(
    sandbox: Sandbox, settings, mode: str
):
    settings.STRIPE_READ_SECONDS = 0.5
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    sandbox.fault("stripe", mode, "POST /v1/refunds", seconds=2)
    refund = ask(payment)
    assert (refund.status, refund.stripe_refund_id) == ("requested", None)
    assert (state_of(enrollment), at_stripe(sandbox), mails(), balance_of(affiliate)[0]) == (
        ("paid", 49900),
        [],
        [],
        4990,
    )
    with pytest.raises(RefundTooLarge):
        ask(payment, 1)
    assert refund_requests.resume_requested() == 0, "not at once"
    sandbox.fault("stripe", "down")
    assert resume() == 0
    sandbox.heal()
    wait_until(lambda: resume() == 1)  # Stripe refuses a key whose request is still hanging
    assert {call["idempotency_key"] for call in asked(sandbox)} <= {f"refund-{refund.pk}", ""}
    assert (at_stripe(sandbox), state_of(enrollment), len(mails())) == (
        [(49900, "succeeded")],
        ("refunded", 49900),
        1,
    )
    assert (resume(), balance_of(affiliate)) == (0, (0, 0, 0, 0))


@pytest.mark.parametrize("mode", ["lost_answer", "hang_after", "half_answer"])
def test_a_refund_whose_answer_was_lost_is_found_again_and_made_once(
    sandbox: Sandbox, settings, mode: str
):
    settings.STRIPE_READ_SECONDS = 0.5
    enrollment, payment = buy(sandbox)
    sandbox.fault("stripe", mode, "POST /v1/refunds", times=1, seconds=2)
    refund = ask(payment)
    assert (refund.status, at_stripe(sandbox)) == ("requested", [(49900, "succeeded")])
    posts = len(asked(sandbox))
    assert resume() == 1
    assert len(asked(sandbox)) == posts
    assert (fresh(refund).status, fresh(refund).stripe_refund_id) == (
        "succeeded",
        sandbox.book("refunds")[0]["id"],
    )
    assert (at_stripe(sandbox), state_of(enrollment), len(mails())) == (
        [(49900, "succeeded")],
        ("refunded", 49900),
        1,
    )


def test_a_lost_answer_is_recovered_by_the_webhook_too(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    sandbox.fault("stripe", "lost_answer", "POST /v1/refunds", times=1)
    refund = ask(payment)
    deliver_events(sandbox)
    assert (fresh(refund).status, rows()) == ("succeeded", [(49900, "succeeded", "staff")])
    assert (state_of(enrollment), resume()) == (("refunded", 49900), 0)


def test_a_request_that_stripe_has_forgotten_is_not_sent_a_second_time(sandbox: Sandbox):
    """Stripe keeps a key for a day: after that the same request would be another refund. Staff are
    alerted, and may ask anew.
    """
    enrollment, payment = buy(sandbox)
    sandbox.fault("stripe", "down", "POST /v1/refunds")
    refund = ask(payment)
    posts = len(asked(sandbox))
    long_ago(refund, timedelta(hours=22, minutes=55))
    assert resume() == 0
    assert len(asked(sandbox)) == posts + 1
    sandbox.heal()
    long_ago(fresh(refund), timedelta(minutes=10))
    assert resume() == 1
    assert (len(asked(sandbox)), at_stripe(sandbox)) == (posts + 1, [])
    assert (fresh(refund).status, state_of(enrollment), mails()) == ("failed", ("paid", 0), [])
    assert alerts() == ["A refund was never made"]
    assert resume() == 0
    assert ask(payment).status == "succeeded"
    assert (at_stripe(sandbox), state_of(enrollment)) == (
        [(49900, "succeeded")],
        ("refunded", 49900),
    )


@pytest.mark.every_engine
def test_an_old_request_that_stripe_did_make_is_found_however_old_it_is(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    sandbox.fault("stripe", "lost_answer", "POST /v1/refunds", times=1)
    refund = ask(payment)
    long_ago(refund, timedelta(days=3))
    assert resume() == 1
    assert (fresh(refund).status, state_of(enrollment), alerts()) == (
        "succeeded",
        ("refunded", 49900),
        [],
    )


def test_a_refund_that_stripe_made_of_a_request_given_up_is_recorded_for_itself(client: Client):
    """Whatever we had concluded: what Stripe says it paid out is counted."""
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    refund = Refund.objects.create(
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        idempotency_key="k",
        amount=49900,
        currency="usd",
        status="failed",
        source="staff",
    )
    deliver(client, refunded(refund_of(payment, metadata={"refund_id": str(refund.pk)})))
    assert rows() == [(49900, "failed", "staff"), (49900, "succeeded", "stripe")]
    assert (state_of(enrollment), balance_of(affiliate)) == (("refunded", 49900), (0, 0, 0, 0))


def test_one_request_that_stripe_refuses_does_not_keep_the_others_from_going_on(sandbox: Sandbox):
    sales = [buy(sandbox, email=f"b{number}@example.com") for number in range(3)]
    sandbox.fault("stripe", "down", "POST /v1/refunds")
    for _, payment in sales:
        ask(payment)
    sandbox.heal()
    sandbox.dispute(sales[1][1].stripe_payment_intent_id)
    assert resume() == 2
    assert [state_of(enrollment) for enrollment, _ in sales] == [
        ("refunded", 49900),
        ("paid", 0),
        ("refunded", 49900),
    ]
    assert [status for _, status, _ in rows()] == ["succeeded", "failed", "succeeded"]


# --- Stripe says no, or later ---------------------------------------------------------------------


def test_a_refusal_leaves_a_failed_row_and_nothing_else(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    sandbox.dispute(payment.stripe_payment_intent_id)
    with pytest.raises(RefundNotPossible, match="charge_disputed"):
        ask(payment)
    [refund] = Refund.objects.all()
    assert (refund.status, refund.stripe_refund_id, "charge_disputed" in refund.failure_reason) == (
        "failed",
        None,
        True,
    )
    assert (state_of(enrollment), at_stripe(sandbox), mails(), balance_of(affiliate)[0]) == (
        ("paid", 0),
        [],
        [],
        4990,
    )
    assert resume() == 0


def test_a_payment_that_stripe_does_not_know_cannot_be_refunded(sandbox: Sandbox, client: Client):
    enrollment, payment = sell(client, make_affiliate())
    with pytest.raises(RefundNotPossible):
        ask(payment)
    assert ([status for _, status, _ in rows()], state_of(enrollment)) == (["failed"], ("paid", 0))


def test_a_wrong_key_refuses_the_request_and_keeps_a_running_one(sandbox: Sandbox, settings):
    _, payment = buy(sandbox)
    sandbox.fault("stripe", "lost_answer", "POST /v1/refunds", times=1)
    refund = ask(payment, 100)
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"
    with pytest.raises(RefundNotPossible):
        ask(payment, 200)
    assert (resume(), fresh(refund).status) == (0, "requested")
    settings.STRIPE_SECRET_KEY = "sk_test_sandbox"
    assert (resume(), fresh(refund).status, at_stripe(sandbox)) == (
        1,
        "succeeded",
        [(100, "succeeded")],
    )


def test_a_pending_refund_takes_effect_when_it_succeeds_and_is_reversed_when_it_fails(
    sandbox: Sandbox,
):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    sandbox.stripe(refund_status="pending")
    refund = ask(payment)
    deliver_events(sandbox)
    assert (fresh(refund).status, state_of(enrollment), mails()) == ("pending", ("paid", 49900), [])
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    name = fresh(refund).stripe_refund_id
    sandbox.settle_refund(name)
    deliver_events(sandbox)
    assert (fresh(refund).status, state_of(enrollment), len(mails())) == (
        "succeeded",
        ("refunded", 49900),
        1,
    )
    assert balance_of(affiliate) == (0, 0, 0, 0)
    sandbox.fail_refund(name)
    deliver_events(sandbox)
    assert (fresh(refund).status, fresh(refund).failure_reason) == ("failed", "lost_or_stolen_card")
    assert (state_of(enrollment), fresh(payment).refundable, len(mails())) == (
        ("paid", 0),
        49900,
        1,
    )
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    assert alerts() == [
        "A refund failed: the buyer does not have the money",
        "A refund failed after its enrollment had ended",
    ]
    for event in sandbox.book("events"):
        deliver(Client(), {**event, "id": f"{event['id']}_again"})
    assert (fresh(refund).status, state_of(enrollment), balance_of(affiliate)) == (
        "failed",
        ("paid", 0),
        (4990, 0, 0, 0),
    )


@pytest.mark.parametrize("ending", ["fail_refund", "cancel_refund"])
def test_a_pending_refund_that_does_not_succeed_changes_nothing_and_can_be_asked_for_again(
    sandbox: Sandbox, ending: str
):
    enrollment, payment = buy(sandbox)
    sandbox.stripe(refund_status="pending")
    refund = ask(payment)
    getattr(sandbox, ending)(fresh(refund).stripe_refund_id)
    deliver_events(sandbox)
    assert (fresh(refund).status, state_of(enrollment), mails()) == ("failed", ("paid", 0), [])
    assert alerts() == ["A refund failed: the buyer does not have the money"]
    sandbox.stripe(refund_status="succeeded")
    ask(payment)
    assert (state_of(enrollment), len(mails())) == (("refunded", 49900), 1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"failure_reason": "lost_or_stolen_card"}, "Agree with the buyer on another way"),
        ({"failure_reason": "insufficient_funds"}, "Add funds in Stripe"),
        ({"failure_reason": "charge_for_pending_refund_disputed"}, "do not refund it again"),
        ({"status": "canceled"}, "It was canceled in Stripe."),
    ],
)
def test_staff_read_what_to_do_about_a_refund_that_failed(client: Client, fields: Any, says: str):
    _, payment = make_pending()
    deliver(client, completed(payment))
    refund = refund_of(payment)
    deliver(client, refunded(refund))
    deliver(client, refunded({**refund, "status": "failed", **fields}, "refund.failed"))
    [alert] = [each for each in Alert.objects.all() if each.subject.startswith("A refund failed: ")]
    assert says in alert.lines[-1]


def test_a_partial_refund_that_fails_after_the_last_one_reinstates_the_enrollment(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    first = ask(payment, 20000)
    ask(payment, 29900)
    assert state_of(enrollment) == ("refunded", 49900)
    sandbox.fail_refund(first.stripe_refund_id)
    deliver_events(sandbox)
    assert state_of(enrollment) == ("paid", 29900)
    assert Commission.objects.get().reversed == 2990
    ask(payment, 20000)
    assert (state_of(enrollment), balance_of(affiliate)) == (("refunded", 49900), (0, 0, 0, 0))
    assert list(enrollment.events.values_list("to_status", flat=True)) == [
        "paid",
        "refunded",
        "paid",
        "refunded",
    ]


# --- made in Stripe's dashboard -------------------------------------------------------------------


def test_a_refund_made_in_the_dashboard_is_recorded_just_the_same(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 9900)
    deliver_events(sandbox)
    assert (rows(), state_of(enrollment)) == ([(9900, "succeeded", "stripe")], ("paid", 9900))
    assert Commission.objects.get().reversed == 990
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, reason="duplicate")
    deliver_events(sandbox)
    assert (rows(), state_of(enrollment)) == (
        [(9900, "succeeded", "stripe"), (40000, "succeeded", "stripe")],
        ("refunded", 49900),
    )
    assert (balance_of(affiliate), len(mails())) == ((0, 0, 0, 0), 2)
    with pytest.raises(RefundTooLarge):
        ask(payment, 1)


def test_the_dashboard_and_staff_together_cannot_refund_more_than_was_paid(sandbox: Sandbox):
    """Ours waits for Stripe, somebody refunds in the dashboard meanwhile: Stripe refuses ours, and
    nothing of it is kept.
    """
    enrollment, payment = buy(sandbox)
    sandbox.fault("stripe", "down", "POST /v1/refunds")
    ask(payment)
    sandbox.heal()
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    assert state_of(enrollment) == ("refunded", 99800)
    resume()
    assert rows() == [(49900, "failed", "staff"), (49900, "succeeded", "stripe")]
    assert (state_of(enrollment), at_stripe(sandbox), len(mails())) == (
        ("refunded", 49900),
        [(49900, "succeeded")],
        1,
    )


def test_what_no_event_reported_is_found_at_night(sandbox: Sandbox):
    affiliate = make_affiliate()
    enrollment, payment = buy(sandbox, through=affiliate)
    other, other_payment = buy(sandbox, email="other@example.com")
    sandbox.webhooks(hold=False)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 100)
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    sandbox.dispute(other_payment.stripe_payment_intent_id)
    assert mended(reconcile.reconcile()) == {"refunds": 2, "disputes": 1}
    assert (state_of(enrollment), balance_of(affiliate), len(mails())) == (
        ("refunded", 49900),
        (0, 0, 0, 0),
        2,
    )
    assert mended(reconcile.reconcile()) == {}
    deliver_events(sandbox)
    assert (len(rows()), len(mails()), fresh(other).status) == (2, 2, "paid")


def test_more_than_one_page_of_refunds_is_gone_through(sandbox: Sandbox):
    _, payment = buy(sandbox)
    sandbox.webhooks(hold=False)
    for _ in range(105):
        sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 1)
    assert mended(reconcile.reconcile()) == {"refunds": 105}
    assert fresh(payment).refund_committed == 105


def test_a_refund_of_somebody_elses_payment_is_stored_and_changes_nothing(client: Client):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    assert (
        deliver(
            client, refunded(refund_of(payment, payment_intent="pi_of_another_product"))
        ).status_code
        == 200
    )
    assert (
        Refund.objects.get().payment_id,
        state_of(enrollment),
        waiting_reversals.attach_refunds(),
    ) == (
        None,
        ("paid", 0),
        0,
    )
    assert balance_of(affiliate) == (4990, 0, 0, 0)


STRANGE = {
    "no id": {"id": None},
    "no payment intent": {"payment_intent": None},
    "an object as payment intent": {"payment_intent": {"id": "pi_x"}},
    "no amount": {"amount": None},
    "an amount in words": {"amount": "all"},
    "no currency": {"currency": None},
    "an id of 300 letters": {"id": "r" * 300},
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_refund_is_ignored(client: Client, name: str):
    enrollment, payment = sell(client, make_affiliate())
    answer = deliver(client, refunded({**refund_of(payment), **STRANGE[name]}))
    assert (answer.status_code, answer.json()["message"]) == (200, "Event ignored")
    assert (rows(), state_of(enrollment)) == ([], ("paid", 0))


@pytest.mark.parametrize("status", ["", None, "reversed", "SUCCEEDED", 7, ["succeeded"]])
def test_a_status_that_is_not_known_changes_nothing(client: Client, status: object):
    affiliate = make_affiliate()
    enrollment, payment = sell(client, affiliate)
    assert deliver(client, refunded(refund_of(payment, status=status))).status_code == 200
    assert rows() == [(49900, "requested", "stripe")]
    assert (fresh(enrollment).status, balance_of(affiliate)) == ("paid", (4990, 0, 0, 0))
    assert refund_requests.resume_requested() == 0


@pytest.mark.parametrize(
    "key",
    [
        "nonsense",
        "",
        7,
        None,
        True,
        ["a"],
        {"$ne": ""},
        "0" * 5000,
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_whatever_stands_in_the_metadata_the_refund_is_recorded(client: Client, key: object):
    enrollment, payment = sell(client, make_affiliate())
    assert (
        deliver(client, refunded(refund_of(payment, metadata={"refund_id": key}))).status_code
        == 200
    )
    assert (rows(), state_of(enrollment)) == ([(49900, "succeeded", "stripe")], ("refunded", 49900))


@pytest.mark.parametrize("metadata", [None, [], "x", 7])
def test_metadata_that_is_none_is_no_obstacle(client: Client, metadata: object):
    enrollment, payment = sell(client, make_affiliate())
    assert deliver(client, refunded(refund_of(payment, metadata=metadata))).status_code == 200
    assert state_of(enrollment) == ("refunded", 49900)


def test_our_id_in_the_metadata_of_another_payments_refund_is_not_believed(client: Client):
    affiliate = make_affiliate()
    one, payment = sell(client, affiliate)
    _, other = sell(client, affiliate)
    asked_for = Refund.objects.create(
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        idempotency_key="k",
        amount=100,
        currency="usd",
        source="staff",
    )
    Payment.objects.filter(pk=payment.pk).update(refund_committed=100)
    deliver(client, refunded(refund_of(other, 5000, metadata={"refund_id": str(asked_for.pk)})))
    assert rows() == [(100, "requested", "staff"), (5000, "succeeded", "stripe")]
    assert (fresh(other).refund_committed, state_of(one)) == (5000, ("paid", 100))


# --- before its sale ------------------------------------------------------------------------------

ORDERS = [
    ["succeeded"],
    ["pending", "succeeded"],
    ["failed"],
    ["succeeded", "failed"],
    ["pending", "failed", "succeeded"],
]


@pytest.mark.parametrize("statuses", ORDERS, ids="-".join)
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_whenever_the_sale_arrives_the_end_is_the_same(
    client: Client, statuses: list[str], at: int
):
    affiliate = make_affiliate()
    enrollment, payment = make_referred(affiliate)
    refund = refund_of(payment)
    steps: list[Any] = [
        refunded({**refund, "status": status}, "refund.updated") for status in statuses
    ]
    steps.insert(min(at, len(steps)), completed(payment))
    for event in steps:
        assert deliver(client, event).status_code == 200
        waiting_reversals.attach_refunds()
    is_over = "failed" not in statuses
    assert state_of(enrollment) == (("refunded", 49900) if is_over else ("paid", 0))
    assert balance_of(affiliate) == (0 if is_over else 4990, 0, 0, 0)
    assert waiting_reversals.attach_refunds() == 0


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_what_is_reported_of_it_while_it_is_joined_to_its_sale_is_not_forgotten(
    client: Client, what: str
):
    """The event was read with a row that had no payment yet; the sweep joins the two before the
    event moves the row.
    """
    affiliate = make_affiliate()
    enrollment, payment = make_referred(affiliate)
    refund, dispute = refund_of(payment), dispute_of(payment)
    first = refunded(refund) if what == "refund" else disputed(dispute)
    failed = {**refund, "status": "failed"}
    second = (
        refunded(failed, "refund.failed")
        if what == "refund"
        else disputed({**dispute, "status": "lost"}, "charge.dispute.closed")
    )
    deliver(client, first)
    deliver(client, completed(payment))
    attach = getattr(waiting_reversals, f"attach_{what}s")
    with rival_before(f'UPDATE "payments_{what}"', attach) as ran:
        deliver(client, second)
    assert ran == [1]
    assert state_of(enrollment) == (("paid", 0) if what == "refund" else ("refunded", 0))
    assert balance_of(affiliate) == (4990 if what == "refund" else 0, 0, 0, 0)


@pytest.mark.every_engine
def test_sale_refund_and_sweep_at_once_end_the_same(client: Client):
    affiliate = make_affiliate()
    for number in range(6):
        enrollment, payment = make_referred(affiliate)
        refund = refund_of(payment)
        steps = [
            lambda p=payment: deliver(Client(), completed(p)),
            lambda r=refund: deliver(Client(), refunded({**r, "status": "pending"})),
            lambda r=refund: deliver(Client(), refunded(r, "refund.updated")),
            lambda r=refund: deliver(Client(), refunded(r, "charge.refund.updated")),
            waiting_reversals.attach_refunds,
            waiting_reversals.attach_refunds,
        ]
        steps += [
            lambda r=refund: deliver(Client(), refunded({**r, "status": "failed"}, "refund.failed"))
        ] * (number % 2)
        race(lambda n, steps=steps: steps[n](), threads=len(steps))
        StripeEvent.objects.filter(status=PENDING).update(next_attempt_at=enrollment.created_at)
        drain(EVENTS)
        waiting_reversals.attach_refunds()
        assert state_of(enrollment) == (("paid", 0) if number % 2 else ("refunded", 49900))
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}
    assert balance_of(affiliate) == (3 * 4990, 0, 0, 0)


# --- a payment too many ---------------------------------------------------------------------------


def paid_twice(sandbox: Sandbox) -> tuple[Enrollment, Payment, Payment]:
    """A session whose answer was lost is paid as well as the one made instead of it."""
    affiliate, course, client = make_affiliate(), make_course(), visitor()
    client.get(f"/r/{affiliate.code}/")
    sandbox.fault("stripe", "lost_answer", "POST /v1/checkout/sessions", times=1)
    assert check_out(client, course).status_code == 503
    assert check_out(client, course).status_code == 302
    enrollment = Enrollment.objects.live().get()
    for session in sorted(
        sandbox.sessions(),
        key=lambda session: session["metadata"]["enrollment_id"] != str(enrollment.pk),
    ):
        sandbox.pay(session["id"])
        deliver_events(sandbox)
    second = Payment.objects.get(review_reason=Payment.DUPLICATE)
    return fresh(enrollment), enrollment.payments.get(), second


@pytest.mark.every_engine
def test_the_refund_of_a_payment_too_many_leaves_the_enrollment_alone(sandbox: Sandbox):
    """Contracts, lesson 5: refund that payment, and never the ticket."""
    enrollment, first, second = paid_twice(sandbox)
    assert ask(second).status == "succeeded"
    deliver_events(sandbox)
    assert at_stripe(sandbox) == [(49900, "succeeded")]
    assert (fresh(enrollment).status, fresh(first).refund_committed, fresh(second).refundable) == (
        "paid",
        0,
        0,
    )
    assert (
        Commission.objects.get().reversed,
        SyncJob.objects.filter(action=SyncJob.REVOKE).count(),
    ) == (0, 0)
    assert [(mail["is_whole"], mail["is_over"]) for mail in mails()] == [(True, False)]
    ask(first)
    assert fresh(enrollment).status == "refunded"


def test_a_payment_of_another_amount_is_refunded_as_far_as_it_was_received(sandbox: Sandbox):
    course = make_course()
    check_out(visitor(), course)
    enrollment, payment = Enrollment.objects.get(), Payment.objects.get()
    sandbox.pay(payment.stripe_session_id, amount_total=20000)
    deliver_events(sandbox)
    payment.refresh_from_db()
    assert (payment.review_reason, payment.amount_received, payment.refundable) == (
        "amount_mismatch",
        20000,
        20000,
    )
    with pytest.raises(RefundTooLarge):
        ask(payment, 20001)
    ask(payment, 20000)
    assert (at_stripe(sandbox), fresh(enrollment).status, fresh(payment).refundable) == (
        [(20000, "succeeded")],
        "failed",
        0,
    )


# --- the coupon -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gives_back", [True, False])
def test_the_coupon_is_given_back_only_if_staff_choose_so(sandbox: Sandbox, gives_back: bool):
    course = make_course()
    grant = make_coupon(course)
    enrollment, payment = buy(sandbox, course, email=HOLDER, coupon=grant.code)
    assert fresh(grant).status == Grant.REDEEMED
    ask(payment, gives_coupon_back=gives_back)
    assert fresh(enrollment).status == "refunded"
    assert fresh(grant).status == (Grant.APPROVED if gives_back else Grant.REDEEMED)
    answer = check_out(visitor(), course, email=HOLDER, coupon=grant.code)
    assert answer.status_code == (302 if gives_back else 409)


def test_a_partial_refund_gives_no_coupon_back_until_the_rest_is_refunded(sandbox: Sandbox):
    course = make_course()
    grant = make_coupon(course)
    _, payment = buy(sandbox, course, email=HOLDER, coupon=grant.code)
    ask(payment, 1000, gives_coupon_back=True)
    assert fresh(grant).status == Grant.REDEEMED
    ask(payment, payment.amount - 1000)
    assert fresh(grant).status == Grant.APPROVED


def test_a_coupon_given_back_and_used_again_is_not_given_back_twice(sandbox: Sandbox):
    course = make_course()
    grant = make_coupon(course)
    first, payment = buy(sandbox, course, email=HOLDER, coupon=grant.code)
    ask(payment, gives_coupon_back=True)
    second, _ = buy(sandbox, course, email=HOLDER, coupon=grant.code)
    deliver_events(sandbox)
    for event in list(sandbox.book("events")):
        deliver(Client(), {**event, "id": f"{event['id']}_again"})
    assert (fresh(grant).status, fresh(grant).enrollment_id) == (Grant.REDEEMED, second.pk)
    assert (fresh(first).status, fresh(second).status) == ("refunded", "paid")


def test_a_coupon_given_back_is_used_up_again_when_the_refund_fails(sandbox: Sandbox):
    course = make_course()
    grant = make_coupon(course)
    enrollment, payment = buy(sandbox, course, email=HOLDER, coupon=grant.code)
    refund = ask(payment, gives_coupon_back=True)
    sandbox.fail_refund(refund.stripe_refund_id)
    deliver_events(sandbox)
    assert (fresh(enrollment).status, fresh(grant).status, fresh(grant).enrollment_id) == (
        "paid",
        Grant.REDEEMED,
        enrollment.pk,
    )


# --- the learner's e-mails ------------------------------------------------------------------------


def test_each_refund_is_one_mail_that_says_how_much_and_whether_the_enrollment_is_over(
    sandbox: Sandbox,
):
    enrollment, payment = buy(sandbox)
    ask(payment, 20000)
    ask(payment, 29900)
    deliver_events(sandbox)
    assert [(mail["amount"], mail["is_whole"], mail["is_over"]) for mail in mails()] == [
        ("$200.00", False, False),
        ("$299.00", False, True),
    ]
    drain(EMAILS)
    sent = sandbox.mails(BUYER)
    assert len(sent) == 2
    assert all(enrollment.course_title in mail["text"] for mail in sent)
    assert sorted(
        mail["text"].count("your enrollment in the course has ended") for mail in sent
    ) == [
        0,
        1,
    ]
    drain(EMAILS)
    assert len(sandbox.mails(BUYER)) == 2


def test_nothing_personal_of_staff_is_sent_to_stripe(sandbox: Sandbox):
    _, payment = buy(sandbox)
    ask(payment, note="Very difficult customer")
    [call] = asked(sandbox)
    assert "difficult" not in call["body"]
    assert "staff" not in call["body"]
