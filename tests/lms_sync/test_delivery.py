"""Delivering jobs through the work machine: enrolled once, recorded, serialized, and parked while
the LMS is down.
"""

import itertools
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from lms_sync import admission, breaker, dead_letters, delivery, incidents, locks, pace
from lms_sync.backoff import backoff
from lms_sync.errors import (
    LmsBusy,
    LmsCourseUnknown,
    LmsDown,
    LmsError,
    LmsIntercepted,
    LmsMisconfigured,
    LmsPaced,
    LmsParked,
    LmsRefused,
)
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob, SyncLock
from lms_sync.platforms.base import Platform, Revoked
from maaledu.work.queue import Finish, Queue, drain
from tests.concurrency import kinds, race
from tests.lms_passing import others_get_through
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
EMAIL, COURSE = "asha@example.com", "free-course"
NONE: frozenset[str] = frozenset()
INSERT = "POST /api/resource/LMS Enrollment"
_numbers = itertools.count(1)


def make_job(**fields: Any) -> SyncJob:
    defaults = {
        "dedupe_key": f"enroll:{next(_numbers)}",
        "platform": "frappe",
        "email": EMAIL,
        "full_name": "Asha Rao",
        "course_id": COURSE,
    }
    payload = {"payment_id": "pi_1", "amount": 24950, "currency": "usd"}
    return SyncJob.objects.create(**{**defaults, "payload": payload, **fields})


def run(job: SyncJob) -> Finish | None:
    delivery.deliver(job)
    return None


QUEUE = Queue(
    name="test",
    model=SyncJob,
    run=run,
    backoff=backoff,
    lease=timedelta(seconds=75),
    claimable=admission.claimable,
    on_dead=dead_letters.ensure_dead_letter,
)


def enrolled(job: SyncJob) -> str:
    found = delivery.deliver(job)
    assert found is not None
    return found.enrollment_id


def work_off(threads: int) -> None:
    """Let so many workers run what is due until nothing is left."""
    queue = replace(QUEUE, threads=threads)
    while SyncJob.objects.unfinished().exists():
        assert kinds(race(lambda _: drain(queue), threads=threads)) == {"ok": threads}
        time.sleep(0.05)


def failure(job: SyncJob) -> LmsError:
    with pytest.raises(LmsError) as caught:
        delivery.deliver(job)
    return caught.value


def test_a_job_enrolls_and_keeps_the_id(sandbox: Sandbox) -> None:
    job = make_job()
    made = enrolled(job)
    assert [made] == [row["name"] for row in sandbox.enrollments(EMAIL, COURSE)]
    assert SyncJob.objects.get().lms_enrollment_id == made == job.lms_enrollment_id


def test_a_job_with_an_id_asks_nobody(sandbox: Sandbox) -> None:
    job = make_job(lms_enrollment_id="known")
    with CaptureQueriesContext(connection) as queries:
        assert enrolled(job) == "known"
    assert (len(queries), sandbox.calls("lms"), SyncAttempt.objects.count()) == (0, [], 0)


@pytest.mark.every_engine
def test_delivering_again_after_a_lost_worker_makes_no_second_row(sandbox: Sandbox) -> None:
    job = make_job()
    delivery.deliver(job)
    SyncJob.objects.update(lms_enrollment_id="")  # the worker was lost before it could store the id
    again = SyncJob.objects.get()
    assert enrolled(again) == sandbox.enrollments(EMAIL)[0]["name"]
    assert len(sandbox.enrollments()) == 1


def test_a_revocation_removes_the_enrollment(sandbox: Sandbox) -> None:
    delivery.deliver(make_job())
    assert delivery.withdraw(make_job(action=SyncJob.REVOKE), made=NONE) == Revoked(1)
    assert sandbox.enrollments() == []


def test_a_create_that_had_to_wait_and_was_not_sent_makes_nothing_ours(
    sandbox: Sandbox, settings: Settings
) -> None:
    """L4: what is there at the next attempt was made by somebody else; the user we did make."""
    settings.LMS_CALLS_PER_SECOND = 1.0
    pace._paces.clear()  # no moment is reserved
    breaker.state_of("frappe")
    job = make_job()

    def hold_before_create(platform: Platform, conversation: delivery.Conversation) -> None:
        conversation.notes.user_made()
        conversation.notes.create_sent()
        pace.hold("frappe", timezone.now() + timedelta(minutes=5))
        platform.enroll(delivery.request_of(job, conversation.notes))

    with pytest.raises(LmsPaced):
        delivery.attempt(job, hold_before_create)
    job.refresh_from_db()
    assert (job.creates_sent, job.lms_user_made, sandbox.calls("lms")) == (0, True, [])


