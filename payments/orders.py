"""What a buyer orders and at which price, and the rows that an order writes.

The price is the course's own, less what the coupon of a grant gives.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from affiliates.attribution import Referral
from courses.discounts import Price, undiscounted
from courses.errors import CourseNotFound
from courses.models import Course
from enrollments import fulfillment
from enrollments.models import Enrollment
from grants import redemption, refusals
from grants.models import Grant, RefusalCount
from maaledu.db import atomic, new_id
from payments import referrals
from payments.errors import CheckoutClosed, PriceChanged
from payments.models import Payment

logger = logging.getLogger(__name__)

ACTOR = "checkout"
FREE = "FREE"


@dataclass(frozen=True)
class Buyer:
    """What the buyer entered at checkout.

    `shown` is the price on the page that they sent, as `shown_price` wrote it there; "" from a
    program.
    """

    email: str
    name: str = ""
    coupon: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Order:
    """Who orders which course, at which price, with which grant's coupon, if any."""

    course: Course
    email: str
    name: str
    price: Price
    grant: Grant | None = None

    @property
    def kind(self) -> str:
        if self.grant:
            return Enrollment.KIND_GRANT if self.price.is_free else Enrollment.KIND_PARTIAL_GRANT
        return Enrollment.KIND_FREE if self.price.is_free else Enrollment.KIND_PAID

    def is_of(self, enrollment: Enrollment) -> bool:
        """Whether this enrollment was written for the same price, currency and grant.

        And for the same title, which stands beside the amount on Stripe's page, and the same course
        in the LMS, where its learner is enrolled: staff may have corrected that meanwhile.
        """
        price, course = self.price, self.course
        return (
            price.to_pay == enrollment.amount
            and price.list_price == enrollment.list_price
            and price.currency == enrollment.currency
            and (self.grant.pk if self.grant else None) == enrollment.grant_id
            and course.title == enrollment.course_title
            and (course.lms_platform, course.lms_course_id)
            == (enrollment.lms_platform, enrollment.lms_course_id)
        )


@dataclass(frozen=True)
class Checkout:
    """An enrollment and its open payment; None when it is free, paid, or between two attempts."""

    enrollment: Enrollment
    payment: Payment | None = None


def course_on_sale(slug: str) -> Course:
    """Return the course with this address that can be bought now.

    Raises CheckoutClosed, CourseNotFound.
    """
    if settings.CHECKOUT_CLOSED:
        raise CheckoutClosed
    try:
        # get() and not first(): sorting costs as much as half of the statement
        return Course.objects.on_sale().get(slug=slug)
    except Course.DoesNotExist:
        raise CourseNotFound(slug=slug) from None


def order_for(
    course: Course, *, email: str, coupon: str, running: Enrollment | None, name: str = ""
) -> Order:
    """Return the order, at the price that the coupon makes of the course's own.

    `running` is the buyer's live enrollment in the course: a coupon that it reserves is theirs.
    Raises CouponUnavailable.
    """
    if not coupon:
        return Order(course, email, name, undiscounted(course.price, course.currency))
    quote = redemption.quote(
        code=coupon, email=email, course=course, running=running.pk if running else None
    )
    return Order(course, email, name, quote.price, quote.grant)


def quote(*, slug: str, email: str, coupon: str) -> Order:
    """Return what an order of this buyer with this coupon would be; nothing is written.

    Raises CourseNotFound, CouponUnavailable.
    """
    course = course_on_sale(slug)
    running = Enrollment.objects.live().of_buyer(course, email).first()
    return order_for(course, email=email, coupon=coupon, running=running)


def shown_price(price: Price) -> str:
    """Return the price to pay as the checkout page sends it back: "29900-usd"."""
    return f"{price.to_pay}-{price.currency}"


