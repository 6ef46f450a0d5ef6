"""What a grant costs: of a budget, and by the commission of whoever sends the buyer."""

from dataclasses import dataclass

from affiliates import commissions
from courses.discounts import Price, discounted
from courses.models import Course
from grants import applications
from grants.figures import budget_text
from grants.models import Program
from maaledu.money import Money

NOT_COVERED = "The program's budget does not cover this grant."
NO_BUDGET = "No budget is charged: without a program, nothing limits what is given away."


@dataclass(frozen=True)
class Cost:
    """What an approval at one percentage means; `commission` is the most that a sale may owe."""

    percent: int
    price: Price
    commission: int
    program: Program | None

    @property
    def list_price(self) -> Money:
        return self._money(self.price.list_price)

    @property
    def grant(self) -> Money:
        """Return what the grant takes off, which is what a budget pays."""
        return self._money(self.price.discount)

    @property
    def to_pay(self) -> Money:
        return self._money(self.price.to_pay)

    @property
    def affiliate(self) -> Money:
        return self._money(self.commission)

    @property
    def given_up(self) -> Money:
        """Return the loss against the list price: the grant and the commission together."""
        return self._money(self.price.discount + self.commission)

    @property
    def kept(self) -> Money:
        return self._money(self.price.to_pay - self.commission)

    @property
    def is_loss(self) -> bool:
        return self.kept.amount < 0

    @property
    def amount_after(self) -> int | None:
        left = self.program.amount_left if self.program else None
        return None if left is None else left - self.price.discount

    @property
    def grants_after(self) -> int | None:
        left = self.program.grants_left if self.program else None
        return None if left is None else left - 1

    @property
    def is_covered(self) -> bool:
        return all(after is None or after >= 0 for after in (self.amount_after, self.grants_after))

    @property
    def budget_after(self) -> str:
        """Return what the program would have left, in words; "" where it has no limit."""
        if self.amount_after is None and self.grants_after is None:
            return ""
        return budget_text(self.amount_after, self.grants_after, self.price.currency)

    @property
    def budget_after_short(self) -> str:
        """Return the same in as few words: the amount, where there is one."""
        amount = self.amount_after
        grants = None if amount is not None else self.grants_after
        known = amount is not None or grants is not None
        return budget_text(amount, grants, self.price.currency) if known else ""

    @property
    def warnings(self) -> list[str]:
        found = applications.warnings_about(self.price, self.percent, commission=self.commission)
        return found if self.is_covered else [*found, NOT_COVERED]

    def _money(self, amount: int) -> Money:
        return Money(amount, self.price.currency)


def cost_of(course: Course, percent: int, rate: int, program: Program | None = None) -> Cost:
    """Return what this percentage costs, for a commission of at most `rate` (basis points)."""
    price = discounted(course.price, percent, course.currency)
    commission = commissions.earned(price.list_price, rate, paid=price.to_pay)
    return Cost(percent, price, commission, program)
