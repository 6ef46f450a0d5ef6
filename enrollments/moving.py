"""Move a paid enrollment to another address: the enrollment, its access and its mails follow.

Everything is one transaction, without a call: the enrollment has its new address, one job takes
what we gave away from the old one in the LMS, and another gives it to the new one. Each is done at
least once, whenever a process is killed, and looks at the rows again before it sends anything.
"""

from functools import partial

from django.db.models import F, Q

from enrollments import access, access_repairs, lms_jobs, mails
from enrollments.errors import AddressTaken, SameAddress
from enrollments.models import Enrollment, EnrollmentEvent, new_token
from grants import applications
from lms_sync import dead_letters, delivery
from lms_sync.models import MADE, SyncJob
from maaledu.db import atomic, duplicate_means, transition
from maaledu.work.queue import Finish

MADE_THERE = "made"  # in a job's payload: the LMS enrollment that we made for the old address
MAX_NOTE = 300
MOVED = "Moved from "


def move(enrollment: Enrollment, *, by: str, to: str, reason: str) -> bool:
    """Move an enrollment to the address `to`, in normal form; return whether this call did.

    Not one that is unpaid or has ended. The status page gets another link, which only mails to the
    new address have; the old address is told. Raises SameAddress, AddressTaken, MailOnItsWay.
    """
    with duplicate_means(AddressTaken):
        return _move(enrollment, by=by, to=to, reason=reason)


@atomic
def _move(enrollment: Enrollment, *, by: str, to: str, reason: str) -> bool:
    # Read here: this runs again after a conflict.
    before = Enrollment.objects.get(pk=enrollment.pk)
    if to == before.email:
        raise SameAddress
    if Enrollment.objects.live().filter(course_id=before.course_id, email=to).exists():
        raise AddressTaken
    moved = Enrollment.objects.get(pk=enrollment.pk)
    if not _take(moved, to):
        return False
    moved.refresh_from_db()
    EnrollmentEvent.objects.create(
        enrollment=moved,
        from_status=moved.status,
        to_status=moved.status,
        actor=by[:140],
        note=f"{MOVED}{before.email} to {to}: {reason}"[:MAX_NOTE],
    )
    _end_old_job(before, by=by)
    lms_jobs.ensure_departure(before, **{MADE_THERE: _made(before)})
    lms_jobs.ensure_job(moved)
    if before.grant_id:
        applications.readdress(before.grant_id, before.email, to=to, by=by)
    mails.follow(before, moved)
    mails.stage_moved(before, moved)
    return True


def _take(enrollment: Enrollment, to: str) -> bool:
    """Give the enrollment its new address, and forget what was of the old one's access."""
    return enrollment.status == Enrollment.PAID and transition(
        enrollment,
        Enrollment.LMS_PENDING,
        field="lms_status",
        edge="reinstate",
        only=access.as_read(enrollment) & Q(email=enrollment.email),
        email=to,
        token=new_token(),
        access_generation=F("access_generation") + 1,
        lms_enrollment_id="",
        lms_origin="",
        lms_user_made=False,
        progress_percent=None,
        progress_at=None,
        completed_at=None,
        has_certificate=False,
        certificate_url="",
        certificate_on=None,
    )


def _made(enrollment: Enrollment) -> str:
    return enrollment.lms_enrollment_id if enrollment.lms_origin == MADE else ""


def _end_old_job(before: Enrollment, *, by: str) -> None:
    """Have the job that asks for access at the old address run: it sends nothing any more."""
    job = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(before)).first()
    if job:
        dead_letters.retry(job, by=by)


def leave(job: SyncJob, enrollment: Enrollment) -> Finish:
    """Take away what we gave to the old address, and return the call that records it."""
    made = frozenset(filter(None, [str(job.payload.get(MADE_THERE) or "")]))
    delivery.withdraw(job, made=made, is_due=partial(_is_left, job, made))
    return partial(dead_letters.conclude, job)


def _is_left(job: SyncJob, made: frozenset[str]) -> bool:
    """Whether nothing that is paid needs what the old address has there.

    It may have bought the course again since; and whose address was changed in the LMS as well has
    the same enrollment there as before.
    """
    paid = Enrollment.objects.paid().filter(lms_platform=job.platform)
    return access_repairs.is_unpaid(job) and not (
        made and paid.filter(lms_enrollment_id__in=made).exists()
    )
