"""A month on paper: what was owed before, every entry, what was owed after; the next month begins
where the last one ended.
"""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate, Balance, LedgerEntry
from affiliates.pages import figures, statements
from affiliates.pages.statements import Month
from maaledu.csv import safe_cell
from maaledu.money import plain_amount
from tests.affiliates.history import adjust, book_in_bulk, signed_in, who_lived_through
from tests.affiliates.make import make_affiliate, sell
from tests.affiliates.test_dashboard import account_of, statements_of, text_of
from tests.factories import make_course

pytestmark = pytest.mark.any_engine

LIST = "/affiliates/statements/"
JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in (1, 2, 3))


def partner_since_january() -> Affiliate:
    """Return an affiliate with entries in January and March 2024, one of them at each edge of the
    months.
    """
    affiliate = make_affiliate()
    Affiliate.objects.filter(pk=affiliate.pk).update(created_at=datetime(2024, 1, 1, tzinfo=UTC))
    moments = [
        (datetime(2024, 1, 1, tzinfo=UTC), 1000),
        (datetime(2024, 1, 31, 23, 59, 59, 999000, tzinfo=UTC), 200),
        (datetime(2024, 3, 1, tzinfo=UTC), -50),
        (datetime(2024, 3, 31, 12, tzinfo=UTC), 7),
    ]
    for number, (moment, amount) in enumerate(moments):
        LedgerEntry(
            affiliate=affiliate,
            kind=LedgerEntry.ADJUSTMENT,
            amount=amount,
            currency="usd",
            source_key=f"adjustment:{affiliate.code}:{number}",
            available_at=moment,
            created_by="staff@example.com",
            note=f"Entry {number}",
            created_at=moment,
        ).save()
    Balance.objects.create(affiliate=affiliate, currency="usd", payable=1157)
    affiliate.refresh_from_db()
    return affiliate


