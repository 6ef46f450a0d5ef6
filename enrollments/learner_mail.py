"""What a learner is told when money comes back or a place ends; each message once for its cause."""

from enrollments.models import Enrollment, Payment, Refund
from maaledu.money import format_money
from notifications import outgoing

REFUND_MADE, PLACE_ENDED = "refund_made", "place_ended"


def stage_refund(payment: Payment, refund: Refund) -> bool:
    """Tell the learner that this much is on its way back to how they paid."""
    enrollment = payment.enrollment
    context = {**_context(enrollment), "amount": refund.amount_display, "is_whole": refund.amount == payment.amount_received}
    context["is_over"] = Enrollment.objects.filter(pk=enrollment.pk, status=Enrollment.REFUNDED).exists() and payment.is_fulfilling
    return outgoing.stage(kind=REFUND_MADE, to=enrollment.email, dedupe_key=f"{REFUND_MADE}:{refund.pk}", context=context)


def stage_place_ended(enrollment: Enrollment, *, is_lost: bool) -> bool:
    """Tell the learner that the place has ended because their bank took the payment back.

    After a refund the message about the refund says it, so there is none here.
    """
    if not is_lost:
        return False
    key = f"{PLACE_ENDED}:{enrollment.pk}"
    return outgoing.stage(kind=PLACE_ENDED, to=enrollment.email, dedupe_key=key, context=_context(enrollment))


def _context(enrollment: Enrollment) -> dict[str, object]:
    return {
        "customer_name": enrollment.name or enrollment.email.split("@")[0],
        "course_title": enrollment.course_title,
        "amount": format_money(enrollment.amount, enrollment.currency),
        "status_link": enrollment.status_link,
    }
