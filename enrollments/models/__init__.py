from enrollments.models.batch import BatchRow, EnrollmentBatch
from enrollments.models.difference import AccessComparison, AccessDifference
from enrollments.models.enrollment import (
    Enrollment,
    EnrollmentQuerySet,
    choices_of,
    new_token,
)
from enrollments.models.event import EnrollmentEvent
from enrollments.models.sold import SALE_COUNTS, SOLD

__all__ = [
    "SALE_COUNTS",
    "SOLD",
    "AccessComparison",
    "AccessDifference",
    "BatchRow",
    "Enrollment",
    "EnrollmentBatch",
    "EnrollmentEvent",
    "EnrollmentQuerySet",
    "choices_of",
    "new_token",
]
