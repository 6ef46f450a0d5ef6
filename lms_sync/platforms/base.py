"""What every driver of a learning platform does; it raises subclasses of LmsError only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class EnrollRequest:
    """`amount` is in the currency's minor unit; `extra` is for platforms that know more fields."""

    email: str
    full_name: str
    course_id: str
    payment_id: str = ""
    amount: int | None = None
    currency: str = ""
    referral_code: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    enrollment_id: str
    percent: int


@dataclass(frozen=True)
class Progress:
    percent: int

    @property
    def completed(self) -> bool:
        return self.percent >= 100


@dataclass(frozen=True)
class CourseFacts:
    course_id: str
    title: str
    published: bool
    instructors: tuple[str, ...] = ()


class Platform(Protocol):
    def enroll(self, request: EnrollRequest) -> str:
        """Ensure that the learner is enrolled exactly once; return the enrollment's id there."""

    def revoke(self, email: str, course_id: str) -> int:
        """Ensure that the learner is not enrolled, and return how many enrollments were removed."""

    def find(self, email: str, course_id: str) -> list[Found]:
        """Return the learner's enrollments in the course, oldest first: normally none or one."""

    def progress(self, email: str, course_id: str) -> Progress:
        """Return how far the learner is; raises LmsNotEnrolled."""

    def ping(self) -> str:
        """Return the user that our key belongs to; raise when no enrollment could be made now."""

    def course(self, course_id: str) -> CourseFacts:
        """Return the platform's facts about a course; raises LmsCourseUnknown."""
