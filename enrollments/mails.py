"""The e-mails about an enrollment: access is there, or access has ended. Each is sent once."""

from datetime import datetime
from typing import Any

from enrollments import rebuilding
from enrollments.models import Enrollment
from enrollments.sign_in import sign_in_words
from maaledu.money import Money
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
PAYMENT_RECEIVED = "payment_received"
ACCOUNT_NEEDED = "account_needed"


def stage_confirmation(enrollment: Enrollment, *, is_first: bool = False) -> bool:
    """Put the one confirmation of this enrollment into the outbox, once access exists.

    Returns whether this call did. `is_first`: access was never given before.
    """
    stage = outgoing.stage_first if is_first else outgoing.stage
    return stage(
        kind=CONFIRMATIONS.get(enrollment.kind, PURCHASE_CONFIRMATION),
        to=enrollment.email,
        request_id=enrollment.request_id,
        # One key for all three kinds: no enrollment is confirmed twice, whatever its kind.
        dedupe_key=f"{PURCHASE_CONFIRMATION}:{enrollment.pk}",
        context=confirmation_context(enrollment),
    )


def confirmation_context(enrollment: Enrollment) -> dict[str, Any]:
    paid_at = enrollment.paid_at or enrollment.created_at
    saving = Money(enrollment.list_price - enrollment.amount, enrollment.currency)
    return {
        **purchase_context(enrollment),
        "list_price": str(Money(enrollment.list_price, enrollment.currency)),
        "purchased_on": long_date(paid_at),
        "course_link": enrollment.course_link,
        "sign_in": sign_in_words(enrollment),
        "is_free": enrollment.kind in Enrollment.UNPAID_KINDS,
        "saving": str(saving),
        "account_link": f"{enrollment.status_link}sign-in/",
        "percent": enrollment.discount_percent,
    }


def long_date(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


def received_key(enrollment: Enrollment) -> str:
    return f"{PAYMENT_RECEIVED}:{enrollment.pk}"


def stage_payment_received(enrollment: Enrollment) -> bool:
    """Stage the one message that the payment is here and access follows; return if this did."""
    return outgoing.stage(
        kind=PAYMENT_RECEIVED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=received_key(enrollment),
        context=purchase_context(enrollment),
    )


def stage_account_needed(enrollment: Enrollment) -> bool:
    """Stage the message that asks for an account on the platform; return whether this call did.

    One each time access is asked for: after a refund that failed, for instance, once more.
    """
    return outgoing.stage(
        kind=ACCOUNT_NEEDED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{ACCOUNT_NEEDED}:{enrollment.pk}:{enrollment.access_generation}",
        context={
            **purchase_context(enrollment),
            "email": enrollment.email,
            "register_link": enrollment.register_link,
            "is_free": enrollment.kind in Enrollment.UNPAID_KINDS,
        },
    )


def stage_enrollment_ended(enrollment: Enrollment, *, actor: str) -> bool:
    """Put the one message that the bank took the payment back, so access ends, into the outbox.

    For a lost dispute only: after a refund the message about the refund says it. Returns whether
    this call did: not for one that is rebuilt, which was mailed before.
    """
    return actor != rebuilding.ACTOR and outgoing.stage(
        kind=ENROLLMENT_ENDED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{ENROLLMENT_ENDED}:{enrollment.pk}",
        context=purchase_context(enrollment),
    )


def purchase_context(enrollment: Enrollment) -> dict[str, Any]:
    """Return what every message says of the purchase, a refund's message included."""
    return {
        "customer_name": enrollment.name or enrollment.email.split("@")[0],
        "course_title": enrollment.course_title,
        "amount": str(Money(enrollment.amount, enrollment.currency)),
        "status_link": enrollment.status_link,
    }
