"""Who has a right to access at this moment, asked right before something is sent to the LMS."""

from django.db.models import Q

from enrollments.models import Enrollment


def as_read(enrollment: Enrollment) -> Q:
    """Still paid, and access was neither revoked nor given again since the row was read."""
    return Q(status=Enrollment.PAID, access_generation=enrollment.access_generation)


def is_paid(enrollment: Enrollment) -> bool:
    return Enrollment.objects.filter(as_read(enrollment), pk=enrollment.pk).exists()


def is_access_over(enrollment: Enrollment) -> bool:
    """Whether no paid enrollment of this learner is left in what the LMS calls the course.

    Two courses of ours may be one course in the LMS, so all of them are looked at; its database
    compares names without case. A learner who was given another address there may have bought the
    course with that again, and has the same enrollment there.
    """
    same = Q(
        lms_platform=enrollment.lms_platform,
        lms_course_id__iexact=enrollment.lms_course_id,
        email=enrollment.email,
    )
    if enrollment.lms_enrollment_id:
        known = enrollment.lms_enrollment_id
        same |= Q(lms_platform=enrollment.lms_platform, lms_enrollment_id=known)
    return not Enrollment.objects.paid().filter(same).exists()
