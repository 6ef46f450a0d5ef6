"""No more jobs of all processes are at an LMS at once than may be; one of them makes new users, and
only jobs that need one wait for that.
"""

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import accounts, admission, breaker, locks, seats
from lms_sync.errors import LmsPaced
from lms_sync.models import PlatformState, SyncJob, SyncLock
from maaledu.work.queue import drain
from tests.concurrency import kinds, race
from tests.lms_sync.test_delivery import QUEUE, make_job, work_off
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = pytest.mark.django_db
FRAPPE = "frappe"
CREATE = "POST /api/resource/User"
HOUR = timedelta(hours=1)
# The kernel says to its own tick of 4 ms when a call came, and two ticks may lie between; a call
# that came too early overlaps for the 200 ms that the LMS takes.
TICKS = 0.01


def most_at_once(sandbox: Sandbox) -> int:
    """Return how many calls the LMS had in hand at the same moment, at most."""
    calls = sandbox.calls("lms")
    ends = [(call["arrived_at"] + TICKS, call["at"]) for call in calls]
    return max(sum(begin <= moment < end for begin, end in ends) for moment, _ in ends)


@pytest.mark.parametrize("allowed", [2, 6])
def test_jobs_at_an_lms_are_at_most_so_many_at_once(
    settings: Settings, sandbox: Sandbox, allowed: int
) -> None:
    settings.LMS_CALLS_AT_ONCE = allowed
    learners = [f"learner{number}@example.com" for number in range(12)]
    sandbox.lms(users=[{"email": email, "first_name": "L"} for email in learners])
    sandbox.fault("lms", "slow", seconds=0.2)
    for email in learners:
        make_job(email=email)

    def work(_: int) -> None:
        while SyncJob.objects.unfinished().exists():
            drain(QUEUE, limit=1)
            time.sleep(0.02)

    assert race(work, threads=6) == [None] * 6
    assert most_at_once(sandbox) <= allowed
    assert allowed == 2 or most_at_once(sandbox) > 2, "the harness sees more where more may"
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("done", 0)}
    assert SyncLock.objects.count() == 0


def test_of_rivals_as_many_get_a_seat_as_there_are(settings: Settings) -> None:
    settings.LMS_CALLS_AT_ONCE = 3
    all_asked = threading.Barrier(8)

    def sit(_: int) -> bool:
        try:
            with seats.taken(FRAPPE):
                all_asked.wait(30)
        except LmsPaced:
            all_asked.wait(30)
            raise
        return True

    assert kinds(race(sit, threads=8)) == {"ok": 3, "LmsPaced": 5}
    assert SyncLock.objects.count() == 0


def test_the_seat_of_a_lost_worker_is_free_after_its_lease(settings: Settings) -> None:
    settings.LMS_CALLS_AT_ONCE = 1
    lost = seats.taken(FRAPPE)
    lost.__enter__()
    with pytest.raises(LmsPaced) as caught, seats.taken(FRAPPE):
        pass
    assert caught.value.consumes_attempt is False
    assert seats.in_use(FRAPPE) == 1
    SyncLock.objects.update(until=timezone.now())
    with seats.taken(FRAPPE):
        lost.__exit__(None, None, None)
        assert SyncLock.objects.count() == 1, "it does not give away its successor's"


def test_who_found_no_seat_claims_no_job_of_the_platform_for_a_moment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LMS_CALLS_AT_ONCE = 1
    breaker.state_of(FRAPPE)
    make_job()
    make_job(platform="openedx")
    with seats.taken(FRAPPE):
        with pytest.raises(LmsPaced), seats.taken(FRAPPE):
            pass
        jobs = SyncJob.objects.filter(admission.claimable())
        assert [job.platform for job in jobs] == ["openedx"]
    monkeypatch.setattr(seats.time, "monotonic", lambda: seats._full_until[FRAPPE])
    assert SyncJob.objects.filter(admission.claimable()).count() == 2


# --- new users ------------------------------------------------------------------------------------


def new_jobs(number: int) -> None:
    for each in range(number):
        make_job(email=f"new{each}@example.com")


def refused(sandbox: Sandbox) -> int:
    return sum(call["status"] == 417 for call in sandbox.calls("lms"))


def an_hour_later(sandbox: Sandbox) -> None:
    sandbox.advance(3601)
    PlatformState.objects.update(no_new_users_before=timezone.now())
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())


def test_many_workers_make_users_one_at_a_time(sandbox: Sandbox) -> None:
    """With a pause in between two makings the LMS deadlocks, as Frappe does."""
    sandbox.lms(user_latency=0.05, user_deadlocks=True)
    new_jobs(8)
    work_off(threads=4)
    assert {call["status"] for call in sandbox.calls("lms", CREATE)} == {200}
    assert len(sandbox.calls("lms", CREATE)) == 8
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("done", 0)}
    assert set(SyncJob.objects.values_list("needs_account", flat=True)) == {False}


