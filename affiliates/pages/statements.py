"""An affiliate's account month by month, in UTC: what was owed before, each entry, what was owed
after.

The opening balance is computed back from the running balance: what is owed now less every entry
since. One statement reads both, so that an entry written meanwhile is in both or in neither.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.utils import timezone
from django.utils.dateformat import format as format_date

from affiliates.errors import StatementNotFound
from affiliates.models import Balance, LedgerEntry
from affiliates.pages.entry_rows import Line, line
from affiliates.pages.figures import Account
from maaledu.money import format_money, plain_amount, rate_text

WRITTEN = re.compile(r"([0-9]{4})-([0-9]{2})")
MONTHS_AT_ONCE = 12
ENTRIES_ON_A_PAGE = 500
STREAMED_AT_ONCE = 1000
OLDEST_FIRST = ("created_at", "id")
COLUMNS = (
    "Time (UTC)",
    "Kind",
    "What",
    "Price before discount",
    "Rate",
    "Credit",
    "Debit",
    "Currency",
    "Payable from",
    "Entry",
)


# --- months ---------------------------------------------------------------------------------------
@dataclass(frozen=True, order=True)
class Month:
    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        there = moment.astimezone(UTC)
        return cls(there.year, there.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def name(self) -> str:
        return format_date(date(self.year, self.number, 1), "F Y")

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Return the first moment that is not in it."""
        return datetime(self.year + self.number // 12, self.number % 12 + 1, 1, tzinfo=UTC)

    @property
    def contains_now(self) -> bool:
        return self == Month.of(timezone.now())


def read_month(account: Account, text: str) -> Month:
    """Return the month an address names: from that of joining to this one. Raises StatementNotFound
    for anything else.
    """
    written = WRITTEN.fullmatch(text)
    month = Month(int(written[1]), int(written[2])) if written else None
    first, last = Month.of(account.affiliate.created_at), Month.of(timezone.now())
    if month is None or not (1 <= month.number <= 12 and first <= month <= last):
        raise StatementNotFound(month=text[:20])
    return month


def months_with_entries(
    account: Account, *, before: Month | None = None
) -> tuple[list[Month], bool]:
    """Return up to MONTHS_AT_ONCE months in which there are entries, the latest first, and whether
    there are older ones.

    It leaps from month to month along the index, so that it costs the same however many entries a
    month has.
    """
    found: list[Month] = []
    until = before.start if before else None
    while len(found) <= MONTHS_AT_ONCE and (month := _latest_month(account, until)):
        found.append(month)
        until = month.start
    return found[:MONTHS_AT_ONCE], len(found) > MONTHS_AT_ONCE


def _latest_month(account: Account, until: datetime | None) -> Month | None:
    entries = LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk)
    earlier = entries.filter(created_at__lt=until) if until else entries
    moment = earlier.order_by("-created_at", "-id").values_list("created_at", flat=True).first()
    return Month.of(moment) if moment else None


# --- one month ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Movement:
    """What the entries of one kind add up to in the month."""

    kind: str
    count: int
    amount_display: str


@dataclass(frozen=True)
class Section:
    """The month in one currency; `lines` are the first ENTRIES_ON_A_PAGE of its `count` entries."""

    currency: str
    opening: int
    closing: int
    count: int
    movements: list[Movement]
    lines: list[Line]

    @property
    def opening_display(self) -> str:
        return format_money(self.opening, self.currency)

    @property
    def closing_display(self) -> str:
        return format_money(self.closing, self.currency)

    @property
    def is_complete(self) -> bool:
        return len(self.lines) == self.count


def sections(account: Account, month: Month) -> list[Section]:
    """Return the month in each currency in which something was owed or booked."""
    openings = opening_balances(account, month)
    totals = _totals(account, month)
    found = [
        _section(account, month, currency, (opening, totals))
        for currency, opening in openings.items()
    ]
    return [section for section in found if section.count or section.opening]


