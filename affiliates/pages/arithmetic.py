"""How a commission was computed, shown to the last digit."""

from dataclasses import dataclass

from affiliates.models import LedgerEntry
from maaledu.direction import left_to_right
from maaledu.money import BASIS_POINTS, CURRENCIES, number_text, rate_text, share


@dataclass(frozen=True)
class Arithmetic:
    """Base x rate = amount, in minor units and basis points, as the sale was booked."""

    base: int
    rate_basis_points: int
    currency: str
    amount: int

    @classmethod
    def of(cls, entry: LedgerEntry) -> "Arithmetic | None":
        """Return how a commission was computed; None for an entry without base and rate."""
        if entry.base is None or entry.rate_basis_points is None:
            return None
        return cls(entry.base, entry.rate_basis_points, entry.currency, entry.amount)

    @property
    def rate(self) -> str:
        return rate_text(self.rate_basis_points)

    @property
    def exact(self) -> str:
        """Return the product before it was rounded, to its last digit: `$19.999`."""
        known = CURRENCIES[self.currency]
        places = known.exponent + 4  # basis points are ten-thousandths
        whole, rest = divmod(self.base * self.rate_basis_points, 10**places)
        digits = f"{rest:0{places}d}"
        shown = digits[: known.exponent] + digits[known.exponent :].rstrip("0")
        return left_to_right(f"{known.symbol}{number_text(whole, shown)}")

    @property
    def is_rounded(self) -> bool:
        return bool(self.base * self.rate_basis_points % BASIS_POINTS)

    @property
    def is_capped(self) -> bool:
        """Whether COMMISSION_CAP limited the commission to what the buyer paid."""
        return self.amount < share(self.base, self.rate_basis_points)
