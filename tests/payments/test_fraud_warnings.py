"""Early fraud warnings, and disputes whose money moves without a decision: the commission is held
while either is so, whatever order the events come in (fault M11).
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from affiliates.errors import OwnAccount
from affiliates.models import Affiliate, Commission
from notifications.models import Email
from operations import invariants, queues
from payments import fraud_warnings
from payments.models import Dispute, EarlyFraudWarning, Payment
from tests.affiliates.make import make_affiliate, make_referred, make_staff, sell
from tests.affiliates.shop import buy, deliver_events, fresh
from tests.any_engine import seldom
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    event_of,
    intent_of,
    refund_of,
    refunded,
)
from tests.payments.test_ownership import sale_of_another_product
from tests.sandbox_client import Sandbox

START = 1_790_000_000
DUE = START + 8 * 86400
WITHDRAWN, REINSTATED = [-49900], [-49900, 49000]  # another exchange rate on the way back
Event = dict[str, Any]
Make = Callable[[Payment], Event]


def warned(at: int = 0, *, actionable: bool = True, **fields: Any) -> Make:
    """Return what makes the event of a warning, so many seconds after the first one."""

    def event(payment: Payment) -> Event:
        warning = {
            "id": f"issfr_{payment.pk.hex}",
            "object": "radar.early_fraud_warning",
            "actionable": actionable,
            "charge": f"ch_{payment.pk.hex}",
            "created": START,
            "fraud_type": "made_with_stolen_card",
            "livemode": False,
            "payment_intent": intent_of(payment),
            **fields,
        }
        kind = "created" if actionable else "updated"
        created = {"created": START + at}
        return event_of(warning, f"radar.early_fraud_warning.{kind}", **created)

    return event


def says(status: str, at: int = 0, moved: list[int] | None = None, **fields: Any) -> Make:
    """Return what makes the event of a dispute whose money has moved by these amounts."""

    def event(payment: Payment) -> Event:
        amounts = [{"object": "balance_transaction", "amount": amount} for amount in moved or []]
        details = {"evidence_details": {"due_by": DUE}, "balance_transactions": amounts}
        dispute = dispute_of(payment, status, **{**details, **fields})
        return {**disputed(dispute, "charge.dispute.updated"), "created": START + at}

    return event


def gone_back(amount: int | None = None) -> Make:
    refund: dict[str, Event] = {}
    return lambda payment: refund.setdefault(
        str(payment.pk), {**refunded(refund_of(payment, amount))}
    )


ASKED = says("needs_response", 0, WITHDRAWN)
WON = says("won", 1, REINSTATED)
# The events, and in the end: whether the commission is on hold, what is left of it, and what has
# become of the enrollment.
LIVES: dict[str, tuple[list[Make], tuple[bool, int, str]]] = {
    "warned": ([warned()], (True, 4990, "paid")),
    "warned and settled": ([warned(), warned(1, actionable=False)], (False, 4990, "paid")),
    "settled within a second": ([warned(), warned(actionable=False)], (False, 4990, "paid")),
    "settled, and back again": (
        [warned(), warned(1, actionable=False), warned(2)],
        (True, 4990, "paid"),
    ),
    "refunded, and no event said so": ([warned(), gone_back()], (False, 0, "refunded")),
    "refunded in part": ([warned(), gone_back(24950)], (True, 2495, "paid")),
    "disputed after a warning": (
        [warned(), warned(1, actionable=False), ASKED],
        (True, 4990, "paid"),
    ),
    "an inquiry": ([says("warning_needs_response")], (False, 4990, "paid")),
    "an inquiry that takes the money": (
        [says("warning_needs_response"), says("warning_needs_response", 0, WITHDRAWN)],
        (True, 4990, "paid"),
    ),
    "an inquiry that gives it back": (
        [
            says("warning_needs_response", 0, WITHDRAWN),
            says("warning_under_review", 0, WITHDRAWN),
            says("warning_closed", 1, REINSTATED),
        ],
        (False, 4990, "paid"),
    ),
    "prevented": ([says("prevented")], (False, 4990, "paid")),
    "prevented with the money": ([says("prevented", 0, WITHDRAWN)], (True, 4990, "paid")),
    "won before the money is back": (
        [ASKED, says("won", 1, WITHDRAWN)],
        (True, 4990, "paid"),
    ),
    "appealed": (
        [ASKED, WON, says("appeal_needs_response", 2, [*REINSTATED, -49900])],
        (True, 4990, "paid"),
    ),
    "lost on appeal": (
        [
            WON,
            says("appeal_under_review", 2, [*REINSTATED, -49900]),
            says("lost", 3, [*REINSTATED, -49900]),
        ],
        (False, 0, "refunded"),
    ),
    "unheard of": ([says("arbitration", 0, WITHDRAWN)], (True, 4990, "paid")),
    "unheard of, and back": (
        [says("arbitration", 0, WITHDRAWN), says("arbitration", 1, REINSTATED)],
        (False, 4990, "paid"),
    ),
}


def state_of(payment: Payment) -> tuple[bool, int, str]:
    commission = Commission.objects.get(enrollment_id=payment.enrollment_id)
    return commission.is_held, commission.net, fresh(payment.enrollment).status


@pytest.mark.parametrize(
    "name",
    seldom(
        LIVES,
        on_every_engine=[
            "warned",
            "refunded in part",
            "disputed after a warning",
            "won before the money is back",
            "lost on appeal",
        ],
    ),
)
def test_the_set_of_facts_decides_in_whichever_order_they_come(client: Client, name: str):
    """The sale's own event may be one of them: what came before waits for it."""
    makers, end = LIVES[name]
    first, rest = ([], [completed, *makers]) if len(makers) < 3 else ([completed], makers)
    for order in itertools.permutations(rest):
        _, payment = make_referred(make_affiliate())
        for make in (*first, *order):
            assert deliver(client, make(payment)).status_code == 200
        for step, chore in queues.CHORES.items():
            if step.startswith("joining"):
                chore()
        assert state_of(payment) == end, order
    assert invariants.verify() == []


