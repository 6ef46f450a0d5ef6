"""An enrollment ends by a refund or a roll-back, and its coupon can be used again.

Or it stays used, and staff know why.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from affiliates.models import LedgerEntry
from enrollments import coupons
from enrollments.models import Enrollment, EnrollmentEvent
from enrollments.provisioning import LMS_JOBS
from grants import applications, redemption
from grants.applications import Decision
from grants.errors import ApplicationOpen
from grants.models import Grant, GrantEvent, Program
from maaledu.db import new_id
from maaledu.work.items import DEAD, DONE
from maaledu.work.queue import drain
from notifications import outgoing
from notifications.models import Email
from payments.models import Refund, StripeEvent
from tests.affiliates.make import make_affiliate, make_staff
from tests.affiliates.rivals import rival_before
from tests.affiliates.shop import buy, fresh
from tests.concurrency import kinds, race
from tests.factories import deliver, make_course, refunded
from tests.grants.make import (
    HOLDER,
    STAFF,
    buy_with,
    make_application,
    make_coupon,
    refund,
    refuse_enrollment,
    run_out,
)
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
ROUNDS = 6


def alerts(key: str) -> int:
    return Email.objects.filter(dedupe_key__startswith=f"alert:{key}:").count()


def check_out(grant: Grant) -> Enrollment:
    """Have the holder of a free grant use it."""
    answer = Client().post(
        f"/checkout/{grant.course.slug}/",
        {"email": grant.email, "accept_terms": "on", "coupon": grant.code},
    )
    assert answer.status_code == 302
    return Enrollment.objects.get(grant_id=grant.pk, status="paid")


def history(grant: Grant) -> list[str]:
    return list(
        GrantEvent.objects.filter(grant=grant)
        .order_by("created_at", "pk")
        .values_list("what", flat=True)
    )


def decide(application: Grant, program: Program | None = None) -> Grant:
    return applications.approve(
        application, Decision(50, timezone.now() + timedelta(days=30), program), by=STAFF
    )


# --- the holder has applied again -----------------------------------------------------------------
@pytest.mark.parametrize("is_decided", [False, True], ids=["pending", "approved"])
def test_a_refund_goes_through_when_its_holder_has_applied_again(is_decided: bool) -> None:
    program = Program.objects.create(name="Fund", budget_grants=2)
    grant = make_coupon(make_course(), program=program)
    payment = buy_with(grant)
    newer = make_application(grant.course)
    if is_decided:
        decide(newer, program)
    payload = refund(payment, gives_coupon_back=True)
    for _ in range(2):
        deliver(Client(), refunded(payload, "refund.updated"))
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}
    assert (Refund.objects.get().status, fresh(payment.enrollment).status) == (
        "succeeded",
        "refunded",
    )
    assert (fresh(grant).status, fresh(grant).enrollment_id, fresh(grant).holds_budget) == (
        "redeemed",
        payment.enrollment_id,
        False,
    )
    assert (fresh(program).committed_grants, fresh(newer).status) == (
        (1, "approved") if is_decided else (0, "pending")
    )
    assert (history(grant)[-1], alerts("coupon-kept")) == ("kept used", 1)


def test_what_the_kept_coupon_held_pays_for_the_newer_application() -> None:
    """The alert asks staff to decide the newer one: a program of one grant has room for it."""
    program = Program.objects.create(name="Fund", budget_grants=1)
    grant = make_coupon(make_course(), program=program)
    payment = buy_with(grant)
    newer = make_application(grant.course)
    refund(payment, gives_coupon_back=True)
    buy_with(decide(newer, program))
    assert fresh(program).committed_grants == 1


def test_the_commission_is_reversed_when_the_coupon_cannot_come_back(sandbox: Sandbox) -> None:
    grant = make_coupon()
    _, payment = buy(
        sandbox, grant.course, through=make_affiliate(), email=HOLDER, coupon=grant.code
    )
    make_application(grant.course)
    refund(payment, gives_coupon_back=True)
    assert sorted(LedgerEntry.objects.values_list("amount", flat=True)) == [-4990, 4990]


def test_the_refund_page_answers_when_the_coupon_cannot_come_back(sandbox: Sandbox) -> None:
    grant = make_coupon()
    enrollment, payment = buy(sandbox, grant.course, email=HOLDER, coupon=grant.code)
    make_application(grant.course)
    staff = Client()
    staff.force_login(make_staff())
    form = {
        "refund": "1",
        "key": str(new_id()),
        "amount": "249.50",
        "reason": "requested_by_customer",
        "gives_coupon_back": "on",
    }
    assert staff.post(f"/admin/payments/payment/{payment.pk}/refund/", form).status_code == 302
    assert (fresh(enrollment).status, Refund.objects.get().status, fresh(grant).status) == (
        "refunded",
        "succeeded",
        "redeemed",
    )


@pytest.mark.every_engine
def test_a_free_enrollment_is_rolled_back_when_its_holder_has_applied_again(buyer: Client) -> None:
    program = Program.objects.create(name="Fund", budget_grants=1)
    grant = make_coupon(percent=100, program=program)
    enrollment = check_out(grant)
    refuse_enrollment(enrollment)
    make_application(grant.course)
    assert coupons.roll_back(enrollment, by=STAFF)
    assert not coupons.roll_back(enrollment, by=STAFF)
    assert (fresh(enrollment).status, fresh(grant).status, fresh(program).committed_grants) == (
        "failed",
        "redeemed",
        0,
    )
    assert (EnrollmentEvent.objects.filter(to_status="failed").count(), alerts("coupon-kept")) == (
        1,
        1,
    )
    message = outgoing.compose(Email.objects.get(kind="grant_rolled_back"))
    for text in (str(message.body), str(message.alternatives[0][0])):
        assert "use the same code again" not in text
        assert grant.code not in text
        assert "your newer application counts" in text


def test_the_policy_rolls_back_when_the_holder_has_applied_again(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = "rollback"
    grant = make_coupon(percent=100)
    enrollment = check_out(grant)
    make_application(grant.course)
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    sandbox.lms(courses_any=True)
    assert (fresh(enrollment).status, fresh(grant).status) == ("failed", "redeemed")
    assert set(LMS_JOBS.model.objects.values_list("status", flat=True)) == {DEAD}


@pytest.mark.every_engine
def test_what_a_lost_answer_may_have_made_is_taken_back_with_a_roll_back(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = "rollback"
    enrollment = check_out(make_coupon(percent=100))
    LMS_JOBS.model.objects.update(attempts=6, fence=6)  # the next one is the last
    sandbox.fault("lms", "503", "GET /api/resource/LMS Enrollment", skip=1)
    sandbox.fault("lms", "lost_answer", "POST /api/resource/LMS Enrollment", times=1)
    drain(LMS_JOBS)
    assert (fresh(enrollment).status, len(sandbox.enrollments())) == ("failed", 1)
    sandbox.heal("lms")
    LMS_JOBS.model.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    drain(LMS_JOBS)
    assert sandbox.enrollments() == []


@contextmanager
def rival_before_the_coupon_moves(act: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run `act` to its end, once, when the next coupon is about to be moved.

    Yields a list that then holds its result.
    """
    if connection.vendor != "mongodb":
        with rival_before('UPDATE "grants_grant"', act) as ran:
            yield ran
        return
    from pymongo.collection import Collection

    plain, ran = Collection.update_many, []

    def update_many(collection: Any, *args: Any, **options: Any) -> Any:
        if collection.name == Grant._meta.db_table and not ran:
            ran.append(None)
            ran[:] = race(lambda _: act(), threads=1)
        return plain(collection, *args, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Collection, "update_many", update_many)
        yield ran


