"""The dashboard shows exactly what the ledger says, explains every figure by its entries, and costs
the same after years.
"""

import json
import re
from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from affiliates import ledger, memberships
from affiliates.models import Affiliate, LedgerEntry, ReferralDay
from affiliates.pages import chart, entries, figures
from affiliates.pages.arithmetic import Arithmetic
from affiliates.pages.figures import Account, Steps
from affiliates.payout_details import PayoutDetails
from maaledu import money
from maaledu.money import Money, rate_text
from maaledu.paging import paginate
from notifications.models import UndeliverableAddress
from tests.affiliates.history import (
    BROWSER,
    adjust,
    book_in_bulk,
    signed_in,
    visit_in_bulk,
    who_lived_through,
)
from tests.affiliates.make import make_affiliate, make_user, sell
from tests.factories import deliver, make_course, refund_of, refunded
from tests.statements import statements

pytestmark = pytest.mark.any_engine

DASHBOARD = "/affiliates/dashboard/"
ENTRIES = "/affiliates/entries/"
STATEMENTS = "/affiliates/statements/"
PAGES = [DASHBOARD, ENTRIES, "/affiliates/links/", STATEMENTS]
SESSION_AND_USER = 2


def text_of(response) -> str:
    """Return what a reader of the page sees: no tags, single spaces."""
    apart = re.sub(r"<(/?(td|th|tr|dt|dd|div|p|li|h\d))\b[^>]*>", " ", response.content.decode())
    return " ".join(re.sub(r"<[^>]*>", "", apart).split())


def account_of(affiliate: Affiliate) -> Account:
    account = figures.account_of(affiliate.user_id)
    assert account
    return account


def entries_on_all_pages(client: Client, address: str) -> list[LedgerEntry]:
    """Follow "Older entries" to the end and return every entry that is shown, in order."""
    found = []
    while address:
        page = client.get(address)
        assert page.status_code == 200
        found += page.context["entries"]
        address = f"{ENTRIES}{page.context['next_url']}" if page.context["next_url"] else ""
    return found


# --- who may look ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        *PAGES,
        f"{ENTRIES}1386a957-7103-4b7b-8af9-43059fced7b1/",
        "/affiliates/statements/2026-11/",
        "/affiliates/statements/2026-11.csv",
    ],
)
def test_a_stranger_is_asked_to_sign_in_and_others_are_led_to_the_program(address: str):
    assert Client().get(address).headers["Location"] == f"/accounts/login/?next={address}"
    client = Client()
    client.force_login(make_user())
    answer = client.get(address)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/affiliates/")
    assert django_settings.PARTNER_COOKIE_NAME not in answer.cookies


@pytest.mark.parametrize(
    ("move", "notice"),
    [
        (None, "We are looking at your application"),
        (memberships.suspend, "Your affiliate account is suspended"),
        (memberships.close, "Your affiliate account is closed"),
    ],
)
def test_a_partner_who_is_not_active_reads_so_and_sees_the_figures_all_the_same(
    client: Client, settings, move, notice: str
):
    settings.AFFILIATE_AUTO_APPROVE = move is not None
    affiliate = make_affiliate()
    adjust(affiliate, 4990, "a")
    if move:
        assert move(affiliate, by="staff@example.com", reason="Only for our own eyes.")
    page = text_of(signed_in(affiliate).get(DASHBOARD))
    assert notice in page
    assert "$49.90" in page
    assert "Only for our own eyes" not in page


def test_an_active_partner_sees_no_such_notice():
    affiliate = make_affiliate()
    page = text_of(signed_in(affiliate).get(DASHBOARD))
    words = ("suspended", "closed", "looking at your application", "come back")
    assert not any(word in page for word in words)


def test_a_partner_reads_that_our_mails_come_back_and_where_to_mend_it():
    """Fault E2."""
    affiliate = make_affiliate()
    UndeliverableAddress.objects.create(email=affiliate.user.email, reason="bounced")
    page = signed_in(affiliate).get(DASHBOARD)
    assert f"Our e-mails to {affiliate.user.email} come back" in text_of(page)
    assert 'Add another address under <a href="/accounts/email/">' in page.text


