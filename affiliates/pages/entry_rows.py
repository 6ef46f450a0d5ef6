"""An entry of the ledger as its affiliate reads it. Nothing about the buyer or the staff is in
it.
"""

from dataclasses import dataclass

from affiliates.models import LedgerEntry
from affiliates.pages.figures import Account
from maaledu.money import BASIS_POINTS, CURRENCIES, format_money, rate_text, share

REVERSAL_MARK = ": "


@dataclass(frozen=True)
class Line:
    """One entry, with what its account says of it."""

    entry: LedgerEntry
    is_pending: bool

    @property
    def kind(self) -> str:
        is_given_back = self.entry.kind == LedgerEntry.REVERSAL and self.entry.amount > 0
        return "Reversal undone" if is_given_back else self.entry.get_kind_display()

    @property
    def title(self) -> str:
        """Return what it is about: the course of a sale, the reason of an adjustment, where a
        payout went.
        """
        if self.entry.kind == LedgerEntry.REVERSAL:
            course, mark, _how = self.entry.note.rpartition(REVERSAL_MARK)
            return course if mark else self.entry.note
        return self.entry.note

    @property
    def is_earning(self) -> bool:
        return self.entry.kind in LedgerEntry.EARNINGS

    @property
    def arithmetic(self) -> "Arithmetic | None":
        """Return how a commission was computed; None for other entries."""
        entry = self.entry
        if (
            entry.kind != LedgerEntry.COMMISSION
            or entry.base is None
            or entry.rate_basis_points is None
        ):
            return None
        return Arithmetic(entry.base, entry.rate_basis_points, entry.currency, entry.amount)


@dataclass(frozen=True)
class Arithmetic:
    """Base x rate = amount, in minor units and basis points, as the sale was booked."""

    base: int
    rate_basis_points: int
    currency: str
    amount: int

    @property
    def rate(self) -> str:
        return rate_text(self.rate_basis_points)

    @property
    def base_display(self) -> str:
        return format_money(self.base, self.currency)

    @property
    def exact(self) -> str:
        """Return the product before it was rounded, to its last digit: `$19.999`."""
        known = CURRENCIES[self.currency]
        places = known.exponent + 4  # basis points are ten-thousandths
        whole, rest = divmod(self.base * self.rate_basis_points, 10**places)
        digits = f"{rest:0{places}d}"
        shown = digits[: known.exponent] + digits[known.exponent :].rstrip("0")
        return f"{known.symbol}{whole:,}" + (f".{shown}" if shown else "")

    @property
    def is_rounded(self) -> bool:
        return bool(self.base * self.rate_basis_points % BASIS_POINTS)

    @property
    def is_capped(self) -> bool:
        """Whether the amount paid was less than the commission, and the setting COMMISSION_CAP
        limited it to that.
        """
        return self.amount < share(self.base, self.rate_basis_points)


def line(entry: LedgerEntry, account: Account) -> Line:
    return Line(entry, account.is_pending(entry))
