"""The sync with the LMS, looked at and retried by a program (requirements R151-R153)."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.errors import LmsRefused
from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.queue import drain
from tests.api.asking import make_key, make_worker, post, refused, signed_in, with_key
from tests.enrollments.test_provisioning import buy
from tests.factories import make_pending
from tests.sandbox_client import Sandbox

INSERT = "POST /api/resource/LMS Enrollment"
PATH = "/api/admin/retry-frappe-sync"
SEE, REPAIR, REPLAY = (
    "enrollments.view_enrollment",
    "enrollments.repair_enrollment",
    "lms_sync.replay_deadletter",
)


@pytest.fixture
def staff(db: None) -> Client:
    return signed_in(make_worker(SEE, REPAIR, REPLAY))


def fail(buyer: Client, sandbox: Sandbox, **fields: str) -> Enrollment:
    """Return a paid enrollment whose job the LMS has refused for good."""
    enrollment = buy(buyer, **fields)
    sandbox.fault("lms", "417", INSERT, times=1)
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert enrollment.lms_status == "failed"
    return enrollment


def test_failed_enrollments_are_counted_and_listed(
    buyer: Client, sandbox: Sandbox, staff: Client
) -> None:
    """Requirement R151."""
    enrollment = fail(buyer, sandbox)
    other = buy(buyer)
    make_pending()
    found = staff.get(PATH).json()
    assert found["statistics"] == {
        "pending": 1,
        "retrying": 0,
        "awaitingAccount": 0,
        "failed": 1,
        "lost": 0,
        "dueJobs": 1,
        "deadLetters": 1,
    }
    [failed] = found["failedEnrollments"]
    assert (failed["enrollmentId"], failed["email"]) == (str(enrollment.pk), enrollment.email)
    assert failed["lastError"].startswith("LMS_")
    assert (failed["attempts"], failed["lmsStatus"]) == (1, "failed")
    assert (found["hasMore"], found["nextCursor"]) == (False, None)
    Enrollment.objects.filter(pk=other.pk).update(lms_status="failed")
    first = staff.get(f"{PATH}?limit=1").json()
    last = staff.get(PATH, {"limit": 1, "cursor": first["nextCursor"]}).json()
    pages = [[each["enrollmentId"] for each in p["failedEnrollments"]] for p in (first, last)]
    assert (pages, last["hasMore"]) == ([[str(other.pk)], [str(enrollment.pk)]], False)
    Enrollment.objects.filter(pk=other.pk).update(lms_status="pending")


def test_one_enrollment_is_retried_at_once_with_its_result(
    buyer: Client, sandbox: Sandbox, staff: Client
) -> None:
    """Requirement R152: no worker runs here."""
    enrollment = fail(buyer, sandbox)
    answer = post(staff, PATH, {"enrollmentId": str(enrollment.pk)})
    result = answer.json()
    enrollment.refresh_from_db()
    assert (answer.status_code, result["result"], result["lastAttempt"]) == (200, "success", "done")
    assert (result["lmsStatus"], enrollment.has_access) == ("success", True)
    assert result["lmsEnrollmentId"] == enrollment.lms_enrollment_id
    assert DeadLetter.objects.get().resolved_by == "staff@example.com"
    assert LogEntry.objects.get(object_id=str(enrollment.pk)).change_message
    entry = AuditEntry.objects.get(row_id=str(enrollment.pk))
    assert (entry.kind, entry.what) == ("decided", "retried by the API")
    calls = len(sandbox.calls("lms"))
    again = post(staff, PATH, {"enrollmentId": str(enrollment.pk)}).json()
    assert (again["result"], len(sandbox.calls("lms"))) == ("success", calls)


@pytest.mark.any_engine
def test_a_retry_that_fails_says_so_and_is_tried_again_later(
    buyer: Client, sandbox: Sandbox, staff: Client
) -> None:
    enrollment = fail(buyer, sandbox)
    sandbox.fault("lms", "417", INSERT, times=1)
    dead = post(staff, PATH, {"enrollmentId": str(enrollment.pk)}).json()
    assert (dead["result"], dead["lmsStatus"]) == ("failed", "failed")
    assert dead["lastError"].startswith("LMS_")
    sandbox.fault("lms", "503")
    later = post(staff, PATH, {"enrollmentId": str(enrollment.pk)}).json()
    assert later["result"] == "pending"
    assert later["nextAttemptAt"] is not None


@pytest.mark.any_engine
def test_what_cannot_be_retried_is_refused(db: None, staff: Client) -> None:
    pending, _ = make_pending()
    unpaid = post(staff, PATH, {"enrollmentId": str(pending.pk)})
    assert refused(unpaid) == (409, "ENROLLMENT_IS_OVER")
    nobody = post(staff, PATH, {"enrollmentId": "018f0000-0000-7000-8000-000000000000"})
    assert refused(nobody) == (404, "ENROLLMENT_NOT_FOUND")
    for body in (
        {},
        {"retryAll": False},
        {"enrollmentId": "x"},
        {"retryAll": True, "enrollmentId": str(pending.pk)},
    ):
        assert refused(post(staff, PATH, body)) == (422, "INVALID_INPUT"), body


@pytest.mark.breaks_invariants
def test_all_are_retried_in_bounded_steps_each_once(db: None, staff: Client) -> None:
    """Requirement R153: 60 dead letters in two steps, also where all die again at once."""
    _write_dead(60)
    totals, replayed, cursor = [], [], ""
    for _ in range(2):
        step = post(staff, PATH, {"retryAll": True, "cursor": cursor}).json()
        totals.append((step["processed"], step["retried"], step["skipped"], step["remaining"]))
        taken = DeadLetter.objects.filter(status="replayed")
        replayed += sorted(int(key.removeprefix("enroll:")) for key in _jobs_of(taken))
        # What dies again at once is open again: it has had its turn.
        taken.update(status="open")
        cursor = step["nextCursor"] or ""
    assert totals == [(50, 50, 0, 10), (10, 10, 0, 50)]
    noted = AuditEntry.objects.order_by("created_at").values_list("what", flat=True)
    assert [each.partition(" ")[0] for each in noted] == ["50", "10"]
    assert (replayed, cursor, step["hasMore"]) == (list(range(60)), "", False)
    assert set(DeadLetter.objects.values_list("resolved_by", flat=True)) == {"staff@example.com"}
    assert SyncJob.objects.filter(status="pending").count() == 60


def _jobs_of(letters: QuerySet[DeadLetter]) -> list[str]:
    return list(letters.values_list("job__dedupe_key", flat=True))


def _write_dead(number: int) -> None:
    now = timezone.now()
    facts = {"platform": "frappe", "course_id": "c", "status": "dead", "finished_at": now}
    jobs = SyncJob.objects.bulk_create(
        SyncJob(dedupe_key=f"enroll:{n}", email=f"l{n}@example.com", **facts) for n in range(number)
    )
    moments = {"first_attempt_at": now, "last_attempt_at": now, "notification_sent_at": now}
    DeadLetter.objects.bulk_create(
        DeadLetter(
            job=job,
            reason=LmsRefused.code,
            created_at=now - timedelta(seconds=number - n),
            **moments,
        )
        for n, job in enumerate(jobs)
    )


@pytest.mark.any_engine
def test_each_act_asks_for_the_permission_that_the_office_asks_for(db: None) -> None:
    pending, _ = make_pending()
    one, everything = {"enrollmentId": str(pending.pk)}, {"retryAll": True}
    seeing = signed_in(make_worker(SEE, email="see@example.com"))
    repairing = make_worker(REPAIR, email="repair@example.com")
    assert seeing.get(PATH).status_code == 200
    assert refused(post(seeing, PATH, one)) == (403, "FORBIDDEN")
    assert refused(signed_in(repairing).get(PATH)) == (403, "FORBIDDEN")
    assert refused(post(signed_in(repairing), PATH, everything)) == (403, "FORBIDDEN")
    _, text = make_key(repairing, "sync:write")
    assert refused(post(with_key(text), PATH, one)) == (409, "ENROLLMENT_IS_OVER")
    assert refused(post(with_key(text), PATH, everything)) == (403, "FORBIDDEN")
