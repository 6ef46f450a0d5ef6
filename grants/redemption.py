"""A coupon's life at checkout: quote, reserve, redeem, release, expire. Each move is one guarded
UPDATE, and leaves its row.

The rule of every move is its WHERE, so that of any number of learners at once exactly one wins. A
move and its row are one transaction, which is the caller's. Source: decisions, "when a coupon is
consumed", "coupon released", "e-mail in the coupon look-up", "grant price".
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from courses.discounts import Price, discounted
from courses.models import Course
from grants import budgets, refusals
from grants.codes import normalize_code
from grants.errors import CouponUnavailable
from grants.models import Grant, GrantEvent, GrantQuerySet, RefusalCount
from maaledu.db import OutOfDate, atomic
from maaledu.money import exponent_of, format_money

logger = logging.getLogger(__name__)

SYSTEM, CHECKOUT = "system", "checkout"
TOLERATED_PRICE_CHANGE = 1  # in major units (decisions: grant price)
KEPT_USED = "kept used"


class ReinstateResult(Enum):
    """What came of a coupon once the ordinary way was over: after a late payment, or with a place
    that was taken back.
    """

    DONE = auto()
    OVER_BUDGET = auto()  # its program's budget is exceeded by it
    KEPT_USED = auto()  # its holder has another grant open for the course
    UNAVAILABLE = auto()  # somebody else has it, or there is nothing left to do


@dataclass(frozen=True)
class Quote:
    """What a coupon makes of a course's price for its holder, now."""

    grant: Grant
    price: Price

    @property
    def percent(self) -> int:
        return self.grant.percent or 0


def quote(*, code: str, email: str, course: Course, running: UUID | None = None) -> Quote:
    """Return what this code gives this person on this course. Raises CouponUnavailable, one refusal
    for every reason.

    `running` is the buyer's own live enrollment, whose reserved coupon is theirs. `email` is in its
    normal form.
    """
    grant = Grant.objects.filter(code=normalize_code(code), email=email, course=course).first()
    if grant is None or not _is_usable(grant, running):
        raise _refusal(code, email, course)
    return Quote(grant, discounted(course.price, grant.percent or 0, course.currency))


def _is_usable(grant: Grant, running: UUID | None) -> bool:
    if grant.status == Grant.RESERVED:
        return running is not None and grant.enrollment_id == running
    return (
        grant.status == Grant.APPROVED
        and grant.expires_at is not None
        and grant.expires_at > timezone.now()
    )


def _refusal(code: str, email: str, course: Course) -> CouponUnavailable:
    """Return the refusal with its true reason; the same one look-up is made whatever it is, so that
    the time says nothing.
    """
    found = Grant.objects.filter(code=normalize_code(code)).first()
    reason = _reason(found, email, course)
    logger.info("coupon refused", extra={"reason": reason, "grant": str(found.pk) if found else ""})
    return refusals.refusal(
        reason, email=email, course=course.slug, grant=found.pk if found else None
    )


def _reason(grant: Grant | None, email: str, course: Course) -> str:
    if grant is None:
        return RefusalCount.UNKNOWN
    if grant.email != email:
        return RefusalCount.FOREIGN
    if grant.course_id != course.pk:
        return RefusalCount.OTHER_COURSE
    return Grant.EXPIRED if grant.status == Grant.APPROVED else grant.status


def take(grant: Grant, price: Price, *, enrollment_id: UUID, until: datetime) -> bool:
    """Hold the coupon for one checkout, or use it up for a free place, and return whether this call
    won it.

    A price that has moved since the approval is noted in the row; the percentage is the promise,
    and the budget stays as it was committed (decisions: grant price).
    """
    if price.is_free:
        won, what = _use_at_once(grant, enrollment_id), "redeemed"
    else:
        won, what = reserve(grant, enrollment_id=enrollment_id, until=until), "reserved"
    if won:
        _trace(grant.pk, what, CHECKOUT, f"enrollment {enrollment_id}{_price_note(grant, price)}")
    return won


def reserve(grant: Grant, *, enrollment_id: UUID, until: datetime) -> bool:
    """Hold the coupon for one checkout, and return whether this call won it: one guarded UPDATE."""
    now = timezone.now()
    held = {
        "status": Grant.RESERVED,
        "enrollment_id": enrollment_id,
        "reserved_at": now,
        "reserved_until": until,
    }
    return _usable(grant, now).update(**held, updated_at=now) == 1


def _use_at_once(grant: Grant, enrollment_id: UUID) -> bool:
    """A free place waits for no payment: its coupon is held and used up by the same guarded
    UPDATE.
    """
    now = timezone.now()
    used = {
        "status": Grant.REDEEMED,
        "enrollment_id": enrollment_id,
        "reserved_at": now,
        "redeemed_at": now,
        "redeemed_by": grant.email,
    }
    return _usable(grant, now).update(**used, updated_at=now) == 1


def _usable(grant: Grant, now: datetime) -> GrantQuerySet:
    return Grant.objects.filter(
        pk=grant.pk,
        code=grant.code,
        email=grant.email,
        course_id=grant.course_id,
        status=Grant.APPROVED,
        expires_at__gt=now,
    )


def _price_note(grant: Grant, price: Price) -> str:
    before = grant.price_at_approval or 0
    if price.currency == grant.currency and abs(
        price.list_price - before
    ) <= TOLERATED_PRICE_CHANGE * 10 ** exponent_of(price.currency):
        return ""
    return (
        f"; price {format_money(price.list_price, price.currency)}, at approval"
        f" {format_money(before, grant.currency)}"
    )


