"""The e-mails about a payment: a bank's debit on its way or refused, and each refund that was made.

Each is sent once. None is sent of what is rebuilt after a restore: see `enrollments.rebuilding`.
"""

from typing import cast
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from enrollments import rebuilding
from enrollments.mails import purchase_context
from enrollments.models import Enrollment
from grants.models import Grant
from maaledu.language import in_shop_language, long_day
from maaledu.money import Money
from notifications import outgoing
from payments.models import Payment, Refund, RefundRequest

REFUND_MADE = "refund_made"
PAYMENT_PROCESSING = "payment_processing"
PAYMENT_FAILED = "payment_failed"
REFUND_ASKED = "refund_asked"
REFUND_DECLINED = "refund_declined"


def stage_processing(payment: Payment, *, actor: str) -> bool:
    """Stage the e-mail that the bank takes days; return whether this call did."""
    return actor != rebuilding.ACTOR and outgoing.stage(
        kind=PAYMENT_PROCESSING,
        to=payment.enrollment.email,
        request_id=payment.enrollment.request_id,
        dedupe_key=f"{PAYMENT_PROCESSING}:{payment.pk}",
        context=purchase_context(payment.enrollment),
    )


def stage_failed(payment: Payment, *, actor: str) -> bool:
    """Stage the e-mail that the bank refused, with the way to try again; return as above."""
    enrollment = payment.enrollment
    return actor != rebuilding.ACTOR and outgoing.stage(
        kind=PAYMENT_FAILED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{PAYMENT_FAILED}:{payment.pk}",
        context={**purchase_context(enrollment), "retry_link": _retry_link(enrollment)},
    )


def _retry_link(enrollment: Enrollment) -> str:
    """Return the address of a new checkout, with the coupon of the grant that this one used."""
    link = settings.SITE_URL + reverse("checkout", args=[enrollment.course_slug])
    grant = Grant.objects.filter(pk=enrollment.grant_id).first() if enrollment.grant_id else None
    return f"{link}?grant={grant.token}" if grant else link


@in_shop_language
def stage_refund(refund: Refund, *, actor: str) -> bool:
    """Stage the e-mail that says how much is on its way back, and whether the enrollment ended."""
    payment = Payment.objects.select_related("enrollment").get(pk=cast("UUID", refund.payment_id))
    enrollment = payment.enrollment
    context = {
        **purchase_context(enrollment),
        "amount": str(Money(refund.amount, refund.currency)),
        "refunded_on": long_day(timezone.now()),
        "is_whole": refund.amount == payment.amount_received,
        "is_over": payment.is_fulfilling and enrollment.status == Enrollment.REFUNDED,
    }
    return actor != rebuilding.ACTOR and outgoing.stage(
        kind=REFUND_MADE,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{REFUND_MADE}:{refund.pk}",
        context=context,
    )


def stage_refund_asked(request: RefundRequest) -> bool:
    """Stage the e-mail that the learner's request is here; return whether this call did."""
    return _stage_about(REFUND_ASKED, request)


def stage_refund_declined(request: RefundRequest) -> bool:
    """Stage the e-mail that says why there is no refund; return whether this call did."""
    return _stage_about(REFUND_DECLINED, request)


def _stage_about(kind: str, request: RefundRequest) -> bool:
    enrollment = request.payment.enrollment
    return outgoing.stage(
        kind=kind,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{kind}:{request.pk}",
        context={**purchase_context(enrollment), "note": request.note},
    )
