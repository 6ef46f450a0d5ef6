"""Reconciliation against Stripe's stand-in: whatever events were lost, we agree with it after."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from affiliates.models import Commission, LedgerEntry
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from maaledu.db import new_id
from notifications.models import Email
from payments import reconcile
from payments.comparisons import compare_session, unmended
from payments.models import (
    Dispute,
    EarlyFraudWarning,
    Payment,
    Reconciliation,
    Refund,
    StripeEvent,
)
from payments.reversal_comparisons import REFUNDS
from tests.affiliates.make import make_affiliate
from tests.affiliates.shop import BUYER, buy, check_out, deliver_events, fresh, visitor
from tests.concurrency import race
from tests.factories import (
    completed,
    deliver,
    event_of,
    make_course,
    make_pending,
    refund_of,
    refunded,
    session_of,
)
from tests.lms_sync.rawserver import raw_server, response
from tests.payments.reconciled import counts, mended
from tests.payments.test_ownership import sale_of_another_product
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

MONTHS = 90 * 86400  # seconds
HOUR = 3600
MINUTE = timedelta(minutes=1)


@contextmanager
def long_ago(sandbox: Sandbox, seconds: int = MONTHS) -> Iterator[None]:
    """What is made meanwhile at Stripe was made so long ago: three months, unless said."""
    sandbox.call("POST", "/control/clock", {"ahead": -seconds})
    yield
    sandbox.call("POST", "/control/clock", {"ahead": 0})


@pytest.fixture(autouse=True)
def _deaf(sandbox: Sandbox) -> None:
    """There is no endpoint: events are neither delivered nor waiting to be."""
    sandbox.webhooks(hold=False)


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("reconcile_stripe", *arguments, stdout=out)
    return out.getvalue().splitlines()


def refused(*arguments: str) -> tuple[list[str], str]:
    out = StringIO()
    with pytest.raises(CommandError) as failure:
        call_command("reconcile_stripe", *arguments, stdout=out)
    return out.getvalue().splitlines(), str(failure.value)


def alerts(key: str) -> list[dict[str, Any]]:
    mails = Email.objects.filter(kind="staff_alert", dedupe_key__contains=key)
    said = [mail.context for mail in mails.order_by("created_at")]
    return [{"subject": each["subject"], "lines": each["lines"]} for each in said]


def sell(sandbox: Sandbox, outcome: str = "paid", email: str = BUYER) -> Payment:
    """Let somebody pay at Stripe, and no event report it."""
    course = make_course()
    assert check_out(visitor(), course, email=email).status_code == 302
    payment = Payment.objects.get(enrollment__course=course)
    sandbox.pay(payment.stripe_session_id, outcome)
    return payment


def everything() -> tuple:
    """Every row that a purchase or its reversal writes."""
    models = (
        Enrollment,
        EnrollmentEvent,
        Payment,
        Refund,
        Dispute,
        EarlyFraudWarning,
        LedgerEntry,
        SyncJob,
    )
    return tuple(list(model.objects.order_by("pk").values()) for model in models)


# --- what no event reported -----------------------------------------------------------------------
def test_paid_refunded_and_disputed_sales_agree_after_one_command(sandbox: Sandbox):
    one, two, three = (sell(sandbox, email=f"learner{n}@example.com") for n in range(3))
    intents = {s["id"]: s["payment_intent"] for s in sandbox.sessions()}
    sandbox.refund_in_dashboard(intents[two.stripe_session_id])
    sandbox.dispute(intents[three.stripe_session_id])
    assert run() == [
        "undelivered events: 0 looked at, 0 agreed, 0 mended, 0 cannot be mended",
        "sessions: 3 looked at, 0 agreed, 3 mended, 0 cannot be mended",
        "delayed payments: 0 looked at, 0 agreed, 0 mended, 0 cannot be mended",
        "refunds: 1 looked at, 0 agreed, 1 mended, 0 cannot be mended",
        "unsettled refunds: 0 looked at, 0 agreed, 0 mended, 0 cannot be mended",
        "disputes: 1 looked at, 0 agreed, 1 mended, 0 cannot be mended",
        "open disputes: 1 looked at, 1 agreed, 0 mended, 0 cannot be mended",
        "fraud warnings: 0 looked at, 0 agreed, 0 mended, 0 cannot be mended",
        "open fraud warnings: 0 looked at, 0 agreed, 0 mended, 0 cannot be mended",
    ]
    assert [fresh(payment.enrollment).status for payment in (one, two, three)] == [
        "paid",
        "refunded",
        "paid",
    ]
    assert list(Dispute.objects.values_list("payment", "status")) == [(three.pk, "open")]
    assert counts(reconcile.reconcile()) == {
        "sessions": (3, 3, 0, 0),
        "refunds": (1, 1, 0, 0),
        "disputes": (1, 1, 0, 0),
        "open disputes": (1, 1, 0, 0),
    }


def test_a_refund_that_failed_days_later_is_found(sandbox: Sandbox):
    """Fault M5: the row stayed succeeded, because only what was made lately was looked at."""
    enrollment, payment = buy(sandbox, through=make_affiliate())
    deliver_events(sandbox)
    refund = sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    assert fresh(enrollment).status == "refunded"
    sandbox.advance(4 * 86400)
    sandbox.fail_refund(refund["id"])
    assert mended(reconcile.reconcile(since=timedelta(days=1))) == {"refunds": 1}
    assert (Refund.objects.get().status, fresh(enrollment).status) == ("failed", "paid")


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_a_pending_refund_is_asked_about_however_old(sandbox: Sandbox, end: str):
    enrollment, payment = buy(sandbox)
    sandbox.stripe(refund_status="pending")
    with long_ago(sandbox):
        refund = sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    assert Refund.objects.get().status == "pending"
    (sandbox.settle_refund if end == "succeeded" else sandbox.fail_refund)(refund["id"])
    assert mended(reconcile.reconcile()) == {"unsettled refunds": 1}
    assert Refund.objects.get().status == end
    assert fresh(enrollment).status == ("refunded" if end == "succeeded" else "paid")
    assert counts(reconcile.reconcile()) == {"sessions": (1, 1, 0, 0)}


@pytest.mark.parametrize(("end", "status"), [("lost", "refunded"), ("won", "paid")])
def test_an_open_dispute_is_asked_about_however_old(sandbox: Sandbox, end: str, status: str):
    """Fault M5: a dispute that was lost after the look-back stayed open for ever."""
    enrollment, payment = buy(sandbox, through=make_affiliate())
    with long_ago(sandbox):
        dispute = sandbox.dispute(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    assert Dispute.objects.get().status == "open"
    sandbox.close_dispute(dispute["id"], end)
    assert mended(reconcile.reconcile()) == {"open disputes": 1}
    assert (Dispute.objects.get().status, fresh(enrollment).status) == (end, status)
    assert counts(reconcile.reconcile()) == {"sessions": (1, 1, 0, 0)}


def test_a_dispute_whose_money_is_away_is_asked_about_whatever_its_status(sandbox: Sandbox):
    """Fault M11: a prevented dispute counted as closed, with the money at the bank or not."""
    _, payment = buy(sandbox, through=make_affiliate())
    with long_ago(sandbox):
        dispute = sandbox.dispute(payment.stripe_payment_intent_id, status="prevented")
    deliver_events(sandbox)
    assert Commission.objects.get().is_held
    sandbox.close_dispute(dispute["id"], "prevented", funds="reinstated")
    assert mended(reconcile.reconcile()) == {"open disputes": 1}
    assert not Commission.objects.get().is_held
    assert counts(reconcile.reconcile()) == {"sessions": (1, 1, 0, 0)}


def test_a_fraud_warning_is_found_and_asked_about_until_it_is_over(sandbox: Sandbox):
    _, payment = buy(sandbox, through=make_affiliate())
    sandbox.warn_of_fraud(payment.stripe_payment_intent_id)
    assert mended(reconcile.reconcile()) == {"fraud warnings": 1}
    assert Commission.objects.get().is_held
    assert counts(reconcile.reconcile()) == {
        "sessions": (1, 1, 0, 0),
        "fraud warnings": (1, 1, 0, 0),
        "open fraud warnings": (1, 1, 0, 0),
    }
    sandbox.refund_in_dashboard(payment.stripe_payment_intent_id)
    assert mended(reconcile.reconcile()) == {"refunds": 1, "fraud warnings": 1}
    assert not Commission.objects.get().is_held
    assert "open fraud warnings" not in counts(reconcile.reconcile())


@pytest.mark.every_engine
def test_an_open_fraud_warning_is_asked_about_however_old_and_a_closed_one_is_not(
    sandbox: Sandbox,
):
    _, payment = buy(sandbox, through=make_affiliate())
    with long_ago(sandbox):
        sandbox.warn_of_fraud(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    assert counts(reconcile.reconcile())["open fraud warnings"] == (1, 1, 0, 0)
    sandbox.dispute(payment.stripe_payment_intent_id)
    assert mended(reconcile.reconcile()) == {"disputes": 1, "open fraud warnings": 1}
    EarlyFraudWarning.objects.update(is_actionable=True, closed_at=timezone.now())
    assert "open fraud warnings" not in counts(reconcile.reconcile())


@pytest.mark.parametrize("word", ["status", "payment_status"])
def test_a_word_that_reconciliation_meets_is_told(sandbox: Sandbox, word: str):
    _, payment = buy(sandbox)
    if word == "status":
        ours = {"payment_intent": payment.stripe_payment_intent_id}
        REFUNDS.compare({**refund_of(payment), **ours, "status": "teleported"}, {})
    else:
        known = {payment.pk: payment}
        compare_session(session_of(payment, payment_status="teleported"), known)
    alert = Email.objects.get(kind="staff_alert").context
    assert alert["subject"] == "Stripe uses a word that is not known here"
    assert alert["lines"][0].startswith(f"'teleported' as the {word} of a ")


@pytest.mark.parametrize(
    ("outcome", "status"), [("delayed_success", "paid"), ("delayed_failure", "failed")]
)
def test_a_delayed_payment_is_asked_about_however_old(sandbox: Sandbox, outcome: str, status: str):
    with long_ago(sandbox, HOUR):
        payment = sell(sandbox, outcome)
    Payment.objects.update(status="processing")
    sandbox.advance(1)
    assert counts(reconcile.reconcile(since=MINUTE)) == {"delayed payments": (1, 0, 1, 0)}
    assert fresh(payment).status == status
    assert counts(reconcile.reconcile(since=MINUTE)) == {}


def test_a_debit_that_is_on_its_way_agrees(sandbox: Sandbox):
    sandbox.stripe(async_delay=9 * 86400)
    payment = sell(sandbox, "delayed_success")
    assert counts(reconcile.reconcile()) == {
        "sessions": (1, 0, 1, 0),
        "delayed payments": (1, 1, 0, 0),
    }
    assert (fresh(payment).status, fresh(payment.enrollment).status) == ("processing", "pending")


# --- events that could not be delivered -----------------------------------------------------------
@pytest.mark.every_engine
def test_what_stripe_could_not_deliver_is_applied_as_if_it_had_come(sandbox: Sandbox):
    sandbox.webhooks(hold=True)
    payment = sell(sandbox)
    assert mended(reconcile.reconcile()) == {"undelivered events": 1}
    assert fresh(payment).status == "paid"
    event = StripeEvent.objects.get(type="checkout.session.completed")
    assert (event.is_fetched, event.status, event.outcome) == (True, "done", "Event processed")
    assert EnrollmentEvent.objects.get(to_status="paid").actor == event.event_id
    assert mended(reconcile.reconcile()) == {}
    before = everything()
    deliver_events(sandbox)
    assert everything() == before


def test_an_undelivered_event_of_what_is_known_is_no_news(sandbox: Sandbox):
    """As when another endpoint of the account is down, or the success page was faster."""
    sandbox.webhooks(hold=True)
    buy(sandbox)
    [undelivered] = [e for e in sandbox.book("events") if e["type"].endswith(".completed")]
    assert undelivered["pending_webhooks"] > 0
    StripeEvent.objects.all().delete()
    assert counts(reconcile.reconcile())["undelivered events"] == (1, 1, 0, 0)
    assert counts(reconcile.reconcile())["undelivered events"] == (1, 1, 0, 0)
    assert alerts("reconciliation") == []
    assert EnrollmentEvent.objects.filter(to_status="paid").count() == 1


@pytest.mark.every_engine
def test_an_event_that_died_is_tried_again(sandbox: Sandbox):
    sandbox.webhooks(hold=True)
    payment = sell(sandbox)
    reconcile.reconcile()
    StripeEvent.objects.update(status="dead", outcome="")
    assert counts(reconcile.reconcile())["undelivered events"] == (1, 1, 0, 0)
    assert StripeEvent.objects.get().status == "done"
    assert fresh(payment).status == "paid"


def test_a_proxys_own_json_is_no_answer_and_each_kind_says_so(db: None, settings):
    settings.STRIPE_MAX_RETRIES = 0
    with raw_server([response(b'{"status": "ok"}')] * 5) as server:
        settings.STRIPE_API_BASE = server.url
        found = reconcile.reconcile()
    assert {each.kind for each in found if each.failure.startswith("STRIPE_UNAVAILABLE")} == {
        kind.name for kind in reconcile.KINDS if kind.is_listed_by_stripe
    }


# --- what cannot be mended ------------------------------------------------------------------------
def test_a_paid_session_whose_metadata_says_too_little_is_named_and_the_exit_code_is_1(
    sandbox: Sandbox,
):
    """As of an older version after the restore of a backup; its refund has no sale either."""
    _, kept = buy(sandbox)
    old = {"payment_id": str(new_id()), "enrollment_id": str(new_id())}
    refund = sandbox.refund_in_dashboard(sale_of_another_product(sandbox, old), 100)
    [session] = [each for each in sandbox.sessions() if each["metadata"] == old]
    lines, why = refused()
    assert why == "2 cannot be mended."
    says_too_little = (
        "CANNOT_REBUILD: its metadata is of an older version, which does not say enough"
    )
    assert [line for line in lines if line.startswith("  ")] == [
        f"  {session['id']}: {says_too_little}",
        f"  {refund['id']}: {says_too_little}",
    ]
    assert "sessions: 2 looked at, 1 agreed, 0 mended, 1 cannot be mended" in lines
    [alert] = alerts("unmended")
    assert alert["subject"] == "Some of what Stripe says cannot be reconciled"
    assert alert["lines"][:2] == ["sessions: 1", lines[2].strip()]
    refused()
    assert len(alerts("unmended")) == 1
    assert fresh(kept).status == "paid"
    assert (Payment.objects.count(), Refund.objects.count()) == (1, 0)


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_a_row_that_no_function_may_change_is_named(sandbox: Sandbox):
    """Somebody changed by hand what was received (fault M19)."""
    _, payment = buy(sandbox)
    Payment.objects.update(amount_received=1)
    before = everything()
    lines, _ = refused()
    assert lines[2] == (
        f"  {payment.stripe_session_id}: our payment {payment.pk} is paid, and Stripe says"
        " complete, paid"
    )
    assert everything() == before


def test_one_odd_object_stops_no_other(sandbox: Sandbox):
    payments = [sell(sandbox, email=f"learner{n}@example.com") for n in range(3)]
    Payment.objects.filter(pk=payments[1].pk).update(stripe_session_id="cs_of_somebody_else")
    lines, why = refused()
    assert why == "1 cannot be mended."
    assert lines[1] == "sessions: 3 looked at, 0 agreed, 2 mended, 1 cannot be mended"
    assert [fresh(payment).status for payment in payments] == ["paid", "pending", "paid"]


# --- the command ----------------------------------------------------------------------------------
@pytest.mark.parametrize("days", ["0", "-1", "1001", "99999999", "999999999999999999999"])
def test_a_silly_number_of_days_is_refused_with_a_sentence(sandbox: Sandbox, days: str):
    """Fault O12: a traceback."""
    assert refused("--days", days) == ([], "--days is a number from 1 to 1000.")
    assert sandbox.calls("stripe") == []


@pytest.mark.parametrize("arguments", [["--days", "many"], ["--days", "1.5"], ["--hours", "48"]])
def test_what_is_no_number_of_days_is_refused_too(arguments: list[str]):
    with pytest.raises(CommandError):
        run(*arguments)


@pytest.mark.every_engine
def test_a_dry_run_says_what_would_be_mended_and_changes_nothing(sandbox: Sandbox):
    sell(sandbox)
    before = everything()
    first, *lines = run("--dry-run")
    assert first == "A dry run: nothing is changed, “mended” is what would be."
    assert "sessions: 1 looked at, 0 agreed, 1 mended, 0 cannot be mended" in lines
    assert everything() == before
    assert (Reconciliation.objects.count(), StripeEvent.objects.count()) == (0, 0)
    assert Email.objects.count() == 0
    run()
    assert Payment.objects.get().status == "paid"


def test_what_was_found_alerts_once_a_day_with_numbers_and_the_likely_cause(sandbox: Sandbox):
    sell(sandbox)
    run()
    sell(sandbox, email="other@example.com")
    run()
    assert alerts("reconciliation") == [
        {
            "subject": "Stripe's events did not report everything",
            "lines": [
                "Reconciliation found at Stripe, and put right here, what no event had reported:",
                "sessions: 1",
                (
                    "Likely cause: No event has ever arrived. Is there an endpoint with our address"
                    " in Stripe's dashboard › Developers › Webhooks?"
                ),
            ],
        }
    ]


def test_when_all_agrees_nobody_is_alerted(sandbox: Sandbox):
    buy(sandbox)
    run()
    assert alerts("") == []


# --- cut off, and gone on with --------------------------------------------------------------------
def test_a_run_that_was_cut_off_goes_on_after_its_last_page(sandbox: Sandbox):
    _, payment = buy(sandbox)
    for _ in range(250):
        sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 1)
    sandbox.fault("stripe", "down", "GET /v1/refunds", skip=2)
    lines, why = refused()
    assert "refunds: STRIPE_UNAVAILABLE: The payment service is unavailable." in why
    assert "refunds: 200 looked at, 0 agreed, 200 mended, 0 cannot be mended" in lines
    progress = Reconciliation.objects.get(kind="refunds")
    assert (progress.finished_at, progress.after) == (None, refunds_listed(sandbox)[199])
    sandbox.heal()
    newer = sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 7)
    asked_before = len(asked(sandbox))
    run()
    pages = asked(sandbox)[asked_before:]
    assert [progress.after in page for page in pages] == [True, *[False] * (len(pages) - 1)]
    assert Refund.objects.count() == 251
    assert Refund.objects.get(stripe_refund_id=newer["id"]).amount == 7
    assert Reconciliation.objects.get(kind="refunds").finished_at is not None


def test_a_run_that_was_cut_off_long_ago_begins_anew(sandbox: Sandbox):
    sell(sandbox)
    old = timezone.now() - timedelta(days=3)
    Reconciliation.objects.create(
        kind="sessions", since=old, after="cs_gone", updated_at=old, looked_at=500, unmended=3
    )
    assert counts(reconcile.reconcile()) == {"sessions": (1, 0, 1, 0)}


def test_where_the_object_to_go_on_from_is_gone_the_list_begins_anew(sandbox: Sandbox):
    """Events are gone after 30 days, and all of them with another account's key."""
    sell(sandbox)
    now = timezone.now()
    Reconciliation.objects.create(
        kind="sessions", since=now - timedelta(days=30), after="cs_test_gone", started_at=now
    )
    assert mended(reconcile.reconcile()) == {"sessions": 1}


