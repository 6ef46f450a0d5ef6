"""What a Checkout Session's state means for us. One idempotent function, `settle_session`, is
called by the webhook, the success page, the cancel page and the sweep; whichever comes first
writes, the others find it written.

The final state depends on the set of facts about a session, never on their order
(contracts/reliability, I5).
"""

import logging
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from enrollments import fulfillment
from enrollments.models import Enrollment, EnrollmentEvent
from grants import redemption
from maaledu.db import atomic, transition
from maaledu.storable import LARGEST
from notifications.alerts import alert_staff
from payments import gateway
from payments.errors import StripeSessionUnknown
from payments.models import Payment

logger = logging.getLogger(__name__)

ASYNC_PAYMENT_FAILED = "ASYNC_PAYMENT_FAILED"
SESSION_EXPIRED = "SESSION_EXPIRED"
LEARNER_CANCELLED = "LEARNER_CANCELLED"
AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
SUPERSEDED = "SUPERSEDED"
ENDINGS = {
    Payment.FAILED: Enrollment.FAILED,
    Payment.EXPIRED: Enrollment.EXPIRED,
    Payment.CANCELLED: Enrollment.CANCELLED,
}
CODES = {
    Payment.EXPIRED: SESSION_EXPIRED,
    Payment.CANCELLED: LEARNER_CANCELLED,
    Payment.FAILED: ASYNC_PAYMENT_FAILED,
}


@atomic
def settle_session(
    payment: Payment, session: dict[str, Any], *, actor: str, ends_as: str = Payment.EXPIRED
) -> bool:
    """Write down what this session's state says, and return whether anything was new. One
    transaction, no network.

    The rows are read afresh: the transaction may run twice, and the caller's copies may be old.
    """
    return apply_session(Payment.objects.get(pk=payment.pk), session, actor=actor, ends_as=ends_as)


def apply_session(
    payment: Payment, session: dict[str, Any], *, actor: str, ends_as: str = Payment.EXPIRED
) -> bool:
    """Do the same within the caller's transaction, on a payment that was read in it."""
    if session.get("payment_status") == "paid":
        return _receive(payment, session, actor)
    if session.get("status") == "expired":
        return _end(payment, ends_as, CODES[ends_as], actor)
    if session.get("status") != "complete":
        return False
    if _failed_later(session):
        return _end(payment, Payment.FAILED, ASYNC_PAYMENT_FAILED, actor)
    return transition(payment, Payment.PROCESSING)


def _failed_later(session: dict[str, Any]) -> bool:
    """Whether a complete, unpaid session's payment intent (where it was asked for) says that the
    bank refused.
    """
    intent = session.get("payment_intent")
    return isinstance(intent, dict) and intent.get("status") in (
        "requires_payment_method",
        "canceled",
    )


@atomic
def fail(payment: Payment, *, code: str, actor: str) -> bool:
    """Write down that this payment failed, and with it the enrollment it was for."""
    return apply_failure(Payment.objects.get(pk=payment.pk), code=code, actor=actor)


def apply_failure(payment: Payment, *, code: str, actor: str) -> bool:
    """Do the same within the caller's transaction, on a payment that was read in it."""
    return _end(payment, Payment.FAILED, code, actor)


def _end(payment: Payment, ends_as: str, code: str, actor: str) -> bool:
    if not transition(payment, ends_as):
        return _contradict(payment)
    _end_place(payment, code, actor)
    return True


def _end_place(payment: Payment, code: str, actor: str) -> None:
    """End the enrollment as its payment has just ended."""
    enrollment = payment.enrollment
    if _move(enrollment, ENDINGS[payment.status], actor, note=code, failure_code=code):
        logger.info(
            "checkout ended",
            extra={"enrollment": str(enrollment.pk), "outcome": payment.status, "code": code},
        )


def _contradict(payment: Payment) -> bool:
    """A payment that was received though its session also failed or expired is shown to staff, in
    whatever order.
    """
    received = Payment.objects.filter(pk=payment.pk, status=Payment.PAID, review_reason="")
    return received.update(review_reason=Payment.LATE, updated_at=timezone.now()) == 1


def _receive(payment: Payment, session: dict[str, Any], actor: str) -> bool:
    enrollment = payment.enrollment
    reason = _review_reason(payment, enrollment, session)
    first = transition(
        payment,
        Payment.PAID,
        review_reason=reason,
        paid_at=timezone.now(),
        **_received(payment, session),
    )
    if not first:
        payment.refresh_from_db(fields=["review_reason"])
    if payment.review_reason in Payment.UNFULFILLED:
        return _keep_for_review(payment, enrollment, actor) if first else False
    if payment.review_reason == Payment.LATE:
        supersede(enrollment, actor)
    reference = payment.stripe_payment_intent_id or payment.stripe_session_id or str(payment.pk)
    won = fulfillment.fulfill(enrollment, actor=actor, payment_reference=reference)
    return _is_one_too_many(payment, enrollment, actor) if first and not won else won or first


def _received(payment: Payment, session: dict[str, Any]) -> dict[str, Any]:
    """What Stripe says it received, as far as our columns can hold it."""
    return {
        "amount_received": _amount_of(session),
        "currency_received": gateway.text_of(session.get("currency"), most=3),
        "stripe_payment_intent_id": _id_of(session.get("payment_intent")),
        "stripe_session_id": gateway.text_of(session.get("id")) or payment.stripe_session_id,
    }


