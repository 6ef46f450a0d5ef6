"""What a buyer asks for, and at which price: the course's own, less what a grant's coupon gives."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from courses.discounts import Price, undiscounted
from courses.errors import CourseNotFound
from courses.models import Course
from enrollments.models import Enrollment
from grants import redemption
from grants.models import Grant
from maaledu.money import format_money


@dataclass(frozen=True)
class Order:
    """What is to be written: who wants which course, at which price, by which grant's coupon if
    any.
    """

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


def order_for(
    course: Course, email: str, name: str, coupon: str, running: Enrollment | None
) -> Order:
    """Return what the buyer asks for, at the price their coupon makes of it. Raises
    CouponUnavailable.
    """
    if coupon:
        quote = redemption.quote(
            code=coupon, email=email, course=course, running=running.pk if running else None
        )
        return Order(course, email, name, quote.price, quote.grant)
    return Order(course, email, name, undiscounted(course.price, course.currency))


def new_enrollment(order: Order, **referred: Any) -> Enrollment:
    """Return the pending, unsaved enrollment of an order: a snapshot of what was promised, and of
    who `referred` it.
    """
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


@dataclass(frozen=True)
class QuoteView:
    """A coupon's effect on a course's price in words: amounts as a reader expects them."""

    course: Course
    percent: int
    list_price: str
    discount: str
    to_pay: str
    is_free: bool
    reserved_until: datetime | None


def quote(*, slug: str, email: str, coupon: str) -> QuoteView:
    """Return what a coupon makes of a course's price for this buyer. Raises CourseNotFound,
    CouponUnavailable.
    """
    course = Course.objects.on_sale().filter(slug=slug).first()
    if course is None:
        raise CourseNotFound(slug=slug)
    running = Enrollment.objects.live().of_buyer(course, email).first()
    found = redemption.quote(
        code=coupon, email=email, course=course, running=running.pk if running else None
    )
    price = found.price
    return QuoteView(
        course=course,
        percent=found.percent,
        list_price=format_money(price.list_price, price.currency),
        discount=format_money(price.discount, price.currency),
        to_pay=format_money(price.to_pay, price.currency),
        is_free=price.is_free,
        reserved_until=found.grant.reserved_until,
    )
