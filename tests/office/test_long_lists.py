"""Lists of tables that grow: by day, summed up, in views, as a file, and never read as a whole."""

import csv
import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import User
from affiliates.models import Commission
from enrollments.models import Enrollment
from office.base import ReadOnlyAdmin
from office.lists import ListAdmin
from operations.home import waiting
from payments.models import Payment, Refund
from tests.affiliates.make import make_affiliate, make_staff, sell
from tests.factories import make_pending
from tests.office.test_home import one_of_each
from tests.office.test_lists import member
from tests.remembering import remembered
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants]

PAYMENTS = "/admin/payments/payment/"
MOST_STATEMENTS = 8
LISTS = [model for model, page in admin.site._registry.items() if isinstance(page, ReadOnlyAdmin)]


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(email="boss@example.com"))
    return client


def on(day: int, **fields: Any) -> Payment:
    """Return a payment of a day of November 2026, paid unless said otherwise."""
    at = datetime(2026, 11, day, 23, 59, tzinfo=UTC)
    _, payment = make_pending(created_at=at)
    got = {"amount_received": payment.amount, "currency_received": fields.get("currency", "usd")}
    values = {"status": "paid", **got, "created_at": at, **fields}
    Payment.objects.filter(pk=payment.pk).update(**values)
    payment.refresh_from_db()
    return payment


def url_of(model: Any, kind: str = "changelist") -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}")


def shown(answer: Any) -> set[Any]:
    return {row.pk for row in answer.context["cl"].result_list}


def test_a_list_is_filtered_by_days_the_last_one_included_and_summed_up(boss: Client) -> None:
    first, second, _ = on(3), on(5), on(6)
    answer = boss.get(PAYMENTS, {"created_at_from": "2026-11-03", "created_at_to": "2026-11-05"})
    assert shown(answer) == {first.pk, second.pk}
    assert "2 rows: $998.00" in answer.content.decode()
    assert 'id="list-sums"' not in boss.get(PAYMENTS).content.decode()


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0000-00-00", "x' OR 1=1"])
def test_a_day_that_is_none_filters_nothing(boss: Client, text: str) -> None:
    payment = on(3)
    answer = boss.get(PAYMENTS, {"created_at_from": text, "created_at_to": text})
    assert (answer.status_code, shown(answer)) == (200, {payment.pk})


def test_sums_are_by_currency_and_of_what_is_searched_and_filtered(boss: Client) -> None:
    on(3)
    on(4, currency="eur", amount_received=100)
    on(5, status="failed", amount_received=None)
    answer = boss.get(PAYMENTS, {"status__exact": "paid"})
    assert "2 rows: €1.00 + $499.00" in answer.content.decode()


def test_a_sum_reads_ten_thousand_rows_at_most(boss: Client, monkeypatch: Any) -> None:
    for day in (1, 2, 3):
        on(day)
    page: Any = admin.site._registry[Payment]
    monkeypatch.setattr("office.lists.MOST_SUMMED", 2)
    answer = boss.get(PAYMENTS, {"status__exact": "paid"})
    assert "More than 2 rows: choose fewer days for their sum." in answer.content.decode()
    assert page.summed == "amount_received"


# --- searches -------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.model_name)
def test_a_search_reads_no_text_from_its_middle(boss: Client, model: Any) -> None:
    page = admin.site._registry[model]
    waiting.counts()  # what the sidebar counts is kept for half a minute
    for text in ("ada@example.com", "pi_1", "ada", "01a22679-1203-7763-83af-12fde4bd487a"):
        with statements() as asked:
            assert boss.get(url_of(model), {"q": text}).status_code == 200
        if not page.is_small:
            assert [sql for sql in asked if re.search(r"LIKE '%", sql)] == []
        assert len(asked) <= MOST_STATEMENTS


def test_a_payment_is_found_by_whatever_names_it_and_by_no_part(boss: Client) -> None:
    payment = on(3, stripe_payment_intent_id="pi_wanted")
    on(4, stripe_payment_intent_id="pi_other")
    email = payment.enrollment.email
    for text in ("pi_wanted", email, email.upper(), f" {email} ", str(payment.enrollment_id)):
        assert shown(boss.get(PAYMENTS, {"q": text})) == {payment.pk}, text
    assert shown(boss.get(PAYMENTS, {"q": "wanted"})) == set()


def test_an_enrollment_is_found_by_the_beginning_of_its_address(boss: Client) -> None:
    wanted = on(3).enrollment
    Enrollment.objects.filter(pk=wanted.pk).update(email="amina.k@example.com")
    on(4)
    for text in ("amina", "Amina.K@", "amina.k@example.com"):
        assert shown(boss.get(url_of(Enrollment), {"q": text})) == {wanted.pk}, text
    assert shown(boss.get(url_of(Enrollment), {"q": "k@example"})) == set()


# --- the file -------------------------------------------------------------------------------------
def rows_of(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_a_list_is_downloaded_as_it_is_filtered_and_leaves_an_entry(boss: Client) -> None:
    payment = on(3)
    on(5)
    page = boss.get(PAYMENTS, {"created_at_to": "2026-11-03"}).content.decode()
    link = re.search(r'href="(/admin/payments/payment/export.csv[^"]*)"', page)
    assert link
    answer = boss.get(link[1])
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = rows_of(answer)
    assert (row["E-mail"], row["Received"], row["Currency"], row["Begun"]) == (
        payment.enrollment.email,
        "499.00",
        "usd",
        "2026-11-03 23:59:00",
    )
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.change_message) == (
        "Payments",
        "exported as CSV: created_at_to=2026-11-03",
    )


