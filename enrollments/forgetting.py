"""Delete an account: what the law keeps of its purchases stays, and names nobody any more.

Payments, refunds and enrollments are books, and kept. The course on the learning platform belongs
to the account there, which is the platform's. Events of Stripe and finished jobs hold an address
until they are deleted by age (operations.retention).
"""

from collections.abc import Collection

from allauth.account.models import EmailAddress
from django.utils import timezone
from django.utils.translation import gettext

from accounts import closing
from accounts.models import LearnerNote, User
from affiliates import forgetting as affiliates
from enrollments import by_staff, moving
from enrollments.errors import AccountInUse
from enrollments.models import BatchRow, Enrollment, EnrollmentEvent
from grants import forgetting as grants
from lms_sync.models import SyncJob
from maaledu.db import atomic
from maaledu.forgetting import NOBODYS_DOMAIN
from maaledu.work.items import DEAD, DONE
from notifications.models import Email, UndeliverableAddress

# What these jobs make, and whom they tell of it, is by the address that would be gone.
ON_ITS_WAY = (Enrollment.LMS_PENDING, Enrollment.LMS_RETRYING)


@atomic
def delete_account(user: User, *, by: str) -> None:
    """Delete the account with everything that names its person.

    Raises AccountInUse while money, access or a checkout is under way, and for staff.
    """
    emails = addresses_of(user)
    _refuse_in_use(user, emails)
    affiliates.forget(user, by=by)
    grants.forget(emails)
    _forget_enrollments(emails)
    _forget_messages(emails)
    closing.close(user)


def addresses_of(user: User) -> list[str]:
    """Return the addresses whose purchases are this person's: their own and those they proved."""
    proved = EmailAddress.objects.filter(user=user, verified=True)
    return sorted({user.email, *proved.values_list("email", flat=True)})


def _refuse_in_use(user: User, emails: Collection[str]) -> None:
    if user.is_staff or user.is_superuser:
        raise AccountInUse(
            gettext("This account belongs to a member of staff. Please ask a colleague.")
        )
    if Enrollment.objects.filter(email__in=emails, status=Enrollment.PENDING).exists():
        raise AccountInUse(
            gettext("A checkout of yours is still open. It ends by itself within the hour.")
        )
    on_its_way = Enrollment.objects.paid().filter(email__in=emails, lms_status__in=ON_ITS_WAY)
    if on_its_way.exists():
        raise AccountInUse(
            gettext(
                "Your access to a course is still being set up. Please try again when you have it."
            )
        )
    if affiliates.owed(user):
        raise AccountInUse(
            gettext(
                "Your affiliate account is not settled yet: there are commissions to be paid out or"
                " decided. Please write to us."
            )
        )


def _forget_enrollments(emails: Collection[str]) -> None:
    now = timezone.now()
    for enrollment in Enrollment.objects.filter(email__in=emails):
        alias = closing.alias_of(enrollment.pk)
        # Each its own alias: two addresses of one person may have the same course.
        Enrollment.objects.filter(pk=enrollment.pk).update(
            email=alias, name="", forgotten_at=now, progress_due_at=None, updated_at=now
        )
        for begin in (moving.MOVED, by_staff.RENAMED):
            named = EnrollmentEvent.objects.filter(enrollment=enrollment, note__startswith=begin)
            named.update(note=f"{begin.partition(' from')[0]}.")
        BatchRow.objects.filter(enrollment_id=enrollment.pk).update(address=alias, name="")


def _forget_messages(emails: Collection[str]) -> None:
    alias, over = f"nobody@{NOBODYS_DOMAIN}", [DONE, DEAD]
    # The rows stay until they are old: they say that each cause had its message, once.
    Email.objects.filter(to__in=emails, status__in=over).update(to=alias, context={})
    SyncJob.objects.filter(email__in=emails, status=DONE).update(email=alias, full_name="")
    UndeliverableAddress.objects.filter(email__in=emails).delete()
    LearnerNote.objects.filter(email__in=emails).delete()
