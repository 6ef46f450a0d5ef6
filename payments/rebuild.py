"""A purchase made again from its Checkout Session, where a restored backup does not have its rows.

What the session's metadata must say for that is written here as well. The rows are written and
settled by the functions of a purchase, as far as the buyer is concerned at the moment they paid.
What is not at Stripe does not come back: the buyer's name, and whatever was free. Who gets which
e-mail is in `enrollments.rebuilding`.
"""

import re
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from affiliates import attribution
from affiliates.models import Affiliate
from courses.discounts import Price
from courses.models import Course
from enrollments.models import Enrollment, EnrollmentEvent, new_token
from enrollments.rebuilding import ACTOR
from grants import redemption
from grants.models import Grant
from maaledu.db import atomic
from maaledu.money import Money
from notifications.alerts import alert_staff
from payments import gateway, orders, purchase_ids, referrals, refunds, session_facts, settlement
from payments.errors import CannotRebuild
from payments.models import Payment

# The columns of an enrollment that its session carries: no name, and no address (decisions:
# metadata at Stripe). Those without a value are left out.
REQUIRED = (
    "course_id",
    "course_title",
    "course_slug",
    "lms_platform",
    "lms_course_id",
    "kind",
    "list_price",
    "amount",
    "currency",
)
CARRIED = (
    *REQUIRED,
    "grant_id",
    "discount_percent",
    "affiliate_id",
    "referral_code",
    "referral_outcome",
    "commission_base",
    "commission_rate",
)
TOKEN = re.compile(r"/enrollments/([\w-]{20,40})/")


def metadata_of(enrollment: Enrollment, payment: Payment) -> dict[str, str]:
    """Return what a session says so that its purchase can be rebuilt.

    Stripe takes 50 keys of 40 characters with values of 500, which no column here exceeds.
    """
    values = {name: getattr(enrollment, name) for name in CARRIED}
    values["attempt"] = payment.attempt
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


# --- what a session proves ------------------------------------------------------------------------
def read(session: dict[str, Any]) -> tuple[Enrollment, Payment]:
    """Return the unsaved enrollment and payment that a session proves. Raises CannotRebuild."""
    metadata = session["metadata"]
    if not {*REQUIRED, "attempt"} <= metadata.keys():
        raise CannotRebuild("its metadata is of an older version, which does not say enough")
    try:
        enrollment = _enrollment_in(session)
        # Turns the metadata's texts into what the columns hold, and refuses what none holds.
        enrollment.clean_fields(exclude=["course"])
        payment = _payment_in(session, enrollment)
        payment.clean_fields(exclude=["enrollment"])
    except ValidationError as error:
        raise CannotRebuild(f"its metadata is damaged: {' '.join(error.messages)}") from error
    asked = (payment.amount, payment.currency)
    if (session_facts.amount_of(session), session.get("currency")) != asked:
        raise CannotRebuild("its amount or currency is not the one in its metadata")
    return enrollment, payment


def _enrollment_in(session: dict[str, Any]) -> Enrollment:
    said = session["metadata"]
    token = TOKEN.search(str(session.get("success_url")))
    return Enrollment(
        id=said["enrollment_id"],
        # The links in the buyer's e-mails have it.
        token=token[1] if token else new_token(),
        course=_course(session),
        email=str(session.get("customer_email") or ""),
        kind=said["kind"],
        course_title=said["course_title"],
        course_slug=said["course_slug"],
        lms_platform=said["lms_platform"],
        lms_course_id=said["lms_course_id"],
        list_price=said["list_price"],
        amount=said["amount"],
        currency=said["currency"],
        grant_id=said.get("grant_id"),
        discount_percent=said.get("discount_percent", 0),
        affiliate_id=said.get("affiliate_id"),
        referral_code=said.get("referral_code", ""),
        request_id=purchase_ids.read(session),
        referral_outcome=said.get("referral_outcome", ""),
        commission_base=said.get("commission_base"),
        commission_rate=said.get("commission_rate"),
        created_at=session_facts.moment(session["created"]),
        rebuilt_at=timezone.now(),
    )


def _course(session: dict[str, Any]) -> Course:
    """Return the course, or the one at its address where it had to be made again as well.

    Not at the address of another shop: two of them may sell through one Stripe account, each with a
    course of this name.
    """
    said = session["metadata"]
    slug, back = said["course_slug"], str(session.get("success_url"))
    course = Course.objects.filter(pk=said["course_id"]).first()
    if course is None and not back.startswith(f"{settings.SITE_URL}/"):
        where = urlsplit(back).netloc  # alone: the rest is the buyer's own page
        raise CannotRebuild(f"its course {slug} is not here, and it was sold at {where:.80}")
    course = course or Course.objects.filter(slug=slug).first()
    if course is None:
        raise CannotRebuild(f"its course {slug} is not here: make it again at this address")
    return course