@pytest.mark.parametrize("address", PAGES)
def test_a_partner_page_is_for_one_person_and_marks_their_browser(address: str):
    affiliate = make_affiliate()
    answer = signed_in(affiliate).get(address)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.cookies[django_settings.PARTNER_COOKIE_NAME]["httponly"]
    affiliate.refresh_from_db()
    assert affiliate.network_key


def test_a_page_is_only_looked_at():
    client = signed_in(make_affiliate())
    assert {client.post(address).status_code for address in PAGES} == {405}


@pytest.mark.every_engine
def test_nothing_about_the_buyer_or_the_staff_is_shown(client: Client):
    affiliate, _ = who_lived_through()
    enrollment, _ = sell(client, affiliate, email="secret-buyer@example.com", name="Secret Buyer")
    partner = signed_in(affiliate)
    entry = LedgerEntry.objects.get(enrollment_id=enrollment.pk)
    month = f"{STATEMENTS}{timezone.now():%Y-%m}"
    for address in [*PAGES, f"{ENTRIES}{entry.pk}/", f"{month}/", f"{month}.csv"]:
        answer = partner.get(address)
        shown = b"".join(answer).decode() if answer.streaming else answer.content.decode()
        assert not [
            secret
            for secret in ("secret-buyer", "Secret Buyer", "staff@example.com")
            if secret in shown
        ]


# --- the figures ----------------------------------------------------------------------------------
def test_half_the_price_with_a_grant_earns_ten_percent_of_the_whole(client: Client):
    affiliate = make_affiliate()
    sell(client, affiliate, make_course(price=49900), amount=24950)
    partner = signed_in(affiliate)
    page = partner.get(DASHBOARD)
    assert "Pending $49.90" in text_of(page)
    (entry,) = page.context["entries"]
    detail = text_of(partner.get(f"{ENTRIES}{entry.pk}/"))
    assert "10 % of $499.00 (the price before any discount) = $49.90" in detail
    assert "249.50" not in detail


@pytest.mark.every_engine
def test_every_figure_is_the_sum_of_the_entries_that_explain_it():
    affiliate, _ = who_lived_through()
    other = make_affiliate()
    adjust(other, 777, "other")
    partner = signed_in(affiliate)
    for balance in account_of(affiliate).balances:
        for key in entries.NAMES:
            shown = entries_on_all_pages(
                partner, f"{ENTRIES}?figure={key}&currency={balance.currency}"
            )
            sign = -1 if key == "paid" else 1
            assert sign * sum(entry.amount for entry in shown) == getattr(balance, key), (
                key,
                balance.currency,
            )
            assert len(shown) == len({entry.pk for entry in shown})
            assert {(entry.affiliate_id, entry.currency) for entry in shown} <= {
                (affiliate.pk, balance.currency)
            }
    dollars = account_of(affiliate).balance("usd")
    assert dollars
    adjustments = sum(range(100, 125))
    assert (dollars.pending, dollars.paid, dollars.held) == (4990, 9980, 4990)
    assert dollars.payable == 4990 - 1663 + adjustments
    assert dollars.earned == 4990 * 4 - 1663 + adjustments


def test_the_dashboard_links_each_figure_to_its_explanation():
    affiliate, _ = who_lived_through()
    partner = signed_in(affiliate)
    page = partner.get(DASHBOARD).content.decode()
    way = r'href="(/affiliates/entries/\?figure=\w+&amp;currency=\w+)"[^>]*>([^<]+)'
    links = re.findall(way, page)
    assert len(links) == 5 + 4  # dollars have something on hold, euros have not
    for link, text in links:
        answer = partner.get(link.replace("&amp;", "&"))
        name, amount = answer.context["name"], str(answer.context["amount"])
        assert f"<h1>{name}: " in answer.content.decode()
        assert amount in text_of(answer)
        assert amount in text


def test_a_negative_balance_is_explained(client: Client, settings):
    affiliate = make_affiliate()
    settings.COMMISSION_HOLD = timedelta(0)
    adjust(affiliate, -200, "fee")
    partner = signed_in(affiliate)
    assert "−$2.00" in text_of(partner.get(DASHBOARD))
    assert "Your next commissions make up for it" in text_of(partner.get(DASHBOARD))
    assert "below zero" in text_of(partner.get(f"{ENTRIES}?figure=payable&currency=usd"))