def test_a_kind_that_stripe_refuses_stops_no_other(sandbox: Sandbox):
    payment = sell(sandbox)
    sandbox.refuse(match="GET /v1/events", status=403, message="No permission.")
    lines, why = refused()
    assert why.startswith("Stripe was not asked about everything. undelivered events: STRIPE_KEY_")
    assert "sessions: 1 looked at, 0 agreed, 1 mended, 0 cannot be mended" in lines
    assert fresh(payment).status == "paid"


def test_one_object_without_an_answer_stops_no_other(sandbox: Sandbox):
    with long_ago(sandbox, HOUR):
        payments = [sell(sandbox, "delayed_failure", f"learner{n}@example.com") for n in range(3)]
    Payment.objects.update(status="processing")
    sandbox.advance(1)
    sandbox.fault("stripe", "500", f"GET /v1/checkout/sessions/{payments[1].stripe_session_id}")
    found = reconcile.reconcile(since=MINUTE)
    assert counts(found) == {"delayed payments": (3, 0, 2, 1)}
    assert [fresh(payment).status for payment in payments] == ["failed", "processing", "failed"]


def asked(sandbox: Sandbox) -> list[str]:
    return [call["query"] for call in sandbox.calls("stripe", "GET /v1/refunds")]


def refunds_listed(sandbox: Sandbox) -> list[str]:
    """Return the ids of Stripe's refunds as it lists them, newest first."""
    return [refund["id"] for refund in sandbox.book("refunds")][::-1]


