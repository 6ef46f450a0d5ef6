"""A program counts each coupon once: from its approval until it is released for good.

One that is used after all is counted again.
"""

import pytest
from django.test import Client

from grants import applications, redemption
from grants.models import Grant, Program
from notifications.models import Email
from operations import invariants
from operations.invariants.coupons import check_budgets
from tests.affiliates.shop import fresh
from tests.factories import completed, deliver, expired, make_course
from tests.grants.make import HOLDER, STAFF, buy_with, make_coupon, open_checkout, refund, run_out

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
HALF = 24950


def fund(grants: int = 3, amount: int | None = None) -> Program:
    return Program.objects.create(name="Fund", budget_grants=grants, budget_amount=amount)


def counted(program: Program) -> tuple[int, int]:
    now = fresh(program)
    return now.committed_grants, now.committed_amount


def leave(grant: Grant):
    """End the checkout and expire the coupon of a holder who is about to pay too late."""
    payment = open_checkout(grant)
    deliver(Client(), expired(payment))
    run_out(grant)
    assert redemption.expire_overdue() == 1
    return payment


def over_budget_alerts() -> int:
    return Email.objects.filter(dedupe_key__startswith="alert:over-budget:").count()


def test_a_late_payment_takes_the_budget_again_that_the_expiry_released() -> None:
    program = fund()
    grant = make_coupon(program=program)
    payment = leave(grant)
    assert (counted(program), fresh(grant).holds_budget) == ((0, 0), False)
    for _ in range(2):
        deliver(Client(), completed(payment))
    assert (fresh(grant).status, fresh(grant).holds_budget, fresh(grant).committed_amount) == (
        "redeemed",
        True,
        HALF,
    )
    assert (counted(program), over_budget_alerts()) == ((1, HALF), 0)


def test_expired_paid_late_reinstated_and_expired_again_releases_the_budget_once() -> None:
    program = fund()
    other = make_coupon(make_course(), email="other@example.com", program=program)
    grant = make_coupon(program=program)
    payment = leave(grant)
    deliver(Client(), completed(payment))
    payment.refresh_from_db()
    refund(payment, gives_coupon_back=True)
    assert (fresh(grant).status, counted(program)) == ("approved", (2, 2 * HALF))
    run_out(grant)
    assert (redemption.expire_overdue(), redemption.expire_overdue()) == (1, 0)
    assert (fresh(grant).status, fresh(other).status, counted(program)) == (
        "expired",
        "approved",
        (1, HALF),
    )


@pytest.mark.every_engine
@pytest.mark.parametrize(("grants", "amount"), [(1, None), (9, HALF)], ids=["grants", "amount"])
@pytest.mark.breaks_invariants
def test_a_late_payment_over_the_budget_is_kept_and_counted_and_staff_are_alerted_once(
    grants: int, amount: int | None
) -> None:
    program = fund(grants, amount)
    grant = make_coupon(program=program)
    payment = leave(grant)
    second = make_coupon(grant.course, email="second@example.com", program=program)
    buy_with(second)
    for _ in range(2):
        deliver(Client(), completed(payment))
    assert (fresh(payment.enrollment).status, fresh(grant).status) == ("paid", "redeemed")
    assert (counted(program), over_budget_alerts()) == ((2, 2 * HALF), 1)
    assert check_budgets() == [f"program {program.pk} is over its budget"]
    Program.objects.update(budget_grants=9, budget_amount=None)
    assert invariants.verify() == []


def test_a_late_payment_before_the_expiry_leaves_the_budget_as_it_is() -> None:
    program = fund()
    grant = make_coupon(program=program)
    payment = open_checkout(grant)
    deliver(Client(), expired(payment))
    deliver(Client(), completed(payment))
    assert (fresh(grant).status, counted(program)) == ("redeemed", (1, HALF))


def test_a_free_grant_counts_and_its_expiry_releases_it() -> None:
    """The fund pays nothing for it: whether it is counted does not depend on the amount."""
    program = fund()
    grant = make_coupon(make_course(price=0), percent=100, program=program)
    assert (counted(program), fresh(grant).holds_budget) == ((1, 0), True)
    run_out(grant)
    assert (redemption.expire_overdue(), counted(program)) == (1, (0, 0))


def test_revoking_releases_the_share_once() -> None:
    program = fund()
    grant = make_coupon(program=program)
    applications.revoke(grant, by=STAFF)
    assert (counted(program), fresh(grant).holds_budget, fresh(grant).committed_amount) == (
        (0, 0),
        False,
        0,
    )


@pytest.mark.breaks_invariants
def test_one_program_with_wrong_books_does_not_stop_the_others_coupons_from_expiring() -> None:
    """Nor does it go below nothing: the nightly check names it."""
    program, sound = fund(), Program.objects.create(name="Sound", budget_grants=3)
    wrong = make_coupon(make_course(), program=program)
    others = [
        make_coupon(make_course(), email=f"other{n}@example.com", program=sound) for n in range(2)
    ]
    Program.objects.filter(pk=program.pk).update(committed_amount=0, committed_grants=0)
    for grant in (wrong, *others):
        run_out(grant)
    assert (redemption.expire_overdue(), redemption.expire_overdue()) == (3, 0)
    assert (counted(program), counted(sound)) == ((0, 0), (0, 0))
    assert {fresh(grant).status for grant in (wrong, *others)} == {"expired"}


DAMAGES = {
    "a grant that is not counted": lambda grant, program: Grant.objects.filter(pk=grant.pk).update(
        holds_budget=False
    ),
    "a grant too many": lambda grant, program: Program.objects.update(committed_grants=2),
    "an amount too little": lambda grant, program: Program.objects.update(committed_amount=1),
    "a smaller budget": lambda grant, program: Program.objects.update(budget_grants=0),
    "a paid enrollment that is not counted": lambda grant, program: _forget(
        buy_with(grant).enrollment.grant_id
    ),
    "a good coupon that is not counted": lambda grant, program: _forget(grant.pk),
    "an expired one that still is": lambda grant, program: Grant.objects.filter(pk=grant.pk).update(
        status=Grant.EXPIRED
    ),
}


def _forget(key: object) -> None:
    Grant.objects.filter(pk=key).update(holds_budget=False, committed_amount=0)
    Program.objects.update(committed_amount=0, committed_grants=0)


@pytest.mark.every_engine
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.breaks_invariants
def test_wrong_books_are_named(damage: str) -> None:
    program = fund()
    grant = make_coupon(program=program)
    assert (grant.email, check_budgets()) == (HOLDER, [])
    DAMAGES[damage](grant, program)
    assert check_budgets() != []
