"""What a paid enrollment causes, on one page."""

import logging
from datetime import datetime

from django.utils import timezone

from affiliates import commissions
from affiliates.commissions import Sale
from enrollments import coupons, lms_jobs
from enrollments.models import Enrollment, EnrollmentEvent
from grants import redemption
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)


@atomic
def fulfill(
    enrollment: Enrollment, *, actor: str, payment_reference: str, paid_at: datetime | None = None
) -> bool:
    """Make the enrollment paid and cause all that follows exactly once; return whether this did.

    `payment_reference` is the payment intent (or FREE); the LMS gets it as the payment id.
    `paid_at` is now, unless the payment is older. One transaction, no network. A caller who finds
    the enrollment paid already ensures that the effects are there, so that a retry repairs what was
    lost.
    """
    before = enrollment.status
    if transition(
        enrollment,
        Enrollment.PAID,
        paid_at=paid_at or timezone.now(),
        failure_code="",
        payment_reference=payment_reference,
    ):
        EnrollmentEvent.objects.create(
            enrollment=enrollment, from_status=before, to_status=enrollment.status, actor=actor
        )
        _redeem(enrollment, actor)
        if sale := sale_of(enrollment):
            commissions.accrue(sale, actor=actor)
        lms_jobs.stage_job(enrollment)
        logger.info("enrollment paid", extra={"enrollment": str(enrollment.pk), "actor": actor})
        return True
    if enrollment.status == Enrollment.PAID:
        lms_jobs.ensure_job(enrollment)
        if sale := sale_of(enrollment):
            commissions.ensure(sale, actor=actor)
    return False


def _redeem(enrollment: Enrollment, actor: str) -> None:
    """Redeem the coupon that this enrollment holds.

    The coupon of a free enrollment was redeemed when the enrollment was written. After a late
    payment another enrollment may hold the coupon: this one stays paid, and staff are alerted.
    """
    if not enrollment.grant_id or enrollment.kind == Enrollment.KIND_GRANT:
        return
    if redemption.redeem(
        enrollment.grant_id, enrollment_id=enrollment.pk, email=enrollment.email, actor=actor
    ):
        return
    if not coupons.redeem_late(enrollment, actor=actor):
        alert_staff(
            key=f"coupon-gone:{enrollment.pk}",
            subject="A late payment used a coupon that is no longer free",
            lines=[
                f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
                (
                    f"Grant {enrollment.grant_id} was used, reissued or revoked after the checkout"
                    " had ended, or a backup was restored in which it is not approved."
                ),
                (
                    "The learner is enrolled at the discounted price that was paid. Decide whether"
                    " to leave it so."
                ),
            ],
        )


def sale_of(enrollment: Enrollment) -> Sale | None:
    """Return the sale as the affiliate's account records it; None where nobody is credited."""
    if enrollment.affiliate_id is None:
        return None
    return Sale(
        enrollment_id=enrollment.pk,
        affiliate_id=enrollment.affiliate_id,
        course_slug=enrollment.course_slug,
        course_title=enrollment.course_title,
        base=(
            enrollment.list_price
            if enrollment.commission_base is None
            else enrollment.commission_base
        ),
        rate_basis_points=enrollment.commission_rate or 0,
        amount_paid=enrollment.amount,
        currency=enrollment.currency,
        sold_at=enrollment.paid_at or timezone.now(),
        label=enrollment.referral_label,
        is_mailed=enrollment.mails_affiliate,
    )