# --- what staff are told --------------------------------------------------------------------------
OPEN, ATTENTION, LOST = (
    "A buyer's bank disputes a payment",
    "A dispute needs attention",
    "A dispute was lost",
)
HELD, UNTIL = "commission is on hold", "until September 29, 2026"
ALERTS: dict[str, tuple[list[Make], list[tuple[str, tuple[str, ...]]]]] = {
    "warned": (
        [warned(), warned(1)],
        [
            (
                "A card's issuer warns of fraud",
                (
                    "made_with_stolen_card",
                    HELD,
                    "by September 23, 2026 refund it in full",
                ),
            )
        ],
    ),
    "settled already": ([warned(actionable=False)], []),
    "open": (
        [ASKED, says("under_review", 1, WITHDRAWN)],
        [(OPEN, (UNTIL, "needs_response", HELD))],
    ),
    "lost": ([says("lost", 0, WITHDRAWN)], [(LOST, ("commission is reversed",))]),
    "won": ([WON], []),
    "appealed when it was lost": (
        [says("lost", 0, WITHDRAWN), says("appeal_needs_response", 1, WITHDRAWN)],
        [(LOST, ("commission is reversed",)), (ATTENTION, ("proof of access", UNTIL))],
    ),
    "inquiry": (
        [says("warning_needs_response"), says("warning_under_review", 1)],
        [(ATTENTION, ("inquires about the payment", UNTIL))],
    ),
    "inquiry with the money": (
        [says("warning_under_review"), says("warning_under_review", 0, WITHDRAWN)],
        [(ATTENTION, (HELD, UNTIL))],
    ),
    "prevented": (
        [says("prevented", 0, WITHDRAWN, evidence_details={"due_by": 0})],
        [(ATTENTION, ("No answer is possible", HELD))],
    ),
    "appeal": (
        [says("appeal_needs_response", 0, WITHDRAWN), says("appeal_under_review", 1, WITHDRAWN)],
        [(ATTENTION, ("proof of access", HELD, UNTIL)), (ATTENTION, ("under review", HELD))],
    ),
    "unheard of": (
        [says("arbitration", 0, WITHDRAWN), says("arbitration", 0, WITHDRAWN)],
        [(ATTENTION, ("Stripe says arbitration", "not known here", HELD, UNTIL))],
    ),
}


def alerts() -> list[dict[str, Any]]:
    found = Email.objects.filter(kind="staff_alert").order_by("created_at", "pk")
    return [email.context for email in found]


@pytest.mark.any_engine
@pytest.mark.parametrize("name", ALERTS)
def test_staff_are_told_once_what_to_do_and_by_when(client: Client, name: str):
    makers, expected = ALERTS[name]
    _, payment = sell(client, make_affiliate())
    for make in makers:
        event = make(payment)
        for _ in range(2):
            assert deliver(client, event).status_code == 200
    found = alerts()
    assert [alert["subject"] for alert in found] == [subject for subject, _ in expected]
    for alert, (_, parts) in zip(found, expected, strict=True):
        text = " ".join(alert["lines"])
        assert [part for part in parts if part not in text] == [], text
        assert (HELD in text) == (HELD in parts)


WORDS: dict[str, tuple[Make, str]] = {
    "the reason of a dispute": (says("warning_closed", reason="cosmic_rays"), "cosmic_rays"),
    "the status of a refund": (
        lambda payment: refunded(refund_of(payment, status="teleported")),
        "teleported",
    ),
    "the reason of a refund": (
        lambda payment: refunded(refund_of(payment, 1, reason="whim")),
        "whim",
    ),
    "the payment_status of a checkout.session": (
        lambda payment: completed(payment, payment_status="half_paid"),
        "half_paid",
    ),
    "the status of a checkout.session": (
        lambda payment: completed(payment, status=["odd"]),
        "odd",
    ),
    "the fraud_type of a radar.early_fraud_warning": (
        warned(actionable=False, fraud_type="hearsay"),
        "hearsay",
    ),
    "the type of an event": (
        lambda payment: disputed(dispute_of(payment), "charge.dispute.escalated"),
        "charge.dispute.escalated",
    ),
}


