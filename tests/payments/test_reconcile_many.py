"""Many objects are reconciled in bounded memory, and cost next to no statements.

`script/bench --reconcile` does it with ten thousand.
"""

import json
import os
import tracemalloc
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from maaledu.db import new_id
from payments import reconcile
from payments.models import Dispute, Payment, Refund
from tests.affiliates.shop import buy, check_out, deliver_events, visitor
from tests.factories import make_course
from tests.payments.reconciled import counts
from tests.sandbox_client import Sandbox
from tests.statements import statements

OBJECTS = int(os.environ.get("RECONCILED_OBJECTS", "1000"))  # set by script/bench
SALES, REFUNDS, DISPUTES = OBJECTS * 6 // 10, OBJECTS * 3 // 10, OBJECTS // 10
PAGES = OBJECTS // 100 + 3  # of a hundred objects each; the last one of a kind holds one
MEGABYTE = 1024 * 1024
Record = dict[str, Any]


def one_of_each(path: Path, settings: Any) -> Record:
    """Sell, refund and dispute once, and return the book of that Stripe; ours agrees with it."""
    with Sandbox(state=path) as sandbox:
        sandbox.webhooks(hold=True)
        settings.STRIPE_API_BASE = sandbox.stripe_url
        _, payment = buy(sandbox)
        sandbox.refund_in_dashboard(payment.stripe_payment_intent_id, 1)
        sandbox.dispute(payment.stripe_payment_intent_id, amount=1)
        deliver_events(sandbox)
    return json.loads(path.read_text())


def multiply(book: Record) -> None:
    """Make many of each, at Stripe and here alike."""
    rows: dict[Any, list[Any]] = {Payment: [], Refund: [], Dispute: []}
    payment, refund, dispute = (model.objects.get() for model in rows)
    session, intent, back, contested = (
        next(iter(book[records].values()))
        for records in ("sessions", "intents", "refunds", "disputes")
    )
    for number in range(SALES):
        ids = {"payment_id": str(new_id()), "enrollment_id": str(payment.enrollment_id)}
        copied(book["intents"], intent, f"pi_{number}", metadata=ids)
        changes = {"payment_intent": f"pi_{number}", "metadata": ids}
        copied(book["sessions"], session, f"cs_{number}", **changes)
        sale = {"stripe_session_id": f"cs_{number}", "stripe_payment_intent_id": f"pi_{number}"}
        paid = row_like(payment, ids["payment_id"], idempotency_key=f"k{number}", **sale)
        rows[Payment].append(paid)
        if number < REFUNDS:
            copied(book["refunds"], back, f"re_{number}", payment_intent=f"pi_{number}")
            names = {"stripe_refund_id": f"re_{number}", "payment_intent_id": f"pi_{number}"}
            changes = {"payment": paid, "idempotency_key": f"k{number}", **names}
            rows[Refund].append(row_like(refund, new_id(), **changes))
        elif number < REFUNDS + DISPUTES:
            copied(book["disputes"], contested, f"du_{number}", payment_intent=f"pi_{number}")
            names = {"stripe_dispute_id": f"du_{number}", "payment_intent_id": f"pi_{number}"}
            rows[Dispute].append(row_like(dispute, new_id(), payment=paid, **names))
    for model, made in rows.items():
        model.objects.bulk_create(made, batch_size=500)
    # What is open is asked about one by one as well, and these are about the lists.
    Dispute.objects.update(status="won", stripe_status="won", is_withdrawn=False)
    for each in book["disputes"].values():
        each |= {"status": "won", "balance_transactions": []}


def copied(records: dict[str, Record], template: Record, name: str, **changes: Any) -> None:
    records[name] = {**deepcopy(template), "id": name, **changes}


def row_like(row: Any, key: Any, **changes: Any) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**{**values, "id": key, **changes})


@pytest.mark.breaks_invariants  # the many payments share one enrollment
def test_many_objects_need_little_memory_and_few_statements(
    tmp_path: Path, settings: Any, db: None
):
    path = tmp_path / "stripe.json"
    book = one_of_each(path, settings)
    multiply(book)
    path.write_text(json.dumps(book))
    with Sandbox(state=path) as sandbox:
        settings.STRIPE_API_BASE = sandbox.stripe_url
        tracemalloc.start()
        with statements() as asked:
            found = reconcile.reconcile()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    everything = (SALES + 1, REFUNDS + 1, DISPUTES + 1)
    for kind, number in zip(("sessions", "refunds", "disputes"), everything, strict=True):
        assert counts(found)[kind] == (number, number, 0, 0)
    print(f"{OBJECTS} objects: {peak / MEGABYTE:.1f} MB at the peak, {len(asked)} statements")
    assert peak < 10 * MEGABYTE
    # For each page what is known of it is read, and how far the run has come is written; each kind
    # begins and ends with a few of its own.
    assert len(asked) <= 2 * PAGES + 5 * len(reconcile.KINDS)


def sell_one_of_each(sandbox: Sandbox, name: str) -> None:
    """Leave one of each that agrees: a sale, a refund that is made and one that waits, an open
    dispute, an open warning, and a debit on its way. Stripe takes no event for delivered.
    """
    paid = [buy(sandbox, email=f"{what}-{name}@example.com")[1] for what in ("a", "b", "c")]
    intents = [payment.stripe_payment_intent_id for payment in paid]
    sandbox.refund_in_dashboard(intents[0], 1)
    sandbox.stripe(refund_status="pending")
    sandbox.refund_in_dashboard(intents[0], 2)
    sandbox.dispute(intents[1])
    sandbox.warn_of_fraud(intents[2])
    course = make_course()
    assert check_out(visitor(), course, email=f"d-{name}@example.com").status_code == 302
    sandbox.pay(Payment.objects.get(enrollment__course=course).stripe_session_id, "delayed_success")
    sandbox.stripe(refund_status="succeeded")
    deliver_events(sandbox)


@pytest.mark.any_engine
def test_what_agrees_costs_no_statement_of_its_own(sandbox: Sandbox):
    """One for the row of its kind, one for what is known of a page, and two for how far it came."""
    sandbox.stripe(async_delay=9 * 86400)
    reconcile.reconcile()
    for number in (1, 2):
        sell_one_of_each(sandbox, str(number))
        with statements() as asked:
            found = reconcile.reconcile()
        assert {kind: agreed // number for kind, (_, agreed, _, _) in counts(found).items()} == {
            "undelivered events": 12,
            "sessions": 4,
            "delayed payments": 1,
            "refunds": 2,
            "unsettled refunds": 1,
            "disputes": 1,
            "open disputes": 1,
            "fraud warnings": 1,
            "open fraud warnings": 1,
        }
        assert all(each.looked_at == each.agreed for each in found)
        assert len(asked) == 4 * len(reconcile.KINDS)