@pytest.mark.every_engine
def test_the_command_and_the_nightly_run_at_once_find_everything_once(sandbox: Sandbox):
    payments = [sell(sandbox, email=f"learner{n}@example.com") for n in range(4)]
    found = race(lambda number: counts(reconcile.reconcile()), threads=3)
    assert {each["sessions"][0] for each in found} == {4}
    assert {each["sessions"][3] for each in found} == {0}
    assert {fresh(payment).status for payment in payments} == {"paid"}
    assert EnrollmentEvent.objects.filter(to_status="paid").count() == 4
    assert Reconciliation.objects.filter(kind="sessions").count() == 1


# --- what Stripe says in words that are not known here --------------------------------------------
def test_a_refunds_status_that_is_not_known_is_named(client: Client):
    _, payment = make_pending()
    deliver(client, completed(payment))
    finding = REFUNDS.compare(refund_of(payment, status="reversed"), {})
    assert finding.mend is not None
    assert finding.mend("reconciliation").detail == "ours is requested, and Stripe says reversed"
    assert (Refund.objects.get().status, fresh(payment.enrollment).status) == ("requested", "paid")


@pytest.mark.parametrize("payment_status", [None, "paid_in_beads"])
def test_a_session_that_is_neither_paid_nor_unpaid_is_named_and_not_called_on_its_way(
    payment_status: str | None,
):
    _, payment = make_pending()
    Payment.objects.update(status="processing")
    session = session_of(payment, payment_status=payment_status)
    finding = compare_session(session, {payment.pk: fresh(payment)})
    assert finding.mend is not None
    assert finding.mend("reconciliation") == unmended(
        f"our payment {payment.pk} is processing, and Stripe says complete, {payment_status}"
    )


