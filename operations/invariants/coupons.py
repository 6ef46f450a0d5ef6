"""What must hold of coupons and of the budgets of programs."""

import re
from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from django.db.models import Count, Q, Sum

from enrollments import coupons
from enrollments.models import Enrollment
from grants.models import Grant, GrantEvent, Program
from operations.invariants.enrollments import repeated
from operations.invariants.reading import ALL, Scope, confirmed, in_batches

UNUSABLE = [Grant.PENDING, Grant.REJECTED, Grant.EXPIRED, Grant.REVOKED, Grant.WITHDRAWN]
# From which statuses an event leads to which one; "" is before the application. Other events move
# nothing.
MOVES: dict[str, tuple[set[str], str]] = {
    "applied": ({""}, Grant.PENDING),
    "approved": ({Grant.PENDING}, Grant.APPROVED),
    "rejected": ({Grant.PENDING}, Grant.REJECTED),
    "withdrawn": ({Grant.PENDING}, Grant.WITHDRAWN),
    "reserved": ({Grant.APPROVED}, Grant.RESERVED),
    "released": ({Grant.RESERVED}, Grant.APPROVED),
    "redeemed": ({Grant.APPROVED, Grant.RESERVED}, Grant.REDEEMED),
    "redeemed late": ({Grant.APPROVED, Grant.EXPIRED}, Grant.REDEEMED),
    "reinstated": ({Grant.REDEEMED}, Grant.APPROVED),
    "expired": ({Grant.APPROVED}, Grant.EXPIRED),
    "revoked": ({Grant.APPROVED}, Grant.REVOKED),
}
IMPORTED = "imported"  # in whichever status the old platform had it
APPROVED_AT = "approved at "
DETAIL = re.compile(r"(?: at |: ).*")  # "approved at 50 %", "rejected: budget"


def check_coupon_at_most_once(scope: Scope = ALL) -> list[str]:
    """I1: at most one live enrollment holds a coupon, which is redeemed exactly if that is paid."""
    holding = Enrollment.objects.live().filter(grant_id__isnull=False)
    many = [
        f"grant {row['grant_id']} is held by {row['rows']} live enrollments"
        for part in scope.of_grants(holding, "grant_id")
        for row in repeated(part, "grant_id")
    ]
    return many + [
        line
        for batch in in_batches(scope.of_grants(Grant.objects.exclude(code=None)))
        for line in _miscounted_coupons(batch)
    ]


def _miscounted_coupons(grants: list[Grant]) -> Iterator[str]:
    paid: dict[UUID | None, list[UUID]] = defaultdict(list)
    holders = Enrollment.objects.paid().filter(grant_id__in=[grant.pk for grant in grants])
    for pk, grant_id in holders.values_list("pk", "grant_id"):
        paid[grant_id].append(pk)
    unheld = [
        grant
        for grant in grants
        if grant.status == Grant.REDEEMED and paid[grant.pk] != [grant.enrollment_id]
    ]
    ended = _ended_holders(unheld) if unheld else set()
    for grant in unheld:
        if (grant.enrollment_id, grant.pk) not in ended:
            yield f"grant {grant.pk} is redeemed and no paid enrollment holds it"
    for grant in grants:
        if paid[grant.pk] and grant.status not in (Grant.REDEEMED, Grant.REVOKED):
            yield f"grant {grant.pk} is {grant.status} and a paid enrollment holds it"


def _ended_holders(grants: list[Grant]) -> set[tuple[UUID, UUID | None]]:
    """Return the enrollments, each with its grant, that used their coupon and ended.

    That leaves the coupon redeemed. Staff who take a free one away do it, a refund unless they
    reinstate the coupon (decisions: refunds and disputes), and a refusal by the LMS where the
    holder has another open grant by then.
    """
    ended = Q(status__in=Enrollment.OVER) | Q(
        status=Enrollment.FAILED, failure_code=coupons.LMS_REFUSED
    )
    holders = Enrollment.objects.filter(ended, pk__in=[grant.enrollment_id for grant in grants])
    return set(holders.values_list("pk", "grant_id"))