def ensure_shown(order: Order, shown: str) -> None:
    """Make sure that the buyer pays what the page showed them, or less by a coupon just entered.

    The price is the server's whatever is sent. Raises PriceChanged.
    """
    full = undiscounted(order.price.list_price, order.price.currency)
    if shown and shown not in (shown_price(order.price), shown_price(full)):
        raise PriceChanged(shown=shown, price=shown_price(order.price))


def write_referred(order: Order, referral: Referral | None) -> Checkout:
    """Write the order with the affiliate whose link the buyer came through.

    A free enrollment is counted for the affiliate in the transaction that writes it. When that
    fails, the order is written again without a referral: trouble with crediting somebody must not
    cost the buyer anything (requirement R041). Raises as `write` does.
    """
    try:
        written = write(order, referral)
    except IntegrityError:
        raise
    except referrals.DATABASE_ERRORS:
        if not (order.price.is_free and referral and referral.is_credited):
            raise
        logger.exception("a free enrollment could not be credited")
        return write(order)
    referrals.note_checkout(written.enrollment, referral)
    return written


@atomic
def write(order: Order, referral: Referral | None = None) -> Checkout:
    """Write the enrollment and reserve the coupon together, pending with its payment or free.

    Raises IntegrityError when the buyer has a live enrollment in the course, and CouponUnavailable
    when another order was faster with the coupon.
    """
    enrollment = _new_enrollment(
        order, referrals.facts_of(referral, list_price=order.price.list_price)
    )
    # Before the coupon: a second tab of the same buyer must find their checkout running, and not
    # their coupon taken.
    enrollment.save(force_insert=True)
    _reserve_coupon(order, enrollment)
    if not order.price.is_free:
        return Checkout(enrollment, write_payment(enrollment, attempt=1))
    fulfillment.fulfill(enrollment, actor=ACTOR, payment_reference=FREE)
    return Checkout(enrollment)


def _new_enrollment(order: Order, referred: dict[str, Any]) -> Enrollment:
    """Return the unsaved enrollment of an order, a snapshot of what was promised."""
    course = order.course
    return Enrollment(
        course=course,
        email=order.email,
        name=order.name,
        kind=order.kind,
        course_title=course.title,
        course_slug=course.slug,
        lms_platform=course.lms_platform,
        lms_course_id=course.lms_course_id,
        list_price=order.price.list_price,
        amount=order.price.to_pay,
        currency=order.price.currency,
        grant_id=order.grant.pk if order.grant else None,
        discount_percent=order.grant.percent or 0 if order.grant else 0,
        **referred,
    )


def correct_name(enrollment: Enrollment, name: str) -> None:
    """Keep the name that the buyer gave last, as long as nothing is paid."""
    if name and name != enrollment.name:
        pending = Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.PENDING)
        pending.update(name=name, updated_at=timezone.now())


def _reserve_coupon(order: Order, enrollment: Enrollment) -> None:
    if order.grant and not redemption.take(
        order.grant, order.price, enrollment_id=enrollment.pk, until=_session_end()
    ):
        raise refusals.refusal(
            RefusalCount.LOST_RACE,
            email=order.email,
            course=order.course.slug,
            grant=order.grant.pk,
        )


def write_payment(enrollment: Enrollment, *, attempt: int) -> Payment:
    """Write a pending payment of this enrollment. Raises IntegrityError when one is open."""
    payment = new_payment(enrollment, new_id(), attempt=attempt, expires_at=_session_end())
    payment.save(force_insert=True)
    return payment


def new_payment(
    enrollment: Enrollment, key: UUID, *, attempt: int, expires_at: datetime
) -> Payment:
    """Return the unsaved payment of an attempt, pending, for what the enrollment costs."""
    return Payment(
        id=key,
        enrollment=enrollment,
        attempt=attempt,
        amount=enrollment.amount,
        currency=enrollment.currency,
        idempotency_key=f"checkout-{key}",
        expires_at=expires_at,
    )


def _session_end() -> datetime:
    return timezone.now().replace(microsecond=0) + settings.STRIPE_SESSION_LIFETIME
