"""Eight processes do the same thing at the same moment, on every engine: one of them does it, and
all get the right answer.
"""

import json

import pytest

from enrollments.models import Enrollment
from operations import invariants
from payments.models import Payment
from tests.factories import make_course, signed
from tests.sandbox_client import Sandbox
from tests.system.books import assert_bought_once
from tests.system.driver import Driver

pytestmark = pytest.mark.django_db
SLUG, EMAIL = "data-with-care", "ada@example.com"
AT_ONCE = 8


def test_eight_processes_carry_one_purchase_through_once(driver: Driver, sandbox: Sandbox) -> None:
    make_course(slug=SLUG)
    form = {"slug": SLUG, "email": EMAIL}

    tabs = driver.race("checkout", AT_ONCE, **form)
    assert {tab.status for tab in tabs} == {302}, tabs
    payment = Payment.objects.get()
    assert {tab.location for tab in tabs} == {payment.checkout_url}
    assert (Enrollment.objects.count(), len(sandbox.sessions())) == (1, 1)

    sandbox.pay(payment.stripe_session_id)
    event = json.dumps(
        next(e for e in sandbox.book("events") if e["type"] == "checkout.session.completed")
    )
    deliveries = driver.race("webhook", AT_ONCE, body=event, signature=signed(event))
    assert {delivery.status for delivery in deliveries} == {200}, deliveries

    workers = driver.race("worker", AT_ONCE)
    assert {worker.status for worker in workers} == {0}, workers
    assert_bought_once(sandbox, [EMAIL])

    late = driver.race("checkout", AT_ONCE, **form)
    assert {tab.status for tab in late} == {409}, late
    assert_bought_once(sandbox, [EMAIL])


@pytest.mark.parametrize("round_", range(3))
def test_a_free_place_is_taken_once_by_eight_processes(
    driver: Driver, sandbox: Sandbox, round_: int
) -> None:
    make_course(slug=SLUG, price=0)
    tabs = driver.race("checkout", AT_ONCE, slug=SLUG, email=EMAIL)
    assert sorted(tab.status or 0 for tab in tabs) == [302, *[409] * (AT_ONCE - 1)], tabs
    assert Enrollment.objects.get().status == "paid"
    assert invariants.verify() == []
