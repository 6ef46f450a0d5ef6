"""Put right what a comparison with the LMS found, once staff have decided so.

Nothing is called here: each repair is a job, under the lock of its learner and course, that looks
at the LMS anew. Only what we made is taken away, and of a duplicate nothing with work in it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from enrollments import access, access_differences, lms_jobs
from enrollments.errors import DifferenceIsOver, NotRepairable
from enrollments.models import AccessDifference, Enrollment, EnrollmentEvent
from lms_sync import dead_letters, delivery
from lms_sync.job_notes import OURS, RAISED_FROM
from lms_sync.models import FOUND, MADE, SyncJob
from lms_sync.platforms.base import Found, Plan
from maaledu.db import atomic, transition
from maaledu.work.queue import Finish

DIFFERENCE = "difference"  # the key in a job's payload
MISSING, UNPAID = AccessDifference.MISSING, AccessDifference.UNPAID
ELSEWHERE, DOUBLE = AccessDifference.ELSEWHERE, AccessDifference.DOUBLE
LESS = AccessDifference.LESS
RETRIED = "LMS sync retried."


def plan_of(difference: AccessDifference) -> Plan:
    """Return what a repair would do, by what the LMS showed last. Raises NotRepairable."""
    rows = difference.rows
    if difference.kind == DOUBLE:
        plan = _plan_double(rows)
        if not plan.removed:
            raise NotRepairable
        return plan
    if difference.kind == LESS:
        return Plan()
    ours = tuple(row["id"] for row in rows if row.get("ours"))
    return Plan(removed=ours, left=tuple(row["id"] for row in rows if not row.get("ours")))


def is_repairable(difference: AccessDifference) -> bool:
    try:
        plan_of(difference)
    except NotRepairable:
        return False
    return True


def _plan_double(rows: Sequence[dict[str, Any]]) -> Plan:
    """Keep one: with work in it, before one that is not ours to remove, before the oldest."""
    listed = [row for row in rows if not row["batch"]]
    if not listed:
        return Plan()
    kept = next((row for row in listed if row["touched"]), None)
    kept = kept or next((row for row in listed if not row["ours"]), listed[0])
    others = [row for row in listed if row is not kept]
    removed = [row["id"] for row in others if row["ours"] and not row["touched"]]
    left = [row["id"] for row in others if row["id"] not in removed]
    return Plan(tuple(removed), kept["id"], tuple(left))


@atomic
def repair(difference: AccessDifference, *, by: str) -> bool:
    """Begin the repair of a difference, and return whether this call did.

    `by` is the member of staff. Raises NotRepairable, and DifferenceIsOver where the enrollment has
    changed since.
    """
    plan = plan_of(difference)
    if not transition(
        difference,
        AccessDifference.REPAIRING,
        decided_by=by,
        decided_at=timezone.now(),
        repairs=F("repairs") + 1,
    ):
        return False
    difference.refresh_from_db()
    if not _begin(difference, plan, by=by):
        raise DifferenceIsOver
    return True


def _begin(difference: AccessDifference, plan: Plan, *, by: str) -> bool:
    enrollment, named = difference.enrollment, {DIFFERENCE: str(difference.pk)}
    if difference.kind == UNPAID:
        return lms_jobs.revoke_again(enrollment, **named)
    if difference.kind == DOUBLE:
        return _stage(difference, enrollment, course_id=difference.course_id)
    if difference.kind == LESS:
        named |= _whose(enrollment, difference.rows)
    is_begun = lms_jobs.give_again(enrollment, by=by, **named)
    for row in difference.rows:
        if row["id"] in plan.removed:
            _stage(difference, enrollment, course_id=row["course"])
    return is_begun


def _whose(enrollment: Enrollment, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return what the next job is to know of an enrollment that is there: that we made it, and of
    what.
    """
    ours = next((row["id"] for row in rows if row.get("ours")), "")
    before = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment)).first()
    raised_from = (before.payload or {}).get(RAISED_FROM) if before else ""
    return {OURS: ours, RAISED_FROM: raised_from or ""} if ours else {}


