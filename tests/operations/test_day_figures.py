"""The sums of each day: kept by the worker, counted anew after each change, and right."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Commission
from enrollments.models import Enrollment
from lms_sync.models import SyncAttempt, SyncJob
from operations import day_figures, heartbeats, invariants, queues
from operations.invariants.day_figures import check_day_figures
from operations.models import DayFigures, Heartbeat
from payments.models import Dispute, Payment, Refund
from tests.affiliates.make import make_affiliate, sell
from tests.factories import (
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def figures_of(moment: datetime) -> dict[str, Any]:
    return DayFigures.objects.get(day=moment.date()).figures


def test_a_day_is_what_was_begun_sold_received_and_given_back_on_it(buyer: Client) -> None:
    affiliate = make_affiliate()
    _, payment = sell(buyer, affiliate)
    course = Enrollment.objects.get().course
    deliver(buyer, refunded(refund_of(payment, 1_000)))
    deliver(buyer, disputed(dispute_of(payment)))
    make_pending(course)
    job = SyncJob.objects.get()
    for number, outcome in ((1, "LMS_UNAVAILABLE"), (2, "done"), (2, "LMS_REFUSED")):
        at = {"started_at": timezone.now(), "duration_ms": 1}
        SyncAttempt.objects.create(job=job, number=number, outcome=outcome, **at)
    assert day_figures.keep() == 1
    found = figures_of(timezone.now())
    paid = payment.amount_received
    withdrawn = [["usd", each.amount] for each in Dispute.objects.filter(is_withdrawn=True)]
    assert found == {
        "sales": [["paid", course.title, 2, 1]],
        "access": {"due": 1, "within": [0] * 16},
        "received": [["paid", course.title, "usd", paid]],
        "refunds": [["usd", 1_000]],
        "withdrawn": withdrawn,
        "commissions": [["usd", Commission.objects.get().amount]],
        "grants": 0,
        "second": [2, 1],
    }


@pytest.mark.any_engine
def test_how_long_access_took_is_counted_to_the_millisecond() -> None:
    waits = [(1000, 0), (1001, 1), (86_400_000, 14), (86_400_001, 15)]
    for wait, _ in waits:
        enrollment, _ = make_pending(make_course(), created_at=NOON)
        given = NOON + timedelta(milliseconds=wait)
        Enrollment.objects.filter(pk=enrollment.pk).update(
            status="paid", paid_at=NOON, lms_synced_at=given
        )
    within = day_figures.count(NOON.date())["access"]["within"]
    assert [number for number, count in enumerate(within) if count] == [at for _, at in waits]


@pytest.mark.any_engine
def test_only_days_that_were_written_to_are_counted_anew() -> None:
    now = timezone.now()
    old, _ = make_pending(created_at=now - timedelta(days=40), updated_at=now - timedelta(hours=1))
    Payment.objects.update(created_at=old.created_at, updated_at=old.updated_at)
    make_pending(created_at=now, updated_at=now)
    assert day_figures.keep(now) == 2
    later = now + timedelta(minutes=11)
    # Once more what was written within the minutes before the look.
    assert [day_figures.keep(later), day_figures.keep(later)] == [1, 0]
    Enrollment.objects.filter(pk=old.pk).update(course_title="Another", updated_at=later)
    assert day_figures.keep(later + timedelta(minutes=1)) == 1
    assert figures_of(old.created_at)["sales"] == [["paid", "Another", 1, 0]]


@pytest.mark.any_engine
def test_what_was_written_within_a_long_transaction_is_counted_by_a_later_look() -> None:
    now = timezone.now()
    day_figures.keep(now)
    make_pending(created_at=now, updated_at=now - timedelta(minutes=3))  # committed after the look
    assert day_figures.keep(now + timedelta(minutes=1)) == 1
    assert figures_of(now)["sales"][0][2] == 1


def test_many_days_are_counted_some_at_each_look_and_none_is_forgotten() -> None:
    now = timezone.now()
    course = make_course()
    for days in range(35):
        at = now - timedelta(days=days)
        enrollment, _ = make_pending(course, created_at=at, updated_at=at)
        Payment.objects.filter(enrollment=enrollment).update(created_at=at, updated_at=at)
    assert (day_figures.keep(now), day_figures.keep(now)) == (30, 6)  # today's is counted again
    assert DayFigures.objects.exclude(counted_at=None).count() == 35


def test_what_is_a_year_old_is_not_looked_at() -> None:
    at = timezone.now() - timedelta(days=365)
    make_pending(created_at=at, updated_at=timezone.now())
    Payment.objects.update(created_at=at)
    assert day_figures.keep() == 0


def test_the_most_jobs_due_at_once_are_kept_for_each_ten_minutes() -> None:
    for number in range(3):
        SyncJob.objects.create(dedupe_key=str(number), platform="frappe", email="a@example.com")
    later = timezone.now().replace(hour=12, minute=34) + timedelta(days=1)
    day_figures.note_queue(later)
    SyncJob.objects.all().delete()
    day_figures.note_queue(later)
    day_figures.note_queue(later + timedelta(minutes=10))
    assert DayFigures.objects.get().queue == {"1230": 3, "1240": 0}


@pytest.mark.any_engine
def test_the_sweep_keeps_the_figures() -> None:
    make_pending()
    assert queues.run_chores() == []
    assert figures_of(timezone.now())["sales"][0][2] == 1


# --- the invariant --------------------------------------------------------------------------------
@pytest.mark.any_engine
@pytest.mark.parametrize("name", ["sales", "received", "refunds", "grants", "commissions"])
def test_figures_that_are_not_what_the_rows_come_to_are_named(buyer: Client, name: str) -> None:
    _, payment = sell(buyer, make_affiliate())
    deliver(buyer, refunded(refund_of(payment, 1_000)))
    now = timezone.now()
    day_figures.keep(now)
    heartbeats.note(day_figures.NAME, at=now + timedelta(minutes=20))
    assert check_day_figures() == []
    kept = DayFigures.objects.get(day=now.date())
    wrong = {**kept.figures, name: 7 if name == "grants" else []}
    DayFigures.objects.filter(pk=kept.pk).update(
        figures=wrong, counted_at=now + timedelta(minutes=20)
    )
    assert check_day_figures() == [f"the figures of {now:%Y-%m-%d} are not what its rows come to"]


def test_what_is_changed_by_hand_in_an_old_day_is_named(buyer: Client) -> None:
    _, payment = sell(buyer, make_affiliate())
    deliver(buyer, refunded(refund_of(payment, 1_000)))
    now = timezone.now()
    old = now - timedelta(days=40)
    for model in (Enrollment, Payment, Refund, Commission):
        model.objects.update(created_at=old, updated_at=old)
    late = {"idempotency_key": "late", "payment": payment, "amount": 5, "currency": "usd"}
    late |= {"status": "succeeded", "created_at": old, "updated_at": old}
    of_day = DayFigures.objects.filter(day=old.date())
    for what, damage in {
        "a refund's amount": lambda: Refund.objects.update(amount=2_000),
        "a refund more": lambda: Refund.objects.create(**late),
        "a refund less": lambda: Refund.objects.filter(amount=5).delete(),
        "what was received": lambda: Payment.objects.update(amount_received=1),
        "a sale": lambda: Enrollment.objects.update(status="failed"),
        "a commission": lambda: Commission.objects.update(amount=1),
        "figures never counted": lambda: of_day.update(counted_at=None),
        "no figures": of_day.delete,
    }.items():
        Heartbeat.objects.filter(name=day_figures.NAME).delete()
        DayFigures.objects.all().delete()
        day_figures.keep(now)
        heartbeats.note(day_figures.NAME, at=now + timedelta(minutes=20))
        assert check_day_figures() == [], what
        damage()
        named = [f"the figures of {old:%Y-%m-%d} are not what its rows come to"]
        assert check_day_figures() == named, what


@pytest.mark.any_engine
def test_a_day_that_was_written_to_since_the_last_look_is_not_wrong() -> None:
    make_pending()
    day_figures.keep()
    make_pending()
    assert check_day_figures() == []
    assert day_figures.keep() == 1


def test_attempts_that_were_deleted_with_their_jobs_are_still_counted() -> None:
    at = timezone.now() - timedelta(days=95)
    enrollment, _ = make_pending(created_at=at, updated_at=at)
    Payment.objects.filter(enrollment=enrollment).update(created_at=at, updated_at=at)
    DayFigures.objects.create(day=at.date(), figures={"second": [5, 4]})
    day_figures.keep()
    assert figures_of(at)["second"] == [5, 4]
    assert check_day_figures() == []


def test_where_nothing_is_kept_yet_nothing_is_asked(db: None) -> None:
    make_pending()
    with statements() as asked:
        assert invariants.verify([check_day_figures]) == []
    assert len(asked) == 1


@pytest.mark.any_engine
def test_refunds_count_on_the_day_they_were_begun(buyer: Client) -> None:
    _, payment = sell(buyer, make_affiliate())
    deliver(buyer, refunded(refund_of(payment, 1_000)))
    before = timezone.now() - timedelta(days=3)
    Refund.objects.update(created_at=before, updated_at=timezone.now())
    assert day_figures.keep() == 2
    assert figures_of(before)["refunds"] == [["usd", 1_000]]
    assert figures_of(timezone.now())["refunds"] == []
