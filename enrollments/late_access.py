"""The e-mail to a buyer who has paid and has no access yet: one, with the link to the status page.

Source: decisions, "mail while access is missing". Free enrollments and free grants get none.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from enrollments import mails, rebuilding
from enrollments.models import Enrollment
from maaledu.db import atomic
from maaledu.rows import for_each_row
from notifications.models import Email

WITHOUT_ACCESS = [Enrollment.LMS_PENDING, Enrollment.LMS_RETRYING, Enrollment.LMS_FAILED]


def mail_buyers_without_access(*, limit: int = 1000) -> int:
    """Mail those who paid `PAID_WITHOUT_ACCESS_MAIL_AFTER` minutes ago; return how many (0: off).

    Raises RowsFailed in the end, when one of them could not be worked on.
    """
    if not settings.PAID_WITHOUT_ACCESS_MAIL_AFTER:
        return 0
    waiting = {
        mails.received_key(enrollment): enrollment
        for enrollment in _waiting().order_by("-paid_at")[:limit]
    }
    mailed = set(
        Email.objects.filter(dedupe_key__in=list(waiting)).values_list("dedupe_key", flat=True)
    )
    return for_each_row([waiting[key] for key in waiting if key not in mailed], _mail)


def _waiting() -> QuerySet[Enrollment]:
    now = timezone.now()
    after = timedelta(minutes=settings.PAID_WITHOUT_ACCESS_MAIL_AFTER)
    # Whoever bought before rows were rebuilt may have had this message.
    lost = rebuilding.last_at()
    unlost = Q(created_at__gt=lost) if lost else Q()
    # Not older than finished e-mails are kept, or one that was deleted would be sent again.
    return Enrollment.objects.paid().filter(
        unlost,
        amount__gt=0,
        lms_status__in=WITHOUT_ACCESS,
        lms_synced_at=None,
        paid_at__lte=now - after,
        paid_at__gt=now - settings.WORK_KEEP_FINISHED,
    )


@atomic
def _mail(enrollment: Enrollment) -> bool:
    # The guarded write locks the row: access given meanwhile must not be followed by this message.
    still = _waiting().filter(pk=enrollment.pk).update(updated_at=timezone.now())
    return still == 1 and mails.stage_payment_received(enrollment)
