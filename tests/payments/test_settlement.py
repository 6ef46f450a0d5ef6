"""What a session's state means, in whichever order its events arrive, and however odd they are."""

import itertools
import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import SyncJob
from maaledu.work.items import replay
from maaledu.work.queue import drain
from notifications.models import Alert, Email
from payments import overdue, settlement
from payments.models import Payment, StripeEvent
from payments.webhooks import EVENTS
from tests.affiliates.rivals import rival_before
from tests.affiliates.shop import check_out
from tests.concurrency import race
from tests.factories import (
    async_failed,
    async_succeeded,
    completed,
    deliver,
    event_of,
    expired,
    make_course,
    make_payment,
    make_pending,
    session_of,
    unpaid,
)
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

# --- in whatever order ----------------------------------------------------------------------------

NO_PAYMENT = "no_payment_required"
MAKERS: dict[str, Callable[[Payment], dict[str, Any]]] = {
    "C": completed,
    "S": async_succeeded,
    "U": unpaid,
    "F": async_failed,
    "X": expired,
    "M": lambda payment: completed(payment, amount_total=1),
    "N": lambda payment: completed(payment, amount_total=0, payment_status=NO_PAYMENT),
}
PASSING = {"payment_processing": "processing", "payment_failed": "failed"}
# enrollment, payment, review reason, failure code, jobs, messages
PAID = ("paid", "paid", "", "", 1, ["purchase_confirmation"])
LATE = ("paid", "paid", "late", "", 1, ["purchase_confirmation"])
FAILED = ("failed", "failed", "", "ASYNC_PAYMENT_FAILED", 0, ["payment_failed"])
EXPIRED = ("expired", "expired", "", "SESSION_EXPIRED", 0, [])
PROCESSING = ("pending", "processing", "", "", 0, ["payment_processing"])
MISMATCH = ("failed", "paid", "amount_mismatch", "AMOUNT_MISMATCH", 0, ["staff_alert"])
# Every set of up to three kinds of events about one session; those with another amount (M), or with
# no payment at all (N), beside those that go with it.
ENDS = {
    **dict.fromkeys(["C", "S", "CS", "CU", "SU", "CSU"], PAID),
    # Stripe also said that the session failed or expired: honored, and shown to staff.
    **dict.fromkeys(
        ["CF", "CX", "SF", "SX", "CSF", "CSX", "CUF", "CUX", "SUF", "SUX", "CFX", "SFX"], LATE
    ),
    **dict.fromkeys(["F", "UF", "FX", "UFX"], FAILED),
    **dict.fromkeys(["X", "UX"], EXPIRED),
    "U": PROCESSING,
    **dict.fromkeys(["M", "MU", "MF", "MX", "MUF", "MUX", "MFX"], MISMATCH),
    **dict.fromkeys(["N", "NU", "NX"], MISMATCH),
}


def end_of(payment: Payment) -> tuple:
    """Everything about a purchase that must not depend on the order of events, its messages among
    it. What was said of a state that has passed since depends on the order, and does not count.
    """
    payment.refresh_from_db()
    enrollment = Enrollment.objects.get(pk=payment.enrollment_id)
    jobs = SyncJob.objects.filter(dedupe_key=f"enroll:{enrollment.pk}").count()
    keys = (str(payment.pk), str(enrollment.pk))
    mails = sorted(
        mail.kind
        for mail in Email.objects.all()
        if any(key in mail.dedupe_key for key in keys)
        and PASSING.get(mail.kind, payment.status) == payment.status
    )
    return (
        enrollment.status,
        payment.status,
        payment.review_reason,
        enrollment.failure_code,
        jobs,
        mails,
    )


def without_access(end: tuple) -> tuple:
    """What an end looks like before the LMS has been asked: there is no confirmation yet."""
    return (*end[:-1], [kind for kind in end[-1] if kind != "purchase_confirmation"])


def test_all_sets_of_up_to_three_kinds_are_here() -> None:
    sizes = (1, 2, 3)
    sets = {frozenset(kinds) for size in sizes for kinds in itertools.combinations("CSUFX", size)}
    assert sets == {frozenset(kinds) for kinds in ENDS if not set(kinds) & {"M", "N"}}


