"""The LMS jobs of an enrollment: one that gives access, one that revokes it, each written once."""

from typing import Any

from enrollments.models import Enrollment
from lms_sync import dead_letters
from lms_sync.models import SyncJob
from maaledu import notify
from maaledu.rows import for_each_row

QUEUE = "lms"


def job_key(enrollment: Enrollment) -> str:
    """Return the key of the job that gives access now.

    Each time access was revoked and given again the generation is higher, so that the new job is
    not taken for the old one, which is done.
    """
    number = f":{enrollment.access_generation}" if enrollment.access_generation else ""
    return f"{SyncJob.ENROLL}:{enrollment.pk}{number}"


def revocation_key(enrollment: Enrollment) -> str:
    return f"{SyncJob.REVOKE}:{enrollment.pk}:{enrollment.access_generation}"


def _job_fields(enrollment: Enrollment) -> dict[str, Any]:
    return {
        "action": SyncJob.ENROLL,
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
        },
    }


def stage_job(enrollment: Enrollment) -> None:
    """Write the LMS job of an enrollment that this transaction has just made paid."""
    # Without a look whether there is one: the transition to paid was won once, so there is none.
    SyncJob(dedupe_key=job_key(enrollment), **_job_fields(enrollment)).save(force_insert=True)
    notify.notify_workers_on_commit(QUEUE)


def ensure_job(enrollment: Enrollment) -> bool:
    """Write the LMS job of a paid enrollment unless it has one; return whether this call did."""
    return _ensure(job_key(enrollment), _job_fields(enrollment))


def ensure_revocation(enrollment: Enrollment) -> bool:
    """Write the job that revokes access, once for each time the enrollment ended.

    Returns whether this call did.
    """
    fields = {**_job_fields(enrollment), "action": SyncJob.REVOKE}
    return _ensure(revocation_key(enrollment), fields)


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


def repair_jobs(*, limit: int = 1000) -> int:
    """Give every paid enrollment without access its LMS job; return how many had none (R131).

    The newest come first: old ones that staff have dismissed must not fill the window for good.
    """
    waiting = (
        Enrollment.objects.paid()
        .exclude(lms_status=Enrollment.LMS_SUCCESS)
        .order_by("-created_at")[:limit]
    )
    by_key = {job_key(enrollment): enrollment for enrollment in waiting}
    known = set(
        SyncJob.objects.filter(dedupe_key__in=list(by_key)).values_list("dedupe_key", flat=True)
    )
    return for_each_row(
        [enrollment for key, enrollment in by_key.items() if key not in known], ensure_job
    )
