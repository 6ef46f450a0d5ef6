"""The dashboard: the next payout with what is missing, and a period beside the one before."""

from datetime import date, timedelta

import pytest
from django.test import Client

from affiliates import memberships, payout_overview, visits
from affiliates.models import Affiliate, ReferralDay
from affiliates.pages import figures, next_payout
from affiliates.pages.figures import Period, Steps
from affiliates.payout_details import PayoutDetails
from tests.affiliates.history import adjust, signed_in
from tests.affiliates.make import make_affiliate, sell
from tests.affiliates.payday import earn
from tests.factories import deliver, dispute_of, disputed

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
DASHBOARD = "/affiliates/dashboard/"


def account_of(affiliate: Affiliate) -> figures.Account:
    account = figures.account_of(affiliate.user_id)
    assert account is not None
    return account


@pytest.mark.parametrize(
    ("today", "day", "wanted"),
    [
        ("2026-11-29", 1, "2026-12-01"),
        ("2026-12-01", 1, "2026-12-01"),
        ("2026-12-02", 1, "2027-01-01"),
        ("2027-02-03", 31, "2027-02-28"),
        ("2026-12-31", 15, "2027-01-15"),
    ],
)
def test_the_next_payout_is_on_the_day_that_is_set(settings, today, day, wanted):
    settings.PAYOUT_DAY = day
    assert next_payout.next_day(date.fromisoformat(today)) == date.fromisoformat(wanted)


def test_what_is_missing_is_named(settings):
    affiliate = make_affiliate()
    adjust(affiliate, 9900, "a")
    [found] = next_payout.of(account_of(affiliate))
    assert (found.missing, found.due.amount > 0) == ((), True)
    page = signed_in(affiliate).get(DASHBOARD).text
    assert f"{found.due} go out by" in page
    settings.PAYOUT_MINIMUM = found.due.amount + 1
    memberships.change_details(affiliate, PayoutDetails(Affiliate.LATER, "", ""))
    memberships.suspend(affiliate, by="staff@example.com", reason="Looked into")
    [found] = next_payout.of(account_of(affiliate))
    assert found.missing == ("inactive", "later", "too little")
    assert found.short.amount == 1
    page = signed_in(affiliate).get(DASHBOARD).text
    for sentence in ("not active", "Where should your money go?", "Missing: $0.01."):
        assert sentence in page


@pytest.mark.every_engine
def test_what_goes_out_is_what_a_draft_would_pay_while_sales_are_in_doubt(client: Client):
    affiliate = make_affiliate()
    earn(affiliate, 100_000)
    [(_, payable)] = earn(affiliate, 30_000)
    for payment in (payable, sell(client, affiliate)[1]):
        deliver(client, disputed(dispute_of(payment)))
    [found] = next_payout.of(account_of(affiliate))
    assert (found.due.amount, found.missing) == (10_000, ())
    assert [payee.due for payee in payout_overview.payees()] == [10_000]


def test_a_period_stands_beside_as_many_days_before():
    affiliate = make_affiliate()
    today = visits.today()
    for days, number in ((0, 4), (1, 3), (2, 2), (3, 1), (4, 8)):
        day = today - timedelta(days=days)
        ReferralDay.objects.create(affiliate=affiliate, day=day, visits=number)
    funnel = figures.funnel_of(affiliate.pk, Period(today - timedelta(days=1), today))
    assert (funnel["total"], funnel["before"]) == (Steps(visits=7), Steps(visits=3))
    assert [steps.visits for _, steps in funnel["days"]] == [3, 4]
    chosen = {"since": str(today - timedelta(days=3)), "until": str(today - timedelta(days=2))}
    page = signed_in(affiliate).get(DASHBOARD, chosen)
    assert page.context["funnel"]["total"] == Steps(visits=3)
    assert page.context["funnel"]["before"] == Steps(visits=8)
    assert "8 in the 2 days before" in page.text


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        ("2026-02-30", "2026-03-01", "Enter the first day as"),
        ("", "2026-03-01", "Choose the first day."),
        ("2026-03-02", "2026-03-01", "after the last one"),
        ("2020-01-01", "2026-01-01", "at most 366 days"),
        ("2026-01-01", "2999-01-01", "still to come"),
    ],
)
def test_a_period_that_is_none_is_refused_and_the_usual_one_shown(since, until, says):
    affiliate = make_affiliate()
    ReferralDay.objects.create(affiliate=affiliate, day=visits.today(), visits=1)
    page = signed_in(affiliate).get(DASHBOARD, {"since": since, "until": until})
    assert (page.status_code, page.context["funnel"]["period"].length) == (400, 90)
    assert says in page.text


def test_somebody_who_is_no_affiliate_reads_no_figures(client: Client):
    assert client.get(DASHBOARD, {"since": "2026-01-01"}).status_code == 302
