"""What the old shop had booked for its affiliates, and what it should have been (L8, L9).

Booked is what was stored, to the cent. What should have been is a proposal with the difference,
which only staff accept.
"""

from collections import Counter
from dataclasses import dataclass, field

from legacy.facts import SaleFact
from legacy.judged import Judged
from legacy.vocabulary import SALES
from maaledu.money import share

OVERPAID = "paid_more_than_earned"


@dataclass(frozen=True)
class Due:
    """One referred sale: what is booked, what the list price gives, and what is wrong about it.

    All in minor units. `base` is the price that the stored commission was computed on.
    """

    sale: SaleFact
    booked: int
    due: int
    base: int
    problem: str

    @property
    def difference(self) -> int:
        return self.due - self.booked

    @property
    def is_explained(self) -> bool:
        return self.booked == share(self.base, self.sale.rate) and bool(self.sale.amount)


@dataclass
class Accounts:
    """All referred sales, and by the address of each affiliate what was earned and paid out."""

    dues: list[Due] = field(default_factory=list)
    earned: Counter[str] = field(default_factory=Counter)
    paid: dict[str, int] = field(default_factory=dict)

    def balance(self, email: str) -> int:
        return self.earned[email] - self.paid.get(email, 0)

    @property
    def booked(self) -> list[Due]:
        return [due for due in self.dues if due.booked]

    @property
    def proposed(self) -> list[Due]:
        return [due for due in self.dues if due.problem]

    @property
    def overpaid(self) -> list[str]:
        return sorted(email for email in self.paid if self.balance(email) < 0)


def accounts_of(judged: Judged) -> Accounts:
    """Compute the commissions of all sales that are paid and imported."""
    accounts = Accounts(paid=dict(judged.paid_before))
    for sale in judged.book.of(SALES).values():
        if sale.is_referred and sale.becomes == "paid" and sale.is_imported:
            due = _due(sale, is_known=sale.partner in judged.partners)
            accounts.dues.append(due)
            accounts.earned[sale.partner] += due.booked
    return accounts


def _due(sale: SaleFact, *, is_known: bool) -> Due:
    amount, listed = sale.amount or 0, sale.list_price or 0
    on_list, on_paid = share(listed, sale.rate) if amount else 0, share(amount, sale.rate)
    stored = (sale.stored or 0) if sale.is_processed else 0
    booked = stored if is_known else 0
    problem = _problem(sale, is_known=is_known, stored=stored, on_list=on_list, on_paid=on_paid)
    base = amount if stored == on_paid and stored != on_list else listed
    return Due(sale, booked=booked, due=on_list, base=base, problem=problem)


def _problem(sale: SaleFact, *, is_known: bool, stored: int, on_list: int, on_paid: int) -> str:
    if not is_known:
        return "unknown_affiliate"
    if not sale.is_processed:
        return "commission_unprocessed"
    if not stored:
        return "commission_without_amount"
    if stored == on_list:
        return ""
    return "commission_discounted_base" if stored == on_paid else "commission_odd"


def note_drift(judged: Judged) -> None:
    """Note where the old shop's own figure of what it owes is not what its books say."""
    accounts = accounts_of(judged)
    for email, partner in judged.partners.items():
        if partner.stored_pending != accounts.balance(email):
            partner.notes.add("pending_drift")
