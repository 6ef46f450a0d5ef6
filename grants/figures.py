"""The figures of grants: what waits and how long, what is approved, used, refused, and left."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min, Q
from django.template.defaultfilters import pluralize
from django.utils import timezone

from grants import refusals
from grants.models import Grant, Program
from maaledu.money import Money

REFUSALS_DAYS = 30
LATE_NAMED = 50


@dataclass(frozen=True)
class Figures:
    """The figures of one moment; refusals are those of 30 days, by their true reason."""

    applications_open: int
    oldest_days: int
    late: int
    approved_unused: int
    reserved: int
    redeemed: int
    refused: dict[str, int]
    left: dict[str, str]

    def rows(self) -> list[tuple[str, str]]:
        """Return label and value of each figure, for a page or a terminal."""
        refused = (
            (f"refused, {reason.replace('_', ' ')} (30 days)", str(number))
            for reason, number in self.refused.items()
        )
        left = ((f"left in {name}", text) for name, text in self.left.items())
        return [
            ("applications open", str(self.applications_open)),
            ("age of the oldest", f"{self.oldest_days} day{pluralize(self.oldest_days)}"),
            ("past their answer date", str(self.late)),
            ("approved, unused", str(self.approved_unused)),
            ("held by a checkout", str(self.reserved)),
            ("redeemed", str(self.redeemed)),
            *refused,
            *left,
        ]


def figures() -> Figures:
    now = timezone.now()
    going_on = [Grant.PENDING, Grant.APPROVED, Grant.RESERVED]
    found = Grant.objects.filter(status__in=going_on).aggregate(
        late=Count("pk", filter=Q(status=Grant.PENDING, answer_due_on__lt=now.date())),
        oldest=Min("created_at", filter=Q(status=Grant.PENDING)),
        **{status: Count("pk", filter=Q(status=status)) for status in going_on},
    )
    return Figures(
        applications_open=found[Grant.PENDING],
        oldest_days=(now - found["oldest"]).days if found["oldest"] else 0,
        late=found["late"],
        approved_unused=found[Grant.APPROVED],
        reserved=found[Grant.RESERVED],
        redeemed=Grant.objects.filter(status=Grant.REDEEMED).count(),
        refused=refusals.since(now.date() - timedelta(REFUSALS_DAYS)),
        left={
            program.name: budget_left(program)
            for program in Program.objects.filter(is_active=True).order_by("name")
        },
    )


def late_applications() -> list[str]:
    """Name the applications whose answer is overdue, the oldest first, for the nightly alert."""
    found = Grant.objects.unanswered(timezone.now().date()).select_related("course")[:LATE_NAMED]
    return [
        f"{grant.name} for {grant.course.title}: the answer was due on"
        f" {grant.answer_due_on:%Y-%m-%d} ({grant.pk})"
        for grant in found
    ]


def budget_left(program: Program) -> str:
    return budget_text(program.amount_left, program.grants_left, program.currency)


def budget_text(amount: int | None, grants: int | None, currency: str) -> str:
    """Return a budget in words: an amount, a number of grants, both, or no limit."""
    parts = [str(Money(amount, currency))] if amount is not None else []
    parts += [f"{grants} grants"] if grants is not None else []
    return ", ".join(parts) or "no limit"
