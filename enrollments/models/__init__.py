from enrollments.models.batch import BatchRow, EnrollmentBatch
from enrollments.models.difference import AccessComparison, AccessDifference
from enrollments.models.enrollment import (
    SALE_COUNTS,
    SOLD,
    Enrollment,
    EnrollmentQuerySet,
    choices_of,
    new_token,
)
from enrollments.models.event import EnrollmentEvent

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
