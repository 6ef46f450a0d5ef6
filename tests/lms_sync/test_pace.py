"""All processes together call an LMS no more often than they may; after an outage the rate rises
step by step.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import admission, breaker, pace
from lms_sync.asking import Asking
from lms_sync.connection import OPENEDX, edx_client, frappe_client
from lms_sync.errors import LmsPaced, LmsThrottled
from lms_sync.models import PlatformState, SyncJob
from lms_sync.pace import LATE, Pace
from maaledu.work.queue import drain
from tests.concurrency import race
from tests.lms_sync.rawserver import raw_server, response
from tests.lms_sync.test_breaker import fail, make_due
from tests.lms_sync.test_delivery import QUEUE, make_job
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.django_db
FRAPPE = "frappe"
PONG = response(b'{"message":"pong"}')
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_reserved() -> None:
    pace._paces.clear()


def most_in_a_second(moments: list[float]) -> int:
    """Return how many of these lie within the busiest second, wherever it begins."""
    moments = sorted(moments)
    return max(sum(first <= each < first + 1 for each in moments) for first in moments)


def turns(paces: list[Pace], *, seconds: float) -> list[float]:
    """Let two threads of each of these processes call for so long; return when each call was."""
    until, moments, guard = time.monotonic() + seconds, [], threading.Lock()

    def work(number: int) -> None:
        mine = paces[number % len(paces)]
        while time.monotonic() < until:
            mine.wait()
            with guard:
                moments.append(time.monotonic())

    assert race(work, threads=2 * len(paces)) == [None] * 2 * len(paces)
    return moments


def test_three_processes_together_keep_to_the_rate(settings: Settings) -> None:
    settings.LMS_CALLS_PER_SECOND = 30.0
    moments = turns([Pace(FRAPPE) for _ in range(3)], seconds=2)
    assert most_in_a_second(moments) <= 30
    assert len(moments) > 30, "and they use it"


def test_control_processes_that_reserve_for_themselves_exceed_it(settings: Settings) -> None:
    settings.LMS_CALLS_PER_SECOND = 30.0
    moments = turns([Pace(name) for name in ("one", "two", "three")], seconds=2)
    assert most_in_a_second(moments) > 30


def test_every_moment_is_reserved_once_by_rivals(settings: Settings) -> None:
    settings.LMS_CALLS_PER_SECOND = 100.0
    PlatformState.objects.create(name=FRAPPE)
    reserved = race(lambda _: Pace(FRAPPE)._reserve(), threads=6)
    moments = sorted(moment for mine in reserved for moment in mine)
    apart = [after - before for before, after in pairwise(moments)]
    assert len(moments) == 6 * 50
    assert min(apart) >= timedelta(milliseconds=10)


@pytest.mark.any_engine
def test_a_call_arrives_at_its_moment_however_long_its_connection_takes(
    settings: Settings,
) -> None:
    """L16: one that is late would arrive among the calls of the next moments."""
    settings.LMS_CALLS_PER_SECOND = 2.0
    came: list[float] = []
    with raw_server(lambda _: came.append(time.time()) or [PONG]) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        clients = [frappe_client(timedelta(seconds=5)) for _ in range(3)]
        for client in clients:
            client.call("GET", "/api/method/ping")
        connected = server.accepted_at
    assert min(after - before for before, after in pairwise(came)) >= 0.625 - LATE.total_seconds()
    waited = [came[number] - connected[number] for number in (1, 2)]
    assert max(waited) >= 0.1, "connected before the moment, and called at it"
    lasted = [client.journal[0].duration for client in clients[1:]]
    assert min(lasted) < timedelta(seconds=0.1), "the wait is not the LMS's time"


@pytest.mark.any_engine
def test_a_moment_that_is_missed_while_connecting_is_given_up(settings: Settings) -> None:
    settings.LMS_CALLS_PER_SECOND = 10.0
    mine = Pace(FRAPPE)
    missed = mine.approach()
    time.sleep(max((missed - timezone.now()).total_seconds(), 0) + 1.1 * LATE.total_seconds())
    mine.wait(missed)
    assert timezone.now() >= missed + timedelta(milliseconds=125)


@pytest.mark.any_engine
def test_a_question_that_nobody_waits_for_leaves_the_next_moments_to_jobs(
    settings: Settings, sandbox: Sandbox
) -> None:
    """The nightly comparison is a process of its own, whose moments nobody else can use."""
    settings.LMS_CALLS_PER_SECOND = 10.0
    Asking(FRAPPE)().find("asha@example.com", "free-course")
    assert list(pace._paces) == [(FRAPPE, True)]
    assert not pace._paces[FRAPPE, True]._moments
    state = PlatformState.objects.get(name=FRAPPE)
    assert state.next_call_at
    assert state.next_call_at < timezone.now() + timedelta(milliseconds=150)
    assert len(Pace(FRAPPE)._reserve()) == 5


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("seconds", "rate"), [(-5, 1.25), (0, 1.25), (16, 2.5), (31, 5), (46, 10), (10_000, 10)]
)
def test_the_rate_rises_after_an_outage(settings: Settings, seconds: int, rate: float) -> None:
    settings.LMS_CALLS_PER_SECOND = 10.0
    state = PlatformState(name="frappe", recovered_at=NOON)
    assert pace.rate_at(NOON + timedelta(seconds=seconds), state) == rate
    assert pace.rate_at(NOON, PlatformState(name="frappe")) == 10
    settings.OPENEDX_CALLS_PER_SECOND = 3.0
    assert pace.rate_at(NOON, PlatformState(name="openedx")) == 3


def test_each_process_notices_that_an_outage_is_over(settings: Settings, sandbox: Sandbox) -> None:
    settings.LMS_CALLS_PER_SECOND = 100.0
    mine = Pace(FRAPPE)
    assert len(mine._reserve()) == 50
    fail(3)
    make_due()
    assert breaker.probe_due() == 1
    assert len(mine._reserve()) == 6, "an eighth"
    assert not admission.has_room(FRAPPE)


def test_neither_a_pause_nor_an_outage_that_is_over_gives_away_what_is_reserved(
    sandbox: Sandbox,
) -> None:
    """L16: else two processes would call in the same moments, and pass the rate in that second."""
    state = breaker.state_of(FRAPPE)
    ahead = pace.whole(timezone.now()) + timedelta(seconds=4)
    PlatformState.objects.update(next_call_at=ahead)
    pace.hold(FRAPPE, timezone.now() - timedelta(seconds=1))
    fail(3)
    make_due()
    assert breaker.probe_due() == 1
    state.refresh_from_db()
    assert state.next_call_at is not None
    assert state.next_call_at >= ahead
    assert Pace(FRAPPE)._reserve()[0] >= ahead


def test_an_lms_that_asks_for_a_pause_is_called_by_nobody_before_its_end() -> None:
    mine, state = Pace(FRAPPE), breaker.state_of(FRAPPE)
    mine._reserve()
    breaker.note_failure(FRAPPE, LmsThrottled(retry_after=timedelta(minutes=20)))
    with pytest.raises(LmsPaced) as caught:
        mine._reserve()
    assert timedelta(minutes=19) < caught.value.retry_after <= timedelta(minutes=20)
    state.refresh_from_db()
    assert (pace.is_behind(state, timezone.now()), state.is_blocked) == (True, False)
    PlatformState.objects.update(paused_until=timezone.now())
    assert mine._reserve()


def test_whoever_would_wait_for_long_takes_up_no_job(settings: Settings) -> None:
    settings.LMS_CALLS_PER_SECOND = 1.0
    make_job()
    assert SyncJob.objects.filter(admission.claimable()).exists()
    mine, tries = Pace(FRAPPE), count()
    while SyncJob.objects.filter(admission.claimable()).exists():
        assert next(tries) < 4
        mine._reserve()
    PlatformState.objects.update(next_call_at=timezone.now() + timedelta(seconds=6))
    with pytest.raises(LmsPaced):
        Pace(FRAPPE).wait()


def test_a_clock_that_was_wrong_stops_nobody() -> None:
    breaker.state_of(FRAPPE)
    PlatformState.objects.update(next_call_at=timezone.now() + timedelta(days=3))
    assert not pace.is_behind(PlatformState.objects.get(), timezone.now())
    assert Pace(FRAPPE).wait() < 1


@pytest.mark.any_engine
def test_every_client_is_paced(settings: Settings) -> None:
    settings.OPENEDX_BASE_URL = settings.FRAPPE_LMS_BASE_URL
    clients = [frappe_client(timedelta(1)), edx_client(timedelta(1)).client]
    assert [client.platform for client in clients] == [FRAPPE, OPENEDX]


@pytest.mark.any_engine
def test_jobs_are_delivered_within_the_rate(settings: Settings, sandbox: Sandbox) -> None:
    settings.LMS_CALLS_PER_SECOND = 20.0
    for number in range(10):
        make_job(email=f"learner{number}@example.com")
    drain(QUEUE, budget=timedelta(seconds=30))
    arrived = [call["arrived_at"] for call in sandbox.calls("lms")]
    assert len(arrived) == 40
    assert most_in_a_second(arrived) <= 20
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