@pytest.mark.every_engine
def test_all_entries_are_listed_once_the_latest_first():
    affiliate, _ = who_lived_through()
    shown = entries_on_all_pages(signed_in(affiliate), ENTRIES)
    assert [entry.pk for entry in shown] == list(
        LedgerEntry.objects.order_by("-created_at", "-pk").values_list("pk", flat=True)
    )
    assert len(shown) > django_settings.PAGE_SIZE


@pytest.mark.every_engine
def test_a_payout_shows_what_it_paid_for():
    affiliate, payout = who_lived_through()
    partner = signed_in(affiliate)
    paid_for = entries_on_all_pages(partner, f"{ENTRIES}?payout={payout.pk}")
    assert [(entry.kind, entry.amount) for entry in paid_for] == [
        ("commission", 4990),
        ("commission", 4990),
    ]
    detail = text_of(partner.get(f"{ENTRIES}{paid_for[0].pk}/"))
    assert f"{Money(payout.amount, payout.currency)} to DE•• •••• 3000, sent on" in detail
    assert "SEPA-7" in detail
    booked = LedgerEntry.objects.get(kind=LedgerEntry.PAYOUT)
    assert "Payout of −$99.80" in text_of(partner.get(f"{ENTRIES}{booked.pk}/"))


# --- one entry ------------------------------------------------------------------------------------
def test_an_entry_shows_its_sale_its_arithmetic_and_its_payout(client: Client):
    affiliate = make_affiliate()
    _, payment = sell(client, affiliate, make_course(price=19999, title="Project Finance"))
    deliver(client, refunded(refund_of(payment, 6666)))
    commission, reversal = LedgerEntry.objects.order_by("created_at", "pk")
    partner = signed_in(affiliate)
    detail = text_of(partner.get(f"{ENTRIES}{commission.pk}/"))
    assert (
        "10 % of $199.99 (the price before any discount) = $19.999, rounded half up to $20.00"
        in detail
    )
    assert (
        f"Becomes payable {commission.available_at:%B} {commission.available_at.day},"
        f" {commission.available_at.year}" in detail
    )
    assert "not in one yet" in detail
    assert "All of it together leaves you $13.33 of this sale" in detail
    taken = text_of(partner.get(f"{ENTRIES}{reversal.pk}/"))
    assert "Reversal of −$6.67 Project Finance" in taken
    assert (
        "Your commission of $20.00 is reversed in the same proportion: $6.67 with this entry"
        in taken
    )
    assert "6666" not in taken


@pytest.mark.every_engine
def test_a_reinstated_commission_says_so(client: Client):
    affiliate = make_affiliate()
    _, payment = sell(client, affiliate)
    refund = refund_of(payment)
    deliver(client, refunded(refund))
    deliver(
        client,
        refunded(
            {**refund, "status": "failed", "failure_reason": "lost_or_stolen_card"}, "refund.failed"
        ),
    )
    reinstatement = LedgerEntry.objects.get(kind=LedgerEntry.REVERSAL, amount__gt=0)
    assert "Reinstatement of $49.90" in text_of(
        signed_in(affiliate).get(f"{ENTRIES}{reinstatement.pk}/")
    )


def test_an_entry_on_hold_says_why(client: Client):
    affiliate, _ = who_lived_through()
    partner = signed_in(affiliate)
    (held,) = entries_on_all_pages(partner, f"{ENTRIES}?figure=held&currency=usd")
    assert "until it is settled with the buyer’s bank" in text_of(
        partner.get(f"{ENTRIES}{held.pk}/")
    )


@pytest.mark.breaks_invariants  # they reckon with the setting as it is after the test
def test_a_capped_commission_says_so(client: Client, settings):
    settings.COMMISSION_CAP = "amount_paid"
    affiliate = make_affiliate()
    sell(client, affiliate, make_course(price=49900), amount=2495)
    detail = text_of(signed_in(affiliate).get(f"{ENTRIES}{LedgerEntry.objects.get().pk}/"))
    assert "= $49.90, limited to the $24.95 that the buyer paid" in detail