def test_a_learner_whom_a_firewall_blocks_is_tried_less_and_less_and_loses_no_attempt(
    sandbox: Sandbox,
) -> None:
    """L1: the others' calls pass, so the platform is not down."""
    blocked = make_job()
    sandbox.fault("lms", "page", f"GET /api/resource/User/{EMAIL}", status=403)
    pauses = []
    for number in range(9):
        make_job(email=f"learner{number}@example.com")
        SyncJob.objects.filter(pk=blocked.pk).update(next_attempt_at=timezone.now())
        drain(QUEUE)
        blocked.refresh_from_db()
        pauses.append(round((blocked.next_attempt_at - timezone.now()) / timedelta(minutes=1)))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (blocked.status, blocked.attempts) == ("pending", 0)
    assert len(sandbox.enrollments()) == 9


def test_a_record_says_what_was_asked_and_answered_without_secrets(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "slow", times=1, seconds=0.3)
    delivery.deliver(make_job())
    record = SyncAttempt.objects.get()
    assert (record.number, record.outcome, record.http_status) == (1, "done", 200)
    assert record.duration_ms >= 300
    assert "POST /api/resource/LMS%20Enrollment" in record.request
    assert sandbox.enrollments()[0]["name"] in record.response
    assert record.started_at <= timezone.now()
    for hidden in ("sandbox-key", "sandbox-secret", "Asha", "asha@"):
        assert hidden not in record.request + record.response
    assert len(record.request) <= 4096
    assert len(record.response) <= 4096


def test_each_failed_delivery_has_its_record(sandbox: Sandbox) -> None:
    job = make_job()
    for mode in ("503", "401", "down"):
        sandbox.fault("lms", mode, times=1)
        PlatformState.objects.update(state="closed")
        failure(job)
    found = [(r.number, r.outcome, r.http_status) for r in SyncAttempt.objects.all()]
    assert found == [
        (1, "LMS_INTERCEPTED", 503),
        (2, "LMS_MISCONFIGURED", 401),
        (3, "LMS_UNAVAILABLE", None),
    ]


def test_what_is_missing_in_the_settings_is_recorded_without_a_call(
    sandbox: Sandbox, settings: Settings
) -> None:
    settings.FRAPPE_LMS_API_KEY = ""
    assert isinstance(failure(make_job()), LmsMisconfigured)
    assert (SyncAttempt.objects.get().outcome, sandbox.calls("lms")) == ("LMS_MISCONFIGURED", [])


@pytest.mark.parametrize(
    "fields",
    [
        {"email": ""},
        {"email": "notanemail"},
        {"email": "a@b.c\nBcc: x@y.z"},
        {"course_id": ""},
        {"course_id": "../User"},
        {"course_id": "a b"},
    ],
)
def test_what_cannot_be_an_address_or_a_course_is_refused_unasked(
    sandbox: Sandbox, fields: dict
) -> None:
    error = failure(make_job(**fields))
    assert (type(error), error.retryable) == (LmsRefused, False)
    assert sandbox.calls("lms") == []
    assert SyncAttempt.objects.get().outcome == "LMS_REFUSED"


def test_a_platform_without_a_driver_is_parked_and_the_other_works_on(sandbox: Sandbox) -> None:
    error = failure(make_job(platform="openedx", course_id="course-v1:A+B+C"))
    assert isinstance(error, LmsMisconfigured)
    assert error.reason == "No driver for openedx is configured."
    assert breaker.blocked_platforms() == {"openedx"}
    delivery.deliver(make_job())


def test_nothing_is_sent_to_a_blocked_platform(sandbox: Sandbox) -> None:
    job = make_job()
    breaker.state_of("frappe")
    PlatformState.objects.update(state="open")
    error = failure(job)
    assert isinstance(error, LmsParked)
    assert not error.consumes_attempt
    assert (sandbox.calls("lms"), SyncAttempt.objects.count()) == ([], 0)


@pytest.mark.every_engine
def test_the_same_learner_and_course_are_dealt_with_by_one_worker_at_a_time(
    sandbox: Sandbox,
) -> None:
    sandbox.fault("lms", "slow", seconds=0.3)
    jobs = [make_job() for _ in range(4)]
    found = kinds(race(lambda number: delivery.deliver(jobs[number]), threads=4))
    assert found["ok"] >= 1
    assert found["ok"] + found["LmsBusy"] == 4
    assert len(sandbox.enrollments()) == 1