def leave(difference: AccessDifference, *, by: str, reason: str) -> bool:
    """Leave a difference as it is: it alerts nobody again. Returns whether this call did."""
    return transition(
        difference,
        AccessDifference.LEFT,
        decided_by=by,
        decided_at=timezone.now(),
        reason=reason,
    )


def _stage(difference: AccessDifference, enrollment: Enrollment, *, course_id: str) -> bool:
    """Write the job that removes what is ours in this LMS course, once for each repair."""
    key = f"{SyncJob.REPAIR}:{difference.pk}:{difference.repairs}:{course_id}"
    return lms_jobs.ensure_repair(
        enrollment, key=key, course_id=course_id, **{DIFFERENCE: str(difference.pk)}
    )


def run(job: SyncJob, enrollment: Enrollment) -> Finish:
    """Remove what is ours and not needed, and return the call that records what is left."""
    difference = AccessDifference.objects.get(pk=job.payload[DIFFERENCE])
    if job.email != enrollment.email:  # it was moved to another address since
        return partial(dead_letters.conclude, job)
    if difference.kind == DOUBLE:
        kept = delivery.settle_double(
            job,
            choose=partial(_choose, enrollment),
            is_due=partial(access.is_paid, enrollment),
        )
        return partial(_record_double, job, enrollment, kept)
    made = frozenset(row["id"] for row in difference.rows if row.get("ours"))
    delivery.withdraw(job, made=made, is_due=partial(is_unpaid, job))
    return partial(dead_letters.conclude, job)


def is_unpaid(job: SyncJob) -> bool:
    """Whether the learner has no paid enrollment in the course that a job takes away."""
    paid = Enrollment.objects.paid().filter(lms_platform=job.platform, email=job.email)
    return not paid.filter(lms_course_id__iexact=job.course_id).exists()


def _choose(enrollment: Enrollment, rows: Sequence[Found]) -> Plan:
    return _plan_double(access_differences.shown(enrollment, rows))


def _record_double(job: SyncJob, enrollment: Enrollment, plan: Plan | None) -> None:
    """Record which enrollment is left, whose it is, and that the difference is settled."""
    if plan and plan.kept:
        is_ours = plan.kept in lms_jobs.ours_of(enrollment).made
        left = {"lms_enrollment_id": plan.kept, "lms_origin": MADE if is_ours else FOUND}
        given = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment))
        given.update(**left, creates_sent=int(is_ours))
        Enrollment.objects.filter(pk=enrollment.pk).update(**left, updated_at=timezone.now())
    if plan and plan.left:  # there is work in each, or another made it
        _reopen(job)
    conclude(job)
    dead_letters.conclude(job)


def _reopen(job: SyncJob) -> bool:
    difference = AccessDifference.objects.get(pk=job.payload[DIFFERENCE])
    return transition(difference, AccessDifference.OPEN)


def conclude(job: SyncJob) -> bool:
    """Settle the difference that a job repairs, if it is one of a repair; return if this did."""
    named = (job.payload or {}).get(DIFFERENCE)
    difference = AccessDifference.objects.filter(pk=named).first() if named else None
    return difference is not None and transition(
        difference,
        AccessDifference.SETTLED,
        only=Q(status=AccessDifference.REPAIRING),
        settled_at=timezone.now(),
    )


@atomic
def retry(enrollment: Enrollment, *, by: str) -> bool:
    """Have access that is missing asked for now, whatever is the reason; return if this call did.

    Access that was lost is given again, which is the repair of that difference.
    """
    unsettled = AccessDifference.objects.unsettled().filter(enrollment=enrollment)
    lost = unsettled.filter(kind__in=AccessDifference.WITHOUT_ACCESS).first()
    if lost is not None and enrollment.lms_status == Enrollment.LMS_LOST:
        return repair(lost, by=by)
    if not lms_jobs.retry_now(enrollment, by=by):
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor=by[:140],
        note=RETRIED,
    )
    return True
