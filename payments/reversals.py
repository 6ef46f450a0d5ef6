"""What refunds and disputes of a payment mean for the place it paid for, on one page: the mirror of
`fulfillment`.

Everything is derived from all refunds and disputes of the payment, never from the step that just
happened, so that the end is the same in whatever order they arrive, however often. Source:
decisions, "refunds and disputes".
"""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from affiliates import commissions
from enrollments import coupons, lms_jobs, mails
from enrollments.models import Enrollment, EnrollmentEvent
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff
from payments import settlement
from payments.models import Dispute, Payment, Refund

logger = logging.getLogger(__name__)

REFUNDED, DISPUTE_LOST, PUT_BACK = (
    "refunded in full",
    "dispute lost",
    "a refund failed, or was undone",
)


@dataclass(frozen=True)
class Standing:
    """What has come of a payment: how much of it went back (minor units), and what its disputes
    say.
    """

    paid: int
    refunded: int
    is_disputed: bool
    is_lost: bool
    gives_coupon_back: bool

    @property
    def is_undone(self) -> bool:
        """A lost dispute ends the place like a full refund: the bank has ruled for the buyer."""
        return self.is_lost or self.refunded >= self.paid


def standing_of(payment: Payment) -> Standing:
    refunds = list(Refund.objects.filter(payment=payment, status=Refund.SUCCEEDED))
    disputes = set(Dispute.objects.filter(payment=payment).values_list("status", flat=True))
    return Standing(
        paid=payment.amount_received or 0,
        refunded=sum(refund.amount for refund in refunds),
        is_disputed=Dispute.OPEN in disputes,
        is_lost=Dispute.LOST in disputes,
        gives_coupon_back=any(refund.gives_coupon_back for refund in refunds),
    )


@atomic
def settle(payment_id: UUID, *, actor: str) -> bool:
    """Make the place and the commission agree with what came of this payment; return whether the
    place changed.

    A payment that was set aside (a second one, another amount) stands for no place, and its refund
    changes none.
    """
    # Written before anything is read: whoever else settles this payment is done by now, or waits
    # for us.
    Payment.objects.filter(pk=payment_id).update(updated_at=timezone.now())
    payment = Payment.objects.select_related("enrollment").get(pk=payment_id)
    if not payment.is_fulfilling:
        return False
    enrollment, standing = payment.enrollment, standing_of(payment)
    if (
        enrollment.status == Enrollment.REFUNDED
        and not standing.is_undone
        and _paid_rival(enrollment)
    ):
        return _set_aside(payment)
    if enrollment.affiliate_id:
        commissions.settle(
            enrollment.pk,
            refunded=standing.paid if standing.is_undone else standing.refunded,
            paid=standing.paid,
            is_disputed=standing.is_disputed,
            actor=actor,
        )
    if standing.is_undone:
        return _end(enrollment, standing, actor)
    return enrollment.status == Enrollment.REFUNDED and _put_back(enrollment, actor)


def _end(enrollment: Enrollment, standing: Standing, actor: str) -> bool:
    note = DISPUTE_LOST if standing.is_lost else REFUNDED
    won = transition(enrollment, Enrollment.REFUNDED, access_generation=F("access_generation") + 1)
    if enrollment.status != Enrollment.REFUNDED:
        return False
    if won:
        _trace(enrollment, Enrollment.PAID, actor, note)
        if standing.is_lost:
            mails.stage_enrollment_ended(enrollment)
        logger.info(
            "enrollment refunded",
            extra={"enrollment": str(enrollment.pk), "actor": actor, "note": note},
        )
    # Where access was asked for may have been mended since this row was read.
    enrollment.refresh_from_db(fields=["access_generation", "lms_platform", "lms_course_id"])
    if settings.REVOKE_ON_REFUND:
        lms_jobs.ensure_revocation(enrollment)
    if standing.gives_coupon_back and enrollment.grant_id:
        coupons.reinstate(enrollment, actor=actor)
    return won


def _set_aside(payment: Payment) -> bool:
    """The money is ours after all and the learner has paid for another place by now: this payment
    is one too many.

    Its own place stays over and its commission reversed, as with any second payment; staff refund
    it (decisions: double payment).
    """
    Payment.objects.filter(pk=payment.pk).update(
        review_reason=Payment.DUPLICATE, updated_at=timezone.now()
    )
    _tell_staff(
        payment.enrollment,
        "The learner has paid for another place by now, so this payment is one too many: refund it"
        " again.",
    )
    return False


def _put_back(enrollment: Enrollment, actor: str) -> bool:
    """The money is not back with the buyer after all: their place is theirs again, before a
    checkout that they began since.
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
    _trace(enrollment, Enrollment.REFUNDED, actor, PUT_BACK, to=Enrollment.PAID)
    if enrollment.grant_id:
        coupons.redeem_late(enrollment, actor=actor)
    enrollment.refresh_from_db()
    lms_jobs.ensure_job(enrollment)
    _tell_staff(
        enrollment,
        "The place is paid again, access is being given back, and the commission is booked again.",
    )
    return True


def _paid_rival(enrollment: Enrollment) -> bool:
    same = Q(course_id=enrollment.course_id, email=enrollment.email)
    if enrollment.grant_id:
        same |= Q(grant_id=enrollment.grant_id)
    return Enrollment.objects.paid().filter(same).exclude(pk=enrollment.pk).exists()


def _trace(
    enrollment: Enrollment, before: str, actor: str, note: str, *, to: str = Enrollment.REFUNDED
) -> None:
    EnrollmentEvent.objects.create(
        enrollment=enrollment, from_status=before, to_status=to, actor=actor[:140], note=note
    )


def _tell_staff(enrollment: Enrollment, sentence: str) -> None:
    alert_staff(
        key=f"put-back:{enrollment.pk}:{enrollment.access_generation}",
        subject="A refund failed after its place had ended",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            sentence,
            "The buyer's bank did not take the money back: agree with them how to refund it.",
        ],
    )
