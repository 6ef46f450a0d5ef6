"""The sales figures are counted exactly, for the office and the command line (R190)."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from affiliates import visits
from affiliates.models import Commission
from enrollments.models import SOLD, Enrollment
from office.sales_figures import sales_by_affiliate, sales_figures
from tests.affiliates.make import make_affiliate, make_referred, sell
from tests.affiliates.test_fraud import free
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_payment,
    make_pending,
    refund_of,
    refunded,
)
from tests.office.test_lists import member
from tests.office.test_refunds import staff, text_of
from tests.statements import statements

pytestmark = pytest.mark.any_engine

__all__ = ["staff"]

PAGE = "/admin/affiliates/affiliate/figures/"


def bought(**fields: object) -> Enrollment:
    course = make_course(
        **{name: fields.pop(name) for name in ("price", "currency") if name in fields}
    )
    enrollment, payment = make_pending(course, **fields)
    deliver(Client(), completed(payment))
    return enrollment


def give_back(enrollment: Enrollment, amount: int | None = None) -> None:
    deliver(Client(), refunded(refund_of(enrollment.payments.first(), amount)))


def kinds(days: int | None = None) -> list[tuple]:
    return [
        (row.kind, row.currency, row.count, row.refunded, row.revenue, row.reversed, row.net)
        for row in sales_figures(days).kinds
    ]


def by_affiliate(days: int | None = None) -> dict[str, tuple]:
    rows = sales_figures(days).affiliates
    return {
        row.affiliate.code: (
            row.visits,
            row.checkouts,
            row.sales.referrals,
            row.sales.paid,
            row.sales.refunded,
            row.earned,
            row.reversed,
        )
        for row in rows
    }


def test_each_kind_is_counted_in_its_currency(client: Client, sandbox) -> None:
    bought(price=49900)
    bought(price=10000)
    bought(price=5000, currency="jpy")
    bought(price=20000, amount=10000, kind="partial_grant", discount_percent=50)
    client.post(
        f"/checkout/{make_course(price=0).slug}/",
        {"email": "free@example.com", "accept_terms": "on"},
    )
    make_pending()
    assert kinds() == [
        ("free", "usd", 1, 0, 0, 0, 0),
        ("paid", "jpy", 1, 0, 5000, 0, 5000),
        ("paid", "usd", 2, 0, 59900, 0, 59900),
        ("partial_grant", "usd", 1, 0, 10000, 0, 10000),
    ]


def test_refunds_and_lost_disputes_are_subtracted_exactly(db: None) -> None:
    give_back(bought(price=10000))
    give_back(bought(price=10000), 2500)
    parts = bought(price=10000)
    give_back(parts, 4000)
    give_back(parts, 6000)
    lost = bought(price=10000)
    give_back(lost, 1000)
    deliver(Client(), disputed(dispute_of(lost.payments.get(), "lost")))
    bought(price=10000)
    assert kinds() == [("paid", "usd", 5, 3, 50000, 32500, 17500)]


def test_a_payment_that_was_set_aside_is_no_revenue_and_its_refund_takes_none_off(db: None) -> None:
    enrollment = bought(price=10000)
    second = make_payment(enrollment)
    deliver(Client(), completed(second))
    deliver(Client(), refunded(refund_of(second)))
    second.refresh_from_db()
    assert (second.review_reason, second.refundable) == ("duplicate", 0)
    assert kinds() == [("paid", "usd", 1, 0, 10000, 0, 10000)]


def test_failed_refunds_take_nothing_off(db: None) -> None:
    enrollment = bought(price=10000)
    refund = refund_of(enrollment.payments.get(), 2500)
    deliver(Client(), refunded(refund))
    deliver(Client(), refunded({**refund, "status": "failed"}, "refund.failed"))
    assert kinds() == [("paid", "usd", 1, 0, 10000, 0, 10000)]


def test_each_affiliate_has_referrals_sales_earnings_and_what_was_reversed(db: None) -> None:
    ada, eve = make_affiliate("ada@example.com"), make_affiliate("eve@example.com", rate=2000)
    for number in range(3):
        visits.record(ada.pk, "", network=f"198.51.100.{number}", user_agent="Browser")
    visits.count_checkout(ada.pk, "a-course", "usd")
    sales = [sell(Client(), ada, make_course(price=10000))[0] for _ in range(3)]
    sell(Client(), ada, make_course(price=5000, currency="jpy"))
    free(ada, 1)
    give_back(sales[0])
    give_back(sales[1], 5000)
    sell(Client(), eve, make_course(price=10000))
    make_referred(eve)
    assert by_affiliate() == {
        ada.code: (3, 2, 5, 4, 1, {"usd": 3000, "jpy": 500}, {"usd": 1500, "jpy": 0}),
        eve.code: (0, 0, 1, 1, 0, {"usd": 2000}, {"usd": 0}),
    }
    assert [row.sales.refund_rate for row in sales_figures().affiliates] == ["25.0 %", "0.0 %"]


@pytest.mark.every_engine
def test_a_period_counts_what_began_in_it(db: None) -> None:
    affiliate = make_affiliate()
    old, _ = sell(Client(), affiliate, make_course(price=10000))
    give_back(old, 2500)
    Enrollment.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    sell(Client(), affiliate, make_course(price=5000))
    assert kinds(30) == [("paid", "usd", 1, 0, 5000, 0, 5000)]
    assert by_affiliate(30)[affiliate.code][2:4] == (1, 1)
    assert kinds(32) == kinds() == [("paid", "usd", 2, 0, 15000, 2500, 12500)]
    Enrollment.objects.update(created_at=timezone.now() - timedelta(days=31))
    assert (kinds(30), by_affiliate(30)) == ([], {})


def test_only_the_affiliates_with_the_most_sales_are_named(db: None) -> None:
    affiliates = []
    for number, sales in enumerate((1, 3, 2)):
        affiliates.append(make_affiliate(f"a{number}@example.com"))
        for _ in range(sales):
            sell(Client(), affiliates[-1])
    assert list(sales_by_affiliate(Q(status__in=SOLD), most=2)) == [
        affiliates[1].pk,
        affiliates[2].pk,
    ]
    assert [row.affiliate.pk for row in sales_figures().affiliates] == [
        affiliates[number].pk for number in (1, 2, 0)
    ]


@pytest.mark.every_engine
def test_the_figures_of_many_affiliates_take_as_many_statements_as_of_one(db: None) -> None:
    asked = []
    for number in range(3):
        sell(Client(), make_affiliate(f"a{number}@example.com"))
        with statements() as found:
            sales_figures()
        asked.append(len(found))
    assert asked == [6, 6, 6]


def test_the_page_shows_the_figures_of_the_chosen_period(staff: Client) -> None:
    affiliate = make_affiliate(name="Ada & co")
    sell(Client(), affiliate, make_course(price=10000))
    old, _ = sell(Client(), affiliate, make_course(price=30000))
    give_back(old)
    for rows in (
        Enrollment.objects.filter(pk=old.pk),
        Commission.objects.filter(enrollment_id=old.pk),
    ):
        rows.update(created_at=timezone.now() - timedelta(days=40))
    recent, ever = (text_of(staff.get(PAGE, query)) for query in ({}, {"days": "all"}))
    for text in (
        "$100.00",
        "Ada &amp; co",
        "0.0 %",
        "$10.00",
        f"/admin/affiliates/affiliate/{affiliate.pk}/change/",
    ):
        assert text in recent, text
    for text in ("$400.00", "$300.00", "50.0 %"):
        assert text in ever, text
        assert text not in recent, text
    assert PAGE in text_of(staff.get("/admin/affiliates/affiliate/"))


@pytest.mark.parametrize("days", ["", "31", "-1", "x", "9" * 40, "<script>"])
def test_a_period_that_is_none_is_the_usual_one(staff: Client, days: str) -> None:
    page = staff.get(PAGE, {"days": days})
    assert page.status_code == 200
    assert [name for name, _, is_chosen in page.context["periods"] if is_chosen] == ["30"]


def test_the_figures_take_the_permission_to_see_affiliates_and_enrollments(db: None) -> None:
    assert member("view_affiliate", "view_payment", "review_affiliate").get(PAGE).status_code == 403


def test_staff_who_may_see_both_see_the_figures(db: None) -> None:
    assert member("view_affiliate", "view_enrollment").get(PAGE).status_code == 200


def test_the_command_prints_the_figures_for_people_and_for_programs(db: None, capsys) -> None:
    affiliate = make_affiliate()
    sales = [sell(Client(), affiliate, make_course(price=10000))[0] for _ in range(2)]
    give_back(sales[0])
    call_command("sales_figures")
    assert capsys.readouterr().out.splitlines() == [
        "Paid in USD: 2 sold, 1 refunded, revenue $200.00, reversed $100.00",
        f"{affiliate.code}: 2 referrals, 2 paid, 1 refunded (50.0 %), earned $20.00",
    ]
    call_command("sales_figures", "--json", "--days", "30")
    assert json.loads(capsys.readouterr().out) == {
        "days": 30,
        "kinds": [
            {
                "kind": "paid",
                "currency": "usd",
                "count": 2,
                "refunded": 1,
                "revenue": 20000,
                "reversed": 10000,
            }
        ],
        "affiliates": [
            {
                "code": affiliate.code,
                "status": "active",
                "visits": 0,
                "checkouts": 0,
                "referrals": 2,
                "paid": 2,
                "refunded": 1,
                "refund_rate": "50.0 %",
                "earned": {"usd": 2000},
                "reversed": {"usd": 1000},
            }
        ],
    }


@pytest.mark.parametrize("days", ["0", "-1", "99999999999"])
def test_the_command_takes_a_period_that_there_is(db: None, days: str) -> None:
    with pytest.raises(CommandError):
        call_command("sales_figures", "--days", days)
