"""What must hold of refunds, and of enrollments whose money went back."""

from collections import Counter
from uuid import UUID

from django.conf import settings

from enrollments import lms_jobs
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from operations.invariants.reading import BATCH, confirmed
from payments import outcomes
from payments.models import Dispute, Payment, Refund


@confirmed
def check_refunds() -> list[str]:
    """I7: a payment has the sum of its refunds committed, and never more than was received."""
    sums: Counter[UUID | None] = Counter()
    for refund in Refund.objects.exclude(status=Refund.FAILED).order_by().iterator(BATCH):
        sums[refund.payment_id] += refund.amount
    received = Payment.objects.filter(status=Payment.PAID).order_by()
    return [
        f"payment {p.pk} received {p.amount_received}, has {p.refund_committed} committed to"
        f" refunds, which add up to {sums[p.pk]}"
        for p in received.iterator(BATCH)
        if p.refund_committed != sums[p.pk] or sums[p.pk] > (p.amount_received or 0)
    ]


@confirmed
def check_ended_enrollments() -> list[str]:
    """I11: an enrollment is refunded exactly if its payment went back whole, and loses access."""
    found = [
        f"enrollment {key} is paid and its payment went back whole" for key in _paid_by_nothing()
    ]
    for enrollment in Enrollment.objects.filter(status=Enrollment.REFUNDED).iterator(BATCH):
        if not _is_reversed(enrollment):
            found.append(f"enrollment {enrollment.pk} is refunded and its payment is not")
        has_access = enrollment.lms_status == Enrollment.LMS_SUCCESS and settings.REVOKE_ON_REFUND
        if (
            has_access
            and not SyncJob.objects.filter(dedupe_key=lms_jobs.revocation_key(enrollment)).exists()
        ):
            found.append(
                f"enrollment {enrollment.pk} is refunded, has access, and no job takes it away"
            )
    return found


def _is_reversed(enrollment: Enrollment) -> bool:
    """Return whether no payment pays for the enrollment; one set aside as a second one does not."""
    payments = [payment for payment in enrollment.payments.all() if payment.status == Payment.PAID]
    return bool(payments) and all(
        outcomes.outcome_of(payment).is_reversed for payment in payments if payment.is_fulfilling
    )


def _paid_by_nothing() -> list[UUID]:
    refunded = (
        Refund.objects.filter(status=Refund.SUCCEEDED)
        .exclude(payment=None)
        .values_list("payment_id", flat=True)
    )
    lost = (
        Dispute.objects.filter(status=Dispute.LOST)
        .exclude(payment=None)
        .values_list("payment_id", flat=True)
    )
    touched = (
        Payment.objects.select_related("enrollment").get(pk=key)
        for key in sorted({*refunded, *lost})
    )
    paid = (
        payment
        for payment in touched
        if payment.is_fulfilling and payment.enrollment.status == Enrollment.PAID
    )
    return [payment.enrollment_id for payment in paid if outcomes.outcome_of(payment).is_reversed]
