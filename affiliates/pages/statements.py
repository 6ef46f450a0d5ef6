"""An affiliate's account by month, in UTC: what was owed before, each entry, what was owed after.

The opening balance is computed back from the present balance, by subtracting every entry since.
One statement reads both, so that an entry written meanwhile is in both or in neither.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from affiliates.errors import StatementNotFound
from affiliates.models import Balance, LedgerEntry
from affiliates.pages.figures import Account
from maaledu.money import Money, plain_amount, rate_text

WRITTEN = re.compile(r"([0-9]{4})-([0-9]{2})")
MONTHS_AT_ONCE = 12
ENTRIES_ON_A_PAGE = 500
STREAMED_AT_ONCE = 1000
OLDEST_FIRST = ("created_at", "id")
COLUMNS = [
    _("Time (UTC)"),
    _("Kind"),
    _("What"),
    _("Price before discount"),
    _("Rate"),
    _("Credit"),
    _("Debit"),
    _("Currency"),
    _("Payable from"),
    _("Entry"),
]


# --- months ---------------------------------------------------------------------------------------
@dataclass(frozen=True, order=True)
class Month:
    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        in_utc = moment.astimezone(UTC)
        return cls(in_utc.year, in_utc.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def name(self) -> str:
        return format_date(date(self.year, self.number, 1), gettext("F Y"))

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Return the first moment that is not in it."""
        # For December 12 // 12 is one year on, and 12 % 12 + 1 is January.
        return datetime(self.year + self.number // 12, self.number % 12 + 1, 1, tzinfo=UTC)

    @property
    def contains_now(self) -> bool:
        return self == Month.of(timezone.now())


def read_month(account: Account, text: str) -> Month:
    """Return an address's month, from that of joining to this one. Raises StatementNotFound."""
    written = WRITTEN.fullmatch(text)
    month = Month(int(written[1]), int(written[2])) if written else None
    first, last = Month.of(account.affiliate.created_at), Month.of(timezone.now())
    if month is None or not (1 <= month.number <= 12 and first <= month <= last):
        raise StatementNotFound(month=text[:20])
    return month


def months_with_entries(
    account: Account, *, before: Month | None = None
) -> tuple[list[Month], bool]:
    """Return up to MONTHS_AT_ONCE months with entries, latest first, and whether there are more.

    Each month takes one read along the index, however many entries it has.
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
def sections(account: Account, month: Month) -> list[dict[str, Any]]:
    """Return the month in each currency in which something was owed or booked.

    `entries` are the first ENTRIES_ON_A_PAGE of `count` entries.
    """
    movements = _movements(account, month)
    return [
        _section(account, month, opening=opening, movements=movements[opening.currency])
        for opening in opening_balances(account, month)
        if opening.amount or movements[opening.currency]
    ]


def _section(
    account: Account, month: Month, *, opening: Money, movements: list[dict[str, Any]]
) -> dict[str, Any]:
    currency = opening.currency
    entries = _entries(account, month, currency)[:ENTRIES_ON_A_PAGE] if movements else []
    closing = opening.amount + sum(movement["amount"].amount for movement in movements)
    return {
        "currency": currency,
        "opening": opening,
        "closing": Money(closing, currency),
        "movements": movements,
        "count": sum(movement["count"] for movement in movements),
        "entries": account.mark_pending(entries),
    }


Movements = defaultdict[str, list[dict[str, Any]]]


def _movements(account: Account, month: Month) -> Movements:
    """Return by currency what the entries of each kind add up to in the month."""
    rows = _entries(account, month).values("currency", "kind")
    totals = list(rows.annotate(total=Sum("amount"), entries=Count("pk")))
    found: Movements = defaultdict(list)
    for kind, name in LedgerEntry.KINDS:
        for row in totals:
            if row["kind"] == kind:
                amount = Money(row["total"], row["currency"])
                movement = {"name": name, "count": row["entries"], "amount": amount}
                found[row["currency"]].append(movement)
    return found


def opening_balances(account: Account, month: Month) -> list[Money]:
    """Return what was owed when the month began, pending and payable together, by currency."""
    entries = LedgerEntry.objects.filter(
        affiliate_id=OuterRef("affiliate_id"), currency=OuterRef("currency")
    )
    later = entries.filter(created_at__gte=month.start).values("currency")
    since = later.annotate(total=Sum("amount")).values("total")
    balances = Balance.objects.filter(affiliate_id=account.affiliate.pk).order_by("currency")
    return [
        Money(balance.pending + balance.payable - (balance.since or 0), balance.currency)
        for balance in balances.annotate(since=Subquery(since))
    ]


def _entries(account: Account, month: Month, currency: str = "") -> QuerySet[LedgerEntry]:
    rows = LedgerEntry.objects.filter(
        affiliate_id=account.affiliate.pk, created_at__gte=month.start, created_at__lt=month.end
    )
    return rows.filter(currency=currency).order_by(*OLDEST_FIRST) if currency else rows


# --- as CSV ---------------------------------------------------------------------------------------
def csv_rows(account: Account, month: Month) -> Iterator[list[Any]]:
    """Yield the month as rows: in each currency the opening balance, each entry, the closing one.

    Credit and debit have no sign: a spreadsheet would take a leading minus for a formula.
    """
    yield COLUMNS
    for opening in opening_balances(account, month):
        yield _balance_row(gettext("Opening balance"), month.start, opening)
        closing = opening.amount
        for entry in _entries(account, month, opening.currency).iterator(STREAMED_AT_ONCE):
            closing += entry.amount
            yield _entry_row(entry)
        until = min(month.end, timezone.now())
        yield _balance_row(gettext("Closing balance"), until, Money(closing, opening.currency))


def _balance_row(name: str, moment: datetime, balance: Money) -> list[Any]:
    credit, debit = _credit_and_debit(balance.amount, balance.currency)
    return [_time(moment), name, "", "", "", credit, debit, balance.currency.upper(), "", ""]


def _entry_row(entry: LedgerEntry) -> list[Any]:
    credit, debit = _credit_and_debit(entry.amount, entry.currency)
    return [
        _time(entry.created_at),
        entry.name,
        entry.subject,
        plain_amount(entry.base, entry.currency) if entry.base is not None else "",
        rate_text(entry.rate_basis_points) if entry.rate_basis_points is not None else "",
        credit,
        debit,
        entry.currency.upper(),
        _time(entry.available_at) if entry.is_earning else "",
        entry.pk,
    ]


def _credit_and_debit(amount: int, currency: str) -> tuple[str, str]:
    text = plain_amount(abs(amount), currency)
    return ("", text) if amount < 0 else (text, "")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
