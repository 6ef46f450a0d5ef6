"""Enroll many at once: a list of learners becomes a draft, its rows, and an enrollment for each.

A draft enrolls nobody. Once it is started each good row is a work item, so that a lost worker loses
no learner and enrolls none twice. The rows are the backlog: few of a batch's LMS jobs are open at a
time, so that whoever buys meanwhile waits behind these few, and not behind the whole list.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from courses.models import Course
from enrollments import fulfillment
from enrollments.batch_file import Line, judge, problem_of, read
from enrollments.errors import BatchOffSale, EnrolledMeanwhile
from enrollments.invitations import invited
from enrollments.lms_jobs import BATCH_QUEUE
from enrollments.models import BatchRow, Enrollment, EnrollmentBatch
from lms_sync.models import SyncJob
from maaledu import notify
from maaledu.db import atomic, duplicate_means, transition
from maaledu.work.items import DEAD, PENDING, RUNNING
from maaledu.work.queue import Finish, Queue, doubling_backoff

INVITED = "FREE"  # what the LMS gets as the id of the payment, as for every free enrollment
WRITTEN_AT_ONCE = 500
OVER = (Enrollment.LMS_FAILED, Enrollment.LMS_REVOKED)


@dataclass(frozen=True)
class Purpose:
    """Why a list of learners is enrolled, and who pays for it or answers for it."""

    reason: str
    payer: str


@dataclass(frozen=True)
class Counts:
    """How far a batch is; each line of its file is in exactly one of these numbers."""

    waiting: int = 0
    giving_access: int = 0
    with_access: int = 0
    failed: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return sum(asdict(self).values())

    @property
    def is_finished(self) -> bool:
        return not (self.waiting or self.giving_access)

    @property
    def percent(self) -> int:
        settled = self.with_access + self.failed + self.bad
        return 100 * settled // self.total if self.total else 100


def draft(course: Course, data: bytes, *, purpose: Purpose, by: str) -> EnrollmentBatch:
    """Keep the list as a draft and return it, or the batch that this list, sent again, is already.

    Whoever was cut off sends the same file again and finds how far it came. Raises BatchUnreadable.
    """
    lines = read(data)
    source = [[line.number, line.email, line.name, line.problem] for line in lines]
    known = json.dumps([str(course.pk), purpose.reason, purpose.payer, source])
    batch, _ = EnrollmentBatch.objects.get_or_create(
        digest=hashlib.sha256(known.encode()).hexdigest(),
        defaults={
            "course": course,
            "reason": purpose.reason,
            "payer": purpose.payer,
            "source": source,
            "drafted_by": by,
        },
    )
    if batch.status == EnrollmentBatch.DISCARDED:
        transition(batch, EnrollmentBatch.DRAFT, source=source, drafted_by=by)
    return batch


def lines_of(batch: EnrollmentBatch) -> list[Line]:
    """Return what a draft would do line by line as things are now; nothing once it is started."""
    return judge([Line(*fields) for fields in batch.source], batch.course)


@atomic
def start(batch: EnrollmentBatch, *, by: str) -> bool:
    """Write the rows of a draft, due now but for the bad ones; return whether this call did.

    One transaction: a batch that is started has all its rows, whenever a process is killed.
    Raises BatchOffSale: a draft may be older than the course's withdrawal.
    """
    # Read here: this runs again after a conflict, and the lines go as the batch is started.
    fresh = EnrollmentBatch.objects.select_related("course").get(pk=batch.pk)
    if not Course.objects.on_sale().filter(pk=fresh.course_id).exists():
        raise BatchOffSale
    rows = [_row(fresh, line) for line in lines_of(fresh)]
    now = timezone.now()
    if not transition(fresh, EnrollmentBatch.STARTED, started_by=by, started_at=now, source=[]):
        return False
    BatchRow.objects.bulk_create(rows, batch_size=WRITTEN_AT_ONCE)
    notify.notify_workers_on_commit(BATCH_QUEUE)
    return True


@atomic
def stop(batch: EnrollmentBatch, *, by: str) -> bool:
    """Enroll nobody more of a batch, and return whether this call stopped it.

    Who is enrolled by then stays enrolled, and gets access; the others' lines say why they are not.
    """
    if not transition(batch, EnrollmentBatch.STOPPED):
        return False
    waiting = BatchRow.objects.filter(batch=batch, status=PENDING, problem="")
    waiting.update(problem=BatchRow.STOPPED)
    return True


def discard(batch: EnrollmentBatch, *, by: str) -> bool:
    """End a draft without enrolling anybody, and forget its addresses; return if this call did."""
    return transition(batch, EnrollmentBatch.DISCARDED, source=[])


def _row(batch: EnrollmentBatch, line: Line) -> BatchRow:
    return BatchRow(
        batch=batch,
        platform=batch.course.lms_platform,
        number=line.number,
        address=line.email,
        name=line.name,
        problem=line.problem,
    )


def counts_of(batch: EnrollmentBatch) -> Counts:
    """Return how far a started batch is."""
    rows = BatchRow.objects.filter(batch=batch).order_by()
    by_status: Counter[str] = Counter()
    bad = 0
    for problem, status, number in rows.values_list("problem", "status").annotate(Count("pk")):
        bad += number if problem else 0
        by_status[status] += 0 if problem else number
    of_access = dict(
        Enrollment.objects.filter(batch_id=batch.pk)
        .order_by()
        .values_list("lms_status")
        .annotate(Count("pk"))
    )
    with_access = of_access.pop(Enrollment.LMS_SUCCESS, 0)
    failed = sum(of_access.pop(state, 0) for state in OVER)
    waiting = by_status[PENDING] + by_status[RUNNING]
    lost = failed + by_status[DEAD]
    return Counts(waiting, sum(of_access.values()), with_access, lost, bad)


def enroll(row: BatchRow) -> Finish | None:
    """Return the call that enrolls the learner in the transaction that settles the row."""
    return None if row.problem else partial(_enroll, row)


def _enroll(row: BatchRow) -> None:
    batch = EnrollmentBatch.objects.select_related("course").get(pk=row.batch_id)
    mine = BatchRow.objects.filter(pk=row.pk)
    if batch.status == EnrollmentBatch.STOPPED:
        mine.update(problem=BatchRow.STOPPED)
        return
    running = Enrollment.objects.live().of_buyer(batch.course, row.address).first()
    if running:
        mine.update(problem=problem_of(running.status))
        return
    enrollment = invited(batch.course, email=row.address, name=row.name)
    enrollment.batch_id = batch.pk
    with duplicate_means(EnrolledMeanwhile):
        enrollment.save(force_insert=True)
    mine.update(enrollment=enrollment)
    fulfillment.fulfill(enrollment, actor=f"batch {batch.pk}", payment_reference=INVITED)


def _claimable() -> Q:
    """Match the rows of platforms at which few jobs of batches are open."""
    open_jobs = SyncJob.objects.unfinished().exclude(batch_id=None)
    # Those that wait for a later attempt, such as for an account, keep nobody from going on.
    due = open_jobs.filter(next_attempt_at__lte=timezone.now()).order_by()
    by_platform = dict(due.values_list("platform").annotate(Count("pk")))
    full = [name for name, count in by_platform.items() if count >= settings.BATCH_AHEAD]
    return ~Q(platform__in=full) if full else Q()


BATCHES = Queue(
    name=BATCH_QUEUE,
    model=BatchRow,
    run=enroll,
    backoff=doubling_backoff,
    lease=settings.WORK_LEASE_MARGIN,
    claimable=_claimable,
)
