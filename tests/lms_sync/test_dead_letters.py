from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from lms_sync import dead_letters
from lms_sync.errors import LmsRefused, LmsUnavailable
from lms_sync.models import DeadLetter, SyncAttempt, SyncJob
from maaledu.db import transition
from maaledu.work.items import DEAD, DONE, PENDING, RUNNING
from maaledu.work.queue import WorkerLost
from tests.concurrency import race, winners

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
STATUSES = list(DeadLetter.Status)


def dead_job(number: int = 1) -> SyncJob:
    fields = {
        "platform": "frappe",
        "email": "asha@example.com",
        "course_id": "free-course",
        "status": DEAD,
        "attempts": 7,
    }
    return SyncJob.objects.create(dedupe_key=f"enroll:{number}", **fields)


def letter_of(job: SyncJob) -> DeadLetter:
    return dead_letters.ensure_dead_letter(job, LmsRefused("No such course.", status=417))


def test_a_letter_says_why_when_and_how_often() -> None:
    job = dead_job()
    letter = DeadLetter.objects.get(pk=letter_of(job).pk)
    assert (
        letter.job_id,
        letter.status,
        letter.reason,
        letter.last_http_status,
        letter.attempts,
    ) == (
        job.pk,
        "open",
        "LMS_REFUSED",
        417,
        7,
    )
    assert letter.last_error == "The learning platform refused what was asked for. No such course."
    assert letter.requires_manual_review
    assert letter.notification_sent_at is None
    assert letter.first_attempt_at <= letter.last_attempt_at


def test_errors_that_are_not_the_lmss_have_a_letter_too() -> None:
    assert dead_letters.ensure_dead_letter(dead_job(), WorkerLost()).reason == "WORKER_LOST"


@pytest.mark.every_engine
@pytest.mark.parametrize("status", STATUSES)
def test_a_job_has_one_letter_however_often_it_dies_and_an_alert_each_time(status: str) -> None:
    """Requirement R135: also where nobody replayed the letter, or staff had dismissed it."""
    job = dead_job()
    letter = letter_of(job)
    assert dead_letters.mark_notified(letter)
    DeadLetter.objects.update(
        status=status, resolved_by="boss@example.com", resolved_at=job.created_at, note="done with"
    )
    again = dead_letters.ensure_dead_letter(job, LmsUnavailable("down"))
    stored = DeadLetter.objects.get()
    assert (stored.pk, stored.status, stored.reason) == (letter.pk, "open", "LMS_UNAVAILABLE")
    assert "down" in stored.last_error
    assert (stored.resolved_by, stored.resolved_at, stored.note) == ("", None, "")
    assert (dead_letters.mark_notified(again), dead_letters.mark_notified(again)) == (True, False)


def test_a_replay_brings_the_job_back_with_all_its_attempts_once() -> None:
    job = dead_job()
    letter = letter_of(job)
    assert dead_letters.replay(letter, by="boss@example.com", note="course made")
    job.refresh_from_db()
    assert (job.status, job.attempts) == (PENDING, 0)
    letter.refresh_from_db()
    assert (letter.status, letter.resolved_by, letter.note) == (
        "replayed",
        "boss@example.com",
        "course made",
    )
    assert letter.resolved_at is not None
    SyncJob.objects.filter(pk=job.pk).update(attempts=3)
    assert not dead_letters.replay(letter, by="other@example.com")
    letter.refresh_from_db()
    job.refresh_from_db()
    assert (letter.resolved_by, job.attempts) == ("boss@example.com", 3)


@pytest.mark.every_engine
def test_only_one_of_many_replays_counts() -> None:
    letter = letter_of(dead_job())
    assert (
        winners(
            race(
                lambda n: dead_letters.replay(
                    DeadLetter.objects.get(pk=letter.pk), by=f"{n}@example.com"
                ),
                threads=6,
            )
        )
        == 1
    )


def test_a_replay_cut_between_its_two_writes_is_healed_by_the_next() -> None:
    letter = letter_of(dead_job())
    assert transition(letter, DeadLetter.Status.REPLAYED)
    assert not dead_letters.replay(letter, by="boss@example.com")
    assert SyncJob.objects.get().status == PENDING


def test_a_job_that_dies_again_opens_its_letter_again_and_staff_are_alerted_again() -> None:
    job = dead_job()
    letter = letter_of(job)
    assert dead_letters.mark_notified(letter)
    dead_letters.replay(letter, by="boss@example.com")
    SyncJob.objects.filter(pk=job.pk).update(status=DEAD)
    again = dead_letters.ensure_dead_letter(job, LmsUnavailable("down"))
    again.refresh_from_db()
    assert (again.pk, again.status, again.reason, again.resolved_by) == (
        letter.pk,
        "open",
        "LMS_UNAVAILABLE",
        "",
    )
    assert dead_letters.mark_notified(again)
    assert not dead_letters.mark_notified(again)