@pytest.mark.any_engine
def test_money_is_in_the_sum_and_in_the_file_in_the_currency_that_it_came_in(boss: Client) -> None:
    on(3, amount_received=49900, currency_received="jpy", review_reason="amount_mismatch")
    answer = boss.get(PAYMENTS, {"status__exact": "paid"})
    assert "1 rows: ¥49,900" in answer.content.decode()
    (row,) = rows_of(boss.get(url_of(Payment, "csv")))
    assert (row["Asked for"], row["Currency"]) == ("499.00", "usd")
    assert (row["Received"], row["Received in"]) == ("49900", "jpy")


@pytest.mark.any_engine
def test_what_is_left_of_a_commission_is_in_the_file_as_money(boss: Client) -> None:
    sell(boss, make_affiliate())
    (row,) = rows_of(boss.get(url_of(Commission, "csv")))
    assert (row["Commission"], row["Reversed"], row["Net"]) == ("49.90", "0.00", "49.90")


def test_a_refund_whose_sale_is_not_here_yet_is_in_the_file(boss: Client) -> None:
    money = {"amount": 100, "currency": "usd", "payment_intent_id": "pi_1"}
    Refund.objects.create(idempotency_key="r", source="stripe", **money)
    (row,) = rows_of(boss.get(url_of(Refund, "csv")))
    assert (row["E-mail"], row["Amount"]) == ("", "1.00")


@pytest.mark.any_engine
def test_who_may_not_look_at_a_list_gets_no_file_of_it(db: None) -> None:
    assert member("view_refund").get(f"{PAYMENTS}export.csv").status_code == 403
    assert LogEntry.objects.count() == 0


def test_every_list_of_money_has_its_file(boss: Client) -> None:
    one_of_each()
    with_files = [
        model for model in LISTS if (page := admin.site._registry[model]) and page.csv_columns
    ]
    assert {model._meta.model_name for model in with_files} == {
        "enrollment", "payment", "refund", "dispute", "ledgerentry", "balance", "commission",
        "payout", "grant", "refundrequest", "importproposal",
    }  # fmt: skip
    for model in with_files:
        assert len(rows_of(boss.get(url_of(model, "csv")))) == model.objects.count(), model


# --- views and growth -----------------------------------------------------------------------------
def boss_and_one_of_each() -> User:
    boss = make_staff(email="boss@example.com")
    one_of_each()
    return boss


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.model_name)
def test_each_list_and_view_opens_in_eight_statements_and_reads_no_whole_table(
    db: None, model: Any
) -> None:
    boss = Client()
    boss.force_login(remembered(boss_and_one_of_each))
    page = admin.site._registry[model]
    for query in ({}, *(query for _, query in page.views)):
        cache.clear()
        with statements() as asked:
            answer = boss.get(url_of(model), query)
        assert answer.status_code == 200, query
        assert len(asked) <= MOST_STATEMENTS, asked
        of_it = [sql for sql in asked if model._meta.db_table in sql]
        assert not [
            sql
            for sql in of_it
            if re.match(r'SELECT (DISTINCT|COUNT\(\*\) AS "__count" FROM "\w+"$)', sql)
        ]
        if page.views:
            assert [view["words"] for view in answer.context["views"] if view["is_chosen"]]


def test_each_button_in_a_row_has_its_form(boss: Client) -> None:
    with_buttons = 0
    for model, page in admin.site._registry.items():
        names = getattr(page, "row_decisions", ())
        forms = [name for name in names if not page.decisions[name].needs_confirmation]
        html = boss.get(url_of(model)).content.decode() if forms else ""
        assert [name for name in forms if f'<form id="decide-{name}"' not in html] == [], model
        with_buttons += len(forms)
    assert with_buttons


@pytest.mark.any_engine
def test_every_list_of_a_table_that_grows_is_read_page_by_page() -> None:
    whole = {
        model._meta.label_lower
        for model, page in admin.site._registry.items()
        if not isinstance(page, ListAdmin)
    }
    # These grow by what staff write, or not at all.
    small = ("auth.", "courses.", "grants.program", "grants.messagetemplate")
    assert {name for name in whole if not name.startswith(small)} == set()


def test_a_list_is_sorted_by_what_has_an_index_only(boss: Client) -> None:
    first, second = on(3), on(4)
    by_amount = boss.get(PAYMENTS, {"o": "5"}).context["cl"].result_list
    assert [row.pk for row in by_amount] == [second.pk, first.pk]
    for model in (Payment, Enrollment):
        page = admin.site._registry[model]
        assert set(page.sortable_by) == {"created_at"}


@pytest.mark.any_engine
def test_no_address_has_all_rows_counted_for_each_choice_of_a_filter(boss: Client) -> None:
    on(3)
    boss.get("/admin/")
    plain, facets = [], []
    for query, asked in (({}, plain), ({"_facets": "True"}, facets)):
        answer = boss.get(PAYMENTS, query)
        assert answer.status_code in (200, 302)
        asked.append("paid (1)" in answer.content.decode())
    assert (plain, facets) == ([False], [False])


def test_staff_with_every_permission_see_each_view_of_payments(db: None) -> None:
    one_of_each()
    clerk = member(*Permission.objects.values_list("codename", flat=True))
    assert len(shown(clerk.get(PAYMENTS, {"money": "set_aside"}))) == 1