def check_coupon_is_not_stuck(scope: Scope = ALL) -> list[str]:
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


def check_budgets(scope: Scope = ALL) -> list[str]:
    """A program has committed what its grants hold, and never more than its budget."""
    held = {
        row["program_id"]: (row["amount"], row["count"])
        for row in Grant.objects.filter(holds_budget=True)
        .order_by()
        .values("program_id")
        .annotate(amount=Sum("committed_amount"), count=Count("pk"))
    }
    found = []
    for program in Program.objects.all():
        amount, count = held.get(program.pk, (0, 0))
        if (amount, count) != (program.committed_amount, program.committed_grants):
            found.append(
                f"program {program.pk} has committed {program.committed_amount} to"
                f" {program.committed_grants} grants, and {count} hold {amount}"
            )
        if program.is_overdrawn:
            found.append(f"program {program.pk} is over its budget")
    return found + _miscounted(scope)


def _miscounted(scope: Scope) -> list[str]:
    """Name the grants that their program counts and should not, or should count and does not.

    It counts a usable coupon, and a redeemed one whose enrollment is paid.
    """
    funded = Grant.objects.filter(program_id__isnull=False)
    good = funded.filter(status__in=[Grant.APPROVED, Grant.RESERVED], holds_budget=False)
    used = funded.filter(status=Grant.REDEEMED, holds_budget=False)
    over = Grant.objects.filter(status__in=UNUSABLE, holds_budget=True)
    uncounted = [grant for part in scope.of_grants(good) for grant in part]
    for batch in in_batches(scope.of_grants(used)):
        paid = set(
            Enrollment.objects.paid()
            .filter(pk__in=[grant.enrollment_id for grant in batch])
            .values_list("pk", flat=True)
        )
        uncounted += [grant for grant in batch if grant.enrollment_id in paid]
    return [
        f"grant {grant.pk} is {grant.status} and its program does not count it"
        for grant in uncounted
    ] + [
        f"grant {grant.pk} is {grant.status} and its program still counts it"
        for part in scope.of_grants(over)
        for grant in part
    ]


@confirmed
def check_grant_trails(scope: Scope = ALL) -> list[str]:
    """I18: the events of a grant lead from its application, one by one, to the status it has.

    And it gives the percentage at which it was approved.
    """
    found = []
    grants = Grant.objects.values_list("pk", "status", "percent")
    for batch in in_batches(scope.of_grants(grants)):
        trails: dict[UUID, list[str]] = defaultdict(list)
        events = GrantEvent.objects.filter(grant_id__in=[pk for pk, *_ in batch])
        for key, what in events.order_by("created_at", "pk").values_list("grant_id", "what"):
            trails[key].append(what)
        found += [
            f"the trail of grant {pk} does not lead to {status}"
            for pk, status, _ in batch
            if not _leads(trails[pk], status)
        ]
        found += [
            f"grant {pk} gives {percent} %, and was not approved at that"
            for pk, _, percent in batch
            if not _is_promised(trails[pk], percent)
        ]
    return found


def _leads(trail: list[str], status: str) -> bool:
    at = {""}
    for what in trail:
        at = _after(DETAIL.sub("", what), at)
    return status in at


def _is_promised(trail: list[str], percent: int | None) -> bool:
    approvals = [what for what in trail if what.startswith(APPROVED_AT)]
    return not approvals or approvals[-1] == f"{APPROVED_AT}{percent} %"


def _after(what: str, at: set[str]) -> set[str]:
    """Return where a grant may be after this event, from where it may be before; nowhere if the
    event cannot follow.
    """
    if what == IMPORTED:
        return set(Grant.TRANSITIONS) if at else at
    if what not in MOVES:
        return at
    before, after = MOVES[what]
    if not at & before:
        return set()
    # Whose account is deleted has withdrawn, and is among the rejected ones.
    return {after, Grant.REJECTED} if after == Grant.WITHDRAWN else {after}
