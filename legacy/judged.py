"""What judging finds out, which all that follows reads."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from legacy.facts import CourseFact, GrantFact, JobFact, PartnerFact, PersonFact, SaleFact
from legacy.reading import Book
from legacy.vocabulary import SALES

YOUNG = timedelta(hours=24)  # a Checkout Session of the old shop can be paid for so long
INVALID_EMAIL, UNKNOWN_COURSE = "invalid_email", "unknown_course"
MISSING_AMOUNT, UNREADABLE_AMOUNT = "missing_amount", "unreadable_amount"
UNKNOWN_STATUS = "unknown_status"


@dataclass
class Judged:
    """What judging found out besides the outcomes."""

    book: Book
    is_final: bool = False
    people: dict[str, PersonFact] = field(default_factory=dict)  # by address
    courses: dict[str, CourseFact] = field(default_factory=dict)  # by the old course id
    partners: dict[str, PartnerFact] = field(default_factory=dict)  # by address
    paid_before: Counter[str] = field(default_factory=Counter)  # by the address of a partner
    jobs: dict[str, list[JobFact]] = field(default_factory=lambda: defaultdict(list))
    grants: dict[str, GrantFact] = field(default_factory=dict)  # by code
    # Who has a row in each course, and how many paid rows it has: counted once.
    enrolled: tuple[set[tuple[str, str]], Counter[str]] | None = None

    def sale(self, key: str) -> SaleFact | None:
        return self.book.of(SALES).get(key)


def is_stuck(sale: SaleFact) -> bool:
    """Whether somebody has paid and is not in the LMS."""
    return sale.is_imported and sale.old_status == "paid" and sale.lms_reason != ""
