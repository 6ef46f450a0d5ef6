"""Retry the LMS sync while somebody waits: one enrollment at once, or a bounded step of all."""

from dataclasses import dataclass
from uuid import UUID

from enrollments import access_repairs
from enrollments.errors import EnrollmentIsOver, EnrollmentNotFound
from enrollments.lms_jobs import job_key
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import dead_letters
from lms_sync.connection import awaited
from lms_sync.errors import LmsBusy, LmsUnavailable
from lms_sync.models import DeadLetter, SyncAttempt, SyncJob
from maaledu.gates import Gate, GateClosed
from maaledu.paging import MAX_LIMIT, paginate
from maaledu.rows import for_each_row
from maaledu.work.queue import claim_one, run_item

AT_ONCE = 2  # threads of a web process that wait for the LMS
_gate = Gate()


@dataclass(frozen=True)
class Retried:
    """What became of a retry: the enrollment as it is now, its job, and the last attempt's code."""

    enrollment: Enrollment
    job: SyncJob | None
    outcome: str


@dataclass(frozen=True)
class Step:
    """How many were looked at and retried, how many are open now, and where the next one begins."""

    processed: int
    retried: int
    remaining: int
    next_cursor: str


def retry_at_once(pk: UUID, *, by: str) -> Retried:
    """Ask the LMS for the access of a paid enrollment now, and return what came of it (R152).

    Does nothing where there is access. Raises EnrollmentNotFound, EnrollmentIsOver, and LmsBusy
    where others wait for the LMS already.
    """
    enrollment = Enrollment.objects.filter(pk=pk).first()
    if enrollment is None:
        raise EnrollmentNotFound(enrollment=str(pk))
    if enrollment.status != Enrollment.PAID:
        raise EnrollmentIsOver(enrollment=str(pk))
    if not enrollment.has_access:
        _run(enrollment, by=by)
        enrollment.refresh_from_db()
    job = SyncJob.objects.filter(dedupe_key=job_key(enrollment)).first()
    return Retried(enrollment, job, _last_outcome(job))


def _run(enrollment: Enrollment, *, by: str) -> None:
    try:
        with _gate.passed(AT_ONCE, unanswered=LmsUnavailable), awaited():
            access_repairs.retry(enrollment, by=by)
            enrollment.refresh_from_db()
            job = SyncJob.objects.filter(dedupe_key=job_key(enrollment)).first()
            # Where a worker was faster it runs there: the answer says so.
            if job and claim_one(LMS_JOBS, job):
                run_item(LMS_JOBS, job)
    except GateClosed as error:
        raise LmsBusy from error


def _last_outcome(job: SyncJob | None) -> str:
    attempts = SyncAttempt.objects.filter(job=job).order_by("-started_at")
    return attempts.values_list("outcome", flat=True).first() or "" if job else ""


def retry_failed(*, by: str, cursor: str = "") -> Step:
    """Give the next open dead letters, the oldest first, to the workers again (R153).

    `cursor` is that of the step before: so each letter has its turn once, also one whose job is
    dead again at once. Raises BadCursor.
    """
    letters = DeadLetter.objects.open().select_related("job")
    page = paginate(letters, cursor=cursor, limit=MAX_LIMIT, order=("created_at", "id"))
    retried = for_each_row(page.rows, lambda letter: dead_letters.replay(letter, by=by))
    return Step(len(page.rows), retried, DeadLetter.objects.open().count(), page.next_cursor)
