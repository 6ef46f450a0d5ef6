"""From the click on "Enroll" to Stripe's payment page, and back when the learner cancels.

No transaction is open while Stripe is asked. Whichever step is cut off, a later request resumes it:
the payment row holds the idempotency key and the end of the session, so that the same request to
Stripe gives the same session.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from accounts.emails import normalize_email
from affiliates.attribution import Click, Referral
from courses.models import Course
from enrollments.models import Enrollment
from grants.errors import CouponUnavailable
from maaledu.db import duplicate_means
from payments import checkout_sessions, orders, referrals, settlement
from payments.errors import (
    AlreadyEnrolled,
    CheckoutUnavailable,
    EmailRefused,
    PaymentInProgress,
    PaymentsUnavailable,
    StripeRefused,
    StripeUnavailable,
)
from payments.models import Payment
from payments.orders import ACTOR, Buyer, Checkout, Order

# A running session with less left than this is not worth a redirect.
USABLE_FOR = timedelta(minutes=1)
# To end the running checkout and to write the new one, and once more for tabs that race.
ROUNDS = 4


class _AnotherTab(Exception):
    """Another request of the buyer has written the live enrollment, or its open payment."""


@dataclass(frozen=True)
class Started:
    """Where the learner goes next: Stripe's page, or the status page of a free enrollment.

    `is_resumed` says that the enrollment was there before: this visitor knows its e-mail address,
    and need not be its buyer.
    """

    enrollment: Enrollment
    url: str
    is_resumed: bool = False


def start(slug: str, buyer: Buyer, *, click: Click | None = None) -> Started:
    """Start a checkout for this buyer, or resume their running one.

    The price is the course's own, read here, less what the coupon's grant gives. `click` is the
    affiliate's link that brought the buyer; it is kept as a fact on the enrollment. A running
    checkout is resumed only at the same price, with the same grant and referral; any other is
    closed at Stripe first and replaced (decisions: a running checkout, last click). Raises
    CourseNotFound, AlreadyEnrolled, PaymentInProgress, PriceChanged, CouponUnavailable,
    ValidationError for a malformed e-mail, and when Stripe fails CheckoutUnavailable or
    PaymentsUnavailable, or EmailRefused for an address that Stripe does not take: nothing new stays
    reserved then.
    """
    course = orders.course_on_sale(slug)
    try:
        return _start(course, replace(buyer, email=normalize_email(buyer.email)), click)
    except EmailRefused:
        raise
    except StripeUnavailable as error:
        raise CheckoutUnavailable(cause=error.code, **error.details) from error
    except StripeRefused as error:
        raise PaymentsUnavailable(cause=error.code, **error.details) from error


def _start(course: Course, buyer: Buyer, click: Click | None) -> Started:
    referral = None
    for number in range(ROUNDS):
        running, order = _look_up(course, buyer)
        _refuse_paid(running)
        orders.ensure_shown(order, buyer.shown)
        if number == 0:
            referral = referrals.referral_of(click, email=buyer.email)
        if running:
            if _is_same(running.enrollment, order, referral):
                orders.correct_name(running.enrollment, order.name)
                return Started(running.enrollment, _url_of_running(running), is_resumed=True)
            _end_running(running)
            referral = referrals.last_of(referral, running.enrollment)
            continue
        # A second tab that was faster is looked at in the next round.
        with suppress(_AnotherTab), duplicate_means(_AnotherTab):
            written = orders.write_referred(order, referral)
            return Started(written.enrollment, _url_of_new(written))
    raise CheckoutUnavailable(reason="lost a race against other checkouts of the buyer")


def _look_up(course: Course, buyer: Buyer) -> tuple[Checkout | None, Order]:
    """Return the buyer's running checkout and their order now.

    Raises CouponUnavailable, PaymentInProgress.
    """
    order = partial(
        orders.order_for, course, email=buyer.email, name=buyer.name, coupon=buyer.coupon
    )
    running = _find_running(course, buyer.email)
    try:
        return running, order(running=running.enrollment if running else None)
    except CouponUnavailable:
        if running:
            raise
    # A second tab may have reserved the coupon after we looked for a running checkout.
    running = _find_running(course, buyer.email)
    return running, order(running=running.enrollment if running else None)


def _refuse_paid(running: Checkout | None) -> None:
    """Raise AlreadyEnrolled when what was found running is paid."""
    if running and running.enrollment.status == Enrollment.PAID:
        raise AlreadyEnrolled(enrollment=str(running.enrollment.pk))


def _find_running(course: Course, email: str) -> Checkout | None:
    """Return the buyer's live enrollment with its usable payment.

    What is over but not swept yet is ended here. Raises PaymentInProgress.
    """
    try:
        # get() and not first(), which would sort: a constraint lets a buyer have one at most
        enrollment = Enrollment.objects.live().of_buyer(course, email).get()
    except Enrollment.DoesNotExist:
        return None
    is_paid = enrollment.status == Enrollment.PAID
    payment = None if is_paid else enrollment.payments.filter(status__in=Payment.OPEN).first()
    if payment is None:
        return Checkout(enrollment)
    if payment.status == Payment.PROCESSING:
        raise PaymentInProgress(enrollment=str(enrollment.pk))
    if payment.expires_at <= timezone.now() + USABLE_FOR:
        checkout_sessions.close(payment, unpaid=settlement.SESSION_EXPIRED, actor=ACTOR)
        return _if_still_live(enrollment)
    if not payment.checkout_url and _is_too_old_to_resume(payment):
        settlement.abandon(payment)
        return Checkout(enrollment)
    return Checkout(enrollment, payment)


def _if_still_live(enrollment: Enrollment) -> Checkout | None:
    enrollment.refresh_from_db()
    return Checkout(enrollment) if enrollment.status in Enrollment.LIVE else None


def _is_too_old_to_resume(payment: Payment) -> bool:
    """Whether the end of this payment's session is too near for Stripe to create it still."""
    return payment.created_at <= timezone.now() - settings.STRIPE_RESUME_WINDOW


