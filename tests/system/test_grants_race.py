"""Two hundred visitors redeem one coupon at the same moment, in eight processes: one of them gets
the place.

On SQLite, which has one writer, and on the MongoDB wire there are fifty, in fewer processes. The
control redeems as nobody should, through the same harness: had a loser won, it would show.
"""

from collections import Counter

import pytest
from django.db import connection

from enrollments.models import Enrollment
from grants.models import Grant
from lms_sync.models import SyncJob
from operations import invariants
from payments.models import Payment
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon
from tests.sandbox_client import Sandbox
from tests.system.driver import Driver

pytestmark = pytest.mark.django_db
SLUG = "data-with-care"
PROCESSES, VISITORS_EACH = (8, 25) if connection.vendor == "postgresql" else (2, 25)
TRIES = 5


@pytest.fixture
def coupon(sandbox: Sandbox) -> Grant:
    return make_coupon(make_course(slug=SLUG), percent=100)


def stampede(driver: Driver, step: str, **arguments: object) -> Counter[int]:
    """Let every visitor of every process take the step at once, and count the answers by status."""
    told = driver.race(step, PROCESSES, visitors=VISITORS_EACH, **arguments)
    assert not any(each.exit or each.raised for each in told), told
    return Counter(status for each in told for status in each.statuses)


@pytest.mark.parametrize("round_", range(2))
def test_of_all_who_redeem_one_coupon_at_once_exactly_one_wins(
    driver: Driver, sandbox: Sandbox, coupon: Grant, round_: int
) -> None:
    answers = stampede(driver, "checkouts", slug=SLUG, email=HOLDER, coupon=coupon.code)
    assert answers == {302: 1, 409: PROCESSES * VISITORS_EACH - 1}
    enrollment = Enrollment.objects.get()
    assert (enrollment.status, enrollment.kind, enrollment.amount, enrollment.grant_id) == (
        "paid",
        "grant",
        0,
        coupon.pk,
    )
    assert SyncJob.objects.values_list("dedupe_key", flat=True).get() == f"enroll:{enrollment.pk}"
    coupon.refresh_from_db()
    assert (coupon.status, coupon.enrollment_id, coupon.redeemed_by) == (
        "redeemed",
        enrollment.pk,
        HOLDER,
    )
    assert (Payment.objects.count(), sandbox.sessions()) == (0, [])
    assert invariants.verify() == []


def test_many_who_use_a_code_that_is_not_theirs_do_not_keep_its_holder_from_it(
    driver: Driver, coupon: Grant
) -> None:
    theirs = stampede(driver, "checkouts", slug=SLUG, email="thief@example.com", coupon=coupon.code)
    assert theirs == {409: PROCESSES * VISITORS_EACH}
    assert driver.run("checkout", slug=SLUG, email=HOLDER, coupon=coupon.code).status == 302
    assert Enrollment.objects.get().email == HOLDER


def test_the_control_a_naive_redemption_is_caught(driver: Driver, coupon: Grant) -> None:
    most = 0
    for _ in range(TRIES):
        Grant.objects.filter(pk=coupon.pk).update(status=Grant.APPROVED)
        answers = stampede(driver, "naive_redemptions", coupon=coupon.code)
        assert sum(answers.values()) == PROCESSES * VISITORS_EACH
        most = max(most, answers[302])
    assert most > 1
    assert any("no paid enrollment holds it" in line for line in invariants.verify())
