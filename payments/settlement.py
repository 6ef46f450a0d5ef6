"""What a Checkout Session's state means for its payment and enrollment.

One idempotent function, `settle_session`, is called by the webhook, the status page, the cancel
page and the sweep; whichever comes first writes, the others change nothing. The final state depends
on the set of facts about a session, never on their order (contracts/reliability, I5). Nothing in
here asks Stripe: `checkout_sessions` does.
"""

import logging
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from enrollments import fulfillment
from enrollments.models import SOLD, Enrollment, EnrollmentEvent
from grants import redemption
from maaledu import tracing
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff
from payments import mails, session_facts
from payments.models import Payment

logger = logging.getLogger(__name__)

ASYNC_PAYMENT_FAILED = "ASYNC_PAYMENT_FAILED"
SESSION_EXPIRED = "SESSION_EXPIRED"
LEARNER_CANCELLED = "LEARNER_CANCELLED"
AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
SUPERSEDED = "SUPERSEDED"
REPLACED = "REPLACED"
ENDINGS = {
    Payment.FAILED: Enrollment.FAILED,
    Payment.EXPIRED: Enrollment.EXPIRED,
    Payment.CANCELLED: Enrollment.CANCELLED,
}
# How a payment ends that was not made, by the reason.
UNPAID = {
    SESSION_EXPIRED: Payment.EXPIRED,
    LEARNER_CANCELLED: Payment.CANCELLED,
    REPLACED: Payment.CANCELLED,
}


@atomic
def settle_session(
    payment: Payment, session: dict[str, Any], *, actor: str, unpaid: str = SESSION_EXPIRED
) -> bool:
    """Record what this session's state says, and return whether anything was new.

    `unpaid` is why, where it ended without a payment. One transaction, no network. The payment is
    read again in it, because the transaction may run twice and the caller's copy may be old.
    """
    return apply_session(Payment.objects.get(pk=payment.pk), session, actor=actor, unpaid=unpaid)


def apply_session(
    payment: Payment, session: dict[str, Any], *, actor: str, unpaid: str = SESSION_EXPIRED
) -> bool:
    """Do as `settle_session` within the caller's transaction, on a payment that was read in it."""
    if session_facts.is_settled(session):
        return _receive(payment, session, actor)
    if session.get("status") == "expired":
        return end(payment, UNPAID[unpaid], code=unpaid, actor=actor)
    if session.get("status") != "complete":
        return False
    if session_facts.is_refused_by_bank(session):
        return end(payment, Payment.FAILED, code=ASYNC_PAYMENT_FAILED, actor=actor)
    is_new = transition(payment, Payment.PROCESSING)
    if is_new:
        mails.stage_processing(payment, actor=actor)
    return is_new


@atomic
def fail(payment: Payment, *, code: str, actor: str) -> bool:
    """Record that this payment failed, and with it the enrollment it was for."""
    return end(Payment.objects.get(pk=payment.pk), Payment.FAILED, code=code, actor=actor)


def end(payment: Payment, ends_as: str, *, code: str, actor: str) -> bool:
    """End a payment and its enrollment within the caller's transaction; return whether it was new.

    The payment must have been read in that transaction.
    """
    if not transition(payment, ends_as):
        return _flag_as_late(payment)
    _end_enrollment(payment, code, actor)
    return True


def _end_enrollment(payment: Payment, code: str, actor: str) -> None:
    """End the enrollment the way its payment has just ended."""
    enrollment = payment.enrollment
    tracing.follow(enrollment.request_id)
    if _move(enrollment, ENDINGS[payment.status], actor, note=code, failure_code=code):
        logger.info(
            "checkout ended",
            extra={"enrollment": str(enrollment.pk), "outcome": payment.status, "code": code},
        )
        if code == ASYNC_PAYMENT_FAILED:
            mails.stage_failed(payment, actor=actor)


def _flag_as_late(payment: Payment) -> bool:
    """Flag a payment that was received although its session also failed or expired.

    Staff see the flag, in whichever order the two facts arrive.
    """
    received = Payment.objects.filter(pk=payment.pk, status=Payment.PAID, review_reason="")
    return received.update(review_reason=Payment.LATE, updated_at=timezone.now()) == 1


def _receive(payment: Payment, session: dict[str, Any], actor: str) -> bool:
    enrollment = payment.enrollment
    tracing.follow(enrollment.request_id)
    reason = _review_reason(payment, enrollment, session)
    # The payment before the enrollment: of several reports of one session, only the one that wins
    # this UPDATE alerts staff. The others still ensure what a fulfilled payment causes.
    first = transition(
        payment,
        Payment.PAID,
        review_reason=reason,
        paid_at=payment.paid_at or timezone.now(),
        **session_facts.received_from(payment, session),
    )
    if not first:
        payment.refresh_from_db(fields=["review_reason"])
    if payment.review_reason in Payment.UNFULFILLED:
        if first:
            _report_unfulfilled(payment, enrollment, actor)
        return first
    if payment.review_reason == Payment.LATE:
        supersede(enrollment, actor)
    reference = payment.stripe_payment_intent_id or payment.stripe_session_id or str(payment.pk)
    won = fulfillment.fulfill(
        enrollment, actor=actor, payment_reference=reference, paid_at=payment.paid_at
    )
    if first and not won:
        _set_aside_overtaken(payment, enrollment, actor)
    return won or first