def test_while_one_makes_users_who_found_it_so_claims_what_needs_none(sandbox: Sandbox) -> None:
    breaker.state_of(FRAPPE)
    make_job(email="new@example.com")
    with locks.held(accounts.turn_at(FRAPPE), lease=timedelta(minutes=1)):
        assert drain(QUEUE) == 1
        job = SyncJob.objects.get()
        assert (job.status, job.attempts, job.needs_account) == ("pending", 0, True)
        SyncJob.objects.update(next_attempt_at=timezone.now())
        make_job(email="old@example.com")
        jobs = SyncJob.objects.filter(admission.claimable())
        assert [job.email for job in jobs] == ["old@example.com"]
    accounts._busy_until.clear()
    assert SyncJob.objects.filter(admission.claimable()).count() == 2


@pytest.mark.any_engine
def test_a_limit_on_new_users_parks_only_jobs_that_need_one(sandbox: Sandbox) -> None:
    """G2: whoever has an account goes on, and the LMS refuses one call for all who wait."""
    sandbox.lms(user_limit=5, users=[{"email": "old@example.com", "first_name": "Old"}])
    new_jobs(20)
    make_job(email="old@example.com")
    drain(QUEUE, budget=timedelta(seconds=30))
    made = SyncJob.objects.filter(status="done").count() - 1
    assert (made, refused(sandbox), len(sandbox.calls("lms", CREATE))) == (6, 1, 7)
    assert SyncJob.objects.get(email="old@example.com").status == "done"
    waiting = SyncJob.objects.filter(status="pending")
    assert set(waiting.values_list("needs_account", "attempts")) == {(True, 0)}
    soonest = min(job.next_attempt_at for job in waiting)
    assert timedelta(minutes=58) < soonest - timezone.now() <= HOUR

    asked = len(sandbox.calls("lms"))
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())  # by staff
    make_job(email="old@example.com", course_id="other-course")
    assert drain(QUEUE) == 1
    assert len(sandbox.calls("lms")) - asked == 3


@pytest.mark.any_engine
def test_after_its_hour_the_next_ones_are_made_without_a_look_for_them(sandbox: Sandbox) -> None:
    sandbox.lms(user_limit=5)
    new_jobs(30)
    for _ in range(5):
        drain(QUEUE, budget=timedelta(seconds=30))
        an_hour_later(sandbox)
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("done", 0)}
    assert refused(sandbox) == 4
    assert len(sandbox.calls("lms")) == 4 * 30 + 4 * 2, "one look for each, one refusal an hour"
    assert len({row["member"] for row in sandbox.enrollments()}) == len(sandbox.enrollments()) == 30


def test_a_learner_whose_user_was_made_waits_with_no_other_job(sandbox: Sandbox) -> None:
    sandbox.lms(user_limit=0)
    make_job(email="first@example.com")
    drain(QUEUE)
    make_job()
    make_job(course_id="other-course")
    drain(QUEUE)
    an_hour_later(sandbox)
    drain(QUEUE)
    assert set(SyncJob.objects.values_list("status", "needs_account")) == {("done", False)}
    assert len(sandbox.calls("lms", CREATE)) == 4, "two made, one refused, one made already"


@pytest.mark.any_engine
def test_a_making_of_users_that_is_down_keeps_back_only_who_needs_one(sandbox: Sandbox) -> None:
    """L15."""
    sandbox.lms(users=[{"email": "old@example.com", "first_name": "Old"}])
    sandbox.fault("lms", "query_timeout", CREATE)
    new_jobs(6)
    make_job(email="old@example.com")
    drain(QUEUE)
    state = PlatformState.objects.get()
    assert (state.state, len(sandbox.calls("lms", CREATE))) == ("closed", 1)
    assert state.no_new_users_before is not None
    assert state.no_new_users_before > timezone.now() + timedelta(seconds=50)
    assert SyncJob.objects.get(email="old@example.com").status == "done"
    for _ in range(8):
        PlatformState.objects.update(no_new_users_before=timezone.now())
        SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
        drain(QUEUE)
    assert len(sandbox.calls("lms", CREATE)) == 9, "one each time"
    sandbox.heal("lms")
    PlatformState.objects.update(no_new_users_before=timezone.now())
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    drain(QUEUE, budget=timedelta(seconds=20))
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
    assert max(SyncJob.objects.values_list("attempts", flat=True)) <= 1


def test_a_look_while_every_platform_is_down_asks_nothing_about_jobs() -> None:
    """G8."""
    for name in (FRAPPE, "openedx"):
        PlatformState.objects.create(name=name, state="open", retry_at=timezone.now() + HOUR)
    new_jobs(3)
    with statements() as asked:
        assert drain(QUEUE) == 0
    assert len(asked) == 1
    assert "platformstate" in asked[0]


@pytest.mark.engines("sqlite")
def test_while_no_new_users_are_made_no_look_reads_who_waits_for_one() -> None:
    """G8: SQLite finds them in an index by the words that are asked, and only by those."""
    breaker.state_of(FRAPPE)
    now = timezone.now()
    PlatformState.objects.update(no_new_users_before=now + HOUR)
    due = SyncJob.objects.due(now).filter(admission.claimable())
    assert "needs_account=?" in due.order_by("next_attempt_at").explain()
