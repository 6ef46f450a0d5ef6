"""The demo's affiliate: one command writes their history once, and leaves nothing to the worker."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from affiliates.models import Affiliate, Balance, Commission, LedgerEntry, PayoutBatch, ReferralDay
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from maaledu.money import Money
from notifications.models import Email
from operations import queues
from payments.models import Dispute, Refund
from tests.remembering import remembered

pytestmark = pytest.mark.django_db
EMAIL, PASSWORD = "partner@maaledu.example", "sandbox-partner-only"


def make_demo() -> Affiliate:
    call_command("seed_demo", verbosity=0)
    call_command("demo_partner", verbosity=0)
    return Affiliate.objects.get(email=EMAIL)


def demo() -> Affiliate:
    """Return the affiliate of a demo that was made once in this run."""
    return remembered(make_demo)


def counts() -> list[int]:
    models = (
        User,
        Affiliate,
        Enrollment,
        Refund,
        Dispute,
        LedgerEntry,
        Commission,
        PayoutBatch,
        ReferralDay,
        SyncJob,
        Email,
    )
    return [model.objects.count() for model in models]


def test_one_run_makes_four_months_of_sales():
    affiliate = demo()
    now = timezone.now()
    assert (affiliate.name, affiliate.status) == ("The Open Reading Room", "active")
    sold = Enrollment.objects.filter(affiliate_id=affiliate.pk)
    assert sold.count() == 25
    assert (sold.filter(status="paid").count(), sold.filter(status="refunded").count()) == (23, 2)
    assert now - timedelta(days=125) < min(e.created_at for e in sold) < now - timedelta(days=110)
    assert max(e.created_at for e in sold) < now
    assert (Refund.objects.count(), Dispute.objects.filter(status="open").count()) == (3, 1)
    assert sum(0 < c.reversed < c.amount for c in Commission.objects.all()) == 1
    batch = PayoutBatch.objects.get()
    assert (batch.status, batch.drafted_by.email, batch.released_by.email) == (
        "paid",
        "staff@maaledu.example",
        "finance@maaledu.example",
    )


@pytest.mark.any_engine
def test_its_balance_has_every_figure():
    balance = Balance.objects.get(affiliate=demo())
    assert balance.currency == "usd"
    assert min(balance.pending, balance.payable, balance.paid, balance.held) > 0
    assert balance.payable > balance.held


def test_its_funnel_narrows_on_every_day():
    rows = ReferralDay.objects.filter(affiliate=demo())
    visits, checkouts, purchases = (
        sum(getattr(row, name) for row in rows) for name in ("visits", "checkouts", "purchases")
    )
    assert visits > checkouts > purchases == 25
    assert sum(row.earned for row in rows) == sum(c.amount for c in Commission.objects.all())
    today = timezone.now().date()
    assert {row.day for row in rows} >= {today - timedelta(days=number) for number in range(90)}
    seen = {(row.day, row.course_slug): row.visits for row in rows if not row.currency}
    assert all(
        seen[row.day, row.course_slug] > row.checkouts >= row.purchases
        for row in rows
        if row.currency
    )


@pytest.mark.any_engine
def test_a_second_run_changes_nothing():
    demo()
    before, balance = counts(), Balance.objects.values().get()
    make_demo()
    assert counts() == before
    assert Balance.objects.values().get() == balance


def test_nothing_is_left_to_the_worker():
    demo()
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
    assert set(Email.objects.values_list("status", flat=True)) == {"done"}
    assert not any(queue.model.objects.unfinished().exists() for queue in queues.QUEUES.values())


@pytest.mark.any_engine
def test_every_page_of_the_dashboard_shows_it(client: Client):
    demo()
    assert client.login(username=EMAIL, password=PASSWORD)
    page = client.get("/affiliates/dashboard/").content.decode()
    balance = Balance.objects.get()
    for shown in (
        str(Money(balance.pending, balance.currency)),
        str(Money(balance.payable, balance.currency)),
        str(Money(balance.paid, balance.currency)),
        f"{Money(balance.held, balance.currency)} is on hold",
    ):
        assert shown in page
    month = PayoutBatch.objects.get().released_at
    for path in (
        "entries/",
        "links/",
        "statements/",
        f"statements/{month:%Y-%m}/",
        "payout-details/",
    ):
        assert client.get(f"/affiliates/{path}").status_code in (200, 302), path


def test_it_needs_the_demos_courses_and_staff():
    before = counts()
    with pytest.raises(CommandError, match="run seed_demo first"):
        call_command("demo_partner")
    assert counts() == before


@pytest.mark.any_engine
def test_it_refuses_to_run_in_production(settings):
    call_command("seed_demo", verbosity=0)
    before = counts()
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="does not run in production"):
        call_command("demo_partner")
    assert counts() == before
