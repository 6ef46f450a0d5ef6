"""A coupon's life at checkout: quote, reserve, redeem, release, expire. Each move is one guarded UPDATE.

The rule of every move is its WHERE, so that of any number of learners at once exactly one wins.
Source: decisions, "when a coupon is consumed", "coupon released", "e-mail in the coupon look-up".
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from courses.models import Course
from grants.applications import give_back
from grants.codes import normalize_code
from grants.errors import CouponUnavailable
from grants.models import Grant, GrantEvent, RefusalCount
from grants.pricing import Price, discounted
from maaledu.db import atomic

logger = logging.getLogger(__name__)

SYSTEM = "system"
TOLERATED_PRICE_CHANGE = 1  # in major units (decisions: grant price)


@dataclass(frozen=True)
class Quote:
    """What a coupon makes of a course's price for its holder, now."""

    grant: Grant
    price: Price

    @property
    def percent(self) -> int:
        return self.grant.percent or 0


def quote(*, code: str, email: str, course: Course, running: UUID | None = None) -> Quote:
    """Return what this code gives this person on this course. Raises CouponUnavailable, one refusal for every reason.

    `running` is the buyer's own live enrolment, whose reserved coupon is theirs. `email` is in its normal form.
    """
    grant = Grant.objects.filter(code=normalize_code(code), email=email, course=course).first()
    if grant is None or not _is_usable(grant, running):
        raise CouponUnavailable(reason=_true_reason(code, email, course))
    return Quote(grant, discounted(course.price, grant.percent or 0, course.currency))


def _is_usable(grant: Grant, running: UUID | None) -> bool:
    if grant.status == Grant.RESERVED:
        return running is not None and grant.enrollment_id == running
    return grant.status == Grant.APPROVED and grant.expires_at is not None and grant.expires_at > timezone.now()


def _true_reason(code: str, email: str, course: Course) -> str:
    """Return for staff why a code is refused; the same one look-up is made whatever it is, so that the time says nothing."""
    found = Grant.objects.filter(code=normalize_code(code)).first()
    reason = _reason(found, email, course)
    logger.info("coupon refused", extra={"reason": reason, "grant": str(found.pk) if found else ""})
    return reason


def _reason(grant: Grant | None, email: str, course: Course) -> str:
    if grant is None:
        return RefusalCount.UNKNOWN
    if grant.email != email:
        return RefusalCount.FOREIGN
    if grant.course_id != course.pk:
        return RefusalCount.OTHER_COURSE
    return Grant.EXPIRED if grant.status == Grant.APPROVED else grant.status


def reserve(grant: Grant, *, enrollment_id: UUID, until: datetime) -> bool:
    """Hold the coupon for one checkout, and return whether this call won it: one guarded UPDATE."""
    now = timezone.now()
    usable = Grant.objects.filter(
        pk=grant.pk, code=grant.code, email=grant.email, course_id=grant.course_id, status=Grant.APPROVED, expires_at__gt=now
    )
    held = {"status": Grant.RESERVED, "enrollment_id": enrollment_id, "reserved_at": now, "reserved_until": until}
    return usable.update(**held, updated_at=now) == 1


def redeem(*, enrollment_id: UUID, email: str) -> bool:
    """Use the coupon up for the enrolment that holds it, and return whether this call did."""
    now = timezone.now()
    held = Grant.objects.filter(enrollment_id=enrollment_id, status=Grant.RESERVED)
    used = {"status": Grant.REDEEMED, "redeemed_at": now, "redeemed_by": email, "reserved_until": None}
    return held.update(**used, updated_at=now) == 1


def redeem_late(grant_id: UUID, *, enrollment_id: UUID, email: str) -> bool:
    """Use a released coupon up for a payment that arrived late, if nobody else has it by now; True also if it is done."""
    now = timezone.now()
    free = Grant.objects.filter(pk=grant_id, status__in=[Grant.APPROVED, Grant.EXPIRED])
    used = {"status": Grant.REDEEMED, "enrollment_id": enrollment_id, "redeemed_at": now, "redeemed_by": email}
    won = free.update(**used, reserved_until=None, updated_at=now) == 1
    return won or Grant.objects.filter(pk=grant_id, enrollment_id=enrollment_id, status=Grant.REDEEMED).exists()


def release(*, enrollment_id: UUID) -> bool:
    """Give the coupon of a checkout that ended back to its holder, and return whether this call did."""
    now = timezone.now()
    held = Grant.objects.filter(enrollment_id=enrollment_id, status=Grant.RESERVED)
    free = {"status": Grant.APPROVED, "enrollment_id": None, "reserved_at": None, "reserved_until": None}
    return held.update(**free, updated_at=now) == 1


def make_good_again(*, enrollment_id: UUID) -> bool:
    """Make a used coupon good again because its place was rolled back, and return whether this call did."""
    now = timezone.now()
    used = Grant.objects.filter(enrollment_id=enrollment_id, status=Grant.REDEEMED)
    free = {"status": Grant.APPROVED, "enrollment_id": None, "redeemed_at": None, "redeemed_by": ""}
    return used.update(**free, reserved_at=None, updated_at=now) == 1


def expire_overdue() -> int:
    """Expire the unused coupons past their date, never one that an open checkout holds; return how many (R064)."""
    overdue = list(Grant.objects.overdue(timezone.now()).order_by("expires_at")[:500])
    return sum(_expire(grant) for grant in overdue)


@atomic
def _expire(grant: Grant) -> bool:
    now = timezone.now()
    overdue = Grant.objects.overdue(now).filter(pk=grant.pk)
    won = overdue.update(status=Grant.EXPIRED, committed_amount=0, updated_at=now) == 1
    if won:
        give_back(grant, grant.committed_amount)
        GrantEvent.objects.create(grant=grant, what="expired", actor=SYSTEM, note="Automatically expired")
    return won
