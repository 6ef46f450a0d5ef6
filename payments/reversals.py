"""What refunds and disputes of a payment mean for its enrollment: the mirror of `fulfillment`.

Everything is derived from all refunds and disputes of the payment, never from the one that just
changed, so that the end is the same in whichever order they arrive, and however often. Source:
decisions, "refunds and disputes".
"""

import logging
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from affiliates import commissions
from enrollments import coupons, lms_jobs, mails
from enrollments.models import Enrollment, EnrollmentEvent
from maaledu import tracing
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff
from payments import settlement
from payments.models import EarlyFraudWarning, Payment
from payments.outcomes import PaymentOutcome, outcome_of

logger = logging.getLogger(__name__)

REFUNDED, DISPUTE_LOST = "refunded in full", "dispute lost"
REINSTATED = "a refund failed, or was cancelled"


@atomic
def settle(payment_id: UUID, *, actor: str) -> bool:
    """Make enrollment and commission agree with the payment's outcome; return if the first changed.

    A payment that was set aside (a second one, another amount) pays for no enrollment, and its
    refund changes none.
    """
    # Written before anything is read: whoever else settles this payment has committed by now, or
    # waits for us. Otherwise two refunds at once would each miss the other's amount.
    Payment.objects.filter(pk=payment_id).update(updated_at=timezone.now())
    payment = Payment.objects.select_related("enrollment").get(pk=payment_id)
    tracing.follow(payment.enrollment.request_id)
    if not payment.is_fulfilling:
        return False
    enrollment, outcome = payment.enrollment, outcome_of(payment)
    is_over = enrollment.status == Enrollment.REFUNDED
    paid_now = Enrollment.objects.paid().in_place_of(enrollment)
    if is_over and not outcome.is_reversed and paid_now.exists():
        return _set_aside(payment)
    if enrollment.affiliate_id:
        warned = EarlyFraudWarning.objects.open().filter(payment=payment)
        commissions.settle(
            enrollment.pk,
            refunded=outcome.reversed_amount,
            paid=outcome.paid,
            is_disputed=outcome.is_in_doubt(is_warned=warned.exists()),
            actor=actor,
        )
    if outcome.is_reversed:
        return _end(enrollment, outcome, actor)
    return is_over and _reinstate(enrollment, actor)


def _end(enrollment: Enrollment, outcome: PaymentOutcome, actor: str) -> bool:
    note = DISPUTE_LOST if outcome.is_lost else REFUNDED
    won = transition(enrollment, Enrollment.REFUNDED, access_generation=F("access_generation") + 1)
    if enrollment.status != Enrollment.REFUNDED:
        return False
    if won:
        _record(enrollment, Enrollment.PAID, actor, note)
        if outcome.is_lost:
            mails.stage_enrollment_ended(enrollment, actor=actor)
        logger.info(
            "enrollment refunded",
            extra={"enrollment": str(enrollment.pk), "actor": actor, "note": note},
        )
    # Staff may have corrected where the course is in the LMS since this row was read.
    enrollment.refresh_from_db(fields=["access_generation", "lms_platform", "lms_course_id"])
    if settings.REVOKE_ON_REFUND:
        lms_jobs.ensure_revocation(enrollment)
    if outcome.gives_coupon_back and enrollment.grant_id:
        coupons.reinstate(enrollment, actor=actor)
    return won


def _set_aside(payment: Payment) -> bool:
    """Flag a payment as a duplicate whose refund failed after the learner had paid once more.

    Its own enrollment stays over and its commission reversed, as with any second payment; staff
    refund it (decisions: double payment).
    """
    Payment.objects.filter(pk=payment.pk).update(
        review_reason=Payment.DUPLICATE, updated_at=timezone.now()
    )
    _alert(
        payment.enrollment,
        "The learner has paid for another enrollment by now, so this payment is one too many:"
        " refund it again.",
    )
    return False


def _reinstate(enrollment: Enrollment, actor: str) -> bool:
    """Make a refunded enrollment paid again, because the buyer does not have the money after all.

    A checkout that the buyer has begun since is cancelled for it.
    """
    settlement.supersede(enrollment, actor)
    if not transition(
        enrollment,
        Enrollment.PAID,
        edge="reinstate",
        access_generation=F("access_generation") + 1,
    ):
        return False
    transition(enrollment, Enrollment.LMS_PENDING, field="lms_status", edge="reinstate")
    _record(enrollment, Enrollment.REFUNDED, actor, REINSTATED, to=Enrollment.PAID)
    if enrollment.grant_id:
        coupons.redeem_late(enrollment, actor=actor)
    enrollment.refresh_from_db()
    lms_jobs.ensure_job(enrollment)
    _alert(
        enrollment,
        "The enrollment is paid again, access is being restored, and the commission is booked"
        " again.",
    )
    return True


def _record(
    enrollment: Enrollment, before: str, actor: str, note: str, *, to: str = Enrollment.REFUNDED
) -> None:
    EnrollmentEvent.objects.create(
        enrollment=enrollment, from_status=before, to_status=to, actor=actor[:140], note=note
    )


def _alert(enrollment: Enrollment, sentence: str) -> None:
    alert_staff(
        key=f"reinstated:{enrollment.pk}:{enrollment.access_generation}",
        subject="A refund failed after its enrollment had ended",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            sentence,
            "The message that the refund failed says why, and what to do about it.",
        ],
    )
