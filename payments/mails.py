"""The e-mail about a refund: one for each refund that succeeded."""

from typing import cast
from uuid import UUID

from enrollments.mails import purchase_context
from enrollments.models import Enrollment
from maaledu.money import Money
from notifications import outgoing
from payments.models import Payment, Refund

REFUND_MADE = "refund_made"


def stage_refund(refund: Refund) -> bool:
    """Stage the e-mail that says how much is on its way back, and whether the enrollment ended."""
    payment = Payment.objects.select_related("enrollment").get(pk=cast("UUID", refund.payment_id))
    enrollment = payment.enrollment
    context = {
        **purchase_context(enrollment),
        "amount": str(Money(refund.amount, refund.currency)),
        "is_whole": refund.amount == payment.amount_received,
        "is_over": payment.is_fulfilling and enrollment.status == Enrollment.REFUNDED,
    }
    return outgoing.stage(
        kind=REFUND_MADE,
        to=enrollment.email,
        dedupe_key=f"{REFUND_MADE}:{refund.pk}",
        context=context,
    )
