"""The old platform's address for a sync that failed: what there is, and trying it again."""

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from api.callers import may
from api.errors import InvalidInput
from api.fields import Cursor, Limit
from api.operations import operation
from api.shapes import RetriedAll, RetriedOne, RetryAll, RetryOne, SyncFailures, pager_of
from api.terms import STAFF, Terms
from enrollments import retrying
from enrollments.errors import (
    DifferenceIsOver,
    EnrollmentIsOver,
    EnrollmentNotFound,
    NotRepairable,
)
from enrollments.lms_jobs import job_key
from enrollments.models import Enrollment
from lms_sync.errors import LmsBusy
from lms_sync.models import DeadLetter, SyncJob
from maaledu.errors import Forbidden
from maaledu.paging import DEFAULT_LIMIT, BadCursor, Page, paginate
from maaledu.work.items import DEAD, RUNNING

REPLAY = "lms_sync.replay_deadletter"
RETRIED = "retried by the API"
STATES = (
    Enrollment.LMS_PENDING,
    Enrollment.LMS_RETRYING,
    Enrollment.LMS_AWAITING,
    Enrollment.LMS_FAILED,
    Enrollment.LMS_LOST,
)
READ = Terms(
    who=STAFF,
    scope="sync:read",
    permission="enrollments.view_enrollment",
    refusals=(BadCursor, InvalidInput),
)
RETRY = Terms(
    who=STAFF,
    scope="sync:write",
    permission="enrollments.repair_enrollment",
    makes=True,
    refusals=(
        EnrollmentNotFound,
        EnrollmentIsOver,
        DifferenceIsOver,
        NotRepairable,
        LmsBusy,
        BadCursor,
    ),
)


@operation("GET", "admin/retry-frappe-sync", terms=READ, answers={200: SyncFailures})
def sync_failures(
    request: HttpRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = ""
) -> dict[str, Any]:
    """Statistics of the LMS sync, and the enrollments that it has given up, the newest first."""
    failed = Enrollment.objects.paid().filter(lms_status=Enrollment.LMS_FAILED)
    page = paginate(failed, cursor=cursor, limit=limit)
    return {
        "statistics": _statistics(),
        "failed_enrollments": _failed(page),
        **pager_of(page),
    }


def _statistics() -> dict[str, int]:
    # State by state, each by the index: those with access, who are most, are not counted.
    paid = Enrollment.objects.paid()
    return {
        **{state: paid.filter(lms_status=state).count() for state in STATES},
        "due_jobs": SyncJob.objects.due(timezone.now()).count(),
        "dead_letters": DeadLetter.objects.open().count(),
    }


def _failed(page: Page) -> list[dict[str, Any]]:
    keys = [job_key(enrollment) for enrollment in page.rows]
    jobs = {job.dedupe_key: job for job in SyncJob.objects.filter(dedupe_key__in=keys)}
    return [
        {
            "enrollment_id": enrollment.pk,
            "course_id": enrollment.course_slug,
            "email": enrollment.email,
            "lms_platform": enrollment.lms_platform,
            "lms_status": enrollment.lms_status,
            "paid_at": enrollment.paid_at,
            **_facts_of(jobs.get(job_key(enrollment))),
        }
        for enrollment in page.rows
    ]


def _facts_of(job: SyncJob | None) -> dict[str, Any]:
    return {"attempts": job.attempts if job else 0, "last_error": job.last_error if job else ""}


@operation("POST", "admin/retry-frappe-sync", terms=RETRY, answers={200: RetriedOne | RetriedAll})
def retry_sync(request: HttpRequest, body: RetryOne | RetryAll) -> dict[str, Any]:
    """Retry one enrollment at once, with its result; or all that was given up, step by step.

    A step gives at most fifty dead letters to the workers again, the oldest first. Send the
    nextCursor of its answer for the next one, until hasMore is false.
    """
    user: User = request.user  # type: ignore[assignment]
    if isinstance(body, RetryAll):
        return _retry_all(user, body.cursor)
    retried = retrying.retry_at_once(body.enrollment_id, by=user.email)
    _note(user, retried.enrollment)
    return _result(retried)


def _retry_all(user: User, cursor: str) -> dict[str, Any]:
    if not may(user, REPLAY):
        raise Forbidden
    step = retrying.retry_failed(by=user.email, cursor=cursor)
    if step.retried:
        words = f"{step.retried} dead letters replayed by the API"
        audit.record(AuditEntry.DECIDED, words, by=user.email)
    return {
        "processed": step.processed,
        "retried": step.retried,
        "skipped": step.processed - step.retried,
        "remaining": step.remaining,
        "next_cursor": step.next_cursor or None,
        "has_more": bool(step.next_cursor),
    }


def _result(retried: retrying.Retried) -> dict[str, Any]:
    enrollment, job = retried.enrollment, retried.job
    result = {DEAD: "failed", RUNNING: "running"}.get(job.status if job else "", "pending")
    return {
        "enrollment_id": enrollment.pk,
        "result": "success" if enrollment.has_access else result,
        "lms_status": enrollment.lms_status,
        "lms_enrollment_id": enrollment.lms_enrollment_id,
        "last_attempt": retried.outcome,
        "next_attempt_at": job.next_attempt_at if job and result == "pending" else None,
        **_facts_of(job),
    }


def _note(user: User, enrollment: Enrollment) -> None:
    """Leave the entries in the history and in the change log that the office's button leaves."""
    LogEntry.objects.log_actions(str(user.pk), [enrollment], CHANGE, RETRIED, single_object=True)
    audit.record(AuditEntry.DECIDED, RETRIED, by=user.email, about=enrollment)
