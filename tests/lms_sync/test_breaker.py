"""The breaker is one row for all processes: three failures open it, and one process probes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import admission, breaker, incidents
from lms_sync.errors import (
    LmsContended,
    LmsCourseUnknown,
    LmsDenied,
    LmsDown,
    LmsError,
    LmsMisconfigured,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.models import PlatformState, SyncJob
from tests.concurrency import race
from tests.engines import ROOT
from tests.lms_sync.rawserver import RawServer, raw_server, response
from tests.processes import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
FRAPPE = "frappe"
MINUTE = timedelta(minutes=1)
GREEN = response(b'{"message":"bot@example.com","data":[]}', headers="Connection: close\r\n")
NO_SUCH_COURSE = response(
    b'{"exc_type":"LinkValidationError"}', status="417 No", headers="Connection: close\r\n"
)
CALLS_OF_A_PROBE, CALLS_OF_A_DEEP_ONE = 2, 12


@pytest.fixture
def state() -> PlatformState:
    return breaker.state_of(FRAPPE)


@pytest.fixture
def lms(settings: Settings) -> Iterator[RawServer]:
    """An LMS that answers every probe well, but only after a moment."""

    def script(request: bytes) -> list[bytes | float]:
        return [0.3, NO_SUCH_COURSE if request.startswith(b"POST") else GREEN]

    with raw_server(script) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        yield server


@pytest.fixture
def nobody(settings: Settings) -> None:
    settings.FRAPPE_LMS_BASE_URL = f"http://127.0.0.1:{free_port()}"


def fail(times: int, error: type[LmsError] = LmsUnavailable) -> list[LmsError]:
    return [breaker.note_failure(FRAPPE, error("no answer")) for _ in range(times)]


def now_in(state: PlatformState) -> str:
    state.refresh_from_db()
    return state.state


def make_due() -> None:
    PlatformState.objects.update(retry_at=timezone.now() - timedelta(seconds=1))


def test_two_failures_do_not_open_it_and_the_third_does(state: PlatformState) -> None:
    assert [type(error) for error in fail(2)] == [LmsUnavailable, LmsUnavailable]
    assert now_in(state) == "closed"
    before = timezone.now()
    assert [type(error) for error in fail(1)] == [LmsDown]
    assert now_in(state) == "open"
    assert state.opened_at
    assert state.retry_at
    assert timedelta(seconds=59) < state.retry_at - before < timedelta(seconds=61)


def test_failures_of_an_outage_use_up_no_attempt(state: PlatformState) -> None:
    errors = fail(6)
    assert [error.consumes_attempt for error in errors] == [True, True, False, False, False, False]
    assert all(error.retryable for error in errors)


def test_a_success_between_failures_starts_the_count_anew(state: PlatformState) -> None:
    fail(2)
    breaker.note_success(FRAPPE, timedelta(milliseconds=42))
    fail(2)
    assert now_in(state) == "closed"
    assert (state.failures, state.latency_ms) == (2, 42)
    assert state.last_ok_at is not None


@pytest.mark.parametrize("error", [LmsRefused, LmsCourseUnknown, LmsThrottled, LmsContended])
def test_an_answer_about_one_job_never_opens_it_and_ends_a_row_of_failures(
    state: PlatformState, error: type[LmsError]
) -> None:
    fail(2)
    assert [type(e) for e in fail(10, error)] == [error] * 10
    fail(2)
    assert now_in(state) == "closed"


def test_unreadable_answers_count_like_no_answer(state: PlatformState) -> None:
    fail(3, LmsUnreadable)
    assert now_in(state) == "open"


def test_jobs_of_a_blocked_platform_are_not_claimable_and_others_are(state: PlatformState) -> None:
    for platform in (FRAPPE, "openedx"):
        SyncJob.objects.create(dedupe_key=platform, platform=platform, email="a@b.c", course_id="x")
    assert SyncJob.objects.filter(admission.claimable()).count() == 2
    fail(3)
    assert breaker.blocked_platforms() == {FRAPPE}
    assert [job.platform for job in SyncJob.objects.filter(admission.claimable())] == ["openedx"]


@pytest.mark.every_engine
@pytest.mark.parametrize("blocked", PlatformState.BLOCKED)
def test_each_blocked_state_keeps_jobs_back_and_says_since_when(
    state: PlatformState, blocked: str
) -> None:
    since = timezone.now().replace(microsecond=0)
    PlatformState.objects.update(state=blocked, opened_at=since, retry_at=since + MINUTE)
    assert breaker.blocked_platforms() == {FRAPPE}
    assert breaker.outage(FRAPPE) == breaker.Outage(since, since + MINUTE)


def test_there_is_no_outage_while_it_answers(state: PlatformState) -> None:
    assert breaker.outage(FRAPPE) is None
    assert breaker.outage("unknown") is None


def test_a_probe_is_not_made_before_its_time(state: PlatformState, lms: RawServer) -> None:
    fail(3)
    assert breaker.probe_due() == 0
    assert lms.requests == []
    assert now_in(state) == "open"


def test_a_green_probe_closes_it(state: PlatformState, lms: RawServer) -> None:
    fail(3)
    make_due()
    assert breaker.probe_due() == 1
    assert now_in(state) == "closed"
    # A probe shows less than a job does: the first job that fails opens it again.
    assert (state.failures, state.opened_at, state.retry_at, state.probe_token) == (
        2,
        None,
        None,
        "",
    )
    assert breaker.blocked_platforms() == set()


def test_a_red_probe_opens_it_for_another_minute_and_keeps_since_when(
    state: PlatformState, nobody: None
) -> None:
    fail(3)
    state.refresh_from_db()
    since = state.opened_at
    make_due()
    assert breaker.probe_due() == 0
    assert now_in(state) == "open"
    assert state.opened_at == since
    assert state.retry_at
    assert state.retry_at > timezone.now() + timedelta(seconds=55)


@pytest.mark.every_engine
def test_one_of_many_workers_probes(state: PlatformState, lms: RawServer) -> None:
    fail(3)
    make_due()
    assert sum(race(lambda _: breaker.probe_due(), threads=8)) == 1
    assert len(lms.requests) == CALLS_OF_A_PROBE
    assert now_in(state) == "closed"


@pytest.mark.every_engine
def test_while_it_is_being_probed_nobody_else_probes_nor_claims(
    state: PlatformState, lms: RawServer
) -> None:
    fail(3)
    PlatformState.objects.update(
        state="half_open", retry_at=timezone.now() + MINUTE, probe_token="other"
    )
    assert breaker.probe_due() == 0
    assert not breaker.probe_now(FRAPPE)
    assert lms.requests == []
    assert breaker.blocked_platforms() == {FRAPPE}


def test_the_probe_of_a_lost_worker_is_made_again(state: PlatformState, lms: RawServer) -> None:
    fail(3)
    PlatformState.objects.update(
        state="half_open", retry_at=timezone.now() - MINUTE, probe_token="lost"
    )
    assert breaker.probe_due() == 1
    assert now_in(state) == "closed"


def test_a_misconfiguration_parks_the_platform_at_once(state: PlatformState) -> None:
    error = fail(1, LmsMisconfigured)[0]
    assert (error.retryable, error.consumes_attempt) == (True, False)
    assert now_in(state) == "parked"
    assert breaker.blocked_platforms() == {FRAPPE}


def test_a_parked_platform_is_released_by_a_green_probe(
    state: PlatformState, lms: RawServer
) -> None:
    fail(1, LmsMisconfigured)
    make_due()
    assert breaker.probe_due() == 1
    assert now_in(state) == "closed"


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("401 Unauthorized", "parked"),
        ("403 Forbidden", "parked"),
        ("500 Oops", "open"),
        ("429 Slow", "open"),
    ],
)
def test_a_red_probe_says_what_is_wrong_now(
    state: PlatformState, settings: Settings, status: str, after: str
) -> None:
    fail(3)
    make_due()
    with raw_server([response(b'{"exc_type": "Error"}', status=status)]) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        assert breaker.probe_due() == 0
    assert now_in(state) == after


def test_a_guests_answer_to_the_probe_means_that_the_key_is_lost(
    state: PlatformState, settings: Settings
) -> None:
    fail(3)
    make_due()
    with raw_server([response(b'{"message":"Guest","data":[]}')]) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        breaker.probe_due()
    assert now_in(state) == "parked"


@pytest.mark.every_engine
def test_a_platform_without_a_driver_stays_parked() -> None:
    breaker.state_of("openedx")
    breaker.note_failure("openedx", LmsMisconfigured("No driver for openedx is configured."))
    make_due()
    assert breaker.probe_due() == 0
    assert breaker.blocked_platforms() == {"openedx"}


def test_an_alert_is_pending_once_an_incident_not_once_a_probe(
    state: PlatformState, lms: RawServer
) -> None:
    fail(3)
    alert = incidents.pending_alerts()[0]
    assert (alert.name, alert.incident) == (FRAPPE, "unavailable")
    assert incidents.clear_alert(alert)
    assert not incidents.clear_alert(alert)
    for _ in range(3):  # the probe is green each time, and each time the jobs fail again
        make_due()
        assert breaker.probe_due() == 1
        fail(3)
    assert incidents.pending_alerts() == []
    make_due()
    breaker.probe_due()
    breaker.note_success(FRAPPE, timedelta(0))
    fail(3)
    assert len(incidents.pending_alerts()) == 1


def flap(state: PlatformState) -> None:
    """It fails, is probed green, and one job goes well: the incident is over, and the next
    begins.
    """
    fail(3)
    PlatformState.objects.update(state="closed", failures=0, opened_at=None)
    breaker.note_success(FRAPPE, timedelta(0))
    fail(3)


@pytest.mark.every_engine
def test_staff_are_alerted_of_one_kind_of_incident_once_an_hour(state: PlatformState) -> None:
    fail(3)
    assert incidents.clear_alert(state)
    for _ in range(4):
        flap(state)
        assert [incidents.clear_alert(alert) for alert in incidents.pending_alerts()] == [False]
    PlatformState.objects.update(unavailable_alerted_at=timezone.now() - timedelta(minutes=61))
    assert [incidents.clear_alert(alert) for alert in incidents.pending_alerts()] == [True]
    assert incidents.pending_alerts() == []


@pytest.mark.every_engine
def test_an_alert_that_waits_for_its_hour_is_dropped_where_the_platform_answers_by_then(
    state: PlatformState,
) -> None:
    fail(3)
    assert incidents.clear_alert(state)
    flap(state)
    PlatformState.objects.update(state="closed")
    assert [incidents.clear_alert(alert) for alert in incidents.pending_alerts()] == [False]
    assert incidents.pending_alerts() == []
    fail(3)
    assert [alert.incident for alert in incidents.pending_alerts()] == ["unavailable"], (
        "the next one waits for the hour again"
    )


def test_the_other_kind_of_incident_alerts_within_the_hour(state: PlatformState) -> None:
    fail(3)
    assert incidents.clear_alert(state)
    fail(1, LmsMisconfigured)
    assert incidents.clear_alert(state)
    assert state.incident == "misconfigured"


def test_a_short_incident_keeps_its_name_until_staff_were_alerted(state: PlatformState) -> None:
    fail(3)
    PlatformState.objects.update(state="closed")
    breaker.note_success(FRAPPE, timedelta(0))
    assert [alert.incident for alert in incidents.pending_alerts()] == ["unavailable"]
    assert incidents.clear_alert(state)
    breaker.note_success(FRAPPE, timedelta(0))
    assert PlatformState.objects.get().incident == ""


@pytest.mark.every_engine
def test_a_misconfiguration_that_the_probe_does_not_see_is_about_that_step_only(
    state: PlatformState, lms: RawServer
) -> None:
    fail(2)
    error = breaker.note_misconfiguration(
        FRAPPE, LmsMisconfigured("no right to make users", status=403)
    )
    assert isinstance(error, LmsDenied)
    assert (error.retryable, error.consumes_attempt, error.retry_after, error.lms_status) == (
        True,
        True,
        None,
        403,
    )
    assert (now_in(state), state.failures, state.is_denying) == ("closed", 0, True)
    assert "no right to make users" in state.last_error
    assert len(lms.requests) == CALLS_OF_A_DEEP_ONE
    assert incidents.clear_alert(state)
    breaker.note_misconfiguration(FRAPPE, LmsMisconfigured("no right to make users"))
    assert incidents.pending_alerts() == []


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "502 Bad Gateway"])
def test_a_misconfiguration_parks_the_platform_unless_the_probe_is_green(
    state: PlatformState, settings: Settings, status: str
) -> None:
    with raw_server([response(b"", status=status)]) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        error = breaker.note_misconfiguration(FRAPPE, LmsMisconfigured("the key"))
    assert (type(error), error.consumes_attempt) == (LmsMisconfigured, False)
    assert (now_in(state), state.is_denying) == ("parked", False)
    assert "the key" in state.last_error


def test_an_outage_that_turns_out_to_be_a_misconfiguration_alerts_as_well(
    state: PlatformState,
) -> None:
    fail(3)
    incidents.clear_alert(state)
    fail(1, LmsMisconfigured)
    assert [alert.incident for alert in incidents.pending_alerts()] == ["misconfigured"]


@pytest.mark.every_engine
def test_only_one_of_many_takes_the_alert(state: PlatformState) -> None:
    fail(3)
    assert sum(race(lambda _: incidents.clear_alert(state), threads=6)) == 1


@pytest.mark.every_engine
def test_failures_of_many_threads_open_it_once(state: PlatformState) -> None:
    race(lambda _: fail(2), threads=8)
    assert now_in(state) == "open"
    assert state.failures <= 16


def test_a_success_that_arrives_late_does_not_close_it(state: PlatformState) -> None:
    fail(3)
    breaker.note_success(FRAPPE, timedelta(0))
    assert now_in(state) == "open"


def test_staff_may_probe_at_any_time(state: PlatformState, lms: RawServer) -> None:
    assert breaker.probe_now(FRAPPE)
    fail(3)
    assert breaker.probe_now(FRAPPE)
    assert now_in(state) == "closed"
    assert state.latency_ms is not None
    assert state.latency_ms >= 600


def test_a_staff_probe_of_an_answering_platform_counts_when_it_fails(
    state: PlatformState, nobody: None
) -> None:
    assert not breaker.probe_now(FRAPPE)
    assert now_in(state) == "closed"
    assert state.failures == 1


def make_quiet() -> None:
    long_ago = timezone.now() - timedelta(minutes=2)
    PlatformState.objects.update(last_ok_at=long_ago, retry_at=None)


@pytest.mark.every_engine
def test_a_quiet_platform_is_asked_whether_it_still_answers_by_one_worker(
    state: PlatformState, lms: RawServer
) -> None:
    make_quiet()
    assert sum(race(lambda _: breaker.watch(), threads=6)) == 1
    assert len(lms.requests) == CALLS_OF_A_PROBE
    state.refresh_from_db()
    assert state.last_ok_at
    assert state.last_ok_at > timezone.now() - MINUTE
    assert breaker.watch() == 0


def test_a_platform_that_just_answered_is_left_alone(state: PlatformState, lms: RawServer) -> None:
    breaker.note_success(FRAPPE, timedelta(0))
    assert breaker.watch() == 0
    assert lms.requests == []


def test_a_blocked_platform_is_probed_and_not_watched(state: PlatformState, lms: RawServer) -> None:
    fail(3)
    make_quiet()
    assert breaker.watch() == 0
    assert lms.requests == []


def test_an_outage_is_noticed_before_a_learner_meets_it(state: PlatformState, nobody: None) -> None:
    for _ in range(3):
        make_quiet()
        assert breaker.watch() == 1
        assert breaker.watch() == 0
    assert now_in(state) == "open"
    assert [alert.incident for alert in incidents.pending_alerts()] == ["unavailable"]


@pytest.mark.every_engine
def test_a_look_that_succeeds_ends_a_row_of_failures(state: PlatformState, lms: RawServer) -> None:
    fail(2)
    make_quiet()
    breaker.watch()
    fail(2)
    assert now_in(state) == "closed"


def test_the_probe_does_not_wait_longer_than_where_somebody_waits(
    state: PlatformState, settings: Settings
) -> None:
    settings.LMS_TIMEOUT_INTERACTIVE = timedelta(seconds=0.5)
    started = timezone.now()
    with raw_server([3.0, GREEN]) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        assert not breaker.probe_now(FRAPPE)
    assert timezone.now() - started < timedelta(seconds=2)


# Loads the product once; each line of its input is printed by a process of its own, which knows
# nothing of the others and has no connection of theirs.
OTHER_PROCESSES = """
import os, sys
import django; django.setup()
from lms_sync import breaker
from lms_sync.errors import LmsUnavailable
for line in sys.stdin:
    if not (child := os.fork()):
        print(eval(line), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture
def in_another_process(
    process_env: dict[str, str], lms: RawServer
) -> Iterator[Callable[[str], str]]:
    """Return a function that has another process work something out, and returns what it was."""
    loaded = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", OTHER_PROCESSES],
        cwd=ROOT,
        env={**os.environ, **process_env, "FRAPPE_LMS_BASE_URL": lms.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert loaded.stdin
    assert loaded.stdout
    questions, answers = loaded.stdin, loaded.stdout

    def work_out(code: str) -> str:
        print(code, file=questions, flush=True)
        return answers.readline().strip()

    yield work_out
    loaded.communicate(timeout=60)
    assert loaded.returncode == 0


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.slow
def test_two_processes_share_it(
    state: PlatformState, in_another_process: Callable[[str], str]
) -> None:
    fail(2)
    in_another_process("breaker.note_failure('frappe', LmsUnavailable())")
    assert now_in(state) == "open"
    assert in_another_process("breaker.blocked_platforms()") == "{'frappe'}"
    make_due()
    assert in_another_process("breaker.probe_due()") == "1"
    assert now_in(state) == "closed"
    assert breaker.probe_due() == 0
