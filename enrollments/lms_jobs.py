"""The LMS jobs of an enrollment: one that gives access, one that revokes it, each written once."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync import awaiting, dead_letters
from lms_sync.job_notes import revocation_of
from lms_sync.models import FOUND, MADE, QUEUE, SyncJob
from lms_sync.platforms.base import Revocation
from maaledu import notify
from maaledu.db import atomic, transition
from maaledu.rows import for_each_row

BATCH_QUEUE = "batches"


def job_key(enrollment: Enrollment) -> str:
    """Return the key of the job that gives access now.

    Each time access was revoked and given again the generation is higher, so that the new job is
    not taken for the old one, which is done.
    """
    number = f":{enrollment.access_generation}" if enrollment.access_generation else ""
    return f"{SyncJob.ENROLL}:{enrollment.pk}{number}"


def revocation_key(enrollment: Enrollment) -> str:
    return f"{SyncJob.REVOKE}:{enrollment.pk}:{enrollment.access_generation}"


def look_key(enrollment: Enrollment) -> str:
    return f"{SyncJob.LOOK}:{enrollment.pk}:{enrollment.access_generation}"


def ours_of(enrollment: Enrollment) -> Revocation:
    """Return which enrollments of its learner in its LMS course are ours."""
    course = enrollment.lms_platform, enrollment.lms_course_id
    made = Enrollment.objects.made_for(*course, enrollment.email)
    return revocation_of(SyncJob(**job_fields(enrollment)), made=made)


def job_fields(enrollment: Enrollment, **more: str) -> dict[str, Any]:
    return {
        "action": SyncJob.ENROLL,
        "batch_id": enrollment.batch_id,
        "request_id": enrollment.request_id,
        "platform": enrollment.lms_platform,
        "email": enrollment.email,
        "full_name": enrollment.name,
        "course_id": enrollment.lms_course_id,
        "payload": {
            "enrollment_id": str(enrollment.pk),
            # The job follows a corrected LMS course id only while there is no enrollment in the
            # LMS: under another id the learner would be enrolled a second time.
            "course": "" if enrollment.lms_enrollment_id else str(enrollment.course_id),
            "payment_id": enrollment.payment_reference,
            "amount": enrollment.amount,
            "currency": enrollment.currency,
            "original_amount": enrollment.list_price,
            "discount_percentage": enrollment.discount_percent,
            "grant_id": str(enrollment.grant_id or ""),
            "enrollment_type": enrollment.kind,
            "referral_code": enrollment.referral_code,
            **more,
        },
    }


def stage_job(enrollment: Enrollment) -> None:
    """Write the LMS job of an enrollment that this transaction has just made paid."""
    # Without a look whether there is one: the transition to paid was won once, so there is none.
    SyncJob(dedupe_key=job_key(enrollment), **job_fields(enrollment)).save(force_insert=True)
    notify.notify_workers_on_commit(QUEUE)


def ensure_job(enrollment: Enrollment, **more: str) -> bool:
    """Write the LMS job of a paid enrollment unless it has one; return whether this call did."""
    return _ensure(job_key(enrollment), job_fields(enrollment, **more))


def ensure_revocation(enrollment: Enrollment, **more: str) -> bool:
    """Write the job that revokes access, once for each time the enrollment ended.

    Returns whether this call did.
    """
    fields = {**job_fields(enrollment, **more), "action": SyncJob.REVOKE}
    return _ensure(revocation_key(enrollment), fields)


def ensure_departure(before: Enrollment, **more: str) -> bool:
    """Write the job that takes access away from the address that an enrollment was moved from.

    `before` is the enrollment as it was. Returns whether this call did.
    """
    key = f"{SyncJob.LEAVE}:{before.pk}:{before.access_generation}"
    fields = {**job_fields(before, **more), "action": SyncJob.LEAVE, "batch_id": None}
    return _ensure(key, fields)


def ensure_look(enrollment: Enrollment) -> bool:
    """Write the job that looks again later whether access was given twice; return if this did."""
    fields = {
        **job_fields(enrollment),
        "action": SyncJob.LOOK,
        "next_attempt_at": timezone.now() + settings.LMS_LOOK_AGAIN_AFTER,
    }
    return _ensure(look_key(enrollment), fields)


def ensure_repair(enrollment: Enrollment, *, key: str, course_id: str, **more: str) -> bool:
    """Write a job that puts right what the LMS has in one of its courses; return if this did."""
    about = {"action": SyncJob.REPAIR, "course_id": course_id, "batch_id": None}
    return _ensure(key, {**job_fields(enrollment, **more), **about})


@atomic
def give_again(enrollment: Enrollment, *, by: str, **more: str) -> bool:
    """Ask for access anew that was lost in the LMS; return whether this call did."""
    lost = Q(status=Enrollment.PAID, lms_status=Enrollment.LMS_LOST)
    if not transition(
        enrollment,
        Enrollment.LMS_PENDING,
        field="lms_status",
        only=lost,
        access_generation=F("access_generation") + 1,
        lms_enrollment_id="",
        lms_origin="",
    ):
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor=by,
        note="Access is asked for anew.",
    )
    enrollment.refresh_from_db()
    return ensure_job(enrollment, **more)


@atomic
def revoke_again(enrollment: Enrollment, **more: str) -> bool:
    """Take away once more what is there in spite of a revocation; return whether this call did."""
    over = Enrollment.objects.filter(
        pk=enrollment.pk,
        status__in=Enrollment.OVER,
        lms_status=Enrollment.LMS_REVOKED,
        access_generation=enrollment.access_generation,
    )
    if over.update(access_generation=F("access_generation") + 1, updated_at=timezone.now()) != 1:
        return False
    enrollment.refresh_from_db()
    return ensure_revocation(enrollment, **more)


def give_up(job: SyncJob, ids: Sequence[str]) -> None:
    """Count enrollments in the LMS as others' from now on, which have come to count on them."""
    same = {"email": job.email, "lms_enrollment_id__in": ids, "lms_origin": MADE}
    SyncJob.objects.filter(platform=job.platform, **same).update(lms_origin=FOUND)
    Enrollment.objects.filter(lms_platform=job.platform, **same).update(lms_origin=FOUND)


