"""The name of a course in its LMS, as the LMS itself writes it."""

from django.utils import timezone

from courses.models import Course


def keep_true_name(course: Course, name: str) -> bool:
    """Keep the name under which the LMS stores a course; return whether it was written otherwise.

    The LMS finds a course whose name is typed in another case, but shows enrollments under the true
    one. Only a difference of case is corrected, and only if staff have not changed it meanwhile.
    """
    if name == course.lms_course_id or name.casefold() != course.lms_course_id.casefold():
        return False
    unchanged = Course.objects.filter(pk=course.pk, lms_course_id=course.lms_course_id)
    corrected = unchanged.update(lms_course_id=name, updated_at=timezone.now()) == 1
    if corrected:
        course.lms_course_id = name
    return corrected