def _payment_in(session: dict[str, Any], enrollment: Enrollment) -> Payment:
    payment = orders.new_payment(
        enrollment,
        UUID(session["metadata"]["payment_id"]),
        attempt=session["metadata"]["attempt"],
        expires_at=session_facts.moment(session["expires_at"]),
    )
    payment.stripe_session_id, payment.created_at = session["id"], enrollment.created_at
    if session.get("payment_status") == session_facts.PAID:
        payment.paid_at = session_facts.ordered_at(session)
    return payment


# --- what is written ------------------------------------------------------------------------------
def ensure(session: dict[str, Any]) -> None:
    """Write the purchase that this session proves, unless it is here, and settle what it says.

    Safe to repeat. Raises CannotRebuild, StripeUnavailable, StripeRefused.
    """
    enrollment, _ = read(session)
    other = Enrollment.objects.paid().in_place_of(enrollment).first()
    if other:
        _record_refunds(other)
    try:
        written = _write(session)
    except IntegrityError:
        # Another run, or a checkout of the buyer, was faster: what it has written is seen now.
        written = _write(session)
    if written and written.affiliate_id:
        referrals.note_rebuilt(written)


@atomic
def _write(session: dict[str, Any]) -> Enrollment | None:
    """Write and settle the payment; return its enrollment where that was not here either."""
    # Read again: a transaction that runs twice must begin with rows that nothing has changed.
    enrollment, payment = read(session)
    if Payment.objects.filter(pk=payment.pk).exists():
        return None
    payment.enrollment = _enrollment_for(payment)
    if payment.enrollment_id != enrollment.pk:
        payment.review_reason = Payment.DUPLICATE
    payment.save(force_insert=True)
    settlement.apply_session(payment, session, actor=ACTOR)
    return enrollment if payment.enrollment is enrollment else None


def _enrollment_for(payment: Payment) -> Enrollment:
    """Return the enrollment that a payment belongs to, and write it where it is not here.

    Where the buyer has paid for another one by now, it is that one: the payment is set aside as one
    too many (decisions: double payment).
    """
    lost = payment.enrollment
    known = (
        Enrollment.objects.filter(pk=lost.pk).first()
        or Enrollment.objects.paid().in_place_of(lost).first()
    )
    if known:
        # A payment is begun after the one before it has ended, which was lost as well.
        for before in Payment.objects.filter(enrollment=known, status=Payment.PENDING):
            settlement.abandon(before)
        return known
    settlement.supersede(lost, ACTOR)
    _drop_unknown_affiliate(lost)
    lost.save(force_insert=True)
    EnrollmentEvent.objects.create(
        enrollment=lost,
        from_status=lost.status,
        to_status=lost.status,
        actor=ACTOR,
        note=f"It was not in the backup that was restored. {payment.stripe_session_id}"[:300],
    )
    _take_coupon(lost, payment)
    return lost


def _record_refunds(enrollment: Enrollment) -> None:
    """Record what Stripe has refunded of an enrollment, before it is taken for one that is paid.

    The refund may be lost as well, and its buyer have bought again after it.
    """
    received = enrollment.payments.filter(status=Payment.PAID)
    for payment in received.exclude(stripe_payment_intent_id=""):
        for payload in gateway.refunds_of(payment.stripe_payment_intent_id):
            if refunds.is_recordable(payload):
                refunds.record(payload, actor=ACTOR)


def _drop_unknown_affiliate(enrollment: Enrollment) -> None:
    """Credit nobody where the affiliate is not here, and alert staff of what was promised.

    Trouble with crediting somebody must not cost the buyer anything (requirement R041).
    """
    affiliate_id = enrollment.affiliate_id
    if affiliate_id is None or Affiliate.objects.filter(pk=affiliate_id).exists():
        return
    base = Money(enrollment.commission_base or 0, enrollment.currency)
    alert_staff(
        key=f"affiliate-gone:{enrollment.pk}",
        subject="A rebuilt sale credits an affiliate who is not here",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            (
                f"Affiliate {affiliate_id}, code {enrollment.referral_code}, was promised"
                f" {enrollment.commission_rate} basis points of {base}."
            ),
            "No commission is booked. Once they have joined again, book it as an adjustment.",
        ],
    )
    enrollment.affiliate_id = enrollment.commission_base = enrollment.commission_rate = None
    enrollment.referral_outcome = attribution.UNKNOWN


def _take_coupon(enrollment: Enrollment, payment: Payment) -> None:
    """Reserve the coupon as at checkout; one that is not free any more is dealt with when paid."""
    grant = Grant.objects.filter(pk=enrollment.grant_id).first() if enrollment.grant_id else None
    if grant:
        discount = enrollment.list_price - enrollment.amount
        price = Price(enrollment.list_price, discount, enrollment.amount, enrollment.currency)
        redemption.take(grant, price, enrollment_id=enrollment.pk, until=payment.expires_at)
