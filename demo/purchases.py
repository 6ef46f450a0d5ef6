"""Purchases of the demo: seven weeks of past ones, and those of today through checkout and sandbox.

Past ones are written as `demo.sales` writes them; those of today are made as buyers make them.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import User
from affiliates.attribution import Click
from courses.models import Course
from demo import sales
from demo.controls import Sandbox
from demo.sales import DemoSale
from enrollments.models import Enrollment
from maaledu.db import atomic
from payments import checkout
from payments.models import Payment, Refund
from payments.orders import Buyer

FIRST_NUMBER = 100  # those of the affiliate's history come before it
PAST_SALES, PAST_DAYS = 96, 56
STEPS = (0, 0, 15, 40, 70, 100)  # percent of the course that past learners have done


def write_past(sandbox: Sandbox, courses: Sequence[Course], *, by: User) -> int:
    """Write the sales of the last weeks, once, and put their learners into the LMS.

    Returns how many were written; `by` made the refunds among them.
    """
    if Payment.objects.filter(stripe_session_id=f"cs_demo_{FIRST_NUMBER}").exists():
        return 0
    chance, now = random.Random(FIRST_NUMBER), timezone.now().replace(microsecond=0)
    past = [_past_sale(number, courses, now, chance=chance) for number in range(PAST_SALES)]
    people = [(sale.email, sale.learner, sale.course.lms_course_id) for sale in past]
    rows = sandbox.enroll(people)
    for email, _, course in people:
        sandbox.set_progress(email, course, chance.choice(STEPS))
    _write([replace(sale, lms_row=row) for sale, row in zip(past, rows, strict=True)], by)
    return len(past)


@atomic
def _write(past: Sequence[DemoSale], by: User) -> None:
    written = [sales.write(None, sale, by=by).pk for sale in past]
    # The sums of each day are counted anew for rows that were written since the last look.
    now = timezone.now()
    Enrollment.objects.filter(pk__in=written).update(updated_at=now)
    Payment.objects.filter(enrollment__in=written).update(updated_at=now)
    Refund.objects.filter(payment__enrollment__in=written).update(updated_at=now)


def _past_sale(
    number: int, courses: Sequence[Course], now: datetime, *, chance: random.Random
) -> DemoSale:
    # The nearer to today, the more are sold.
    days = round(PAST_DAYS * (1 - number / PAST_SALES) ** 1.4) + 1
    at = (now - timedelta(days=days)).replace(
        hour=chance.randrange(6, 23), minute=chance.randrange(60)
    )
    return DemoSale(FIRST_NUMBER + number, chance.choice(courses), at)


def buy(
    sandbox: Sandbox,
    course: Course,
    buyer: Buyer,
    *,
    click: Click | None = None,
    outcome: str = "paid",
) -> Enrollment:
    """Buy a course as a buyer does, unless this one has; `outcome` is the sandbox's, "" for none.

    Returns the enrollment, which Stripe's events bring to its state: `controls.deliver`.
    """
    known = Enrollment.objects.of_buyer(course, buyer.email).order_by("created_at").first()
    if known:
        return known
    enrollment = checkout.start(course.slug, buyer, click=click).enrollment
    payment = enrollment.payments.first()
    if payment and payment.stripe_session_id and outcome:
        sandbox.pay(payment.stripe_session_id, outcome)
    return enrollment
