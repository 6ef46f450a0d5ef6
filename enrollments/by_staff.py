"""What staff do for one learner: enroll them for free, correct their name, send an e-mail again."""

from dataclasses import dataclass

from django.utils import timezone

from courses.models import Course
from enrollments import fulfillment, lms_jobs, mails
from enrollments.errors import CourseOffSale, EnrolledOrPaying, MailNotRepeatable
from enrollments.invitations import invited
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from maaledu.db import atomic, duplicate_means
from maaledu.work.items import DONE
from notifications import outgoing
from notifications.models import Email

FREE = "FREE"  # what the LMS gets as the id of the payment, as for every free enrollment
MAX_NOTE = 300
RENAMED = "Name corrected from "
AGAIN = ":again:"
NOT_REPEATED = (
    outgoing.ACCOUNT,
    outgoing.STAFF_ALERT,
    mails.ENROLLMENT_MOVED,
    mails.ENROLLMENT_WITHDRAWN,
)


@dataclass(frozen=True)
class Guest:
    """Who is enrolled for free, and why; `email` in its normal form."""

    email: str
    name: str
    reason: str


def comp(course: Course, guest: Guest, *, by: str) -> Enrollment:
    """Enroll a learner for free, and cause all that a purchase does; return the enrollment.

    Raises CourseOffSale, and EnrolledOrPaying, also where a checkout of theirs is under way.
    """
    with duplicate_means(EnrolledOrPaying):
        return _comp(course, guest, by=by)


@atomic
def _comp(course: Course, guest: Guest, *, by: str) -> Enrollment:
    if not Course.objects.on_sale().filter(pk=course.pk).exists():
        raise CourseOffSale
    enrollment = invited(course, email=guest.email, name=guest.name)
    enrollment.save(force_insert=True)
    _note(enrollment, by=by, note=f"Enrolled for free: {guest.reason}")
    fulfillment.fulfill(enrollment, actor=by, payment_reference=FREE)
    return enrollment


@atomic
def correct_name(enrollment: Enrollment, *, by: str, name: str) -> bool:
    """Correct the learner's name, here and in what still waits; return whether this call did.

    A user that is in the LMS already keeps its name there.
    """
    before = Enrollment.objects.get(pk=enrollment.pk).name
    rows = Enrollment.objects.filter(pk=enrollment.pk, name=before).exclude(name=name)
    if rows.update(name=name, updated_at=timezone.now()) != 1:
        return False
    enrollment.refresh_from_db()
    waiting = SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(enrollment)).exclude(status=DONE)
    waiting.update(full_name=name)
    _note(enrollment, by=by, note=f"{RENAMED}“{before}” to “{name}”.")
    return True


@atomic
def send_again(mail: Email, *, by: str) -> bool:
    """Send an e-mail that was sent once more, as things are now; return whether this call did.

    Raises MailNotRepeatable: for a message with a code, and where what it says is not so any more.
    """
    if mail.kind in NOT_REPEATED:
        raise MailNotRepeatable
    enrollment, context = mails.enrollment_of(mail), mail.context
    if enrollment and enrollment.email != mail.to:
        raise MailNotRepeatable
    if mail.kind in mails.CONFIRMATION_KINDS:
        if enrollment is None or not enrollment.has_access:
            raise MailNotRepeatable
        context = mails.confirmation_context(enrollment)
    first = mail.dedupe_key.partition(AGAIN)[0]
    again = Email.objects.filter(to=mail.to, dedupe_key__startswith=first + AGAIN)
    keys = again.values_list("dedupe_key", flat=True)
    # Not by how many there are: the oldest are deleted after a while.
    number = 1 + max((int(key.removeprefix(first + AGAIN)) for key in keys), default=0)
    return outgoing.stage(
        kind=mail.kind,
        to=mail.to,
        request_id=mail.request_id,
        dedupe_key=f"{first}{AGAIN}{number}",
        context=context,
    )


def _note(enrollment: Enrollment, *, by: str, note: str) -> None:
    EnrollmentEvent.objects.create(
        enrollment=enrollment,
        from_status=enrollment.status,
        to_status=enrollment.status,
        actor=by[:140],
        note=note[:MAX_NOTE],
    )
