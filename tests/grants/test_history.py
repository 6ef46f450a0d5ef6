"""Every move of a coupon leaves an event: what, by whom, for which enrollment, at which price."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from courses.models import Course
from enrollments import coupons
from enrollments.models import Enrollment
from grants import redemption
from grants.models import Grant, GrantEvent, Program
from payments.models import Payment
from tests.affiliates.make import make_staff
from tests.affiliates.shop import fresh
from tests.factories import completed, deliver, expired, make_course
from tests.grants.make import (
    HOLDER,
    STAFF,
    buy_with,
    make_coupon,
    open_checkout,
    refund,
    refuse_enrollment,
    run_out,
)
from tests.payments.test_webhooks import statements
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]


def rows(grant: Grant) -> list[tuple[str, str, str]]:
    """Return what became of the coupon since its approval."""
    found = GrantEvent.objects.filter(grant=grant).order_by("created_at", "pk")
    return list(found.values_list("what", "actor", "note"))[2:]


def enrollment_of(grant: Grant) -> Enrollment:
    return Enrollment.objects.filter(grant_id=grant.pk).latest("created_at")


def post(grant: Grant) -> None:
    answer = Client().post(
        f"/checkout/{grant.course.slug}/",
        {"email": HOLDER, "accept_terms": "on", "coupon": grant.code},
    )
    assert answer.status_code == 302


@pytest.mark.every_engine
def test_a_discounted_enrollment_leaves_a_row_when_it_is_held_and_one_when_it_is_paid() -> None:
    grant = make_coupon()
    payment = open_checkout(grant)
    event = completed(payment)
    for _ in range(2):
        deliver(Client(), event)
    note = f"enrollment {payment.enrollment_id}"
    assert rows(grant) == [("reserved", "checkout", note), ("redeemed", event["id"], note)]


def test_a_free_enrollment_leaves_one_row_for_the_one_move_it_is(buyer: Client) -> None:
    grant = make_coupon(percent=100)
    post(grant)
    assert rows(grant) == [("redeemed", "checkout", f"enrollment {enrollment_of(grant).pk}")]
    assert fresh(grant).reserved_at == fresh(grant).redeemed_at
    assert fresh(grant).redeemed_by == HOLDER


def test_a_checkout_that_ends_a_late_payment_and_a_refund_leave_theirs() -> None:
    grant = make_coupon()
    payment = open_checkout(grant)
    over, late = expired(payment), completed(payment)
    deliver(Client(), over)
    deliver(Client(), late)
    payment.refresh_from_db()
    refund(payment, gives_coupon_back=True)
    note = f"enrollment {payment.enrollment_id}"
    until = fresh(grant).expires_at
    *before, (what, actor, given_back) = rows(grant)
    assert before == [
        ("reserved", "checkout", note),
        ("released", over["id"], note),
        ("redeemed late", late["id"], note),
    ]
    assert (what, actor.startswith("evt_"), given_back) == (
        "reinstated",
        True,
        f"{note}; good until {until:%Y-%m-%d}",
    )


@pytest.mark.every_engine
def test_a_roll_back_and_an_expiry_leave_theirs(buyer: Client) -> None:
    grant = make_coupon(percent=100)
    post(grant)
    refuse_enrollment(enrollment_of(grant))
    coupons.roll_back(enrollment_of(grant), by=STAFF)
    run_out(grant)
    redemption.expire_overdue()
    assert [(what, actor) for what, actor, _ in rows(grant)] == [
        ("redeemed", "checkout"),
        ("reinstated", STAFF),
        ("expired", "system"),
    ]


def test_a_lost_race_leaves_no_row(buyer: Client) -> None:
    grant = make_coupon(percent=100)
    post(grant)
    stale = Grant.objects.get(pk=grant.pk)
    price = redemption.discounted(stale.course.price, 100, "usd")
    assert not redemption.take(stale, price, enrollment_id=stale.pk, until=stale.expires_at)
    assert not redemption.redeem(stale.pk, enrollment_id=stale.pk, email=HOLDER, actor="test")
    assert not redemption.release(stale.pk, enrollment_id=stale.pk, actor="test")
    assert len(rows(grant)) == 1


def test_the_office_shows_the_moves() -> None:
    grant = make_coupon()
    payment = buy_with(grant)
    staff = Client()
    staff.force_login(make_staff())
    page = staff.get(f"/admin/grants/grant/{grant.pk}/change/").content.decode()
    assert "reserved" in page
    assert "redeemed" in page
    assert f"enrollment {payment.enrollment_id}" in page
    assert "holds budget" in page.lower()


# --- the price has moved --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("currency", "before", "now", "noted"),
    [
        ("usd", 49900, 50000, ""),
        ("usd", 49900, 50001, "; price $500.01, at approval $499.00"),
        ("usd", 49900, 49800, ""),
        ("usd", 49900, 49799, "; price $497.99, at approval $499.00"),
        ("jpy", 5000, 5001, ""),
        ("jpy", 5000, 5002, "; price ¥5,002, at approval ¥5,000"),
    ],
)
@pytest.mark.parametrize("percent", [50, 100])
def test_a_price_that_moved_by_more_than_one_is_noted_when_the_coupon_is_taken(
    buyer: Client, currency: str, before: int, now: int, noted: str, percent: int
) -> None:
    """Requirement R060; decisions, grant price.

    The percentage is the promise, and the budget stays as it was committed.
    """
    program = Program.objects.create(name="Fund", currency=currency, budget_grants=1)
    grant = make_coupon(
        make_course(price=before, currency=currency), percent=percent, program=program
    )
    committed = fresh(program).committed_amount
    Course.objects.filter(pk=grant.course_id).update(price=now)
    post(grant)
    assert rows(grant) == [
        (
            "redeemed" if percent == 100 else "reserved",
            "checkout",
            f"enrollment {enrollment_of(grant).pk}{noted}",
        )
    ]
    assert enrollment_of(grant).list_price == now
    assert (fresh(program).committed_amount, fresh(grant).committed_amount) == (
        committed,
        committed,
    )


# --- what it costs --------------------------------------------------------------------------------
@pytest.mark.every_engine
@pytest.mark.parametrize("price", [49900, 99900], ids=["same price", "another price"])
def test_a_free_checkout_with_its_row_is_nine_statements(buyer: Client, price: int) -> None:
    grant = make_coupon(percent=100)
    Course.objects.filter(pk=grant.course_id).update(price=price)
    slug = grant.course.slug
    with CaptureQueriesContext(connection) as captured:
        Client().post(
            f"/checkout/{slug}/", {"email": HOLDER, "accept_terms": "on", "coupon": grant.code}
        )
    assert Enrollment.objects.paid().exists()
    assert len(statements(captured)) == 9, statements(captured)


@pytest.mark.every_engine
def test_a_discounted_checkout_is_eight_statements_and_its_webhook_too(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Three more than without a coupon at checkout (look-up, hold, event), two more by webhook."""
    grant = make_coupon()
    slug = grant.course.slug
    with CaptureQueriesContext(connection) as captured:
        Client().post(
            f"/checkout/{slug}/", {"email": HOLDER, "accept_terms": "on", "coupon": grant.code}
        )
    assert len(statements(captured)) == 8, statements(captured)
    event = completed(Payment.objects.get())
    with CaptureQueriesContext(connection) as captured:
        deliver(Client(), event)
    assert fresh(grant).status == "redeemed"
    assert len(statements(captured)) == 8, statements(captured)
