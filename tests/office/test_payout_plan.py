"""Before payouts are drafted: who would be paid, who would not and why, and the next runs."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates import commissions, memberships, payout_drafts, payout_overview
from affiliates.models import Affiliate, Payout
from affiliates.payout_details import PayoutDetails
from affiliates.payout_drafts import Run
from affiliates.payout_overview import DRAFTED, NO_ACCOUNT, ON_HOLD, TOO_LITTLE
from office import payout_plan
from tests.affiliates.make import make_affiliate, make_staff
from tests.affiliates.payday import PAYPAL, earn, owed
from tests.office.test_lists import member
from tests.statements import statements

pytestmark = [pytest.mark.every_engine, pytest.mark.any_engine]

DRAFT = "/admin/affiliates/payoutbatch/draft/"
STAFF = "boss@example.com"
LATER = PayoutDetails(Affiliate.LATER)
MOST_STATEMENTS = 8


def hold(sale: Any) -> None:
    commissions.review(sale.pk, hold=True, by=STAFF, note="Looks odd")


def everybody() -> dict[str, Affiliate]:
    """Return an affiliate of each kind, all of them owed something."""
    made = {
        "both": owed(60_000, 1990, name="Both"),
        "paypal": owed(70_000, name="Paypal", details=PAYPAL),
        "euro": make_affiliate(name="Euro"),
        "little": owed(49_990, name="Little"),
        "later": owed(90_000, name="Later", details=LATER),
        "suspended": owed(80_000, name="Suspended"),
        "held": make_affiliate(name="Held"),
        "partly": make_affiliate(name="Partly"),
    }
    earn(made["euro"], 100_000, currency="eur")
    ((sale, _),) = earn(made["held"], 65_000)
    hold(sale)
    (_, (doubted, _)) = earn(made["partly"], 66_000, 20_000)
    hold(doubted)
    memberships.suspend(made["suspended"], by=STAFF, reason="Ads")
    return made


def due() -> dict[tuple[str, str, str], int]:
    """Return what the page says that drafts would pay, by currency, method and affiliate."""
    return {
        (each.currency, each.affiliate.payout_method, each.affiliate.name): each.due
        for each in payout_overview.payees()
        if not each.left_out
    }


@pytest.mark.every_engine
def test_what_is_shown_as_payable_is_what_drafts_then_pay(db: None) -> None:
    everybody()
    shown = due()
    assert shown == {
        ("usd", "bank", "Both"): 6199,
        ("usd", "bank", "Partly"): 6600,
        ("usd", "paypal", "Paypal"): 7000,
        ("eur", "bank", "Euro"): 10_000,
    }
    groups = payout_overview.groups(payout_overview.payees())
    assert [(each.currency, each.method, each.number, each.amount) for each in groups] == [
        ("eur", "bank", 1, 10_000),
        ("usd", "bank", 2, 12_799),
        ("usd", "paypal", 1, 7000),
    ]
    for group in groups:
        run = Run(group.currency, group.method, timezone.now().date())
        payout_drafts.draft(run, by=make_staff())
    drafted = Payout.objects.select_related("affiliate", "batch")
    assert shown == {
        (each.currency, each.batch.method, each.affiliate.name): each.amount for each in drafted
    }
    assert due() == {}


def test_who_is_left_out_is_there_with_the_reason(db: None) -> None:
    everybody()
    payout_drafts.draft(Run("usd", "paypal", timezone.now().date()), by=make_staff())
    left_out = {each.affiliate.name: each.left_out for each in payout_overview.payees()}
    assert {name: reason for name, reason in left_out.items() if reason} == {
        "Little": TOO_LITTLE,
        "Later": NO_ACCOUNT,
        "Suspended": "suspended",
        "Held": ON_HOLD,
        "Paypal": DRAFTED,
    }


@pytest.mark.every_engine
def test_the_page_of_a_draft_shows_it_in_eight_statements_at_most(db: None) -> None:
    boss, clerk = Client(), member("view_payoutbatch", "draft_payoutbatch")
    boss.force_login(make_staff(email=STAFF))
    everybody()
    costs = []
    for _ in range(2):
        for client in (boss, clerk):
            boss.get("/admin/")  # what the sidebar counts is kept for half a minute
            with statements() as asked:
                page = client.get(DRAFT, {"currency": "eur", "method": "bank"})
            costs.append(len(asked))
        earn(make_affiliate(name="One more"), 60_000)
    assert costs[:2] == costs[2:]
    assert max(costs) <= MOST_STATEMENTS, costs
    text = page.content.decode()
    amounts = ("$187.99", "€100.00", "$20.00 more is on hold")
    for shown in ("Bank transfer in EUR", "DE•• •••• 3000", ON_HOLD[3:], *amounts):
        assert shown in text, shown
    assert '<option value="eur" selected>' in text
    assert Payout.objects.count() == 0


@pytest.mark.parametrize("typed", ["xxx", "", "'\"<b>"])
def test_a_prefilled_form_of_something_else_is_just_shown(db: None, typed: str) -> None:
    boss = Client()
    boss.force_login(make_staff(email=STAFF))
    page = boss.get(DRAFT, {"currency": typed, "method": typed})
    assert page.status_code == 200
    assert "<b>" not in page.content.decode().partition('id="content"')[2]


def test_the_next_runs_say_what_more_is_payable_by_then(db: None, settings: Any) -> None:
    settings.PAYOUT_DAY, settings.COMMISSION_HOLD = 31, timedelta(days=70)
    assert payout_plan.runs_after(date(2027, 1, 31)) == [
        date(2027, 1, 31),
        date(2027, 2, 28),
        date(2027, 3, 31),
    ]
    affiliate, today = make_affiliate(), timezone.now().date()
    earn(affiliate, 60_000, payable=timedelta(days=10))
    earn(affiliate, 10_000, payable=timedelta(days=40))
    earn(affiliate, 20_000, currency="eur", payable=timedelta(days=40))
    days = [today + timedelta(days=number) for number in (9, 10, 41)]
    assert payout_overview.becoming_payable(days) == {
        days[0]: {},
        days[1]: {"usd": 6000},
        days[2]: {"usd": 7000, "eur": 2000},
    }