def _ensure(key: str, fields: dict[str, Any]) -> bool:
    _, created = SyncJob.objects.get_or_create(dedupe_key=key, defaults=fields)
    if created:
        notify.notify_workers_on_commit(QUEUE)
    return created


def retry_now(enrollment: Enrollment, *, by: str = "staff") -> bool:
    """Write, make due or replay the job of a paid enrollment that has no access yet.

    A job that exists goes to where the course is in the LMS now. `by` is the member of staff.
    Returns False where there was nothing to do.
    """
    if enrollment.status != Enrollment.PAID or enrollment.has_access:
        return False
    if ensure_job(enrollment):
        return True
    job = SyncJob.objects.get(dedupe_key=job_key(enrollment))
    is_due = dead_letters.retry(job, by=by)
    if is_due:
        notify.notify_workers_on_commit(QUEUE)
    return is_due


def look_for_account(enrollment: Enrollment) -> bool:
    """Have the worker look now for the account of a learner who says that it is there.

    Returns whether this call did: at most once in ten seconds, and only while a job waits for it.
    """
    is_due = awaiting.look_now(job_key(enrollment))
    if is_due:
        notify.notify_workers_on_commit(QUEUE)
    return is_due


def repair_jobs(*, limit: int = 1000) -> int:
    """Give every paid enrollment without access its LMS job; return how many had none (R131).

    The newest come first: old ones that staff have dismissed must not fill the window for good.
    Access that was lost in the LMS is given again when staff decide so.
    """
    # State by state, each of them by the index: where all are asked for at once, PostgreSQL expects
    # many to wait, and walks over all that were ever paid.
    by_key = {
        job_key(enrollment): enrollment
        for state in Enrollment.LMS_UNGIVEN
        for enrollment in Enrollment.objects.paid()
        .filter(lms_status=state)
        .order_by("-created_at")[:limit]
    }
    known = set(
        SyncJob.objects.filter(dedupe_key__in=list(by_key)).values_list("dedupe_key", flat=True)
    )
    return for_each_row(
        [enrollment for key, enrollment in by_key.items() if key not in known], ensure_job
    )
