"""What becomes of an enrollment's coupon after a late payment, a refund or an LMS refusal."""

from typing import cast
from uuid import UUID

from django.db.models import Q

from enrollments import lms_jobs
from enrollments.models import Enrollment, EnrollmentEvent
from grants import mails, reinstatement
from grants.models import Grant
from grants.reinstatement import ReinstateResult
from lms_sync.models import SyncJob
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff

LMS_REFUSED = "LMS_REFUSED"


@atomic
def roll_back(enrollment: Enrollment, *, by: str) -> bool:
    """End a free enrollment that the LMS refused for good, reinstate its coupon, and say so.

    Only the enrollment of a free grant whose LMS job is dead (decisions: free grant). Returns
    whether this call did it.
    """
    refused = Q(kind=Enrollment.KIND_GRANT, lms_status=Enrollment.LMS_FAILED)
    if not transition(
        enrollment, Enrollment.FAILED, edge="lms_refused", only=refused, failure_code=LMS_REFUSED
    ):
        return False
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=Enrollment.PAID,
        to_status=Enrollment.FAILED,
        actor=by,
        note=LMS_REFUSED,
    )
    _take_back(enrollment)
    is_reinstated = reinstate(enrollment, actor=by)
    grant = Grant.objects.get(pk=cast("UUID", enrollment.grant_id))
    mails.stage(mails.ROLLED_BACK, grant, key=str(enrollment.pk), is_reinstated=is_reinstated)
    return True


def _take_back(enrollment: Enrollment) -> None:
    """Have taken away what a create whose answer was lost may have made in the LMS."""
    job = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment), creates_sent__gt=0)
    if job.exists():
        lms_jobs.ensure_revocation(enrollment)


def reinstate(enrollment: Enrollment, *, actor: str) -> bool:
    """Reinstate the coupon of an enrollment that has ended; return whether it can be used again.

    Staff are alerted where it stays used, or where its program is over its budget with it.
    """
    result = reinstatement.reinstate(
        cast("UUID", enrollment.grant_id), enrollment_id=enrollment.pk, actor=actor
    )
    if result == ReinstateResult.OVER_BUDGET:
        _alert_over_budget(enrollment)
    if result == ReinstateResult.KEPT_USED:
        alert_staff(
            key=f"coupon-kept:{enrollment.pk}:{enrollment.access_generation}",
            subject="A coupon could not be reinstated",
            lines=[
                (
                    f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}."
                    " It has ended."
                ),
                (
                    f"Grant {enrollment.grant_id} stays used, because the learner has applied for"
                    " this course again and that grant is open."
                ),
                (
                    "What it held of its program's budget is free. Decide the newer application:"
                    " approved, it gives them a coupon."
                ),
            ],
        )
    return result in (ReinstateResult.DONE, ReinstateResult.OVER_BUDGET)


def redeem_late(enrollment: Enrollment, *, actor: str) -> bool:
    """Redeem the coupon of an enrollment that was paid after its checkout had ended.

    Returns whether the coupon was still available. Staff are alerted where its program is over its
    budget with it: the learner has paid, so the enrollment stays.
    """
    result = reinstatement.redeem_late(
        cast("UUID", enrollment.grant_id),
        enrollment_id=enrollment.pk,
        email=enrollment.email,
        actor=actor,
    )
    if result == ReinstateResult.OVER_BUDGET:
        _alert_over_budget(enrollment)
    return result != ReinstateResult.UNAVAILABLE


def _alert_over_budget(enrollment: Enrollment) -> None:
    alert_staff(
        key=f"over-budget:{enrollment.pk}",
        subject="A program has given more than its budget",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            (
                f"Grant {enrollment.grant_id} had released its share of the budget, and is used or"
                " can be used after all."
            ),
            (
                "The learner keeps what they have, and the program counts it. Raise the budget, or"
                " revoke coupons that nobody uses."
            ),
        ],
    )