@pytest.mark.parametrize("kinds", ENDS)
def test_every_order_of_a_sessions_events_ends_with_the_same_messages(
    client: Client, sandbox: Sandbox, kinds: str
) -> None:
    payments = []
    for order in itertools.permutations(kinds):
        _, payment = make_pending()
        for kind in order:
            assert deliver(client, MAKERS[kind](payment)).status_code == 200
        payments.append(payment)
    drain(LMS_JOBS)
    assert [end_of(payment) for payment in payments] == [ENDS[kinds]] * len(payments)


# Every order without repetitions is above.
MOST_ORDERS, OFTEN = {"mongodb": (1, 1), "postgresql": (2, 1)}.get(connection.vendor, (12, 2))


def repetitions(kinds: str) -> list[tuple[str, ...]]:
    """Every order of one or two kinds, each up to three times and five in all; of three, every
    order in which all that came so far comes again after each. Beside those, some with each three
    times.

    Shorter orders are what these begin with.
    """
    if len(kinds) < 3:
        bags = [kinds * 3] if len(kinds) == 1 else [kinds * 2 + kind for kind in kinds]
        orders = {order for bag in bags for order in itertools.permutations(bag)}
    else:
        orders = {with_all_again(order) for order in itertools.permutations(kinds)}
    dice = random.Random(kinds)
    often = [tuple(dice.sample(kinds * 3, 3 * len(kinds))) for _ in range(OFTEN)]
    most = 0 if "M" in kinds else min(MOST_ORDERS, len(orders))
    return dice.sample(sorted(orders), most) + often


