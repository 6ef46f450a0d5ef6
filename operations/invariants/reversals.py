"""What must hold of refunds, and of enrollments whose money went back."""

from collections.abc import Iterator
from itertools import chain
from uuid import UUID

from django.conf import settings
from django.db.models import Sum

from enrollments import lms_jobs
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from operations.invariants.reading import ALL, Scope, batches, confirmed, in_batches, keys
from payments import outcomes
from payments.models import Dispute, Payment, Refund
from payments.outcomes import PaymentOutcome


@confirmed
def check_refunds(scope: Scope = ALL) -> list[str]:
    """I7: a payment has the sum of its refunds committed, and never more than was received."""
    received = Payment.objects.filter(status=Payment.PAID)
    committed = keys(scope.of(received.filter(refund_committed__gt=0)), "pk")
    found = {
        line
        for part in batches(chain(committed, _paid_back(scope, Refund.FAILED)))
        for line in _misrefunded(part)
    }
    return sorted(found)


def _misrefunded(payments: list[UUID]) -> Iterator[str]:
    refunds = Refund.objects.exclude(status=Refund.FAILED).filter(payment_id__in=payments)
    summed = refunds.order_by().values("payment_id").annotate(sum=Sum("amount"))
    sums = {row["payment_id"]: row["sum"] for row in summed}
    for p in Payment.objects.filter(status=Payment.PAID, pk__in=payments):
        refunded = sums.get(p.pk, 0)
        if p.refund_committed != refunded or refunded > (p.amount_received or 0):
            yield (
                f"payment {p.pk} received {p.amount_received}, has {p.refund_committed} committed"
                f" to refunds, which add up to {refunded}"
            )


def _paid_back(scope: Scope, *without: str) -> Iterator[UUID]:
    """Yield the payments that have refunds, but for those with this status, some more than once."""
    refunds = Refund.objects.exclude(payment=None).exclude(status__in=without)
    return keys(scope.of(refunds, "payment__enrollment_id"), "payment_id")


@confirmed
def check_ended_enrollments(scope: Scope = ALL) -> list[str]:
    """I11: an enrollment is refunded exactly if its payment went back whole, and loses access.

    What staff take away, and its access with it, was free.
    """
    found = [
        f"enrollment {key} is paid and its payment went back whole"
        for key in sorted(set(_paid_by_nothing(scope)))
    ]
    over = Enrollment.objects.filter(status__in=Enrollment.OVER)
    for batch in in_batches(scope.of(over, "pk")):
        came_of, revoked = outcomes.outcomes_of(batch), _revoked(batch)
        for enrollment in batch:
            is_refunded = enrollment.status == Enrollment.REFUNDED
            about = f"enrollment {enrollment.pk} is {enrollment.status}"
            if is_refunded and not _is_reversed(came_of[enrollment.pk]):
                found.append(f"{about} and its payment is not")
            if enrollment.amount and not is_refunded:
                found.append(f"{about} and was not free")
            has_access = enrollment.lms_status == Enrollment.LMS_SUCCESS
            loses_it = settings.REVOKE_ON_REFUND or not is_refunded
            if has_access and loses_it and enrollment.pk not in revoked:
                found.append(f"{about}, has access, and no job takes it away")
    return found


def _revoked(enrollments: list[Enrollment]) -> set[UUID]:
    """Return those of them that have access, and a job that takes it away."""
    by_key = {
        lms_jobs.revocation_key(enrollment): enrollment.pk
        for enrollment in enrollments
        if enrollment.lms_status == Enrollment.LMS_SUCCESS
    }
    if not by_key:
        return set()
    jobs = SyncJob.objects.filter(dedupe_key__in=list(by_key))
    return {by_key[key] for key in jobs.values_list("dedupe_key", flat=True)}


def _is_reversed(came_of: list[PaymentOutcome]) -> bool:
    """Return whether no payment pays for the enrollment; one set aside as a second one does not."""
    paid = [each for each in came_of if each.payment.status == Payment.PAID]
    return bool(paid) and all(each.is_reversed for each in paid if each.payment.is_fulfilling)


def _paid_by_nothing(scope: Scope) -> Iterator[UUID]:
    not_made = [status for status in Refund.TRANSITIONS if status != Refund.SUCCEEDED]
    lost = Dispute.objects.filter(status=Dispute.LOST).exclude(payment=None)
    disputed = keys(scope.of(lost, "payment__enrollment_id"), "payment_id")
    for part in batches(chain(_paid_back(scope, *not_made), disputed)):
        payments = Payment.objects.filter(pk__in=part)
        paid = {
            payment.enrollment
            for payment in payments.select_related("enrollment")
            if payment.is_fulfilling and payment.enrollment.status == Enrollment.PAID
        }
        for enrollment_id, came_of in outcomes.outcomes_of(paid).items():
            if came_of[0].is_reversed:  # the one that fulfills it is the first
                yield enrollment_id