@pytest.mark.engines("postgres", "mongodb")
def test_whoever_applies_between_the_look_and_the_write_makes_the_refund_look_again(
    buyer: Client,
) -> None:
    """On SQLite one writer has the database; MongoDB runs it again after a write conflict."""
    grant = make_coupon()
    payment = buy_with(grant)
    with rival_before_the_coupon_moves(lambda: make_application(grant.course)) as ran:
        refund(payment, gives_coupon_back=True)
    assert [newer.status for newer in ran] == ["pending"]
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}
    assert (Refund.objects.get().status, fresh(payment.enrollment).status, fresh(grant).status) == (
        "succeeded",
        "refunded",
        "redeemed",
    )
    assert alerts("coupon-kept") == 1


@pytest.mark.every_engine
def test_applying_and_refunding_at_once_ends_with_one_open_grant_and_the_refund_done(
    buyer: Client,
) -> None:
    for _ in range(ROUNDS):
        course = make_course()
        grant = make_coupon(course)
        payment = buy_with(grant)

        def step(number: int, grant: Grant = grant, payment=payment) -> object:
            return (
                make_application(grant.course)
                if number % 2
                else refund(payment, gives_coupon_back=True)
            )

        raised = kinds(race(step, threads=2))
        assert set(raised) <= {"ok", ApplicationOpen.__name__}
        assert fresh(payment.enrollment).status == "refunded"
        statuses = sorted(Grant.objects.filter(course=course).values_list("status", flat=True))
        assert statuses == (
            ["approved"] if raised[ApplicationOpen.__name__] else ["pending", "redeemed"]
        )
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}