def with_all_again(order: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(kind for number, new in enumerate(order) for kind in (new, *order[: number + 1]))


@pytest.mark.every_engine
@pytest.mark.parametrize("kinds", ENDS)
def test_every_order_and_repetition_of_a_sessions_events_ends_the_same(
    client: Client, kinds: str
) -> None:
    """A repetition is the same event again, or another event about the same thing: one of each, in
    turn. It has ended as soon as each kind has come once.
    """
    for order in repetitions(kinds):
        Alert.objects.all().delete()  # as if hours had passed: many within one are alerted of once
        _, payment = make_pending()
        first = {kind: MAKERS[kind](payment) for kind in kinds}
        seen: list[str] = []
        for kind in order:
            again = seen.count(kind) == 2
            assert (
                deliver(client, MAKERS[kind](payment) if again else first[kind]).status_code == 200
            )
            seen.append(kind)
            if set(seen) == set(kinds):
                assert end_of(payment) == without_access(ENDS[kinds]), seen


# --- paid twice -----------------------------------------------------------------------------------


def two_attempts() -> tuple[Enrollment, list[Payment]]:
    """An enrollment whose first session was given up when its answer was late, and whose second one
    is open.
    """
    enrollment, first = make_pending()
    assert settlement.abandon(first)
    return enrollment, [first, make_payment(enrollment, attempt=2)]


def assert_paid_once(enrollment: Enrollment) -> None:
    reasons = sorted(enrollment.payments.values_list("status", "review_reason"))
    assert reasons in (
        [("paid", ""), ("paid", "duplicate")],
        [("paid", "duplicate"), ("paid", "late")],
    )
    duplicate = enrollment.payments.get(review_reason="duplicate")
    keys = list(Email.objects.filter(kind="staff_alert").values_list("dedupe_key", flat=True))
    assert [key for key in keys if str(duplicate.pk) in key] == [
        f"alert:payment:{duplicate.pk}:duplicate:staff@maaledu.example"
    ]
    enrollment.refresh_from_db()
    other = enrollment.payments.exclude(review_reason="duplicate").get()
    assert (enrollment.status, enrollment.payment_reference) == (
        "paid",
        other.stripe_payment_intent_id,
    )
    assert SyncJob.objects.filter(dedupe_key=f"enroll:{enrollment.pk}").count() == 1


# --- without a payment ----------------------------------------------------------------------------
def test_a_session_that_ended_without_a_payment_gives_nothing_away(
    client: Client, sandbox: Sandbox
) -> None:
    """Whatever total it names: what we asked for was not paid, and staff decide about it."""
    for total in (0, 49900, None):
        enrollment, payment = make_pending()
        deliver(client, completed(payment, amount_total=total, payment_status=NO_PAYMENT))
        assert end_of(payment) == MISMATCH
        assert (payment.amount_received, payment.currency_received) == (0, "usd")
        page = client.get(enrollment.get_absolute_url()).content.decode()
        assert "We are looking into your payment" in page
        alert = Email.objects.get(dedupe_key__contains=str(payment.pk)).context
        assert alert["subject"] == "A payment needs a decision: amount mismatch"
        assert "Asked: 49900 usd; received: 0 usd." in alert["lines"]


@pytest.mark.breaks_invariants
def test_what_costs_nothing_is_settled_as_free(client: Client) -> None:
    """We ask Stripe for no such sale; if it comes to one all the same, it is the learner's."""
    _, payment = make_pending(list_price=0, amount=0)
    deliver(client, completed(payment, amount_total=0, payment_status=NO_PAYMENT))
    assert without_access(end_of(payment)) == without_access(PAID)


def test_a_session_of_nothing_that_is_still_open_is_not_settled(client: Client) -> None:
    _, payment = make_pending()
    session = session_of(payment, status="open", amount_total=0, payment_status=NO_PAYMENT)
    assert not settlement.settle_session(payment, session, actor="test")
    payment.refresh_from_db()
    assert payment.status == "pending"


@pytest.mark.every_engine
def test_one_that_an_earlier_version_called_on_its_way_is_settled_within_the_hour(
    sandbox: Sandbox,
) -> None:
    check_out(Client(), make_course())
    payment = Payment.objects.get()
    sandbox.pay(str(payment.stripe_session_id), amount_total=0)
    long_ago = timezone.now() - timedelta(hours=2)
    Payment.objects.update(status=Payment.PROCESSING, updated_at=long_ago)
    assert overdue.ask_about_processing() == 1
    assert end_of(payment) == MISMATCH
    assert overdue.ask_about_processing() == 0


# --- at once --------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_two_attempts_that_are_paid_at_once_make_one_enrollment_and_one_alert() -> None:
    for _ in range(6):
        enrollment, payments = two_attempts()
        events = [completed(payment) for payment in payments]
        assert race(
            lambda number, events=events: deliver(Client(), events[number]).status_code, threads=2
        ) == [200, 200]
        StripeEvent.objects.filter(status="pending").update(next_attempt_at=timezone.now())
        drain(EVENTS)
        assert_paid_once(enrollment)


@pytest.mark.engines("postgres")  # the others let nobody in between
@pytest.mark.parametrize("slow", [0, 1], ids=["the given up one first", "the open one first"])
def test_a_payment_that_is_overtaken_between_its_reading_and_its_writing_is_set_aside(
    client: Client, slow: int
) -> None:
    enrollment, payments = two_attempts()
    events = [completed(payment) for payment in payments]
    with rival_before(
        'UPDATE "payments_payment"', lambda: deliver(Client(), events[1 - slow]).status_code
    ) as rival:
        assert deliver(client, events[slow]).status_code == 200
    assert rival == [200]
    payments[slow].refresh_from_db()
    assert payments[slow].review_reason == "duplicate"
    assert_paid_once(enrollment)
    assert (
        deliver(client, completed(payments[slow])).json()["message"] == "Payment already processed"
    )


# --- however odd ----------------------------------------------------------------------------------


def nested(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


KEPT = {
    "NUL in a name": (
        {"customer_details": {"name": "a\0b"}},
        ["data.object.customer_details.name"],
    ),
    "a lone surrogate in a name": (
        {"customer_details": {"name": "a\ud800b"}},
        ["data.object.customer_details.name"],
    ),
    "NUL in a key": ({"a\0b": 1}, ["data.object.a\ufffdb"]),
    "not a number": ({"x": float("nan")}, ["data.object.x"]),
    "infinity": ({"x": float("inf")}, ["data.object.x"]),
    "minus infinity": ({"x": [1, float("-inf")]}, ["data.object.x.1"]),
    "a number over 64 bits": ({"x": 10**30}, ["data.object.x"]),
    "a negative one": ({"x": -(10**30)}, ["data.object.x"]),
    "lists in lists in lists": ({"x": nested(200)}, ["data.object.x" + ".0" * 47]),
    "the largest number": ({"x": 2**63 - 1}, None),
    "operators for keys": ({"$where": 1, "a.b": 2, "": 3}, None),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_signed_event_is_kept_and_applied_whatever_else_is_in_it(
    client: Client, name: str
) -> None:
    change, replaced = KEPT[name]
    _, payment = make_pending()
    assert (
        deliver(client, event_of(session_of(payment, **change))).json()["message"]
        == "Event processed"
    )
    assert end_of(payment) == without_access(PAID)
    stored = StripeEvent.objects.get()
    assert (stored.status, stored.payload.get("maaledu_replaced")) == ("done", replaced)


INTENTS = {
    "NUL": ("pi_\0", "pi_\ufffd"),
    "300 characters": ("p" * 300, ""),
    "a list": (["pi_1"], ""),
    "an object": ({"id": "pi_1"}, "pi_1"),
    "an object whose id is a number": ({"id": 1}, ""),
    "none": (None, ""),
}


@pytest.mark.parametrize("name", INTENTS)
def test_what_is_no_payment_intent_is_not_recorded_as_one(client: Client, name: str) -> None:
    sent, kept = INTENTS[name]
    enrollment, payment = make_pending()
    assert (
        deliver(client, completed(payment, payment_intent=sent)).json()["message"]
        == "Event processed"
    )
    assert end_of(payment) == without_access(PAID)
    assert payment.stripe_payment_intent_id == kept
    enrollment.refresh_from_db()
    assert enrollment.payment_reference == (kept or payment.stripe_session_id)


NO_AMOUNTS = {
    "text": "49900",
    "words": "a lot",
    "a list": [49900],
    "true": True,
    "a fraction": 49900.0,
    "negative": -5,
    "endless": 10**25,
}


@pytest.mark.parametrize("name", NO_AMOUNTS)
def test_what_is_no_amount_is_flagged_and_not_fulfilled(client: Client, name: str) -> None:
    _, payment = make_pending()
    assert (
        deliver(client, completed(payment, amount_total=NO_AMOUNTS[name])).json()["message"]
        == "Event processed"
    )
    assert end_of(payment) == MISMATCH
    assert payment.amount_received is None
    assert StripeEvent.objects.get().status == "done"


def test_true_is_not_an_amount_of_one(client: Client) -> None:
    _, payment = make_pending(amount=1)
    deliver(client, completed(payment, amount_total=True))
    assert end_of(payment) == MISMATCH


NO_CURRENCIES = {
    "an object": {"a": 1},
    "none": None,
    "a list": ["usd"],
    "a long one": "usdx",
    "NUL": "us\0",
}


@pytest.mark.parametrize("name", NO_CURRENCIES)
def test_what_is_no_currency_is_flagged_and_not_recorded(client: Client, name: str) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment, currency=NO_CURRENCIES[name]))
    assert end_of(payment) == MISMATCH
    assert payment.currency_received == ("us\ufffd" if name == "NUL" else "")


FOREIGN = {
    "no id": {"id": None},
    "a list for an id": {"id": ["cs_1"]},
    "an id of 300 characters": {"id": "c" * 300},
    "a payment that is a list": {"metadata": {"payment_id": ["x"]}},
    "a payment that is a number": {"metadata": {"payment_id": 10**60}},
    "a payment that is true": {"metadata": {"payment_id": True}},
    "a payment that is an object": {"metadata": {"payment_id": {"$ne": ""}}},
}
# Another product's payments may have numbers, and are not ours to worry about.
OF_OTHERS = ("a payment that is a number",)


@pytest.mark.parametrize(
    "known", [True, False], ids=["a session we know", "a session we do not know yet"]
)
@pytest.mark.parametrize("name", FOREIGN)
def test_a_session_that_names_no_payment_of_ours_is_kept_and_alerts_staff_unless_it_is_anothers(
    client: Client, name: str, known: bool
) -> None:
    _, payment = make_pending()
    event = completed(payment, **FOREIGN[name])
    if not known:
        Payment.objects.filter(pk=payment.pk).update(stripe_session_id=None)
    assert deliver(client, event).json()["message"] == "Event ignored"
    assert end_of(payment) == PENDING_STILL
    assert StripeEvent.objects.get().status == "done"
    assert Email.objects.filter(kind="staff_alert").count() == (name not in OF_OTHERS)


PENDING_STILL = ("pending", "pending", "", "", 0, [])


@pytest.mark.parametrize("name", ["id", "type"])
@pytest.mark.parametrize(
    "value", ["", "e" * 256, None, 1, ["evt"]], ids=["empty", "long", "null", "number", "list"]
)
def test_an_event_that_cannot_be_known_again_is_refused(
    client: Client, name: str, value: object
) -> None:
    _, payment = make_pending()
    answer = deliver(client, {**completed(payment), name: value})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_EVENT")
    assert StripeEvent.objects.count() == 0


# --- what cannot be applied -----------------------------------------------------------------------


def poisoned() -> tuple[Payment, SyncJob]:
    """A payment whose enrollment cannot be paid: somebody has written its job by hand."""
    enrollment, payment = make_pending()
    facts = {
        "platform": "frappe",
        "email": enrollment.email,
        "course_id": "x",
        "payload": {"enrollment_id": str(enrollment.pk)},
    }
    job = SyncJob.objects.create(dedupe_key=f"enroll:{enrollment.pk}", status="dead", **facts)
    return payment, job


def wear_out(event: StripeEvent) -> None:
    """Let all the attempts that the event has left pass."""
    for _ in range(10):
        StripeEvent.objects.filter(pk=event.pk, status="pending").update(
            next_attempt_at=timezone.now() - timedelta(seconds=1)
        )
        drain(EVENTS)
    event.refresh_from_db()


def alerts() -> list[str]:
    return sorted(Email.objects.filter(kind="staff_alert").values_list("dedupe_key", flat=True))


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_an_event_that_fails_for_good_alerts_staff_once_for_each_time_it_dies(
    client: Client,
) -> None:
    """Requirement R135: eight attempts, then a replay that fails as well, then one that does
    not.
    """
    payment, job = poisoned()
    assert deliver(client, completed(payment)).json()["message"] == "Event stored, to be processed"
    event = StripeEvent.objects.get()
    assert alerts() == []
    wear_out(event)
    assert (event.status, event.attempts) == ("dead", 8)
    first = f"alert:dead-event:{event.pk}:{event.fence}:staff@maaledu.example"
    assert alerts() == [first]
    [reason] = [
        line
        for line in Email.objects.get(dedupe_key=first).context["lines"]
        if line.startswith("Reason")
    ]
    assert "IntegrityError" in reason
    replay(event)
    wear_out(event)
    assert event.status == "dead"
    assert alerts() == sorted(
        [first, f"alert:dead-event:{event.pk}:{event.fence}:staff@maaledu.example"]
    )
    job.delete()
    replay(event)
    wear_out(event)
    assert (event.status, event.outcome, len(alerts())) == ("done", "Event processed", 2)
    assert end_of(payment)[:2] == ("paid", "paid")


@pytest.mark.breaks_invariants
def test_an_event_that_loses_worker_after_worker_alerts_staff() -> None:
    _, payment = make_pending()
    event = StripeEvent.objects.create(
        event_id="evt_1",
        type="checkout.session.completed",
        livemode=False,
        payload=completed(payment),
        lapses=6,
    )
    drain(EVENTS)
    event.refresh_from_db()
    assert (event.status, event.last_error.partition(":")[0]) == ("dead", "WORKER_LOST")
    assert alerts() == [f"alert:dead-event:{event.pk}:1:staff@maaledu.example"]


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_what_is_kept_of_a_failure_names_no_value_of_the_row(client: Client) -> None:
    payment, _ = poisoned()
    deliver(client, completed(payment))
    wear_out(StripeEvent.objects.get())
    texts = [
        StripeEvent.objects.get().last_error,
        *(line for mail in Email.objects.all() for line in mail.context["lines"]),
    ]
    assert "IntegrityError" in texts[0]
    assert [
        text
        for text in texts
        for secret in ("DETAIL", "dup key", f"enroll:{payment.enrollment_id}")
        if secret in text
    ] == []
