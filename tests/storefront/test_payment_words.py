"""Every page about a payment says the same of it: the cancel page, the status page, My courses and
the office.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from payments import refund_requests
from payments.models import Payment
from payments.outcomes import outcome_of, outcomes_of
from tests.affiliates.make import make_user
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    expired,
    make_payment,
    make_pending,
    refund_of,
    refunded,
    unpaid,
)
from tests.payments.test_fraud_warnings import warned

pytestmark = pytest.mark.any_engine

EMAIL = "ada@example.com"
TAKEN = [{"amount": -49900}]


def paid_then(*events: Callable[[Payment], dict[str, Any]], **fields: Any) -> Any:
    def happen(client: Client, payment: Payment) -> None:
        deliver(client, completed(payment, **fields))
        for event in events:
            deliver(client, event(Payment.objects.get(pk=payment.pk)))

    return happen


def is_unpaid(client: Client, payment: Payment) -> None:
    deliver(client, unpaid(payment))


def has_expired(client: Client, payment: Payment) -> None:
    deliver(client, expired(payment))


def overtaken(client: Client, payment: Payment) -> Payment:
    """An older checkout turns out to be paid while a debit of the newer one runs."""
    deliver(client, expired(payment))
    _, newer = make_pending(payment.enrollment.course, email=payment.enrollment.email)
    deliver(client, unpaid(newer))
    deliver(client, completed(payment))
    return newer


def requested(client: Client, payment: Payment) -> None:
    """Staff asked for a refund, and Stripe's answer has not come."""
    deliver(client, completed(payment))
    wanted = refund_requests.Request(amount=700, reason="", by="staff@example.com")
    refund_requests.write(Payment.objects.get(pk=payment.pk), wanted)


HAPPENED = {
    "debit runs": (is_unpaid, "processing", "Your payment is on its way"),
    "refunded": (paid_then(lambda p: refunded(refund_of(p))), "refunded", "Refunded"),
    "dispute lost": (
        paid_then(lambda p: disputed(dispute_of(p, "lost"))),
        "lost",
        "Your bank decided in your favor and returned $499.00 to you.",
    ),
    "another amount": (
        paid_then(amount_total=1),
        "amount_mismatch",
        "We received a payment that is not the one we asked for.",
    ),
    "another amount, refunded": (
        paid_then(lambda p: refunded(refund_of(p, 100)), amount_total=100),
        "refunded",
        "Your payment of $1.00 was refunded.",
    ),
    "another amount, disputed": (
        paid_then(lambda p: disputed(dispute_of(p)), amount_total=100),
        "disputed",
        "your bank has asked for it back. That is not settled yet.",
    ),
    "debit of an overtaken checkout": (
        overtaken,
        "processing",
        "Your bank is still working on a payment of $499.00. If it arrives, our team will write",
    ),
}


@pytest.fixture
def owner(db: None) -> Client:
    client = Client()
    client.force_login(make_user(EMAIL))
    return client


@pytest.mark.every_engine
@pytest.mark.parametrize("name", HAPPENED)
def test_no_page_says_that_nothing_was_charged_where_money_was_received(
    owner: Client, name: str
) -> None:
    happen, state, words = HAPPENED[name]
    enrollment, payment = make_pending(email=EMAIL)
    payment = happen(owner, payment) or payment
    enrollment = payment.enrollment
    pages = {
        "status": owner.get(enrollment.get_absolute_url()).text,
        "cancel": owner.get(f"/checkout/cancelled/{enrollment.token}/").text,
    }
    for where, page in pages.items():
        assert "Nothing was charged" not in page, where
        assert "nothing was charged" not in page, where
        assert words in page, where
    mine = owner.get("/account/").text
    assert enrollment.course_title in mine
    assert "othing was charged" not in mine
    payment.refresh_from_db()
    assert outcome_of(payment).state == state


