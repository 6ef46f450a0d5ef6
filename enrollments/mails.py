"""What a learner is told of an enrollment: that access is there, or that it has ended; each message
once.
"""

from typing import Any

from enrollments.models import Enrollment
from maaledu.money import format_money
from notifications import outgoing

PURCHASE_CONFIRMATION = "purchase_confirmation"
GRANT_CONFIRMATION = "grant_course_enrollment"
PARTIAL_GRANT_CONFIRMATION = "partial_grant_enrollment"
CONFIRMATIONS = {
    Enrollment.KIND_GRANT: GRANT_CONFIRMATION,
    Enrollment.KIND_PARTIAL_GRANT: PARTIAL_GRANT_CONFIRMATION,
}
CONFIRMATION_KINDS = [PURCHASE_CONFIRMATION, *CONFIRMATIONS.values()]
ENROLLMENT_ENDED = "enrollment_ended"


def stage_confirmation(enrollment: Enrollment) -> bool:
    """Put the one confirmation of this enrollment into the outbox; only called once access
    exists.
    """
    return outgoing.stage(
        kind=CONFIRMATIONS.get(enrollment.kind, PURCHASE_CONFIRMATION),
        to=enrollment.email,
        dedupe_key=f"{PURCHASE_CONFIRMATION}:{enrollment.pk}",
        context=confirmation_context(enrollment),
    )


def confirmation_context(enrollment: Enrollment) -> dict[str, Any]:
    paid_at = enrollment.paid_at or enrollment.created_at
    return {
        "customer_name": enrollment.name or enrollment.email.split("@")[0],
        "course_title": enrollment.course_title,
        "amount": enrollment.amount_display,
        "list_price": enrollment.list_price_display,
        "purchased_on": f"{paid_at:%B} {paid_at.day}, {paid_at.year}",
        "course_link": enrollment.course_link,
        "status_link": enrollment.status_link,
        "is_free": enrollment.kind in Enrollment.UNPAID_KINDS,
        "saving": enrollment.saving_display,
        "percent": enrollment.discount_percent,
    }


def stage_enrollment_ended(enrollment: Enrollment) -> bool:
    """Put the one message that the bank took the payment back, so access ends, into the outbox.

    After a refund the message about the refund says so; this one is for a lost dispute only.
    """
    return outgoing.stage(
        kind=ENROLLMENT_ENDED,
        to=enrollment.email,
        dedupe_key=f"{ENROLLMENT_ENDED}:{enrollment.pk}",
        context=money_back_context(enrollment),
    )


def money_back_context(enrollment: Enrollment) -> dict[str, object]:
    """Return what every message about money that went back says of the purchase."""
    return {
        "customer_name": enrollment.name or enrollment.email.split("@")[0],
        "course_title": enrollment.course_title,
        "amount": format_money(enrollment.amount, enrollment.currency),
        "status_link": enrollment.status_link,
    }