def _set_aside_overtaken(payment: Payment, enrollment: Enrollment, actor: str) -> None:
    """Flag a payment as a duplicate when another one fulfilled the enrollment just before.

    The review reason was decided from rows that the other transaction changed afterwards.
    """
    fulfilled = Payment.objects.filter(pk=payment.pk, status=Payment.PAID).exclude(
        review_reason__in=Payment.UNFULFILLED
    )
    if fulfilled.update(review_reason=Payment.DUPLICATE, updated_at=timezone.now()) == 1:
        payment.review_reason = Payment.DUPLICATE
        _report_unfulfilled(payment, enrollment, actor)


def _review_reason(payment: Payment, enrollment: Enrollment, session: dict[str, Any]) -> str:
    if (
        session_facts.amount_of(session) != payment.amount
        or session.get("currency") != payment.currency
    ):
        return Payment.AMOUNT_MISMATCH
    if enrollment.status == Enrollment.PENDING:
        return "" if payment.status in Payment.OPEN else Payment.LATE
    was_paid = enrollment.status in SOLD
    return Payment.DUPLICATE if was_paid or _is_paid_in_another(enrollment) else Payment.LATE


def _is_paid_in_another(enrollment: Enrollment) -> bool:
    """Whether another enrollment of the same buyer in the same course is paid."""
    return _others_of_buyer(enrollment).filter(status=Enrollment.PAID).exists()


def _others_of_buyer(enrollment: Enrollment) -> QuerySet[Enrollment]:
    same = Enrollment.objects.filter(course_id=enrollment.course_id, email=enrollment.email)
    return same.exclude(pk=enrollment.pk)


def supersede(enrollment: Enrollment, actor: str) -> None:
    """Cancel the newer, still unpaid checkouts of the same buyer, within the caller's transaction.

    A buyer has one live enrollment in a course, so this one can become paid only after that.
    """
    _close_soon(enrollment)
    for newer in _others_of_buyer(enrollment).filter(status=Enrollment.PENDING):
        _close_soon(newer)
        _move(
            newer,
            Enrollment.CANCELLED,
            actor,
            note=f"paid through {enrollment.pk}",
            failure_code=SUPERSEDED,
        )


def _close_soon(enrollment: Enrollment) -> None:
    """Make the next sweep close the session that is still open at Stripe.

    Otherwise the buyer could pay that one as well.
    """
    overdue = timezone.now() - 2 * settings.PENDING_GRACE
    enrollment.payments.filter(status=Payment.PENDING).update(expires_at=overdue)


def _report_unfulfilled(payment: Payment, enrollment: Enrollment, actor: str) -> None:
    """Alert staff of a payment that was received and fulfills nothing."""
    if payment.review_reason == Payment.AMOUNT_MISMATCH:
        _fail_for_amount(enrollment, actor)
    alert_staff(
        key=f"payment:{payment.pk}:{payment.review_reason}",
        subject=f"A payment needs a decision: {payment.get_review_reason_display()}",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            (
                f"Asked: {payment.amount} {payment.currency}; received: {payment.amount_received}"
                f" {payment.currency_received}."
            ),
            "It fulfills no enrollment: refund it (Admin › Payments), unless it is owed.",
        ],
    )


def _fail_for_amount(enrollment: Enrollment, actor: str) -> None:
    """Fail the enrollment, and give an ended one the failure code of the mismatch.

    Whatever ended it before, its learner and staff must see that money was received for it.
    """
    if not _move(
        enrollment, Enrollment.FAILED, actor, note=AMOUNT_MISMATCH, failure_code=AMOUNT_MISMATCH
    ):
        failed = Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.FAILED)
        failed.update(failure_code=AMOUNT_MISMATCH, updated_at=timezone.now())


def _move(enrollment: Enrollment, to: str, actor: str, *, note: str, failure_code: str) -> bool:
    before = enrollment.status
    if not transition(enrollment, to, failure_code=failure_code):
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment, from_status=before, to_status=to, actor=actor, note=note
    )
    if enrollment.grant_id:
        redemption.release(enrollment.grant_id, enrollment_id=enrollment.pk, actor=actor)
    return True


@atomic
def expire(enrollment: Enrollment, *, actor: str) -> bool:
    """End a pending enrollment that has no open payment left to end it."""
    return _move(
        Enrollment.objects.get(pk=enrollment.pk),
        Enrollment.EXPIRED,
        actor,
        note=SESSION_EXPIRED,
        failure_code=SESSION_EXPIRED,
    )


@atomic
def abandon(payment: Payment, *, unpaid: str = "", actor: str = "") -> bool:
    """End a payment whose session's address was never stored, so that nobody can pay it.

    With a reason its enrollment ends the same way; without, it stays pending for a new attempt.
    """
    fresh = Payment.objects.get(pk=payment.pk)
    # Only a pending one: Stripe has not said that it ended, and an event may have moved it by now.
    ends_as = UNPAID.get(unpaid, Payment.FAILED)
    if not transition(fresh, ends_as, only=Q(status=Payment.PENDING)):
        return False
    if unpaid:
        _end_enrollment(fresh, unpaid, actor)
    return True
