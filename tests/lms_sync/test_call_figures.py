"""How fast and how well each LMS answers, over time (requirements R115, R116)."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import breaker, call_counts, call_history
from lms_sync.call_figure import CallFigure
from lms_sync.connection import platform_for
from lms_sync.errors import LmsError
from lms_sync.platforms.base import EnrollRequest
from operations import figures, retention
from tests.concurrency import race
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.every_engine, pytest.mark.any_engine]
ENROLL = "POST /api/resource/LMS Enrollment"


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    call_counts._counts.clear()
    yield
    call_counts._counts.clear()


def note(milliseconds: int = 50, step: str = "courses", **more: Any) -> None:
    call_counts.note("frappe", step, milliseconds=milliseconds, **more)


def rows(**only: Any) -> list[tuple[str, int, int, int]]:
    found = CallFigure.objects.filter(**only).order_by("step")
    return list(found.values_list("step", "calls", "failed", "refused"))


def enroll() -> None:
    platform_for("frappe").enroll(EnrollRequest("asha@example.com", "Asha", "free-course"))


@pytest.mark.every_engine
def test_the_calls_of_an_enrollment_are_counted_by_step(sandbox: Sandbox) -> None:
    enroll()
    call_counts.flush()
    one = (1, 0, 0)
    assert rows(platform="frappe") == [
        ("create enrollments", *one),
        ("create users", *one),
        ("find enrollments", *one),
        ("find users", 1, 0, 1),  # 404: there was none
    ]
    [row] = CallFigure.objects.filter(step="create users")
    assert row.starts_at == timezone.now().replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("mode", "counted"),
    [("down", "failed"), ("503", "failed"), ("html_200", "failed"), ("417", "refused")],
)
def test_what_is_no_answer_has_failed_and_a_refusal_is_one(
    sandbox: Sandbox, mode: str, counted: str
) -> None:
    sandbox.fault("lms", mode, ENROLL)
    with pytest.raises(LmsError):
        enroll()
    call_counts.flush()
    [figures] = [each for each in today() if each.name == "create enrollments"]
    assert (figures.failed, figures.refused) == (int(counted == "failed"), int(counted != "failed"))


def test_how_long_a_call_took_is_what_the_lms_took(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "slow", ENROLL, seconds=0.4)
    enroll()
    call_counts.flush()
    [figures] = [each for each in today() if each.name == "create enrollments"]
    assert 400 <= figures.mean_ms < 10_000


def today() -> list[call_history.Figures]:
    return call_history.by_step(call_history.read("frappe", timezone.now() - timedelta(days=1)))


@pytest.mark.every_engine
def test_no_call_costs_a_statement_until_the_counts_are_due(settings: Settings) -> None:
    with statements() as asked:
        for _ in range(1000):
            note()
    assert asked == []
    settings.LMS_FIGURES_EVERY = timedelta(0)
    with statements() as asked:
        note()
    assert len(asked) <= 4, asked
    with statements() as asked:
        note()
    assert len(asked) == 1, asked
    assert rows() == [("courses", 1002, 0, 0)]


def test_nothing_is_asked_where_nothing_was_counted(settings: Settings) -> None:
    settings.LMS_FIGURES_EVERY = timedelta(0)
    with statements() as asked:
        call_counts.flush_if_due()
    assert asked == []


def test_while_the_database_is_away_counts_wait_and_stay_few(settings: Settings) -> None:
    for number in range(2 * call_counts.MOST_KEPT):
        note(step=f"step {number}")
    assert len(call_counts._counts) == call_counts.MOST_KEPT
    note(step="step 0")
    assert call_counts._counts[next(iter(call_counts._counts))]["calls"] == 2


@pytest.mark.every_engine
@pytest.mark.django_db(transaction=True)
def test_processes_that_add_at_once_lose_no_call() -> None:
    note()
    key, counts = next(iter(call_counts._counts.items()))
    race(lambda _: call_counts.add(CallFigure.HOUR, key, counts), threads=8)
    assert rows() == [("courses", 8, 0, 0)]


@pytest.mark.no_database
def test_a_fork_does_not_write_what_its_parent_has_counted() -> None:
    note()
    child = os.fork()
    if child == 0:
        os._exit(len(call_counts._counts))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(call_counts._counts) == 1


@pytest.mark.every_engine
def test_times_are_told_by_the_bound_that_holds() -> None:
    for milliseconds in [90] * 60 + [250] * 35 + [2500] * 4 + [12_000]:
        note(milliseconds)
    call_counts.flush()
    [figures] = today()
    assert (figures.usual, figures.slow) == ("100 ms", "300 ms")
    assert call_history.in_words(figures.within_ms(0.99)) == "3 s"
    assert call_history.in_words(figures.within_ms(1)) == "over 10 s"
    assert figures.mean_ms == (90 * 60 + 250 * 35 + 2500 * 4 + 12_000) // 100


def test_the_metrics_read_the_rows() -> None:
    breaker.state_of("frappe")
    for failed in (True, False, False, False):
        note(200, failed=failed)
    call_counts.flush()
    found = {name: list(rows) for name, _, rows in figures.current()}
    assert found["maaledu_lms_failed_ratio"] == [(("frappe", "courses"), 0.25)]
    assert found["maaledu_lms_mean_seconds"] == [(("frappe", "courses"), 0.2)]


# --- retention ------------------------------------------------------------------------------------
def make(starts_at: datetime, span: str = CallFigure.HOUR, **more: Any) -> CallFigure:
    usual = {"platform": "frappe", "step": "courses", "calls": 10, "failed": 1, "within_100": 9}
    return CallFigure.objects.create(span=span, starts_at=starts_at, **{**usual, **more})


@pytest.mark.every_engine
def test_old_hours_become_days_of_the_same_sums_and_old_days_go() -> None:
    now = timezone.now().astimezone(UTC)
    old = (now - timedelta(days=20)).replace(hour=0, minute=0, second=0, microsecond=0)
    for hour in range(24):
        make(old + timedelta(hours=hour))
        make(old + timedelta(hours=hour), platform="openedx")
    recent, ancient = make(now - timedelta(days=2)), make(now - timedelta(days=500), "day")
    retention.STEPS["hours of LMS calls"]()
    found = CallFigure.objects.exclude(pk=recent.pk).order_by("platform")
    assert list(found.values_list("platform", "span", "calls", "failed", "within_100")) == [
        ("frappe", "day", 240, 24, 216),
        ("openedx", "day", 240, 24, 216),
    ]
    assert found[0].starts_at == old
    assert not CallFigure.objects.filter(pk=ancient.pk).exists()
    assert call_history.thin() == 0
    [day, _] = call_history.by_period(call_history.read("frappe", old), days=True)[::-1]
    assert (day.name, day.calls) == (old, 240)


@pytest.mark.every_engine
@pytest.mark.django_db(transaction=True)
def test_nights_that_run_at_once_count_no_hour_twice() -> None:
    old = (timezone.now() - timedelta(days=20)).replace(hour=1)
    for hour in range(5):
        make(old + timedelta(hours=hour))
    assert sum(race(lambda _: call_history.thin(), threads=6)) == 5
    assert rows(span=CallFigure.DAY) == [("courses", 50, 5, 0)]


def test_hours_that_come_late_are_added_to_their_day() -> None:
    old = timezone.now() - timedelta(days=20)
    for _ in range(2):
        make(old)
        assert call_history.thin() == 1
    assert rows(span=CallFigure.DAY) == [("courses", 20, 2, 0)]
    assert rows(span=CallFigure.HOUR) == []