@pytest.mark.any_engine
@pytest.mark.parametrize("what", WORDS)
def test_a_word_that_is_not_known_is_told_once_and_decides_nothing(client: Client, what: str):
    make, word = WORDS[what]
    _, payment = sell(client, make_affiliate())
    event = make(payment)
    for number in range(2):  # as another event, too
        assert deliver(client, {**event, "id": f"evt_{number}"}).status_code == 200
    [alert] = alerts()
    assert alert["subject"] == "Stripe uses a word that is not known here"
    assert f"{word}'" in alert["lines"][0]
    assert f"as {what}" in alert["lines"][0]
    assert state_of(payment)[::2] == (False, "paid")


@pytest.mark.any_engine
def test_what_others_ask_for_and_what_is_known_is_told_to_nobody(client: Client):
    _, payment = sell(client, make_affiliate())
    for event in (
        event_of({"id": "cus_1", "object": "customer"}, "customer.created"),
        refunded(refund_of(payment, 1, status="requires_action", reason=None)),
        completed(payment, status=None),
    ):
        assert deliver(client, event).status_code == 200
    assert alerts() == []


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "fields",
    [{"payment_intent": None}, {"payment_intent": 7}, {"actionable": "yes"}, {"id": "x" * 300}],
    ids=repr,
)
def test_a_warning_that_cannot_be_read_is_ignored(client: Client, fields: dict[str, Any]):
    _, payment = sell(client, make_affiliate())
    event = warned()(payment)
    event["data"]["object"] |= fields
    assert deliver(client, event).json()["message"] == "Event ignored"
    assert EarlyFraudWarning.objects.count() == 0


@pytest.mark.parametrize("moved", [None, "-49900", [None, 7], [{"amount": "-1"}], {"amount": -1}])
@pytest.mark.any_engine
def test_movements_that_cannot_be_read_move_nothing(client: Client, moved: Any):
    _, payment = sell(client, make_affiliate())
    dispute = dispute_of(payment, "prevented", balance_transactions=moved)
    assert deliver(client, disputed(dispute)).status_code == 200
    assert (Dispute.objects.get().is_withdrawn, state_of(payment)[0]) == (False, False)


# --- what staff decide ----------------------------------------------------------------------------
def test_a_closed_warning_holds_nothing_and_is_closed_once(client: Client):
    _, payment = sell(client, make_affiliate())
    deliver(client, warned()(payment))
    warning = EarlyFraudWarning.objects.get()
    assert warning.decide_by == datetime(2026, 9, 23, 14, 13, 20, tzinfo=UTC)
    assert [fraud_warnings.close(warning, by="boss@example.com") for _ in range(2)] == [True, False]
    assert (fresh(warning).status, fresh(warning).closed_by) == ("closed", "boss@example.com")
    assert state_of(payment) == (False, 4990, "paid")
    deliver(client, warned(1)(payment))
    assert state_of(payment) == (False, 4990, "paid")
    assert len(alerts()) == 1


@pytest.mark.any_engine
def test_nobody_closes_a_warning_about_their_own_sale(client: Client):
    affiliate, boss = make_affiliate(), make_staff(email="boss@example.com")
    _, payment = sell(client, affiliate)
    deliver(client, warned()(payment))
    Affiliate.objects.filter(pk=affiliate.pk).update(user=boss)
    with pytest.raises(OwnAccount):
        fraud_warnings.close(EarlyFraudWarning.objects.get(), by=boss.get_username())
    assert state_of(payment) == (True, 4990, "paid")


# --- from the first signed event on ---------------------------------------------------------------
@pytest.mark.any_engine
def test_a_warning_ends_in_a_refund_or_a_dispute_at_stripe(sandbox: Sandbox):
    for answer in (sandbox.refund_in_dashboard, sandbox.dispute):
        _, payment = buy(sandbox, through=make_affiliate(), email=f"{answer.__name__}@example.com")
        sandbox.warn_of_fraud(payment.stripe_payment_intent_id)
        assert deliver_events(sandbox) == ["radar.early_fraud_warning.created"]
        assert state_of(payment) == (True, 4990, "paid")
        answer(payment.stripe_payment_intent_id)
        assert "radar.early_fraud_warning.updated" in deliver_events(sandbox)
    assert [warning.status for warning in EarlyFraudWarning.objects.all()] == ["settled"] * 2
    assert state_of(payment) == (True, 4990, "paid")  # by the dispute now


def test_a_warning_of_another_products_payment_is_none_of_ours(sandbox: Sandbox):
    sandbox.warn_of_fraud(sale_of_another_product(sandbox, {"order": "17"}))
    [event] = [e for e in sandbox.book("events") if e["type"].startswith("radar.")]
    assert deliver(Client(), event).json()["message"] == "Another product's"
    assert (EarlyFraudWarning.objects.count(), alerts()) == (0, [])
