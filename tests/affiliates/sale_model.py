"""What a sale comes to, by arithmetic of its own: nothing here is the product's."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

REFUND_RANKS = {"pending": 1, "succeeded": 2, "failed": 3}
DISPUTE_RANKS = {"": 0, "open": 1, "won": 2, "lost": 3}
DISPUTE_MEANING = {"needs_response": "open", "under_review": "open", "won": "won", "lost": "lost"}


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


@dataclass
class SaleModel:
    """Facts only, each as far as it has got; the order in which they arrived leaves no trace.
    Amounts in minor units.
    """

    paid: int
    commission: int
    refunds: dict[str, tuple[int, str]] = field(default_factory=dict)
    dispute: str = ""
    movements: int = 0  # of the dispute's money, out and back in turn
    warning: tuple[int, bool] = (-1, False)  # when it was reported last, and whether it is over
    is_under_review: bool = False
    gone: int = 0  # what went out with payouts that were not called off

    def record_refund(self, refund_id: str, amount: int, status: str) -> None:
        before = self.refunds.get(refund_id, (amount, ""))[1]
        if REFUND_RANKS[status] > REFUND_RANKS.get(before, 0):
            self.refunds[refund_id] = (amount, status)

    def record_dispute(self, status: str) -> None:
        to = DISPUTE_MEANING.get(status, "")
        if DISPUTE_RANKS[to] > DISPUTE_RANKS[self.dispute]:
            self.dispute = to

    def record_warning(self, at: int, *, actionable: bool) -> None:
        self.warning = max(self.warning, (at, not actionable))

    @property
    def refunded(self) -> int:
        return sum(amount for amount, status in self.refunds.values() if status == "succeeded")

    @property
    def committed(self) -> int:
        return sum(amount for amount, status in self.refunds.values() if status != "failed")

    @property
    def is_reversed(self) -> bool:
        return self.dispute == "lost" or self.refunded >= self.paid

    @property
    def left(self) -> int:
        """What the affiliate keeps of the commission."""
        back = (
            self.commission
            if self.is_reversed
            else half_up(Fraction(self.commission * self.refunded, self.paid))
        )
        return self.commission - back

    @property
    def is_in_doubt(self) -> bool:
        has_bank_the_money = self.movements % 2 == 1 and self.dispute != "lost"
        is_warned = self.warning[0] >= 0 and not self.warning[1] and not self.is_reversed
        is_disputed = self.dispute == "open" or has_bank_the_money
        return is_disputed or is_warned or self.is_under_review

    @property
    def held(self) -> int:
        """What is on hold: never what went out already, and never a debt."""
        return max(self.left - self.gone, 0) if self.is_in_doubt else 0
