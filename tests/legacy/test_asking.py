"""What Stripe and the LMS know of old rows: ids that the old platform did not keep, each once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from courses.models import Course
from enrollments.models import Enrollment
from legacy.models import ImportRun
from notifications.models import Email
from operations import invariants
from payments import stripe_calls, waiting_reversals
from payments.models import Payment, Refund
from tests.factories import deliver, refund_of, refunded
from tests.legacy.old_database import Documents, hand_written, oid, write_json
from tests.legacy.run import import_legacy
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
AMOUNT = 24900
GOOD = (0, 3)


def old_sale(old: Documents, name: str, session: str, **fields: Any) -> None:
    """Add a sale of which the old shop kept no payment intent."""
    at = timezone.now() - timedelta(days=5)
    sale = {"courseId": "sql-basics", "amount": AMOUNT / 100, "createdAt": at, "updatedAt": at}
    key = oid(at, 800 + len(old["enrollments"]))
    email = f"{name}@example.com"
    more = {"status": "refunded", "stripeSessionId": session, **fields}
    old["enrollments"].append({"_id": key, "email": email, **sale, **more})


def paid_at_stripe(sandbox: Sandbox) -> tuple[str, str]:
    """Return a session that somebody has paid, and the intent of it."""
    price = {"currency": "usd", "unit_amount": AMOUNT, "product_data": {"name": "SQL"}}
    made = stripe_calls.client().v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "success_url": "https://old.example/success",
            "metadata": {"enrollmentId": "65f0", "courseId": "sql-basics"},
        }
    )
    return made.id, sandbox.pay(made.id)["session"]["payment_intent"]


def refunds_of(name: str) -> list[tuple[int, str, bool]]:
    """Return amount, status, and whether Stripe's id is known, of each refund of this buyer."""
    rows = Refund.objects.filter(payment__enrollment__email=f"{name}@example.com")
    facts = rows.values_list("amount", "status", "stripe_refund_id").order_by("created_at", "pk")
    return sorted((amount, status, bool(key)) for amount, status, key in facts)


@pytest.mark.every_engine
def test_stripe_fills_in_intents_and_its_refunds_take_the_place_of_the_old_shops(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Requirement R205: the same money goes back once, by whichever way Stripe tells of it."""
    old = hand_written()
    names = ("kept", "whole", "halves", "failing")
    intents = {}
    for name in names:
        session, intents[name] = paid_at_stripe(sandbox)
        old_sale(old, name, session, status="paid" if name == "kept" else "refunded")
    sandbox.refund_in_dashboard(intents["whole"])
    for _ in range(2):
        sandbox.refund_in_dashboard(intents["halves"], amount=AMOUNT // 2)
    assert import_legacy(write_json(old, tmp_path / "old"), "--apply").status in GOOD
    assert refunds_of("whole") == refunds_of("halves") == [(AMOUNT, "succeeded", False)]

    written = len(sandbox.calls("stripe", "POST"))
    asked = import_legacy("--ask-stripe").text
    again = import_legacy("--ask-stripe").text
    assert len(sandbox.calls("stripe", "POST")) == written
    for name in names:
        assert f"its intent is {intents[name]}" in asked
        assert intents[name] not in again
    assert refunds_of("whole") == [(AMOUNT, "succeeded", True)]
    assert refunds_of("halves") == [(AMOUNT // 2, "succeeded", True)] * 2
    assert refunds_of("failing") == [(AMOUNT, "succeeded", False)]
    assert "Stripe has no refund of it" in asked
    call_command("reconcile_stripe")
    assert refunds_of("halves") == [(AMOUNT // 2, "succeeded", True)] * 2
    for name in names[1:]:
        payment = Payment.objects.get(enrollment__email=f"{name}@example.com")
        assert (payment.refund_committed, payment.enrollment.status) == (AMOUNT, "refunded")
    assert not Email.objects.filter(kind__startswith="refund").exists()
    assert invariants.verify() == []


@pytest.mark.every_engine
def test_a_refund_that_stripe_tells_of_before_or_after_its_intent_is_known_counts_once(
    client: Client, tmp_path: Path
) -> None:
    old = hand_written()
    for name in ("early", "late"):
        old_sale(old, name, f"cs_{name}")
    import_legacy(write_json(old, tmp_path / "old"), "--apply")
    early, late = (
        Payment.objects.get(stripe_session_id=f"cs_{name}") for name in ("early", "late")
    )
    told = {name: refund_of(payment) for name, payment in (("early", early), ("late", late))}
    deliver(client, refunded(told["early"]))
    for payment, name in ((early, "early"), (late, "late")):
        intent = told[name]["payment_intent"]
        Payment.objects.filter(pk=payment.pk).update(stripe_payment_intent_id=intent)
    deliver(client, refunded(told["late"]))
    deliver(client, refunded(told["late"], "refund.updated"))
    assert waiting_reversals.attach_refunds() == 1
    for payment, name in ((early, "early"), (late, "late")):
        assert refunds_of(name) == [(AMOUNT, "succeeded", True)], name
        payment.refresh_from_db()
        assert payment.refund_committed == AMOUNT
    assert not Email.objects.filter(kind__startswith="refund").exists()
    assert invariants.verify() == []


def test_the_lms_is_asked_who_is_there_after_all_and_nothing_is_written(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    import_legacy(write_json(hand_written(), tmp_path / "old"), "--apply")
    assert "half@example.com is not there" in import_legacy("--ask-lms").text
    import_legacy("--enqueue-stuck")
    call_command("run_due_work")
    half = Enrollment.objects.get(email="half@example.com")
    assert half.lms_status == "success"
    run = ImportRun.objects.get()
    assert import_legacy("--undo", run.pk).status == 2
    assert import_legacy("--ask-lms").text == ""


def test_whoever_paid_lately_and_waits_for_the_lms_is_mailed_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing leaves because of an import: not the message to buyers without access either."""
    old = hand_written()
    old_sale(old, "waits", "cs_waits", status="paid", frappeSync={"syncStatus": "failed"})
    import_legacy(write_json(old, tmp_path / "old"), "--apply")
    assert Enrollment.objects.get(email="waits@example.com").lms_status == "failed"
    call_command("run_due_work")
    assert (sandbox.mails(), sandbox.calls("lms"), sandbox.calls("stripe", "POST")) == ([], [], [])


def test_two_shops_that_sell_the_same_course_are_refused_until_the_final_run(
    tmp_path: Path, settings
) -> None:
    source = write_json(hand_written(), tmp_path / "old")
    assert import_legacy(source, "--apply").status in GOOD
    Course.objects.filter(slug="sql-basics").update(status="published", category="data")
    for how in (("--apply",), ("--final", "--backup-id", "b")):
        ran = import_legacy(source, *how)
        assert (ran.status, "Both shops sell sql-basics" in ran.text) == (2, True)
    assert import_legacy(source).status in GOOD
    settings.CHECKOUT_CLOSED = True
    assert import_legacy(source, "--final", "--backup-id", "b").status in GOOD
    settings.CHECKOUT_CLOSED = False
    assert import_legacy(source, "--final", "--backup-id", "b").status in GOOD
