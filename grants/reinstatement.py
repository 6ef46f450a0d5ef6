"""A coupon after the ordinary course of a checkout: paid for late, or given back to its holder.

Source: decisions, "coupon released", "free grant"; what is given back is a choice of staff who
refund.
"""

from enum import Enum, auto
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from grants import budgets
from grants.models import Grant, GrantEvent
from maaledu.db import OutOfDate, atomic, duplicate_means, transition

KEPT_USED = "kept used"


class ReinstateResult(Enum):
    """What came of a coupon that was to be redeemed late, or reinstated."""

    DONE = auto()
    OVER_BUDGET = auto()  # done, and its program is over its budget with it
    KEPT_USED = auto()  # its holder has another grant open for the course
    UNAVAILABLE = auto()  # another enrollment holds it, or there is nothing left to do


@atomic
def redeem_late(grant_id: UUID, *, enrollment_id: UUID, email: str, actor: str) -> ReinstateResult:
    """Redeem a released or expired coupon for a payment that arrived late, unless it is held.

    Safe to repeat. A program that had its share of the budget back counts the coupon again, with or
    without room for it.
    """
    grant = Grant.objects.filter(pk=grant_id).first()
    if grant is None:  # it was approved after the backup that was restored
        return ReinstateResult.UNAVAILABLE
    if transition(
        grant,
        Grant.REDEEMED,
        only=Q(status__in=[Grant.APPROVED, Grant.EXPIRED]),
        enrollment_id=enrollment_id,
        redeemed_at=timezone.now(),
        redeemed_by=email,
        reserved_until=None,
    ):
        GrantEvent.objects.record(
            grant_id, "redeemed late", by=actor, note=f"enrollment {enrollment_id}"
        )
    else:
        grant.refresh_from_db()
    if (grant.status, grant.enrollment_id) != (Grant.REDEEMED, enrollment_id):
        return ReinstateResult.UNAVAILABLE
    return _count_again(grant)


@atomic
def reinstate(grant_id: UUID, *, enrollment_id: UUID, actor: str) -> ReinstateResult:
    """Make the coupon of an enrollment that has ended usable again.

    It can be used for COUPON_GIVE_BACK_LIFETIME at least. Where its holder has another grant open
    for the course it stays used, because one grant may be open at a time; its program gets its
    share of the budget back then.
    """
    ended = Q(enrollment_id=enrollment_id, status=Grant.REDEEMED)
    grant = Grant.objects.filter(ended, pk=grant_id).first()
    if grant is None:
        return ReinstateResult.UNAVAILABLE
    if Grant.objects.open().filter(course_id=grant.course_id, email=grant.email).exists():
        return _keep_used(grant, actor)
    now = timezone.now()
    until = max(grant.expires_at or now, now + settings.COUPON_GIVE_BACK_LIFETIME)
    free: dict[str, Any] = {
        "enrollment_id": None,
        "redeemed_at": None,
        "redeemed_by": "",
        "reserved_at": None,
    }
    # The holder has applied again since the look above: everything runs again and sees that.
    with duplicate_means(OutOfDate):
        won = transition(grant, Grant.APPROVED, only=ended, expires_at=until, **free)
    if not won:
        return ReinstateResult.UNAVAILABLE
    note = f"enrollment {enrollment_id}; good until {until:%Y-%m-%d}"
    GrantEvent.objects.record(grant_id, "reinstated", by=actor, note=note)
    return _count_again(grant)


def _keep_used(grant: Grant, actor: str) -> ReinstateResult:
    counted = Grant.objects.filter(pk=grant.pk, status=Grant.REDEEMED, holds_budget=True)
    if (
        grant.holds_budget
        and counted.update(**budgets.NOTHING_HELD, updated_at=timezone.now()) == 1
    ):
        budgets.release(budgets.share_of(grant))
    note = f"enrollment {grant.enrollment_id}; another grant of the holder is open"
    if not GrantEvent.objects.filter(grant_id=grant.pk, what=KEPT_USED, note=note).exists():
        GrantEvent.objects.record(grant.pk, KEPT_USED, by=actor, note=note)
    return ReinstateResult.KEPT_USED


def _count_again(grant: Grant) -> ReinstateResult:
    has_room = budgets.commit_again(grant)
    return ReinstateResult.DONE if has_room else ReinstateResult.OVER_BUDGET
