"""The LMS jobs of an enrollment: one that gives access, one that takes it away, each written
once.
"""

from typing import Any

from enrollments.models import Enrollment
from lms_sync import dead_letters
from lms_sync.models import SyncJob
from maaledu import notify
from maaledu.rows import for_each_row

QUEUE = "lms"


def job_key(enrollment: Enrollment) -> str:
    """The key of the job that gives access; after it was taken away and given back, that of the new
    one.
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
            # Where the course is in the LMS may be mended until there is, or was, access under the
            # name it had.
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
    """Write the LMS job of an enrollment that this transaction has just made paid: there cannot be
    one yet.
    """
    SyncJob(dedupe_key=job_key(enrollment), **_job_fields(enrollment)).save(force_insert=True)
    notify.notify_workers_on_commit(QUEUE)


def ensure_job(enrollment: Enrollment) -> bool:
    """Write the LMS job of a paid enrollment unless it has one, and return whether this call did."""
    _, created = SyncJob.objects.get_or_create(
        dedupe_key=job_key(enrollment), defaults=_job_fields(enrollment)
    )
    if created:
        notify.notify_workers_on_commit(QUEUE)
    return created


def ensure_revocation(enrollment: Enrollment) -> bool:
    """Write the LMS job that takes access away, once for each time the place ended; return whether
    this call did.
    """
    fields = {**_job_fields(enrollment), "action": SyncJob.REVOKE}
    _, created = SyncJob.objects.get_or_create(
        dedupe_key=revocation_key(enrollment), defaults=fields
    )
    if created:
        notify.notify_workers_on_commit(QUEUE)
    return created


def retry_now(enrollment: Enrollment, *, by: str = "staff") -> bool:
    """Make a paid enrollment without access due at once: its job is made, woken or replayed. False
    if there is no need.

    A job that is there goes to where the course is in the LMS now. `by` is the member of staff.
    """
    if enrollment.status != Enrollment.PAID or enrollment.has_access:
        return False
    if ensure_job(enrollment):
        return True
    job = SyncJob.objects.get(dedupe_key=job_key(enrollment))
    woken = dead_letters.bring_back(job, by=by)
    if woken:
        notify.notify_workers_on_commit(QUEUE)
    return woken


def repair_jobs(*, limit: int = 1000) -> int:
    """Give every paid enrollment without access its LMS job, and return how many lacked one
    (requirement R131).

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