def test_somebody_elses_entry_and_payout_are_not_there():
    _, payout = who_lived_through()
    other = make_affiliate()
    stranger = signed_in(other)
    for address in (
        f"{ENTRIES}{LedgerEntry.objects.first().pk}/",
        f"{ENTRIES}?payout={payout.pk}",
        f"{ENTRIES}{uuid4()}/",
    ):
        answer = stranger.get(address)
        assert answer.status_code == 404
        assert "ENTRY_NOT_FOUND" in answer.content.decode()
    assert entries_on_all_pages(stranger, ENTRIES) == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("figure=pending", 404, "ENTRY_NOT_FOUND"),
        ("figure=pending&currency=gbp", 404, "ENTRY_NOT_FOUND"),
        ("figure=version&currency=usd", 404, "ENTRY_NOT_FOUND"),
        ("figure=%3Cscript%3E&currency=usd", 404, "ENTRY_NOT_FOUND"),
        ("payout=17", 404, "ENTRY_NOT_FOUND"),
        ("payout=" + "a" * 10_000, 404, "ENTRY_NOT_FOUND"),
        ("cursor=forged", 400, "BAD_CURSOR"),
        ("figure=paid&currency=usd&cursor=", 200, ""),
        ("cursor=%ff%fe", 400, "BAD_CURSOR"),
        ("cursor=%00", 400, "BAD_REQUEST"),
    ],
)
def test_a_list_that_is_not_there_is_refused(query: str, status: int, code: str):
    affiliate = make_affiliate()
    adjust(affiliate, 100, "a")
    answer = signed_in(affiliate).get(f"{ENTRIES}?{query}")
    assert answer.status_code == status
    assert code in answer.content.decode()


def test_a_cursor_of_one_list_is_refused_by_another():
    affiliate, _ = who_lived_through()
    partner = signed_in(affiliate)
    cursor = partner.get(ENTRIES).context["next_url"].partition("cursor=")[2]
    assert partner.get(f"{ENTRIES}?cursor={cursor}").status_code == 200
    assert partner.get(f"{ENTRIES}?figure=payable&currency=usd&cursor={cursor}").status_code == 400


# --- the funnel -----------------------------------------------------------------------------------
def test_the_funnel_counts_visits_checkouts_and_purchases_by_course(client: Client):
    affiliate, course = make_affiliate(), make_course(title="Data Analysis")
    for number in range(3):
        Client(headers=BROWSER, REMOTE_ADDR=f"10.0.{number}.1").get(
            f"/r/{affiliate.code}/{course.slug}/"
        )
    Client(headers=BROWSER, REMOTE_ADDR="10.1.0.1").get(f"/r/{affiliate.code}/")
    sell(client, affiliate, course)
    page = signed_in(affiliate).get(DASHBOARD)
    funnel = page.context["funnel"]
    assert funnel["total"] == Steps(visits=4, checkouts=0, purchases=1)
    assert [(title, steps, steps.rate) for title, steps in funnel["courses"]] == [
        ("Data Analysis", Steps(3, 0, 1), "33.3 %"),
        (figures.ANY_PAGE, Steps(1, 0, 0), "0.0 %"),
    ]
    assert funnel["days"][-1] == (timezone.now().date(), funnel["total"])
    assert "Data Analysis 3 0 1 33.3 %" in text_of(page)


def test_the_funnel_is_that_of_the_last_ninety_days_and_of_this_partner():
    affiliate, other = make_affiliate(), make_affiliate()
    today = timezone.now().date()
    for owner, age, visits in (
        (affiliate, 0, 1),
        (affiliate, 89, 10),
        (affiliate, 90, 100),
        (other, 0, 1000),
    ):
        ReferralDay.objects.create(
            affiliate=owner, day=today - timedelta(days=age), course_slug="", visits=visits
        )
    funnel = figures.funnel_of(affiliate.pk)
    days = funnel["days"]
    assert funnel["total"] == Steps(visits=11)
    assert (len(days), days[0], days[-1]) == (
        90,
        (today - timedelta(days=89), Steps(10)),
        (today, Steps(1)),
    )


