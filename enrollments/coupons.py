"""What an enrollment does to the coupon it was made with, where a payment, a refund or the LMS
comes late.
"""

from typing import cast
from uuid import UUID

from django.db.models import Q

from enrollments.models import Enrollment, EnrollmentEvent
from grants import mails, redemption
from grants.models import Grant
from grants.redemption import ReinstateResult
from maaledu.db import atomic, transition
from notifications.alerts import alert_staff

LMS_REFUSED = "LMS_REFUSED"


@atomic
def roll_back(enrollment: Enrollment, *, by: str) -> bool:
    """Take back a free place that the LMS refused for good: the coupon is good again if it can be,
    the learner is told.

    Only a free grant's place whose LMS job is dead; returns whether this call did it (decisions:
    free grant).
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
    is_reinstated = reinstate(enrollment, actor=by)
    grant = Grant.objects.get(pk=cast("UUID", enrollment.grant_id))
    mails.stage(mails.ROLLED_BACK, grant, key=str(enrollment.pk), is_reinstated=is_reinstated)
    return True


def reinstate(enrollment: Enrollment, *, actor: str) -> bool:
    """Make the coupon of a place that was taken back good again, and return whether it is; where it
    cannot be, staff are told.
    """
    came = redemption.reinstate(
        cast("UUID", enrollment.grant_id), enrollment_id=enrollment.pk, actor=actor
    )
    if came == ReinstateResult.OVER_BUDGET:
        _tell_of_overdraft(enrollment)
    if came == ReinstateResult.KEPT_USED:
        alert_staff(
            key=f"coupon-kept:{enrollment.pk}:{enrollment.access_generation}",
            subject="A coupon could not be reinstated",
            lines=[
                (
                    f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}."
                    " Its place was taken back."
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
    return came in (ReinstateResult.DONE, ReinstateResult.OVER_BUDGET)


def redeem_late(enrollment: Enrollment, *, actor: str) -> bool:
    """Use the coupon of a place up that is paid after its checkout was over, and return whether it
    was still to be had.

    Staff are told where its program has no room for it any more: the learner has paid, so the place
    stays.
    """
    key = cast("UUID", enrollment.grant_id)
    came = redemption.redeem_late(
        key, enrollment_id=enrollment.pk, email=enrollment.email, actor=actor
    )
    if came == ReinstateResult.OVER_BUDGET:
        _tell_of_overdraft(enrollment)
    return came != ReinstateResult.UNAVAILABLE


def _tell_of_overdraft(enrollment: Enrollment) -> None:
    alert_staff(
        key=f"over-budget:{enrollment.pk}",
        subject="A program has given more than its budget",
        lines=[
            f"Enrollment {enrollment.pk}: {enrollment.course_title} for {enrollment.email}.",
            (
                f"Grant {enrollment.grant_id} had given its share of the budget back, and is used"
                " or good again after all."
            ),
            (
                "The learner keeps what they have, and the program counts it. Raise the budget, or"
                " revoke coupons that nobody uses."
            ),
        ],
    )
