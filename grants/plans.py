"""What many approvals would cost together, and which of them a program's budget covers.

Nothing is written: each approval takes its own share when it is made (`grants.budgets`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from courses.discounts import Price, discounted
from grants.errors import BudgetExceeded
from grants.figures import budget_left
from grants.models import Grant, Program

MOST_NAMED = 5


@dataclass(frozen=True)
class Approval:
    """An application, its course loaded, and the percentage that it may get."""

    grant: Grant
    percent: int

    @property
    def price(self) -> Price:
        course = self.grant.course
        return discounted(course.price, self.percent, course.currency)

    @property
    def cost(self) -> int:
        """Return what it takes from a budget, in minor units."""
        return self.price.discount


@dataclass(frozen=True)
class Plan:
    """Approvals in their order, those that the budget covers and those that it does not."""

    program: Program | None
    fitting: list[Approval]
    beyond: list[Approval]

    @property
    def approvals(self) -> list[Approval]:
        return [*self.fitting, *self.beyond]

    @property
    def total(self) -> int:
        return sum(approval.cost for approval in self.approvals)

    @property
    def is_covered(self) -> bool:
        return not self.beyond


def plan(approvals: Iterable[Approval], program: Program | None) -> Plan:
    """Say which of these approvals fit into what the program has left, one after the other.

    One that does not fit is passed over, and a smaller one after it may fit. Without a program all
    do.
    """
    fitting: list[Approval] = []
    beyond: list[Approval] = []
    amount, grants = (program.amount_left, program.grants_left) if program else (None, None)
    for approval in approvals:
        is_too_much = amount is not None and approval.cost > amount
        if is_too_much or (grants is not None and grants < 1):
            beyond.append(approval)
            continue
        fitting.append(approval)
        amount = None if amount is None else amount - approval.cost
        grants = None if grants is None else grants - 1
    return Plan(program, fitting, beyond)


def refuse_beyond(plan: Plan) -> None:
    """Raise BudgetExceeded, with the names of those who do not fit, where the budget is too small.

    So that nobody finds out afterwards which of many approvals were refused.
    """
    if plan.program is None or plan.is_covered:
        return
    raise BudgetExceeded(
        f"{plan.program.name} has {budget_left(plan.program)} left: {len(plan.fitting)} of"
        f" {len(plan.approvals)} fit. Not covered: {names(plan.beyond)}.",
        fitting=len(plan.fitting),
        beyond=len(plan.beyond),
    )


def names(approvals: list[Approval]) -> str:
    """Name those who applied: "Ada, Bo and 3 more"."""
    named = ", ".join(each.grant.name for each in approvals[:MOST_NAMED])
    more = len(approvals) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