def test_a_course_that_is_gone_keeps_its_row():
    affiliate = make_affiliate()
    ReferralDay.objects.create(
        affiliate=affiliate, day=timezone.now().date(), course_slug="gone", visits=2
    )
    assert [title for title, _steps in figures.funnel_of(affiliate.pk)["courses"]] == ["gone"]


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "–"),
        (3, 0, "–"),
        (1, 3, "33.3 %"),
        (2, 3, "66.7 %"),
        (1, 16, "6.3 %"),
        (3, 1, "300.0 %"),
    ],
)
def test_a_rate_is_rounded_half_up_to_a_tenth(part: int, whole: int, shown: str):
    assert money.percent(part, whole) == shown


@pytest.mark.parametrize(
    ("basis_points", "shown"),
    [
        (1000, "10 %"),
        (1250, "12.5 %"),
        (1, "0.01 %"),
        (10_000, "100 %"),
        (0, "0 %"),
        (105, "1.05 %"),
    ],
)
def test_a_rate_is_written_without_needless_zeros(basis_points: int, shown: str):
    assert rate_text(basis_points) == shown


@pytest.mark.parametrize(
    ("base", "rate", "currency", "exact", "is_rounded"),
    [
        (49900, 1000, "usd", "$49.90", False),
        (19999, 1000, "usd", "$19.999", True),
        (123456789, 1234, "usd", "$152,345.677626", True),
        (5005, 1000, "jpy", "¥500.5", True),
        (5000, 1000, "jpy", "¥500", False),
    ],
)
def test_the_arithmetic_is_shown_to_its_last_digit(
    base: int, rate: int, currency: str, exact: str, is_rounded: bool
):
    sum_ = Arithmetic(base, rate, currency, ledger_amount(base, rate))
    assert (sum_.exact, sum_.is_rounded, sum_.is_capped) == (exact, is_rounded, False)


def ledger_amount(base: int, rate: int) -> int:
    return (2 * base * rate + 10_000) // 20_000


def test_a_chart_stands_on_its_baseline_and_reaches_the_top_on_the_best_day():
    first = date(2026, 11, 1)
    drawn = chart.draw(
        "Visits",
        [(first + timedelta(days=number), count) for number, count in enumerate([0, 1, 400, 200])],
    )
    assert [(column["x"], column["y"], column["height"]) for column in drawn["columns"]] == [
        (11, 98, 2),
        (21, 0, 100),
        (31, 50, 50),
    ]
    assert (drawn["width"], drawn["highest"]) == (40, 400)
    assert drawn["summary"] == "Visits: 601 in 4 days, most on Nov 3: 400."
    assert chart.draw("Visits", [(first, 0)]) == {
        "name": "Visits",
        "width": 10,
        "highest": 0,
        "columns": [],
        "summary": "Visits: none on this day.",
    }


# --- a new partner --------------------------------------------------------------------------------
def test_a_new_partner_reads_what_to_do_first():
    affiliate = memberships.join(
        make_user(), memberships.Joining("New", "DE", PayoutDetails(Affiliate.LATER))
    )
    page = signed_in(affiliate).get(DASHBOARD).content.decode()
    assert "Start with your link" in page
    assert f'value="{affiliate.link}" readonly' in page
    assert 'data-copy="link"' in page
    assert "where your money should go" in page
    assert "Latest entries" not in page


def test_the_first_visit_ends_the_beginning():
    affiliate = make_affiliate()
    Client(headers=BROWSER).get(f"/r/{affiliate.code}/")
    page = signed_in(affiliate).get(DASHBOARD)
    assert "Start with your link" not in text_of(page)
    assert "No sale yet" in text_of(page)


def test_a_partner_without_payout_details_is_asked_for_them():
    affiliate = memberships.join(
        make_user(), memberships.Joining("New", "DE", PayoutDetails(Affiliate.LATER))
    )
    adjust(affiliate, 9900, "a")
    assert "Where should your money go?" in text_of(signed_in(affiliate).get(DASHBOARD))
    known = make_affiliate()
    adjust(known, 9900, "b")
    assert "Where should your money go?" not in text_of(signed_in(known).get(DASHBOARD))


# --- what it costs --------------------------------------------------------------------------------
def statements_of(client: Client, address: str) -> list[str]:
    with statements() as found:
        answer = client.get(address)
        assert answer.status_code == 200
    return found


