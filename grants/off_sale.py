"""Taking a course off sale whose coupons are still unused: their holders are told (fault E6)."""

from django.utils import timezone

from courses import publishing
from courses.models import Course
from grants import mails
from grants.models import Grant
from maaledu.db import atomic


def unused_coupons(course: Course) -> int:
    """Return how many people hold a coupon for this course that they have not used."""
    held = [Grant.APPROVED, Grant.RESERVED]
    return Grant.objects.filter(course=course, status__in=held).count()


@atomic
def take_off_sale(course: Course) -> bool:
    """Take a course off sale, tell who holds an unused coupon, and return whether this did it.

    A coupon that a checkout holds is not written to: that checkout can still be paid.
    """
    if not publishing.archive(course):
        return False
    for grant in Grant.objects.unused().filter(course=course).iterator(200):
        mails.stage(mails.OFF_SALE, grant, key=f"{timezone.now():%Y%m%d}")
    return True
