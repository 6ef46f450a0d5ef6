from datetime import timedelta
from itertools import product

import pytest

from lms_sync import dead_letters
from lms_sync.errors import LmsRefused, LmsUnavailable
from lms_sync.models import DeadLetter, SyncAttempt, SyncJob
from maaledu.db import transition
from maaledu.work import DEAD, PENDING, WorkerLost
from tests.concurrency import race, winners

pytestmark = pytest.mark.django_db
STATUSES = list(DeadLetter.Status)


def dead_job(number: int = 1) -> SyncJob:
    fields = {"platform": "frappe", "email": "asha@example.com", "course_id": "free-course", "status": DEAD, "attempts": 7}
    return SyncJob.objects.create(dedupe_key=f"enroll:{number}", **fields)


def letter_of(job: SyncJob) -> DeadLetter:
    return dead_letters.ensure_dead_letter(job, LmsRefused("No such course.", status=417))


def test_a_letter_says_why_when_and_how_often() -> None:
    job = dead_job()
    letter = DeadLetter.objects.get(pk=letter_of(job).pk)
    assert (letter.job_id, letter.status, letter.reason, letter.last_http_status, letter.attempts) == (
        job.pk,
        "open",
        "LMS_REFUSED",
        417,
        7,
    )
    assert letter.last_error == "The learning platform refused the enrollment. No such course."
    assert letter.requires_manual_review
    assert letter.notification_sent_at is None
    assert letter.first_attempt_at <= letter.last_attempt_at


def test_errors_that_are_not_the_lmss_have_a_letter_too() -> None:
    assert dead_letters.ensure_dead_letter(dead_job(), WorkerLost()).reason == "WORKER_LOST"


def test_a_job_has_one_letter_however_often_it_is_buried() -> None:
    job = dead_job()
    letter_of(job)
    first = DeadLetter.objects.get()
    dead_letters.ensure_dead_letter(job, LmsUnavailable("later"))
    assert DeadLetter.objects.get().last_error == first.last_error


def test_a_replay_brings_the_job_back_with_all_its_attempts_once() -> None:
    job = dead_job()
    letter = letter_of(job)
    assert dead_letters.replay(letter, by="boss@example.com", note="course made")
    job.refresh_from_db()
    assert (job.status, job.attempts) == (PENDING, 0)
    letter.refresh_from_db()
    assert (letter.status, letter.resolved_by, letter.note) == ("replayed", "boss@example.com", "course made")
    assert letter.resolved_at is not None
    SyncJob.objects.filter(pk=job.pk).update(attempts=3)
    assert not dead_letters.replay(letter, by="other@example.com")
    letter.refresh_from_db()
    job.refresh_from_db()
    assert (letter.resolved_by, job.attempts) == ("boss@example.com", 3)


def test_only_one_of_many_replays_counts() -> None:
    letter = letter_of(dead_job())
    assert winners(race(lambda n: dead_letters.replay(DeadLetter.objects.get(pk=letter.pk), by=f"{n}@example.com"), threads=6)) == 1


def test_a_replay_cut_between_its_two_writes_is_healed_by_the_next() -> None:
    letter = letter_of(dead_job())
    assert transition(letter, DeadLetter.Status.REPLAYED)
    assert not dead_letters.replay(letter, by="boss@example.com")
    assert SyncJob.objects.get().status == PENDING


def test_a_job_that_dies_again_opens_its_letter_again_and_staff_are_told_again() -> None:
    job = dead_job()
    letter = letter_of(job)
    assert dead_letters.mark_notified(letter)
    dead_letters.replay(letter, by="boss@example.com")
    SyncJob.objects.filter(pk=job.pk).update(status=DEAD)
    again = dead_letters.ensure_dead_letter(job, LmsUnavailable("down"))
    again.refresh_from_db()
    assert (again.pk, again.status, again.reason, again.resolved_by) == (letter.pk, "open", "LMS_UNAVAILABLE", "")
    assert dead_letters.mark_notified(again)
    assert not dead_letters.mark_notified(again)


def test_a_dismissed_letter_leaves_the_job_dead_and_may_still_be_replayed() -> None:
    letter = letter_of(dead_job())
    assert dead_letters.dismiss(letter, by="boss@example.com", note="refunded by hand")
    assert SyncJob.objects.get().status == DEAD
    assert not dead_letters.dismiss(letter, by="boss@example.com")
    assert not dead_letters.mark_notified(letter)
    assert dead_letters.replay(letter, by="boss@example.com")
    assert SyncJob.objects.get().status == PENDING


def test_a_replayed_letter_cannot_be_dismissed() -> None:
    letter = letter_of(dead_job())
    dead_letters.replay(letter, by="boss@example.com")
    assert not dead_letters.dismiss(letter, by="other@example.com")
    assert DeadLetter.objects.get().resolved_by == "boss@example.com"


def test_staff_are_told_of_a_letter_once() -> None:
    letter = letter_of(dead_job())
    assert winners(race(lambda _: dead_letters.mark_notified(letter), threads=6)) == 1


@pytest.mark.parametrize(("origin", "to"), list(product(STATUSES, STATUSES)))
def test_a_letter_moves_only_as_its_table_says(origin: str, to: str) -> None:
    allowed = {("open", "replayed"), ("open", "dismissed"), ("dismissed", "replayed"), ("replayed", "open")}
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
