"""A wrong course id can be corrected after the sale: a retried job goes where its course is now."""

import uuid
from collections.abc import Callable

import pytest

from courses.models import Course
from lms_sync import dead_letters, rerouting
from lms_sync.errors import LmsCourseUnknown
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.items import DEAD, PENDING
from tests.factories import make_course

pytestmark = pytest.mark.django_db
BOSS = "boss@example.com"


@pytest.fixture
def course() -> Course:
    return make_course(lms_course_id="right-id")


def make_job(course: Course, **fields: object) -> SyncJob:
    known = {
        "dedupe_key": "enroll:1",
        "platform": "frappe",
        "email": "asha@example.com",
        "course_id": "wrong-id",
        "status": DEAD,
    }
    return SyncJob.objects.create(**{**known, "payload": {"course": str(course.pk)}, **fields})


def replay(job: SyncJob) -> bool:
    return dead_letters.replay(
        dead_letters.ensure_dead_letter(job, LmsCourseUnknown("wrong-id")), by=BOSS
    )


def retry(job: SyncJob) -> bool:
    return dead_letters.retry(job, by=BOSS)


@pytest.mark.parametrize("way", [replay, retry])
def test_a_job_that_is_brought_back_goes_where_its_course_is_now(
    course: Course, way: Callable[[SyncJob], bool]
) -> None:
    assert way(make_job(course))
    job = SyncJob.objects.get()
    assert (job.status, job.platform, job.course_id) == (PENDING, "frappe", "right-id")
    record = SyncAttempt.objects.get()
    assert (record.outcome, record.number, record.http_status, record.duration_ms) == (
        "rerouted",
        1,
        None,
        0,
    )
    for words in (BOSS, "right-id", "wrong-id", "Nothing was sent"):
        assert words in record.request


def test_a_waiting_job_of_a_platform_without_a_driver_is_freed_by_correcting_its_course(
    course: Course,
) -> None:
    """Nothing claims the jobs of a parked platform, so the retry must correct them first."""
    job = make_job(course, platform="openedx", course_id="course-v1:A+B+C", status=PENDING)
    PlatformState.objects.create(name="openedx", state="parked")
    assert retry(job)
    assert SyncJob.objects.filter(platform="frappe", course_id="right-id").count() == 1


@pytest.mark.any_engine
def test_bringing_back_what_is_right_leaves_no_record(course: Course) -> None:
    job = make_job(course, course_id="right-id")
    assert retry(job)
    assert SyncAttempt.objects.count() == 0


@pytest.mark.any_engine
@pytest.mark.parametrize(
    "fields",
    [
        {"lms_enrollment_id": "given"},
        {"action": SyncJob.REVOKE},
        {"status": "running"},
        {"status": "done"},
        {"payload": {}},
        {"payload": {"course": ""}},
        {"payload": {"course": str(uuid.UUID(int=7))}},
    ],
    ids=str,
)
def test_what_has_access_is_under_way_or_names_no_course_stays_where_it_is(
    course: Course, fields: dict
) -> None:
    job = make_job(course, **fields)
    assert not rerouting.follow_course(job, by=BOSS)
    assert (SyncJob.objects.get().course_id, SyncAttempt.objects.count()) == ("wrong-id", 0)


@pytest.mark.any_engine
def test_nothing_is_sent_to_a_platform_without_a_driver_on_purpose(course: Course) -> None:
    Course.objects.update(lms_platform="openedx", lms_course_id="course-v1:A+B+C")
    assert not rerouting.follow_course(make_job(course), by=BOSS)
    assert SyncJob.objects.get().platform == "frappe"


def test_the_letter_keeps_when_the_job_was_first_tried(course: Course) -> None:
    job = make_job(course)
    job.records.create(
        number=1, started_at=job.created_at, duration_ms=5, outcome="LMS_COURSE_UNKNOWN"
    )
    assert replay(job)
    assert [record.number for record in job.records.all()] == [1, 2]
    assert abs(DeadLetter.objects.get().first_attempt_at - job.created_at).total_seconds() < 0.01