@pytest.mark.every_engine
def test_a_refund_that_fails_later_counts_the_kept_coupon_again() -> None:
    program = Program.objects.create(name="Fund", budget_grants=2)
    grant = make_coupon(program=program)
    payment = buy_with(grant)
    make_application(grant.course)
    payload = refund(payment, gives_coupon_back=True)
    assert fresh(program).committed_grants == 0
    deliver(Client(), refunded({**payload, "status": "failed"}, "refund.failed"))
    assert (fresh(payment.enrollment).status, fresh(grant).status, fresh(grant).holds_budget) == (
        "paid",
        "redeemed",
        True,
    )
    assert (fresh(program).committed_grants, fresh(program).committed_amount) == (1, 24950)


# --- how long it can be used again ----------------------------------------------------------------
def test_a_coupon_rolled_back_after_its_date_is_good_for_a_fortnight_and_the_mail_says_so(
    buyer: Client,
) -> None:
    grant = make_coupon(percent=100)
    enrollment = check_out(grant)
    refuse_enrollment(enrollment)
    run_out(grant)
    assert coupons.roll_back(enrollment, by=STAFF)
    until = fresh(grant).expires_at
    assert timedelta(days=13, hours=23) < until - timezone.now() <= timedelta(days=14)
    payload = Email.objects.get(kind="grant_rolled_back").context
    assert (payload["expires_on"], payload["is_reinstated"]) == (
        f"{until:%B} {until.day}, {until.year}, {until:%H:%M} UTC",
        True,
    )
    assert redemption.expire_overdue() == 0
    assert check_out(grant).status == "paid"


def test_a_coupon_reinstated_with_a_refund_is_valid_as_long_as_the_setting_says(settings) -> None:
    settings.COUPON_GIVE_BACK_LIFETIME = timedelta(days=3)
    grant = make_coupon()
    payment = buy_with(grant)
    run_out(grant)
    refund(payment, gives_coupon_back=True)
    assert (
        timedelta(days=2, hours=23) < fresh(grant).expires_at - timezone.now() <= timedelta(days=3)
    )
    assert buy_with(fresh(grant)).status == "paid"


def test_a_coupon_reinstated_before_its_date_keeps_it() -> None:
    grant = make_coupon()
    payment = buy_with(grant)
    before = fresh(grant).expires_at
    refund(payment, gives_coupon_back=True)
    assert (fresh(grant).status, fresh(grant).expires_at) == ("approved", before)