def opening_balances(account: Account, month: Month) -> dict[str, int]:
    """Return what was owed when the month began, pending and payable together, in minor units by
    currency.
    """
    entries = LedgerEntry.objects.filter(
        affiliate_id=OuterRef("affiliate_id"), currency=OuterRef("currency")
    )
    since = (
        entries.filter(created_at__gte=month.start)
        .order_by()
        .values("currency")
        .annotate(total=Sum("amount"))
        .values("total")
    )
    balances = (
        Balance.objects.filter(affiliate_id=account.affiliate.pk)
        .annotate(since=Subquery(since))
        .order_by("currency")
    )
    return {
        balance.currency: balance.pending + balance.payable - (balance.since or 0)
        for balance in balances
    }


def _entries(account: Account, month: Month) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(
        affiliate_id=account.affiliate.pk, created_at__gte=month.start, created_at__lt=month.end
    )


Totals = dict[tuple[str, str], tuple[int, int]]


def _totals(account: Account, month: Month) -> Totals:
    """Return the sum and the number of the month's entries by currency and kind."""
    rows = (
        _entries(account, month)
        .order_by()
        .values("currency", "kind")
        .annotate(total=Sum("amount"), entries=Count("pk"))
    )
    return {(row["currency"], row["kind"]): (row["total"], row["entries"]) for row in rows}


def _section(account: Account, month: Month, currency: str, sums: tuple[int, Totals]) -> Section:
    opening, totals = sums
    here = {
        kind: totals[currency, kind]
        for kind, _name in LedgerEntry.KINDS
        if (currency, kind) in totals
    }
    names = dict(LedgerEntry.KINDS)
    movements = [
        Movement(names[kind], count, format_money(total, currency))
        for kind, (total, count) in here.items()
    ]
    entries = (
        _entries(account, month)
        .filter(currency=currency)
        .order_by(*OLDEST_FIRST)[:ENTRIES_ON_A_PAGE]
        if here
        else []
    )
    return Section(
        currency=currency,
        opening=opening,
        closing=opening + sum(total for total, _count in here.values()),
        count=sum(count for _total, count in here.values()),
        movements=movements,
        lines=[line(entry, account) for entry in entries],
    )


# --- as CSV ---------------------------------------------------------------------------------------
def csv_rows(account: Account, month: Month) -> Iterator[tuple[Any, ...]]:
    """Yield the month as rows: for each currency the opening balance, every entry, and the closing
    balance.

    Amounts stand under credit or debit without a sign, because a spreadsheet takes a leading minus
    for a formula.
    """
    yield COLUMNS
    for currency, opening in opening_balances(account, month).items():
        yield _balance_row("Opening balance", month.start, opening, currency)
        closing = opening
        entries = _entries(account, month).filter(currency=currency).order_by(*OLDEST_FIRST)
        for entry in entries.iterator(STREAMED_AT_ONCE):
            closing += entry.amount
            yield _entry_row(line(entry, account))
        yield _balance_row("Closing balance", min(month.end, timezone.now()), closing, currency)


def _balance_row(name: str, moment: datetime, amount: int, currency: str) -> tuple[Any, ...]:
    return (
        _time(moment),
        name,
        "",
        "",
        "",
        *_credit_and_debit(amount, currency),
        currency.upper(),
        "",
        "",
    )


def _entry_row(shown: Line) -> tuple[Any, ...]:
    entry = shown.entry
    base = plain_amount(entry.base, entry.currency) if entry.base is not None else ""
    rate = rate_text(entry.rate_basis_points) if entry.rate_basis_points is not None else ""
    payable_from = _time(entry.available_at) if shown.is_earning else ""
    amounts = _credit_and_debit(entry.amount, entry.currency)
    return (
        _time(entry.created_at),
        shown.kind,
        shown.title,
        base,
        rate,
        *amounts,
        entry.currency.upper(),
        payable_from,
        entry.pk,
    )


def _credit_and_debit(amount: int, currency: str) -> tuple[str, str]:
    text = plain_amount(abs(amount), currency)
    return ("", text) if amount < 0 else (text, "")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
