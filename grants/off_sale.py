"""Taking a course off sale whose coupons are still unused: their holders are told (fault E6)."""

from uuid import UUID

from django.utils import timezone

from courses import publishing
from courses.models import Course, CourseQuerySet
from grants import mails
from grants.models import Grant
from maaledu.db import atomic

NOBODY = UUID(int=0)  # before every grant
MAILS_AT_ONCE = 100  # in one transaction
MOST_AT_ONCE = 500


def unused_coupons(course: Course) -> int:
    """Return how many people hold a coupon for this course that they have not used."""
    held = [Grant.APPROVED, Grant.RESERVED]
    return Grant.objects.filter(course=course, status__in=held).count()


@atomic
def take_off_sale(course: Course) -> bool:
    """Take a course off sale, and return whether this did it.

    The worker then mails whoever holds an unused coupon: there may be thousands of them.
    """
    if not publishing.archive(course):
        return False
    Course.objects.filter(pk=course.pk).update(holders_mailed_to=NOBODY)
    return True


def mail_holders(*, limit: int = MOST_AT_ONCE) -> int:
    """Mail the holders of unused coupons whose course went off sale; return how many were mailed.

    Each once, whenever a process is killed; those beyond the limit by the next call.
    """
    number = 0
    for key in _waiting().values_list("pk", flat=True):
        while mailed := _mail_some(key, most=min(MAILS_AT_ONCE, limit - number)):
            number += mailed
    return number


@atomic
def _mail_some(course_id: UUID, *, most: int) -> int:
    """Mail the next few, and note how far that is: both or neither.

    A coupon that a checkout holds is left out: that checkout can still be paid.
    """
    course = _waiting().filter(pk=course_id).first()
    if course is None or not most:
        return 0
    after = course.holders_mailed_to
    unused = Grant.objects.unused().filter(course=course, pk__gt=after)
    holders = list(unused.order_by("pk")[:most])
    same = _waiting().filter(pk=course_id, holders_mailed_to=after)
    if same.update(holders_mailed_to=holders[-1].pk if holders else None) != 1:
        return 0
    for grant in holders:
        mails.stage(mails.OFF_SALE, grant, key=f"{timezone.now():%Y%m%d}")
    return len(holders)


def mail_holder(grant_id: UUID) -> bool:
    """Tell the holder of a coupon that is free again that its course is off sale, if it is.

    A checkout held it while the others were mailed. Returns whether this call did.
    """
    now = timezone.now()
    usable = Grant.objects.unused().filter(pk=grant_id, expires_at__gt=now)
    grant = usable.filter(course__status=Course.Status.ARCHIVED).first()
    return grant is not None and mails.stage(mails.OFF_SALE, grant, key=f"{now:%Y%m%d}")


def _waiting() -> CourseQuerySet:
    """Return the courses off sale of whose holders some are not mailed yet."""
    return Course.objects.filter(status=Course.Status.ARCHIVED, holders_mailed_to__isnull=False)