def _amount_of(session: dict[str, Any]) -> int | None:
    """The amount that was paid, in minor units; None for what is no amount: a text, a fraction, a
    negative or endless number.
    """
    amount = session.get("amount_total")
    is_amount = isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= LARGEST
    return amount if is_amount else None


def _is_one_too_many(payment: Payment, enrollment: Enrollment, actor: str) -> bool:
    """Set aside a payment that another one overtook: it paid for the place after the review reason
    of this one was read.
    """
    fulfilled = Payment.objects.filter(pk=payment.pk, status=Payment.PAID).exclude(
        review_reason__in=Payment.UNFULFILLED
    )
    if fulfilled.update(review_reason=Payment.DUPLICATE, updated_at=timezone.now()) == 1:
        payment.review_reason = Payment.DUPLICATE
        _keep_for_review(payment, enrollment, actor)
    return True


def _review_reason(payment: Payment, enrollment: Enrollment, session: dict[str, Any]) -> str:
    if _amount_of(session) != payment.amount or session.get("currency") != payment.currency:
        return Payment.AMOUNT_MISMATCH
    if enrollment.status == Enrollment.PENDING:
        return "" if payment.status in Payment.OPEN else Payment.LATE
    taken = enrollment.status in (Enrollment.PAID, Enrollment.REFUNDED) or _paid_rival(enrollment)
    return Payment.DUPLICATE if taken else Payment.LATE


def _rivals(enrollment: Enrollment, status: str) -> Any:
    same = Enrollment.objects.filter(
        course_id=enrollment.course_id, email=enrollment.email, status=status
    )
    return same.exclude(pk=enrollment.pk)


def _paid_rival(enrollment: Enrollment) -> bool:
    return _rivals(enrollment, Enrollment.PAID).exists()


def supersede(enrollment: Enrollment, actor: str) -> None:
    """Take the place that a newer, still unpaid checkout of the same buyer is holding, within the
    caller's transaction.
    """
    _close_soon(enrollment)
    for rival in _rivals(enrollment, Enrollment.PENDING):
        _close_soon(rival)
        _move(
            rival,
            Enrollment.CANCELLED,
            actor,
            note=f"paid through {enrollment.pk}",
            failure_code=SUPERSEDED,
        )


def _close_soon(enrollment: Enrollment) -> None:
    """Make the next sweep close what is still open at Stripe, so that it is not paid as well."""
    overdue = timezone.now() - 2 * settings.PENDING_GRACE
    enrollment.payments.filter(status=Payment.PENDING).update(expires_at=overdue)


def _keep_for_review(payment: Payment, enrollment: Enrollment, actor: str) -> bool:
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
            (
                "Nothing was fulfilled by it. See the payment in the admin, and refund it in Stripe"
                " if it is not owed."
            ),
        ],
    )
    return True


def _fail_for_amount(enrollment: Enrollment, actor: str) -> None:
    """Whatever ended the enrollment before: that money was received for it is what its learner and
    staff must know.
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


def _id_of(reference: Any) -> str:
    return gateway.text_of(reference.get("id") if isinstance(reference, dict) else reference)


def ask_stripe(payment: Payment, *, actor: str, interactive: bool = False) -> bool:
    """Fetch the payment's session and settle what it says. Raises StripeUnavailable, StripeRefused.

    With `interactive`, because somebody waits, Stripe is asked once and has a few seconds.
    """
    if not payment.stripe_session_id:
        return False
    session = gateway.retrieve_session(payment.stripe_session_id, interactive=interactive)
    return settle_session(payment, session, actor=actor)


def close(payment: Payment, *, ends_as: str, actor: str) -> bool:
    """End an open payment, at Stripe first: what is paid there by then is received here. Raises
    StripeUnavailable.
    """
    if not payment.stripe_session_id:
        return abandon(payment, ends_as=ends_as, actor=actor)
    session = gateway.close_session(payment.stripe_session_id)
    return settle_session(payment, session, actor=actor, ends_as=ends_as)


def end_overdue(payment: Payment, *, actor: str) -> bool:
    """End a payment whose session is past its time, having asked Stripe whether it was paid. Raises
    StripeUnavailable.
    """
    try:
        return close(payment, ends_as=Payment.EXPIRED, actor=actor)
    except StripeSessionUnknown:
        return abandon(payment, ends_as=Payment.EXPIRED, actor=actor)


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
def abandon(payment: Payment, *, ends_as: str = "", actor: str = "") -> bool:
    """End a payment whose session nobody has the address of: it was cut off before it was stored,
    so it cannot be paid.

    With `ends_as`, its enrollment ends the same way; without, it stays pending for a new attempt.
    Stripe has not said so: what an event has moved meanwhile is left as it is.
    """
    fresh = Payment.objects.get(pk=payment.pk)
    if not transition(fresh, ends_as or Payment.FAILED, only=Q(status=Payment.PENDING)):
        return False
    if ends_as:
        _end_place(fresh, CODES[ends_as], actor)
    return True