def test_a_session_that_ended_without_a_payment_is_settled_and_agrees_from_then_on():
    _, payment = make_pending()
    Payment.objects.update(status="processing")
    session = session_of(payment, payment_status="no_payment_required", amount_total=0)
    finding = compare_session(session, {payment.pk: fresh(payment)})
    assert finding.mend is not None
    assert finding.mend("reconciliation").verdict == "mended"
    assert compare_session(session, {payment.pk: fresh(payment)}).verdict == "agreed"
    assert fresh(payment).review_reason == "amount_mismatch"


@pytest.mark.every_engine
def test_a_payment_by_a_session_that_stripe_made_after_ours_is_named_by_event_and_by_night(
    client: Client,
):
    """We switch Stripe's recovery of expired sessions on nowhere; such a one has our metadata."""
    _, payment = make_pending()
    later = session_of(payment, id="cs_later", recovered_from=payment.stripe_session_id)
    assert deliver(client, event_of(later)).json()["message"] == "Event ignored"
    [alert] = alerts("alert:event:")
    assert "no payment of ours belongs to its session" in alert["lines"][0]
    assert compare_session(later, {payment.pk: fresh(payment)}) == unmended(
        f"our payment {payment.pk} has another session"
    )
    assert (fresh(payment).status, fresh(payment.enrollment).status) == ("pending", "pending")


def test_a_refund_that_stripe_does_not_have_is_named_once(sandbox: Sandbox):
    """As with rows of another account's key: it is named here, and is no refusal of its own."""
    _, payment = buy(sandbox)
    deliver(Client(), refunded(refund_of(payment, 100, id="re_unknown", status="pending")))
    _, why = refused()
    assert why == "1 cannot be mended."
    found = Reconciliation.objects.get(kind="unsettled refunds")
    assert [line.split(": ")[1] for line in found.problems] == ["STRIPE_SESSION_UNKNOWN"]
    assert [alert["subject"] for alert in alerts("")] == [
        "Some of what Stripe says cannot be reconciled"
    ]
    assert Refund.objects.get().status == "pending"
