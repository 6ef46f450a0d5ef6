"""Pictures that nothing shows any more: noted at night, and deleted when that was so for a day.

A page that was rendered before, in a cache or a browser, shows its picture until it is old itself,
which is minutes later. A picture that is uploaded again meanwhile is not unused any more.
"""

from datetime import timedelta

from django.utils import timezone

from courses.models import Course
from courses.pictures import Picture, small_name
from courses.profiles import InstructorProfile

KEPT_UNUSED = timedelta(days=1)
BATCH = 200


def forget_unused() -> int:
    """Note which pictures nothing names, delete those that were noted a day ago, and return how
    many were deleted.
    """
    now, names = timezone.now(), _shown_names()
    kept = Picture.objects.order_by("pk").defer("content")
    unused = [picture for picture in kept.iterator(BATCH) if picture.name not in names]
    noted = {picture.pk for picture in unused if picture.unused_since is None}
    used_again = kept.filter(unused_since__isnull=False, name__in=list(names))
    used_again.update(unused_since=None)
    Picture.objects.filter(pk__in=list(noted)).update(unused_since=now)
    limit_at = now - KEPT_UNUSED
    old = [each.pk for each in unused if each.unused_since and each.unused_since < limit_at]
    # Asked once more in the deletion: it may have been uploaded again meanwhile.
    gone = [Picture.objects.filter(pk=key, unused_since__lt=limit_at).delete() for key in old]
    return sum(number for number, _ in gone)


def _shown_names() -> set[str]:
    covers = Course.objects.exclude(cover="").values_list("cover", flat=True)
    faces = InstructorProfile.objects.exclude(face="").values_list("face", flat=True)
    return {*covers, *map(small_name, covers), *faces}