def rows_of(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


def this_month() -> Month:
    return Month.of(timezone.now())


# --- the list -------------------------------------------------------------------------------------
def test_only_months_with_entries_are_listed_the_latest_first():
    page = signed_in(partner_since_january()).get(LIST)
    assert page.context["months"] == [MARCH, JANUARY]
    assert 'href="/affiliates/statements/2024-03/"' in page.content.decode()
    assert 'href="/affiliates/statements/2024-01.csv"' in page.content.decode()


@pytest.mark.every_engine
def test_the_list_comes_in_pages_and_costs_the_same_for_any_number_of_entries():
    affiliate = make_affiliate()
    book_in_bulk(affiliate, 300, since=timezone.now() - timedelta(days=900))
    partner = signed_in(affiliate)
    first = partner.get(LIST)
    second = partner.get(f"{LIST}?before={first.context['oldest']}")
    third = partner.get(f"{LIST}?before={second.context['oldest']}")
    months = [month for page in (first, second, third) for month in page.context["months"]]
    assert months == sorted(set(months), reverse=True)
    assert {
        (entry.year, entry.month)
        for entry in LedgerEntry.objects.values_list("created_at", flat=True)
    } == {(month.year, month.number) for month in months}
    assert (len(first.context["months"]), third.context["oldest"]) == (12, None)
    assert len(statements_of(partner, LIST)) == 2 + 1 + 13


def test_a_new_partner_has_no_statement_yet():
    assert "No statement yet" in text_of(signed_in(make_affiliate()).get(LIST))


# --- one month ------------------------------------------------------------------------------------
def test_a_month_begins_and_ends_at_midnight_utc():
    partner = signed_in(partner_since_january())
    for month, opening, amounts, closing in (
        (JANUARY, 0, [1000, 200], 1200),
        (FEBRUARY, 1200, [], 1200),
        (MARCH, 1200, [-50, 7], 1157),
    ):
        page = partner.get(f"{LIST}{month}/")
        (section,) = page.context["sections"]
        assert (section["opening"].amount, section["closing"].amount) == (opening, closing)
        assert [entry.amount for entry in section["entries"]] == amounts
        assert "All times are UTC" in text_of(page)


def test_each_month_opens_with_what_the_one_before_closed_with():
    affiliate = make_affiliate()
    book_in_bulk(affiliate, 200, since=timezone.now() - timedelta(days=200))
    account = account_of(affiliate)
    months, _ = statements.months_with_entries(account)
    closing = 0
    for month in reversed(months):
        (section,) = statements.sections(account, month)
        assert section["opening"].amount == closing
        closing += sum(entry.amount for entry in section["entries"])
        assert section["closing"].amount == closing
    balance = account.balance("usd")
    assert balance
    assert closing == balance.pending + balance.payable
    assert months[0] == this_month()


def test_the_running_month_closes_with_the_balance_of_now_in_every_currency():
    affiliate, _ = who_lived_through()
    page = signed_in(affiliate).get(f"{LIST}{this_month()}/")
    closings = {
        section["currency"]: section["closing"].amount for section in page.context["sections"]
    }
    assert closings == {
        balance.currency: balance.pending + balance.payable for balance in Balance.objects.all()
    }
    dollars = page.context["sections"][1]
    assert {
        movement["name"]: (movement["count"], str(movement["amount"]))
        for movement in dollars["movements"]
    } == {
        "Commission": (5, "$249.50"),
        "Reversal": (2, "−$66.53"),
        "Adjustment": (25, "$28.00"),
        "Payout": (1, "−$99.80"),
    }
    assert "Balance now" in text_of(page)
    assert len(dollars["entries"]) == dollars["count"]


def test_a_month_with_very_many_entries_shows_the_first_and_names_the_file(monkeypatch):
    monkeypatch.setattr(statements, "ENTRIES_ON_A_PAGE", 3)
    affiliate = make_affiliate()
    for number in range(5):
        adjust(affiliate, 100, f"{number}")
    partner = signed_in(affiliate)
    page = partner.get(f"{LIST}{this_month()}/")
    assert "These are the first 3 of 5 entries" in text_of(page)
    assert page.context["sections"][0]["closing"].amount == 500
    assert len(rows_of(partner.get(f"{LIST}{this_month()}.csv"))) == 5 + 2


@pytest.mark.every_engine
def test_only_ones_own_entries_are_in_it():
    who_lived_through()
    other = make_affiliate()
    adjust(other, 100, "other")
    partner = signed_in(other)
    (section,) = partner.get(f"{LIST}{this_month()}/").context["sections"]
    assert [entry.amount for entry in section["entries"]] == [100]
    assert len(rows_of(partner.get(f"{LIST}{this_month()}.csv"))) == 1 + 2


def test_a_month_without_anything_says_so():
    affiliate = make_affiliate()
    assert "Nothing was booked or owed in this month" in text_of(
        signed_in(affiliate).get(f"{LIST}{this_month()}/")
    )
    assert rows_of(signed_in(affiliate).get(f"{LIST}{this_month()}.csv")) == []


BAD_MONTHS = [
    "2023-12",
    "2024-00",
    "2024-13",
    "9999-12",
    "0000-01",
    "2024-1",
    "26-01",
    "2024-01-01",
    "2024",
    "latest",
    "２０２４-01",
    "2024-０1",
    "-2024-01",
    "2024-01'",
    "x" * 5000,
    "<script>",
    "%ff%fe",
]


@pytest.mark.parametrize("text", BAD_MONTHS)
def test_a_month_that_is_none_or_out_of_range_is_not_there(text: str):
    partner = signed_in(partner_since_january())
    for address in (f"{LIST}{text}/", f"{LIST}{text}.csv", f"{LIST}?before={text}"):
        answer = partner.get(address)
        assert answer.status_code == 404
        assert "STATEMENT_NOT_FOUND" in answer.content.decode()


def test_a_month_with_nul_in_it_is_refused():
    partner = signed_in(make_affiliate())
    for address in (f"{LIST}2024-01%00/", f"{LIST}2024-01%00.csv", f"{LIST}?before=2024-01%00"):
        assert partner.get(address).status_code == 400


def test_next_month_is_not_there_yet():
    assert (
        signed_in(make_affiliate()).get(f"{LIST}{Month.of(this_month().end)}/").status_code == 404
    )


@pytest.mark.parametrize(
    ("month", "start", "end"),
    [("2023-12", (2023, 12, 1), (2024, 1, 1)), ("2024-01", (2024, 1, 1), (2024, 2, 1))],
)
def test_a_month_knows_its_edges(
    month: str, start: tuple[int, int, int], end: tuple[int, int, int]
):
    found = Month(int(month[:4]), int(month[5:]))
    assert (str(found), found.start, found.end) == (
        month,
        datetime(*start, tzinfo=UTC),
        datetime(*end, tzinfo=UTC),
    )
    assert (
        Month.of(found.start)
        == Month.of(found.end - timedelta(milliseconds=1))
        == found
        < Month.of(found.end)
    )


# --- the file -------------------------------------------------------------------------------------
def test_the_file_holds_the_month_entry_by_entry(client: Client):
    affiliate = make_affiliate()
    sell(client, affiliate, make_course(price=49900, title="Data Analysis"), amount=24950)
    adjust(affiliate, -150, "fee")
    answer = signed_in(affiliate).get(f"{LIST}{this_month()}.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert (
        answer.headers["Content-Disposition"]
        == f'attachment; filename="statement-{affiliate.code}-{this_month()}.csv"'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    opening, commission, fee, closing = rows_of(answer)
    assert list(opening) == list(statements.COLUMNS)
    assert (opening["Kind"], opening["Credit"], opening["Currency"]) == (
        "Opening balance",
        "0.00",
        "USD",
    )
    entry = LedgerEntry.objects.get(kind=LedgerEntry.COMMISSION)
    assert list(commission.values()) == [
        f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
        "Commission",
        "Data Analysis",
        "499.00",
        "10 %",
        "49.90",
        "",
        "USD",
        f"{entry.available_at:%Y-%m-%d %H:%M:%S}",
        str(entry.pk),
    ]
    assert (fee["What"], fee["Credit"], fee["Debit"]) == ("Correction fee", "", "1.50")
    assert (closing["Kind"], closing["Credit"], closing["Debit"]) == (
        "Closing balance",
        "48.40",
        "",
    )


def test_the_file_adds_up_in_every_currency():
    affiliate, _ = who_lived_through()
    rows = rows_of(signed_in(affiliate).get(f"{LIST}{this_month()}.csv"))
    for balance in figures.Balance.objects.all():
        mine = [row for row in rows if row["Currency"] == balance.currency.upper()]
        amounts = [cents(row["Credit"]) - cents(row["Debit"]) for row in mine]
        assert sum(amounts[:-1]) == amounts[-1] == balance.pending + balance.payable


def cents(text: str) -> int:
    return int(text.replace(".", "") or 0)


@pytest.mark.parametrize("title", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1"])
def test_no_cell_of_the_file_is_a_formula(client: Client, title: str):
    affiliate = make_affiliate()
    entry = LedgerEntry(
        affiliate=affiliate,
        kind=LedgerEntry.ADJUSTMENT,
        amount=-100,
        currency="usd",
        source_key="adjustment:x",
        available_at=timezone.now(),
        created_by="staff@example.com",
        note=title,
    )
    entry.save()
    Balance.objects.create(
        affiliate=affiliate,
        currency="usd",
        payable=-100,
        matured_through=timezone.now() + timedelta(seconds=5),
    )
    rows = rows_of(signed_in(affiliate).get(f"{LIST}{this_month()}.csv"))
    assert rows[1]["What"] == safe_cell(title)
    assert rows[1]["What"].startswith("'")
    cells = [cell for row in rows for cell in row.values()]
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))] == []
    assert (rows[2]["Credit"], rows[2]["Debit"]) == ("", "1.00")


def test_an_amount_in_yen_has_no_decimals():
    assert [
        plain_amount(amount, currency)
        for amount, currency in ((5000, "jpy"), (5, "usd"), (123456, "eur"))
    ] == [
        "5000",
        "0.05",
        "1234.56",
    ]