def test_a_dismissed_letter_leaves_the_job_dead_and_may_still_be_replayed() -> None:
    letter = letter_of(dead_job())
    assert dead_letters.settle(
        letter, by="boss@example.com", how="withdrew", note="refunded by hand"
    )
    assert SyncJob.objects.get().status == DEAD
    assert not dead_letters.settle(letter, by="boss@example.com", how="withdrew")
    assert not dead_letters.mark_notified(letter)
    assert dead_letters.replay(letter, by="boss@example.com")
    assert SyncJob.objects.get().status == PENDING


@pytest.mark.every_engine
@pytest.mark.parametrize("status", ["open", "dismissed"])
def test_a_job_that_is_brought_back_takes_its_letter_along(status: str) -> None:
    letter = letter_of(dead_job())
    DeadLetter.objects.update(status=status)
    assert dead_letters.retry(letter.job, by="boss@example.com")
    letter.refresh_from_db()
    assert (letter.status, letter.resolved_by, letter.note) == (
        "replayed",
        "boss@example.com",
        dead_letters.FROM_THE_JOB,
    )
    assert (SyncJob.objects.get().status, SyncJob.objects.get().attempts) == (PENDING, 0)


@pytest.mark.parametrize("status", [RUNNING, DONE])
def test_a_job_that_neither_waits_nor_is_dead_is_not_brought_back(status: str) -> None:
    letter = letter_of(dead_job())
    SyncJob.objects.update(status=status)
    assert not dead_letters.retry(letter.job, by="boss@example.com")
    assert (SyncJob.objects.get().status, DeadLetter.objects.get().status) == (status, "open")


@pytest.mark.every_engine
def test_a_waiting_job_is_due_at_once_and_keeps_its_attempts() -> None:
    job = dead_job()
    SyncJob.objects.update(
        status=PENDING, attempts=3, next_attempt_at=job.created_at + timedelta(hours=1)
    )
    assert dead_letters.retry(job, by="boss@example.com")
    assert (
        SyncJob.objects.due(timezone.now()).count(),
        SyncJob.objects.get().attempts,
        DeadLetter.objects.count(),
    ) == (1, 3, 0)


@pytest.mark.every_engine
def test_a_job_of_which_many_want_a_new_life_has_one_and_an_open_letter_no_more() -> None:
    job = letter_of(dead_job()).job
    results = race(
        lambda n: dead_letters.retry(SyncJob.objects.get(pk=job.pk), by=f"{n}@example.com"),
        threads=6,
    )
    assert winners(results) >= 1
    assert (SyncJob.objects.get().status, DeadLetter.objects.get().status) == (PENDING, "replayed")


def test_the_letter_of_a_job_that_is_done_after_all_is_closed_and_a_dismissed_one_stays() -> None:
    letter = letter_of(dead_job())
    assert dead_letters.conclude(letter.job)
    assert not dead_letters.conclude(letter.job)
    letter.refresh_from_db()
    assert (letter.status, letter.resolved_by, letter.note) == (
        "replayed",
        "worker",
        dead_letters.DONE_AFTER_ALL,
    )
    dismissed = letter_of(dead_job(2))
    dead_letters.settle(dismissed, by="boss@example.com", how="withdrew")
    assert not dead_letters.conclude(dismissed.job)
    assert DeadLetter.objects.get(pk=dismissed.pk).status == "dismissed"


def test_a_replayed_letter_cannot_be_dismissed() -> None:
    letter = letter_of(dead_job())
    dead_letters.replay(letter, by="boss@example.com")
    assert not dead_letters.settle(letter, by="other@example.com", how="withdrew")
    assert DeadLetter.objects.get().resolved_by == "boss@example.com"


@pytest.mark.every_engine
def test_staff_are_alerted_of_a_letter_once() -> None:
    letter = letter_of(dead_job())
    assert winners(race(lambda _: dead_letters.mark_notified(letter), threads=6)) == 1


@pytest.mark.parametrize(("origin", "to"), list(product(STATUSES, STATUSES)))
def test_a_letter_moves_only_as_its_table_says(origin: str, to: str) -> None:
    allowed = {
        ("open", "replayed"),
        ("open", "dismissed"),
        ("dismissed", "replayed"),
        *((status, "open") for status in STATUSES),
    }
    letter = letter_of(dead_job())
    DeadLetter.objects.update(status=origin)
    assert transition(letter, to) == ((origin, to) in allowed)
    assert DeadLetter.objects.get().status == (to if (origin, to) in allowed else origin)


def test_what_is_past_its_retention_goes_with_its_letter_and_records() -> None:
    job = dead_job()
    letter_of(job)
    job.records.create(number=1, started_at=job.created_at, duration_ms=5, outcome="LMS_REFUSED")
    SyncJob.objects.all().delete()
    assert (DeadLetter.objects.count(), SyncAttempt.objects.count()) == (0, 0)


def test_the_first_attempt_is_the_first_record() -> None:
    job = dead_job()
    started = job.created_at + timedelta(minutes=3)
    job.records.create(number=1, started_at=started, duration_ms=5, outcome="LMS_REFUSED")
    letter = DeadLetter.objects.get(pk=letter_of(job).pk)
    assert abs(letter.first_attempt_at - started) < timedelta(milliseconds=1)