@pytest.mark.every_engine
def test_who_is_busy_changes_nothing_and_comes_back_in_a_second(sandbox: Sandbox) -> None:
    with locks.held(f"frappe:{COURSE}:{EMAIL}", lease=timedelta(minutes=1)):
        error = failure(make_job())
    assert isinstance(error, LmsBusy)
    assert (error.consumes_attempt, error.retry_after) == (False, timedelta(seconds=1))
    assert SyncAttempt.objects.count() == 0
    assert SyncLock.objects.count() == 0


@pytest.mark.every_engine
def test_without_the_lock_two_workers_would_make_two_rows(sandbox: Sandbox) -> None:
    """The control: the LMS itself does not keep the pair unique."""
    sandbox.lms(users=[{"email": EMAIL, "first_name": "Asha"}])
    sandbox.fault("lms", "slow", seconds=0.3)
    race(lambda _: delivery.attempt(make_job(), delivery._enroll), threads=4)
    assert len(sandbox.enrollments()) > 1


@pytest.mark.every_engine
def test_two_courses_of_one_new_learner_at_once(sandbox: Sandbox) -> None:
    sandbox.lms(user_latency=0.2)
    make_job()
    make_job(course_id="other-course")
    work_off(threads=2)
    assert sorted(row["course"] for row in sandbox.enrollments(EMAIL)) == [
        "free-course",
        "other-course",
    ]
    assert len([user for user in sandbox.book("users") if user["name"] == EMAIL]) == 1


def test_the_first_two_attempts_are_two_seconds_apart_and_the_third_minutes_later(
    sandbox: Sandbox,
) -> None:
    sandbox.fault("lms", "query_timeout", INSERT, times=2)
    make_job()
    pauses = []
    for _ in range(2):
        drain(QUEUE)
        job = SyncJob.objects.get()
        pauses.append((job.next_attempt_at - timezone.now()).total_seconds())
        SyncJob.objects.update(next_attempt_at=timezone.now())
        others_get_through()
    assert 1 < pauses[0] <= 2
    assert 100 < pauses[1] <= 132
    drain(QUEUE)
    assert (SyncJob.objects.get().status, SyncJob.objects.get().attempts) == ("done", 2)


def test_a_refusal_is_a_dead_letter_at_once(sandbox: Sandbox) -> None:
    make_job(course_id="no-such-course")
    drain(QUEUE)
    job, letter = SyncJob.objects.get(), DeadLetter.objects.get()
    assert (job.status, job.attempts, letter.reason, letter.last_http_status) == (
        "dead",
        1,
        LmsCourseUnknown.code,
        417,
    )
    assert "no-such-course" in letter.last_error
    sandbox.lms(courses=[{"title": "Made since", "name": "no-such-course"}])
    assert dead_letters.replay(letter, by="boss@example.com")
    drain(QUEUE)
    assert SyncJob.objects.get().status == "done"
    assert len(sandbox.enrollments()) == 1


def test_the_seventh_failure_is_the_last(sandbox: Sandbox) -> None:
    """Failures about this job alone: others get through the same step, and the breaker stays
    closed.
    """
    others_get_through()
    sandbox.fault("lms", "query_timeout", INSERT)
    make_job()
    for _ in range(7):
        assert SyncJob.objects.get().status == "pending"
        SyncJob.objects.update(next_attempt_at=timezone.now())
        drain(QUEUE)
        breaker.note_success("frappe", timedelta(0))
    assert (SyncJob.objects.get().status, SyncJob.objects.get().attempts) == ("dead", 7)
    assert (DeadLetter.objects.get().attempts, SyncAttempt.objects.count()) == (7, 7)


def test_fifty_jobs_survive_an_outage_without_using_up_attempts(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "down")
    for number in range(50):
        make_job(email=f"learner{number}@example.com")
    for _ in range(5):
        SyncJob.objects.update(next_attempt_at=timezone.now())
        PlatformState.objects.update(retry_at=timezone.now())
        breaker.probe_due()
        drain(QUEUE)
    assert sum(SyncJob.objects.values_list("attempts", flat=True)) == 2
    assert SyncAttempt.objects.count() == 3
    sandbox.heal()
    PlatformState.objects.update(retry_at=timezone.now())
    SyncJob.objects.update(next_attempt_at=timezone.now())
    assert breaker.probe_due() == 1
    drain(QUEUE, budget=timedelta(seconds=60))
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
    assert len(sandbox.enrollments()) == 50
    assert DeadLetter.objects.count() == 0