@pytest.mark.parametrize(
    ("happen", "state", "words"),
    [
        (
            paid_then(lambda p: refunded(refund_of(p, 9900))),
            "refunded_partly",
            "$99.00 of your payment of $499.00 was refunded.",
        ),
        (
            paid_then(lambda p: disputed(dispute_of(p))),
            "disputed",
            "Your bank has asked for your payment of $499.00 back. That is not settled yet.",
        ),
        (  # nobody decides about this one at the bank
            paid_then(lambda p: disputed(dispute_of(p, "prevented", balance_transactions=TAKEN))),
            "disputed",
            "Your bank has asked for your payment of $499.00 back. That is not settled yet.",
        ),
        (
            paid_then(lambda p: refunded(refund_of(p, status="pending"))),
            "paid",
            "A refund of $499.00 was requested and is on its way to you.",
        ),
        (
            paid_then(
                lambda p: refunded(refund_of(p, 9900)),
                lambda p: refunded(refund_of(p, 100, status="requires_action")),
            ),
            "refunded_partly",
            "A refund of $1.00 was requested and is on its way to you.",
        ),
        (
            requested,
            "paid",
            "A refund of $7.00 was requested and is on its way to you.",
        ),
    ],
    ids=[
        "refunded partly",
        "disputed",
        "prevented",
        "refund pending",
        "one made, one pending",
        "requested",
    ],
)
def test_what_came_of_a_payment_stands_beside_the_course(
    owner: Client, happen: Any, state: str, words: str
) -> None:
    enrollment, payment = make_pending(email=EMAIL)
    happen(owner, payment)
    payment.refresh_from_db()
    assert outcome_of(payment).state == state
    assert words in owner.get(enrollment.get_absolute_url()).text
    assert words in owner.get("/account/").text
    left = owner.get(f"/checkout/cancelled/{enrollment.token}/")
    assert (left.status_code, left["Location"]) == (302, enrollment.get_absolute_url())


def test_a_refund_that_failed_and_a_fraud_warning_are_not_spoken_of(owner: Client) -> None:
    enrollment, payment = make_pending(email=EMAIL)
    deliver(owner, completed(payment))
    deliver(owner, refunded(refund_of(payment, status="failed"), "refund.failed"))
    deliver(owner, warned()(payment))
    for page in (enrollment.get_absolute_url(), "/account/"):
        assert "payment-note" not in owner.get(page).text, page


def test_a_second_payment_is_spoken_of_beside_the_first(owner: Client) -> None:
    enrollment, payment = make_pending(email=EMAIL)
    deliver(owner, completed(payment))
    second = make_payment(enrollment, attempt=2)
    deliver(owner, completed(second))
    assert "We received a second payment, of $499.00." in owner.get("/account/").text
    found = outcomes_of([enrollment])[enrollment.pk]
    assert [(each.payment.pk, each.state) for each in found] == [
        (payment.pk, "paid"),
        (second.pk, "duplicate"),
    ]


def test_an_ended_checkout_without_money_is_said_to_have_cost_nothing(owner: Client) -> None:
    enrollment, payment = make_pending(email=EMAIL)
    has_expired(owner, payment)
    left = owner.get(f"/checkout/cancelled/{enrollment.token}/").text
    assert "The checkout has expired" in left
    assert "Nothing was charged" in left
    assert enrollment.course_title not in owner.get("/account/").text


def test_the_office_reads_what_the_buyer_reads(office: Client) -> None:
    enrollment, payment = make_pending(email=EMAIL)
    paid_then(lambda p: refunded(refund_of(p, 9900)))(office, payment)
    words = "refunded partly: $99.00 of $499.00"
    assert words in office.get(f"/admin/payments/payment/{payment.pk}/change/").text
    assert words in office.get(f"/admin/enrollments/enrollment/{enrollment.pk}/change/").text


@pytest.mark.every_engine
def test_what_came_of_all_payments_of_a_page_is_three_statements(
    owner: Client, django_assert_num_queries: Any
) -> None:
    made = [make_pending() for _ in range(5)]
    for _, payment in made:
        deliver(owner, completed(payment))
    with django_assert_num_queries(3):
        outcomes_of([enrollment for enrollment, _ in made])
