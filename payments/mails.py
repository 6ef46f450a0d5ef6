"""What a learner is told when money comes back; each message once for its cause."""

from enrollments.mails import purchase_context
from enrollments.models import Enrollment
from notifications import outgoing
from payments.models import Payment, Refund

REFUND_MADE = "refund_made"


def stage_refund(payment: Payment, refund: Refund) -> bool:
    """Tell the learner that this much is on its way back to how they paid."""
    enrollment = payment.enrollment
    context = {
        **purchase_context(enrollment),
        "amount": refund.amount_display,
        "is_whole": refund.amount == payment.amount_received,
    }
    context["is_over"] = (
        Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.REFUNDED).exists()
        and payment.is_fulfilling
    )
    return outgoing.stage(
        kind=REFUND_MADE,
        to=enrollment.email,
        dedupe_key=f"{REFUND_MADE}:{refund.pk}",
        context=context,
    )