def redeem(grant_id: UUID, *, enrollment_id: UUID, email: str, actor: str) -> bool:
    """Use the coupon up for the enrollment that holds it, and return whether this call did."""
    now = timezone.now()
    held = Grant.objects.filter(pk=grant_id, enrollment_id=enrollment_id, status=Grant.RESERVED)
    used = {
        "status": Grant.REDEEMED,
        "redeemed_at": now,
        "redeemed_by": email,
        "reserved_until": None,
    }
    won = held.update(**used, updated_at=now) == 1
    if won:
        _trace(grant_id, "redeemed", actor, f"enrollment {enrollment_id}")
    return won


@atomic
def redeem_late(grant_id: UUID, *, enrollment_id: UUID, email: str, actor: str) -> ReinstateResult:
    """Use a released coupon up for a payment that arrived late, if nobody else has it by now; the
    same again if it is done.

    Its program counts it again where it had given its share back, with or without room for it.
    """
    now = timezone.now()
    free = Grant.objects.filter(pk=grant_id, status__in=[Grant.APPROVED, Grant.EXPIRED])
    used = {
        "status": Grant.REDEEMED,
        "enrollment_id": enrollment_id,
        "redeemed_at": now,
        "redeemed_by": email,
    }
    won = free.update(**used, reserved_until=None, updated_at=now) == 1
    if won:
        _trace(grant_id, "redeemed late", actor, f"enrollment {enrollment_id}")
    mine = Grant.objects.filter(
        pk=grant_id, enrollment_id=enrollment_id, status=Grant.REDEEMED
    ).first()
    return _counted_again(mine) if mine else ReinstateResult.UNAVAILABLE


def release(grant_id: UUID, *, enrollment_id: UUID, actor: str) -> bool:
    """Give the coupon of a checkout that ended back to its holder, and return whether this call
    did.
    """
    now = timezone.now()
    held = Grant.objects.filter(pk=grant_id, enrollment_id=enrollment_id, status=Grant.RESERVED)
    free = {
        "status": Grant.APPROVED,
        "enrollment_id": None,
        "reserved_at": None,
        "reserved_until": None,
    }
    won = held.update(**free, updated_at=now) == 1
    if won:
        _trace(grant_id, "released", actor, f"enrollment {enrollment_id}")
    return won


@atomic
def reinstate(grant_id: UUID, *, enrollment_id: UUID, actor: str) -> ReinstateResult:
    """Make a used coupon good again because its place was taken back, for COUPON_GIVE_BACK_LIFETIME
    at least.

    Where its holder has another grant open for the course it stays used, for there is one open
    grant at most; its program gets its share back then. Somebody who applies at this very moment
    makes all of the transaction run again.
    """
    used = Grant.objects.filter(pk=grant_id, enrollment_id=enrollment_id, status=Grant.REDEEMED)
    grant = used.first()
    if grant is None:
        return ReinstateResult.UNAVAILABLE
    if Grant.objects.open().filter(course_id=grant.course_id, email=grant.email).exists():
        return _keep_used(grant, actor)
    now = timezone.now()
    until = max(grant.expires_at or now, now + settings.COUPON_GIVE_BACK_LIFETIME)
    free = {
        "status": Grant.APPROVED,
        "enrollment_id": None,
        "redeemed_at": None,
        "redeemed_by": "",
        "reserved_at": None,
    }
    try:
        won = used.update(**free, expires_at=until, updated_at=now) == 1
    except IntegrityError as error:
        raise OutOfDate from error
    if not won:
        return ReinstateResult.UNAVAILABLE
    _trace(
        grant_id,
        "reinstated",
        actor,
        f"enrollment {enrollment_id}; good until {until:%Y-%m-%d}",
    )
    return _counted_again(grant)


def _keep_used(grant: Grant, actor: str) -> ReinstateResult:
    counted = Grant.objects.filter(pk=grant.pk, status=Grant.REDEEMED, holds_budget=True)
    if (
        grant.holds_budget
        and counted.update(**budgets.NOTHING_HELD, updated_at=timezone.now()) == 1
    ):
        budgets.give_back(budgets.share_of(grant))
    note = f"enrollment {grant.enrollment_id}; another grant of the holder is open"
    if not GrantEvent.objects.filter(grant_id=grant.pk, what=KEPT_USED, note=note).exists():
        _trace(grant.pk, KEPT_USED, actor, note)
    return ReinstateResult.KEPT_USED


def _counted_again(grant: Grant) -> ReinstateResult:
    return ReinstateResult.DONE if budgets.take_again(grant) else ReinstateResult.OVER_BUDGET


def expire_overdue() -> int:
    """Expire the unused coupons past their date, never one that an open checkout holds; return how
    many (R064).
    """
    overdue = list(Grant.objects.overdue(timezone.now()).order_by("expires_at")[:500])
    return sum(_expire(grant) for grant in overdue)


@atomic
def _expire(grant: Grant) -> bool:
    now = timezone.now()
    share = budgets.share_of(grant)
    as_read = Grant.objects.overdue(now).filter(
        pk=grant.pk, holds_budget=grant.holds_budget, committed_amount=grant.committed_amount
    )
    won = as_read.update(status=Grant.EXPIRED, **budgets.NOTHING_HELD, updated_at=now) == 1
    if won:
        budgets.give_back(share)
        _trace(grant.pk, "expired", SYSTEM, "Automatically expired")
    return won


def _trace(grant_id: UUID, what: str, actor: str, note: str) -> None:
    GrantEvent(grant_id=grant_id, what=what, actor=actor[:140], note=note).save(force_insert=True)
