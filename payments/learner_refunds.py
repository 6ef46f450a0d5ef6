"""Refunds that learners ask for themselves, within the days that the shop promises.

A request moves no money: it is an item in the office, where staff refund the payment or decline
with a reason.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from enrollments.models import Enrollment
from maaledu.db import atomic, duplicate_means, new_id, transition
from payments import mails, refund_requests
from payments.errors import RefundAskedAlready, RefundAskedBefore, RefundNotOffered
from payments.models import Payment, Refund, RefundRequest
from payments.outcomes import outcome_of

BY_CUSTOMER = Refund.REASONS[0][0]
# What came of a refund that staff have asked for, beside REFUNDED: the money is back.
UNDER_WAY, FAILED = "under way", "failed"


def may_be_asked_until(enrollment: Enrollment) -> datetime | None:
    """Return the last moment to ask; None where a refund is not promised or not possible.

    It is promised for a paid course, for REFUND_DAYS from the payment, until it is completed.
    """
    is_promised = settings.REFUND_DAYS and enrollment.amount and not enrollment.completed_at
    if not (is_promised and enrollment.status == Enrollment.PAID and enrollment.paid_at):
        return None
    until = enrollment.paid_at + timedelta(days=settings.REFUND_DAYS)
    return until if until > timezone.now() else None


def of(enrollment: Enrollment) -> RefundRequest | None:
    """Return the request that the learner has made for this enrollment."""
    rows = RefundRequest.objects.filter(payment__enrollment=enrollment)
    return rows.order_by("-created_at").first()


def came_of(request: RefundRequest) -> str:
    """Return the request's status, and of one that was granted what Stripe has made of it.

    A refund that Stripe has not answered yet may be refused, and one that was made may fail.
    """
    if request.status != RefundRequest.REFUNDED:
        return request.status
    outcome = outcome_of(request.payment)
    if outcome.is_reversed:
        return RefundRequest.REFUNDED
    return UNDER_WAY if outcome.refunding else FAILED


def asked_for(enrollments: Iterable[Enrollment]) -> dict[UUID, str]:
    """Return the status of the latest request for each of those that may be asked about now.

    One statement; none where a refund is promised for none of them.
    """
    offered = [each.pk for each in enrollments if may_be_asked_until(each)]
    if not offered:
        return {}
    rows = RefundRequest.objects.filter(payment__enrollment_id__in=offered).order_by("created_at")
    return dict(rows.values_list("payment__enrollment_id", "status"))


def ask(enrollment: Enrollment, *, reason: str = "") -> RefundRequest:
    """Keep the learner's request and confirm it by e-mail.

    Raises RefundNotOffered, and RefundAskedAlready for a second one.
    """
    payment = _refundable(enrollment)
    if payment is None:
        raise RefundNotOffered(enrollment=str(enrollment.pk))
    request = RefundRequest(payment=payment, reason=reason)
    with duplicate_means(partial(RefundAskedAlready, payment=str(payment.pk))):
        _insert(request)
    return request


def _refundable(enrollment: Enrollment) -> Payment | None:
    if may_be_asked_until(enrollment) is None:
        return None
    paid = Payment.objects.filter(enrollment=enrollment, status=Payment.PAID)
    return next((each for each in paid if each.is_fulfilling and each.refundable > 0), None)


@atomic
def _insert(request: RefundRequest) -> None:
    request.save(force_insert=True)
    mails.stage_refund_asked(request)


def refund(request: RefundRequest, *, by: str) -> bool:
    """Refund what is left of the payment and close the request; return whether this call did.

    One whose money went back in another way, also by a lost dispute, is closed. Raises
    RefundNotPossible and RefundTooLarge.
    """
    if request.status != RefundRequest.OPEN:
        return False
    payment = Payment.objects.get(pk=request.payment_id)
    if payment.refundable > 0 and not outcome_of(payment).is_reversed:
        with suppress(RefundAskedBefore):  # two clicks: the other one has made it
            refund_requests.request(payment, _wanted(request, payment, by=by))
    return _close(request, RefundRequest.REFUNDED, by=by)


def _wanted(request: RefundRequest, payment: Payment, *, by: str) -> refund_requests.Request:
    # Its own key, so that two clicks are one refund; another one after a refund that failed.
    is_first = not Refund.objects.filter(pk=request.pk).exists()
    key = request.pk if is_first else new_id()
    amount = payment.refundable
    return refund_requests.Request(
        amount=amount, reason=BY_CUSTOMER, by=by, note="The learner asked for it.", key=key
    )


@atomic
def decline(request: RefundRequest, *, by: str, note: str) -> bool:
    """Decline, and send the learner the reason; return whether this call did."""
    done = _close(request, RefundRequest.DECLINED, by=by, note=note)
    if done:
        mails.stage_refund_declined(request)
    return done


def _close(request: RefundRequest, to: str, *, by: str, note: str = "") -> bool:
    return transition(request, to, decided_by=by[:140], decided_at=timezone.now(), note=note)