@pytest.mark.every_engine
def test_the_dashboard_takes_six_statements():
    affiliate, _ = who_lived_through()
    Client(headers=BROWSER).get(f"/r/{affiliate.code}/{make_course().slug}/")
    partner = signed_in(affiliate)
    partner.get(DASHBOARD)
    assert len(statements_of(partner, DASHBOARD)) == SESSION_AND_USER + 6
    with statements() as found:
        figures.account_of(affiliate.user_id)
    assert len(found) == 1


@pytest.mark.every_engine
def test_the_dashboard_of_a_new_partner_takes_six_statements_too():
    affiliate = make_affiliate()
    Client(headers=BROWSER).get(f"/r/{affiliate.code}/{make_course().slug}/")
    partner = signed_in(affiliate)
    first, second = (statements_of(partner, DASHBOARD) for _ in range(2))
    assert len(second) == SESSION_AND_USER + 6
    assert len(first) == len(second) + 1  # the network is written where it is new


GROWING = [
    DASHBOARD,
    ENTRIES,
    f"{ENTRIES}?figure=earned&currency=usd",
    f"{ENTRIES}?figure=pending&currency=usd",
    f"{ENTRIES}?figure=payable&currency=usd",
    f"{ENTRIES}?figure=paid&currency=usd",
    STATEMENTS,
]


def partner_with(entries: int) -> Client:
    affiliate = make_affiliate()
    book_in_bulk(affiliate, entries, since=timezone.now() - timedelta(days=900))
    visit_in_bulk(affiliate, days=90, courses=4)
    visit_in_bulk(make_affiliate(), days=300, courses=10)
    partner = signed_in(affiliate)
    partner.get(DASHBOARD)
    return partner


def test_no_page_costs_more_statements_with_more_entries():
    # The server of the MongoDB runs writes a hundred rows in the time in which the others write two
    # thousand.
    small, large = (
        partner_with(number)
        for number in ((50, 500) if connection.vendor == "mongodb" else (200, 4000))
    )
    counts = {
        address: (len(statements_of(small, address)), len(statements_of(large, address)))
        for address in GROWING
    }
    assert [address for address, (before, after) in counts.items() if before != after] == []
    assert counts[DASHBOARD] == (SESSION_AND_USER + 6, SESSION_AND_USER + 6)
    assert counts[ENTRIES] == (SESSION_AND_USER + 2, SESSION_AND_USER + 2)


@pytest.mark.engines("postgres")
def test_every_look_at_the_ledger_and_the_funnel_goes_along_an_index():
    partner_with(1000)
    partner = partner_with(20_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    half_way = LedgerEntry.objects.filter(created_at__lt=timezone.now() - timedelta(days=450))
    all_of_it = paginate(half_way).next_cursor
    payable = paginate(half_way, order=entries.LATEST_PAYABLE_FIRST).next_cursor
    deep = [
        f"{ENTRIES}?cursor={all_of_it}",
        f"{ENTRIES}?figure=payable&currency=usd&cursor={payable}",
    ]
    for address in [*GROWING, *deep]:
        scans = [scan for sql in statements_of(partner, address) for scan in scans_of(sql)]
        assert scans, address
        assert {kind for kind, _rows in scans} <= {
            "Index Scan",
            "Index Only Scan",
            "Bitmap Heap Scan",
        }, address
        if address != DASHBOARD:
            assert max(rows for _kind, rows in scans) <= 100, address


def scans_of(sql: str) -> list[tuple[str, int]]:
    """Run a statement under EXPLAIN ANALYZE; return how it reads the ledger and the funnel, and the
    rows it looked at.
    """
    if not re.search(r'FROM "affiliates_(ledgerentry|referralday)"', sql):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        answer = cursor.fetchone()[0]
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return list(_scans(plan[0]["Plan"]))


def _scans(node: dict):
    if node.get("Relation Name") in ("affiliates_ledgerentry", "affiliates_referralday"):
        yield node["Node Type"], node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    for child in node.get("Plans", []):
        yield from _scans(child)


def test_control_the_balance_of_the_growth_test_is_that_of_its_entries():
    partner_with(200)
    total = sum(LedgerEntry.objects.values_list("amount", flat=True))
    balance = figures.Balance.objects.get()
    assert balance.pending + balance.payable == total
    assert balance.pending > 0
    assert ledger.mature() == 0
