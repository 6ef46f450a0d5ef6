"""Months pass for the shop and the sandbox together, by one clock that both are started with."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from enrollments.models import Enrollment
from payments.models import Payment
from tests.faketime import Clock
from tests.sandbox_client import Sandbox, wait_until
from tests.system.shop import Shop

# The clock is the processes' own: no database has one of it.
pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite")]
CLOSE = timedelta(seconds=3)


def times(shop: Shop, sandbox: Sandbox) -> tuple[datetime, datetime]:
    """What the shop's web server and the sandbox take the time to be."""
    answer = requests.get(f"{shop.url}/health/live", timeout=10)
    return (
        parsedate_to_datetime(answer.headers["Date"]),
        datetime.fromtimestamp(sandbox.book("now"), UTC),
    )


def test_both_processes_see_the_same_new_time(
    timed_shop: Shop, timed_sandbox: Sandbox, clock: Clock
):
    for days in (0, 1, 40, 365):
        now = clock.advance(days=days)
        for seen in times(timed_shop, timed_sandbox):
            assert abs(seen - now) < CLOSE


def test_a_purchase_months_later_goes_through(
    timed_shop: Shop, timed_sandbox: Sandbox, clock: Clock
):
    timed_shop.buy("early@example.com")
    clock.advance(days=100)
    timed_shop.buy("late@example.com")
    wait_until(lambda: len(timed_sandbox.enrollments()) == 2, 30)
    early, late = Payment.objects.order_by("created_at")
    assert abs(late.created_at - early.created_at - timedelta(days=100)) < timedelta(minutes=1)


def test_what_was_left_open_ends_when_its_time_has_passed(
    timed_shop: Shop, timed_sandbox: Sandbox, clock: Clock
):
    timed_shop.check_out("left@example.com")
    clock.advance(hours=2)
    wait_until(lambda: Enrollment.objects.get().status == Enrollment.EXPIRED, 30)
    assert [session["status"] for session in timed_sandbox.sessions()][-1] == "expired"