def test_a_bad_key_parks_everything_and_fills_no_dead_letters(sandbox: Sandbox) -> None:
    sandbox.lms(key="other-key:other-secret")
    for number in range(20):
        make_job(email=f"learner{number}@example.com")
    drain(QUEUE)
    assert (DeadLetter.objects.count(), SyncAttempt.objects.count()) == (0, 1)
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("pending", 0)}
    assert [alert.incident for alert in incidents.pending_alerts()] == ["misconfigured"]
    sandbox.lms(key="sandbox-key:sandbox-secret")
    PlatformState.objects.update(retry_at=timezone.now())
    SyncJob.objects.update(next_attempt_at=timezone.now())
    breaker.probe_due()
    drain(QUEUE, budget=timedelta(seconds=60))
    assert len(sandbox.enrollments()) == 20


def test_a_step_the_key_may_not_do_costs_that_job_its_attempts_and_the_others_nothing(
    sandbox: Sandbox,
) -> None:
    """The probe lists enrollments, which this key may; making users, which it may not, is tried
    seven times, then given up.
    """
    sandbox.lms(users=[{"email": "old@example.com", "first_name": "Old"}])
    sandbox.fault("lms", "403", "POST /api/resource/User")
    new, others = make_job(), []
    for number in range(7):
        assert SyncJob.objects.get(pk=new.pk).status == "pending"
        others.append(
            make_job(email="old@example.com", course_id=COURSE, dedupe_key=f"other:{number}")
        )
        SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
        drain(QUEUE)
        assert breaker.blocked_platforms() == set()
    new.refresh_from_db()
    assert (new.status, new.attempts) == ("dead", 7)
    letter = DeadLetter.objects.get()
    assert (letter.reason, letter.last_http_status, letter.attempts) == ("LMS_DENIED", 403, 7)
    assert "System Manager and Moderator" in letter.last_error
    assert SyncJob.objects.filter(status="done").count() == len(others)
    assert {record.outcome for record in new.records.all()} == {"LMS_MISCONFIGURED"}


def test_a_denied_step_waits_as_any_failed_attempt_does(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "403", "POST /api/resource/User")
    make_job()
    pauses = []
    for _ in range(2):
        drain(QUEUE)
        pauses.append((SyncJob.objects.get().next_attempt_at - timezone.now()).total_seconds())
        SyncJob.objects.update(next_attempt_at=timezone.now())
    assert 1 < pauses[0] <= 2
    assert 100 < pauses[1] <= 132
    sandbox.heal()
    drain(QUEUE)
    assert (SyncJob.objects.get().status, len(sandbox.enrollments(EMAIL))) == ("done", 1)


def test_a_missing_custom_method_parks_the_platform(sandbox: Sandbox, settings: Settings) -> None:
    settings.FRAPPE_DRIVER = "confirm_payment"
    make_job()
    drain(QUEUE)
    assert breaker.state_of("frappe").state == "parked"
    assert (SyncJob.objects.get().status, DeadLetter.objects.count()) == ("pending", 0)


def test_a_throttled_job_waits_as_asked_and_loses_no_attempt(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "429", retry_after=1603, times=1)
    make_job()
    drain(QUEUE)
    job = SyncJob.objects.get()
    assert (job.status, job.attempts) == ("pending", 0)
    assert 1590 < (job.next_attempt_at - timezone.now()).total_seconds() <= 1603
    assert breaker.blocked_platforms() == set()


def test_a_failure_while_the_breaker_opens_is_the_outages(sandbox: Sandbox) -> None:
    sandbox.fault("lms", "503")
    errors = [failure(make_job(email=f"learner{number}@example.com")) for number in range(3)]
    assert [type(error) for error in errors] == [LmsIntercepted, LmsIntercepted, LmsDown]


@pytest.mark.every_engine
@pytest.mark.parametrize("percent", [38])
def test_flaky_answers_of_every_kind_end_with_one_row_each(
    sandbox: Sandbox, settings: Settings, percent: int
) -> None:
    settings.LMS_TIMEOUT_WORKER = timedelta(seconds=2)
    sandbox.fault("lms", "random", percent=percent, seed=7)
    for number in range(12):
        make_job(email=f"learner{number}@example.com")
    for _ in range(300):
        SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now(), attempts=0)
        PlatformState.objects.update(retry_at=timezone.now(), no_new_users_before=None)
        breaker.probe_due()
        drain(QUEUE, budget=timedelta(seconds=10))
        if not SyncJob.objects.unfinished().exists():
            break
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
    assert sorted(row["member"] for row in sandbox.enrollments()) == sorted(
        f"learner{number}@example.com" for number in range(12)
    )
    ids = set(SyncJob.objects.values_list("lms_enrollment_id", flat=True))
    assert ids == {row["name"] for row in sandbox.enrollments()}
