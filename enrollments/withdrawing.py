"""Take a free enrollment away from its learner, and give it back: what staff decide.

What was paid for ends by a refund instead (`payments.reversals`). A coupon that gave it stays used,
and its program counts it, so that giving it back needs neither.
"""

from django.db.models import F, Q

from enrollments import lms_jobs, mails
from enrollments.errors import EnrolledOrPaying
from enrollments.models import Enrollment, EnrollmentEvent
from maaledu.db import atomic, duplicate_means, transition

MAX_NOTE = 300


@atomic
def withdraw(enrollment: Enrollment, *, by: str, reason: str) -> bool:
    """End a free enrollment, take its access away by a job, and tell the learner.

    Only what we made in the LMS is taken away. Returns whether this call did.
    """
    if not transition(
        enrollment,
        Enrollment.WITHDRAWN,
        edge="withdraw",
        only=Q(amount=0),
        access_generation=F("access_generation") + 1,
    ):
        return False
    enrollment.refresh_from_db()
    _record(enrollment, Enrollment.PAID, by=by, note=f"Taken away: {reason}")
    lms_jobs.ensure_revocation(enrollment)
    mails.stage_withdrawn(enrollment)
    return True


def give_back(enrollment: Enrollment, *, by: str, reason: str) -> bool:
    """Make an enrollment that was taken away paid again, and ask for its access anew.

    Returns whether this call did. Raises EnrolledOrPaying where the learner has another one in the
    course by now.
    """
    with duplicate_means(EnrolledOrPaying):
        return _give_back(enrollment, by=by, reason=reason)


@atomic
def _give_back(enrollment: Enrollment, *, by: str, reason: str) -> bool:
    before = Enrollment.objects.get(pk=enrollment.pk)
    if not transition(
        enrollment,
        Enrollment.PAID,
        edge="give_back",
        access_generation=F("access_generation") + 1,
    ):
        return False
    transition(enrollment, Enrollment.LMS_PENDING, field="lms_status", edge="reinstate")
    enrollment.refresh_from_db()
    _record(enrollment, before.status, by=by, note=f"Given back: {reason}")
    mails.take_out_withdrawn(before)
    lms_jobs.ensure_job(enrollment)
    return True


def _record(enrollment: Enrollment, before: str, *, by: str, note: str) -> None:
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=before,
        to_status=enrollment.status,
        actor=by[:140],
        note=note[:MAX_NOTE],
    )
