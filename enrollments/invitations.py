"""The enrollment of somebody who need not pay: of a batch, or for free by staff."""

from courses.models import Course
from enrollments.models import Enrollment


def invited(course: Course, *, email: str, name: str) -> Enrollment:
    """Return the unsaved enrollment in a course, for which somebody else answers."""
    return Enrollment(
        course=course,
        email=email,
        name=name,
        kind=Enrollment.KIND_INVITED,
        course_title=course.title,
        course_slug=course.slug,
        lms_platform=course.lms_platform,
        lms_course_id=course.lms_course_id,
        list_price=course.price,
        amount=0,
        currency=course.currency,
    )