def _is_same(running: Enrollment, order: Order, referral: Referral | None) -> bool:
    """Whether the running checkout asks for what the page shows, and credits whom it names."""
    return order.is_of(running) and referrals.is_kept(running, referral)


def _end_running(running: Checkout) -> None:
    """End a checkout that another one replaces, at Stripe first.

    Raises AlreadyEnrolled when it turns out to be paid there, and CheckoutUnavailable.
    """
    if running.payment is None:
        settlement.expire(running.enrollment, actor=ACTOR)
    else:
        checkout_sessions.close(running.payment, unpaid=settlement.REPLACED, actor=ACTOR)
    running.enrollment.refresh_from_db()
    _refuse_paid(running)


def _url_of_new(written: Checkout) -> str:
    if written.payment is None:
        return written.enrollment.get_absolute_url()
    return checkout_sessions.ensure_session(
        written.enrollment, written.payment, is_own=True, actor=ACTOR
    )


def _url_of_running(running: Checkout) -> str:
    """Return where a checkout of before goes on. Raises StripeUnavailable, StripeRefused."""
    enrollment, payment = running.enrollment, running.payment
    if payment is None:
        payment = _write_next_payment(enrollment)
        return checkout_sessions.ensure_session(enrollment, payment, is_own=True, actor=ACTOR)
    if payment.checkout_url:
        return payment.checkout_url
    return checkout_sessions.ensure_session(enrollment, payment, is_own=False, actor=ACTOR)


def _write_next_payment(enrollment: Enrollment) -> Payment:
    try:
        return orders.write_payment(enrollment, attempt=enrollment.payments.count() + 1)
    except IntegrityError:  # a second tab was faster
        return enrollment.payments.get(status__in=Payment.OPEN)


def cancel(enrollment: Enrollment) -> None:
    """Cancel the checkout of a learner who turned back, unless Stripe says that it was paid.

    Stripe's session is closed first. Raises StripeUnavailable and StripeRefused when that is not
    certain; the sweep ends the checkout then.
    """
    payment = enrollment.payments.filter(status=Payment.PENDING).first()
    if payment and enrollment.status == Enrollment.PENDING:
        checkout_sessions.close(payment, unpaid=settlement.LEARNER_CANCELLED, actor="learner")
        enrollment.refresh_from_db()
