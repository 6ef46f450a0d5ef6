"""From the click on "Enroll" to Stripe's payment page, and back when the learner gives up.

No transaction is open while Stripe is asked. Whatever step is cut off, a later one resumes it: the
payment row holds the idempotency key and the end of the session, so that the same request gives the
same session.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone

from accounts.emails import normalize_email
from affiliates.attribution import Click, Referral
from courses.errors import CourseNotFound
from courses.models import Course
from enrollments import fulfillment
from enrollments.models import Enrollment
from grants import redemption, refusals
from grants.errors import CouponUnavailable
from grants.models import RefusalCount
from maaledu.db import atomic, new_id
from maaledu.errors import AppError
from notifications.alerts import alert_staff
from payments import gateway, referrals, settlement
from payments.errors import (
    AlreadyEnrolled,
    CheckoutUnavailable,
    PaymentInProgress,
    StripeRefused,
    StripeUnavailable,
)
from payments.models import Payment
from payments.orders import Order, new_enrollment, order_for

logger = logging.getLogger(__name__)

ACTOR = "checkout"
FREE = "FREE"
# a running session with less left than this is not worth a redirect
USABLE_FOR = timedelta(minutes=1)


Held = tuple[Enrollment, Payment | None]


@dataclass(frozen=True)
class Started:
    """Where the learner goes next: Stripe's page, or the status page of a free place.

    `is_resumed` says that the place was held before: whoever asks now knows its e-mail, and need
    not be its buyer.
    """

    enrollment: Enrollment
    url: str
    is_resumed: bool = False


def start(
    *, slug: str, email: str, name: str = "", coupon: str = "", click: Click | None = None
) -> Started:
    """Hold a place for this e-mail and return where it is paid for; a running checkout of the same
    buyer is resumed.

    The price is the course's own, read here, less what the coupon's grant gives. `click` is the
    affiliate's link that brought the buyer; it is kept as a fact on a new enrollment. Raises
    CourseNotFound, AlreadyEnrolled, PaymentInProgress, CouponUnavailable, and CheckoutUnavailable
    when Stripe fails: nothing stays reserved then. ValidationError for a malformed e-mail.
    """
    course = Course.objects.on_sale().filter(slug=slug).first()
    if course is None:
        raise CourseNotFound(slug=slug)
    email = normalize_email(email)
    held, order = _look(course, email, name, coupon)
    if held and _is_other_price(held[0], order):
        held = _leave(*held)
    if held is None:
        try:
            return _begin(*_write_referred(order, click))
        except IntegrityError:  # a second tab was faster: join it, unless it has used the coupon up
            held, order = _look(course, email, name, coupon)
    if held is None:
        raise CheckoutUnavailable(reason="lost a race against a checkout that ended at once")
    return replace(_resume(*held), is_resumed=True)


def _look(course: Course, email: str, name: str, coupon: str) -> tuple[Held | None, Order]:
    """Return what the buyer has running and what this order comes to. Raises CouponUnavailable,
    PaymentInProgress.

    A coupon that is refused is looked at once more together with the buyer's checkout: a second tab
    may have reserved it between the two looks.
    """
    held = _find_live(course, email)
    try:
        return held, order_for(course, email, name, coupon, held[0] if held else None)
    except CouponUnavailable:
        if held:
            raise
    held = _find_live(course, email)
    return held, order_for(course, email, name, coupon, held[0] if held else None)


def _is_other_price(running: Enrollment, order: Order) -> bool:
    """A coupon entered while a checkout at full price is running replaces that one; the other way
    round it stays.
    """
    return (
        running.status == Enrollment.PENDING
        and order.grant is not None
        and running.grant_id != order.grant.pk
    )


def _leave(running: Enrollment, payment: Payment | None) -> Held | None:
    """End a running checkout for one at another price; if it turns out to be paid, that is what the
    buyer is told.
    """
    if payment is None:
        settlement.expire(running, actor=ACTOR)
    else:
        try:
            settlement.close(payment, ends_as=Payment.CANCELLED, actor=ACTOR)
        except (StripeUnavailable, StripeRefused) as error:
            raise CheckoutUnavailable(cause=error.code) from error
    running.refresh_from_db()
    return (running, None) if running.status in Enrollment.LIVE else None


def _begin(enrollment: Enrollment, payment: Payment | None) -> Started:
    """Go on with what this request has written itself."""
    if payment is None:
        return Started(enrollment, enrollment.get_absolute_url())
    return _open_session(enrollment, payment)


def _resume(enrollment: Enrollment, payment: Payment | None) -> Started:
    """Go on with a live enrollment that was there before."""
    if enrollment.status == Enrollment.PAID:
        raise AlreadyEnrolled(enrollment=str(enrollment.pk))
    if payment is None:
        return _open_session(enrollment, _new_attempt(enrollment))
    if payment.checkout_url:
        return Started(enrollment, payment.checkout_url)
    return _join(enrollment, payment)


def _find_live(course: Course, email: str) -> Held | None:
    """Return the buyer's live enrollment with its usable payment, having ended whatever is over but
    not yet swept.
    """
    enrollment = Enrollment.objects.live().of_buyer(course, email).first()
    if enrollment is None:
        return None
    if enrollment.status == Enrollment.PAID:
        return enrollment, None
    payment = enrollment.payments.filter(status__in=Payment.OPEN).first()
    if payment and payment.status == Payment.PROCESSING:
        raise PaymentInProgress(enrollment=str(enrollment.pk))
    if payment is None or payment.expires_at > timezone.now() + USABLE_FOR:
        return enrollment, _resumable(payment)
    settlement.end_overdue(payment, actor=ACTOR)
    enrollment.refresh_from_db()
    return (enrollment, None) if enrollment.status in Enrollment.LIVE else None


def _resumable(payment: Payment | None) -> Payment | None:
    """A payment without a session was cut off on its way to Stripe; a fresh one is asked for again
    with the same key.
    """
    if payment is None or payment.checkout_url:
        return payment
    if payment.created_at > timezone.now() - settings.STRIPE_RESUME_WINDOW:
        return payment
    settlement.abandon(payment)
    return None


def _write_referred(order: Order, click: Click | None) -> Held:
    """Write the order with whose link it came through. Without a payment to wait for, a free place
    is counted for the affiliate as it is given: where that fails, it is given all the same, and
    credited to nobody (requirement R041).
    """
    referral = referrals.referral_of(click, email=order.email)
    try:
        enrollment, payment = _write(order, referral)
    except IntegrityError:
        raise
    except referrals.TROUBLE:
        if not (order.price.is_free and referral and referral.is_credited):
            raise
        logger.exception("a free place could not be credited")
        return _write(order)
    referrals.note_checkout(enrollment, referral)
    return enrollment, payment


@atomic
def _write(order: Order, referral: Referral | None = None) -> Held:
    """Write the pending enrollment and its payment, or the paid one of a free place, and reserve the
    coupon, together.

    IntegrityError: the buyer has a live one. CouponUnavailable: somebody was faster with the
    coupon.
    """
    enrollment = new_enrollment(
        order, **referrals.facts_of(referral, list_price=order.price.list_price)
    )
    enrollment.save(force_insert=True)
    until = timezone.now().replace(microsecond=0) + settings.STRIPE_SESSION_LIFETIME
    if order.grant and not redemption.take(
        order.grant, order.price, enrollment_id=enrollment.pk, until=until
    ):
        raise refusals.refusal(
            RefusalCount.LOST_RACE,
            email=order.email,
            course=order.course.slug,
            grant=order.grant.pk,
        )
    if not order.price.is_free:
        return enrollment, _write_payment(enrollment, attempt=1)
    fulfillment.fulfill(enrollment, actor=ACTOR, payment_reference=FREE)
    return enrollment, None


def _write_payment(enrollment: Enrollment, *, attempt: int) -> Payment:
    key = new_id()
    payment = Payment(
        id=key,
        enrollment=enrollment,
        attempt=attempt,
        amount=enrollment.amount,
        currency=enrollment.currency,
        idempotency_key=f"checkout-{key}",
        expires_at=timezone.now().replace(microsecond=0) + settings.STRIPE_SESSION_LIFETIME,
    )
    payment.save(force_insert=True)
    return payment


def _new_attempt(enrollment: Enrollment) -> Payment:
    try:
        return _write_payment(enrollment, attempt=enrollment.payments.count() + 1)
    except IntegrityError:  # a second tab was faster
        return enrollment.payments.get(status__in=Payment.OPEN)


def _open_session(enrollment: Enrollment, payment: Payment) -> Started:
    """Ask Stripe for the session of this request's own payment; when that fails, nothing stays
    reserved.
    """
    try:
        return _ask_for_session(enrollment, payment)
    except (StripeUnavailable, StripeRefused) as error:
        settlement.fail(payment, code=error.code, actor=ACTOR)
        raise _unavailable(enrollment, error) from error


def _join(enrollment: Enrollment, payment: Payment) -> Started:
    """Ask for the session of another request's payment, which may be at it right now: its failing
    is not ours to say.
    """
    try:
        return _ask_for_session(enrollment, payment)
    except (StripeUnavailable, StripeRefused) as error:
        payment.refresh_from_db()
        if payment.checkout_url:
            return Started(enrollment, payment.checkout_url)
        raise _unavailable(enrollment, error) from error


def _unavailable(enrollment: Enrollment, error: AppError) -> CheckoutUnavailable:
    """Log whose checkout failed at Stripe and why (requirement R038), and return what the buyer is
    told.

    A refusal is no passing trouble: nobody can buy until somebody mends it, so staff are told, once
    a day.
    """
    facts = {"enrollment": str(enrollment.pk), "code": error.code, "details": error.details}
    logger.warning("Stripe gave no checkout session", extra=facts)
    if isinstance(error, StripeRefused):
        alert_staff(
            key=f"stripe-refused:{timezone.now():%Y-%m-%d}",
            subject="Stripe refuses our checkouts",
            lines=[
                error.message,
                f"The first one today is enrollment {enrollment.pk}: {enrollment.course_title}.",
            ],
        )
    return CheckoutUnavailable(enrollment=str(enrollment.pk), cause=error.code, **error.details)


def _ask_for_session(enrollment: Enrollment, payment: Payment) -> Started:
    session = gateway.create_session(
        session_params(enrollment, payment), idempotency_key=payment.idempotency_key
    )
    Payment.objects.filter(pk=payment.pk).update(
        stripe_session_id=session["id"], checkout_url=session["url"], updated_at=timezone.now()
    )
    return Started(enrollment, session["url"])


def session_params(enrollment: Enrollment, payment: Payment) -> dict:
    """Return what Stripe is asked for: a function of the two rows alone, so that a repeated request
    is the same one.
    """
    status_link = enrollment.status_link
    ids = {
        "enrollment_id": str(enrollment.pk),
        "payment_id": str(payment.pk),
        "course": enrollment.course_slug,
    }
    if enrollment.referral_code:
        ids["referral_code"] = enrollment.referral_code
    product = {"name": enrollment.course_title}
    price = {"currency": payment.currency, "unit_amount": payment.amount, "product_data": product}
    return {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": price}],
        "customer_email": enrollment.email,
        "client_reference_id": str(enrollment.pk),
        "metadata": ids,
        "payment_intent_data": {"description": enrollment.course_title, "metadata": ids},
        "success_url": f"{status_link}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{settings.SITE_URL}/checkout/cancelled/{enrollment.token}/",
        "expires_at": int(payment.expires_at.timestamp()),
        "adaptive_pricing": {"enabled": False},
    }


def cancel(enrollment: Enrollment) -> None:
    """Release the place of a learner who turned back, unless Stripe says that it was paid after
    all.

    Stripe's session is closed first. Raises StripeUnavailable when that is not certain; the sweep
    ends it then.
    """
    payment = enrollment.payments.filter(status=Payment.PENDING).first()
    if payment and enrollment.status == Enrollment.PENDING:
        settlement.close(payment, ends_as=Payment.CANCELLED, actor="learner")
        enrollment.refresh_from_db()
