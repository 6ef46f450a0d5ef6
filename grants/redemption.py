"""A coupon's life at checkout: quote, reserve, redeem, release, expire.

The rule of every move is the WHERE of one guarded UPDATE, so that of any number of learners at once
exactly one wins. A move and its event are one transaction, which is the caller's. Source:
decisions, "when a coupon is consumed", "coupon released", "e-mail in the coupon look-up", "grant
price".
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from courses.discounts import Price, discounted
from courses.models import Course
from grants import budgets, off_sale, refusals
from grants.codes import normalize_code
from grants.errors import CouponUnavailable
from grants.models import Grant, GrantEvent, GrantQuerySet, RefusalCount
from maaledu.db import atomic
from maaledu.money import Money, exponent_of

logger = logging.getLogger(__name__)

SYSTEM, CHECKOUT = "system", "checkout"
TOLERATED_PRICE_CHANGE = 1  # in major units (decisions: grant price)
MOST_AT_ONCE = 500  # coupons that one look expires


@dataclass(frozen=True)
class Quote:
    """What a coupon makes of a course's price for its holder, now."""

    grant: Grant
    price: Price

    @property
    def percent(self) -> int:
        return self.grant.percent or 0


def quote(*, code: str, email: str, course: Course, running: UUID | None = None) -> Quote:
    """Return what this code gives this person on this course.

    `running` is the buyer's own live enrollment, whose reserved coupon is theirs. `email` is in its
    normal form. Raises CouponUnavailable, one refusal for every reason.
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
    """Return the refusal with its true reason."""
    # One look-up whatever the reason is: the time an answer takes must not reveal that a code
    # exists.
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
    """Reserve the coupon for one checkout, or redeem it where nothing is left to pay.

    Returns whether this call won it. A price that has changed since the approval is noted in the
    event; the percentage is the promise, and the budget stays as it was committed (decisions: grant
    price).
    """
    if price.is_free:
        won, what = _redeem_at_once(grant, enrollment_id), "redeemed"
    else:
        won, what = reserve(grant, enrollment_id=enrollment_id, until=until), "reserved"
    if won:
        note = f"enrollment {enrollment_id}{_price_note(grant, price)}"
        GrantEvent.objects.record(grant.pk, what, by=CHECKOUT, note=note)
    return won


def reserve(grant: Grant, *, enrollment_id: UUID, until: datetime) -> bool:
    """Hold the coupon for one checkout, and return whether this call won it."""
    now = timezone.now()
    held = {
        "status": Grant.RESERVED,
        "enrollment_id": enrollment_id,
        "reserved_at": now,
        "reserved_until": until,
    }
    return _usable(grant, now).update(**held, updated_at=now) == 1


def _redeem_at_once(grant: Grant, enrollment_id: UUID) -> bool:
    """Reserve and redeem in one UPDATE: a free enrollment waits for no payment."""
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
        f"; price {Money(price.list_price, price.currency)}, at approval"
        f" {Money(before, grant.currency)}"
    )


def redeem(grant_id: UUID, *, enrollment_id: UUID, email: str, actor: str) -> bool:
    """Redeem the coupon for the enrollment that holds it, and return whether this call did."""
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
        GrantEvent.objects.record(
            grant_id, "redeemed", by=actor, note=f"enrollment {enrollment_id}"
        )
    return won


def release(grant_id: UUID, *, enrollment_id: UUID, actor: str) -> bool:
    """Free the coupon of a checkout that has ended, and return whether this call did."""
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
        GrantEvent.objects.record(
            grant_id, "released", by=actor, note=f"enrollment {enrollment_id}"
        )
        off_sale.mail_holder(grant_id)
    return won


def expire_overdue() -> int:
    """Expire the unused coupons past their date, and return how many (R064).

    Never one that an open checkout holds.
    """
    overdue = list(Grant.objects.overdue(timezone.now()).order_by("expires_at")[:MOST_AT_ONCE])
    return sum(_expire(grant) for grant in overdue)


@atomic
def _expire(grant: Grant) -> bool:
    now = timezone.now()
    share = budgets.share_of(grant)
    # Only as it was read, so that what is released is what the grant held.
    as_read = Grant.objects.overdue(now).filter(
        pk=grant.pk, holds_budget=grant.holds_budget, committed_amount=grant.committed_amount
    )
    won = as_read.update(status=Grant.EXPIRED, **budgets.NOTHING_HELD, updated_at=now) == 1
    if won:
        budgets.release(share)
        GrantEvent.objects.record(grant.pk, "expired", by=SYSTEM, note="Automatically expired")
    return won
