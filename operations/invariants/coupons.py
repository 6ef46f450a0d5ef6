"""What must hold of coupons and of the budgets of programs."""

from django.db.models import Q

from enrollments import coupons
from enrollments.models import Enrollment
from grants.models import Grant, Program
from operations.invariants.reading import BATCH


def check_coupon_at_most_once() -> list[str]:
    """I1: at most one live enrollment holds a coupon, which is redeemed exactly if that is paid."""
    holders: dict[object, list[Enrollment]] = {}
    for enrollment in Enrollment.objects.live().filter(grant_id__isnull=False).iterator(BATCH):
        holders.setdefault(enrollment.grant_id, []).append(enrollment)
    many = [
        f"grant {key} is held by {len(held)} live enrollments"
        for key, held in holders.items()
        if len(held) > 1
    ]
    return many + [
        line
        for grant in Grant.objects.exclude(code=None).iterator(BATCH)
        for line in _coupon(grant, holders.get(grant.pk, []))
    ]


def _coupon(grant: Grant, holders: list[Enrollment]) -> list[str]:
    paid = [holder for holder in holders if holder.status == Enrollment.PAID]
    redeemed = grant.status == Grant.REDEEMED
    if (
        redeemed
        and [holder.pk for holder in paid] != [grant.enrollment_id]
        and not _holder_was_ended(grant)
    ):
        return [f"grant {grant.pk} is redeemed and no paid enrollment holds it"]
    if paid and not redeemed and grant.status != Grant.REVOKED:
        return [f"grant {grant.pk} is {grant.status} and a paid enrollment holds it"]
    return []


def _holder_was_ended(grant: Grant) -> bool:
    """Return whether the enrollment that used the coupon ended, which leaves the coupon redeemed.

    A refund does that unless staff reinstate the coupon (decisions: refunds and disputes), and so
    does a refusal by the LMS where the holder has another open grant by then.
    """
    ended = Q(status=Enrollment.REFUNDED) | Q(
        status=Enrollment.FAILED, failure_code=coupons.LMS_REFUSED
    )
    holders = Enrollment.objects.filter(ended, grant_id=grant.pk)
    return grant.enrollment_id in set(holders.values_list("pk", flat=True))


def check_coupon_is_not_stuck() -> list[str]:
    """I2: a coupon is reserved exactly while the enrollment that holds it is pending."""
    reserved = dict(Grant.objects.filter(status=Grant.RESERVED).values_list("enrollment_id", "pk"))
    pending = set(
        Enrollment.objects.filter(status=Enrollment.PENDING, grant_id__isnull=False).values_list(
            "pk", flat=True
        )
    )
    stuck = [
        f"grant {pk} is reserved by enrollment {key}, which is over"
        for key, pk in reserved.items()
        if key not in pending
    ]
    return stuck + [
        f"enrollment {key} is pending without its coupon" for key in pending if key not in reserved
    ]


def check_budgets() -> list[str]:
    """A program has committed what its grants hold, and never more than its budget."""
    found = []
    for program in Program.objects.all():
        held = [grant for grant in program.grants.all() if grant.holds_budget]
        amount, count = sum(grant.committed_amount for grant in held), len(held)
        if (amount, count) != (program.committed_amount, program.committed_grants):
            found.append(
                f"program {program.pk} has committed {program.committed_amount} to"
                f" {program.committed_grants} grants, and {count} hold {amount}"
            )
        if program.is_overdrawn:
            found.append(f"program {program.pk} is over its budget")
    return found + _miscounted()


def _miscounted() -> list[str]:
    """Name the grants that their program counts and should not, or should count and does not.

    It counts a usable coupon, and a redeemed one whose enrollment is paid.
    """
    funded = Grant.objects.filter(program_id__isnull=False)
    good = funded.filter(status__in=[Grant.APPROVED, Grant.RESERVED], holds_budget=False)
    used = funded.filter(status=Grant.REDEEMED, holds_budget=False)
    paid = set(
        Enrollment.objects.paid()
        .filter(pk__in=list(used.values_list("enrollment_id", flat=True)))
        .values_list("pk", flat=True)
    )
    over = Grant.objects.filter(
        status__in=[Grant.PENDING, Grant.REJECTED, Grant.EXPIRED, Grant.REVOKED], holds_budget=True
    )
    uncounted = [*good, *(grant for grant in used if grant.enrollment_id in paid)]
    return [
        f"grant {grant.pk} is {grant.status} and its program does not count it"
        for grant in uncounted
    ] + [f"grant {grant.pk} is {grant.status} and its program still counts it" for grant in over]
