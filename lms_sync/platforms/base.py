"""What every driver of a learning platform does; it raises subclasses of LmsError only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Protocol


class Notes:
    """What a driver says before or after a step, so that it is known when no answer arrives."""

    def user_made(self) -> None:
        """Say that the learner's account was made by us."""

    def user_found(self) -> None:
        """Say that the learner, who needed an account, has one by now."""

    def raised_from(self, mode: str) -> None:
        """Say, before it is sent, that an enrollment of the learner's own is raised from a mode."""

    def create_sent(self) -> None:
        """Say, before it is sent, that an enrollment is asked for: it may exist from now on."""

    def create_refused(self) -> None:
        """Say that the create which was sent has surely done nothing."""

    def payment_sent(self, payment_id: str) -> None:
        """Say, before it is sent, that a payment with this id is made in the LMS."""


@dataclass(frozen=True)
class EnrollRequest:
    """`amount` is in the currency's minor unit; `extra` is for platforms that know more fields.

    `sent_before` says that an earlier attempt sent a create whose outcome is not known: what is
    there now was not there before it. `needs_account` says that the learner had no user yet.
    """

    email: str
    full_name: str
    course_id: str
    payment_id: str = ""
    amount: int | None = None
    currency: str = ""
    referral_code: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    sent_before: bool = False
    needs_account: bool = False
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class Enrolled:
    """The enrollment that is there now, and whether we made it or found it."""

    enrollment_id: str
    made: bool


@dataclass(frozen=True)
class Found:
    """`is_touched`: there is work in it. `is_elsewheres`: the LMS says that it came another way."""

    enrollment_id: str
    percent: int
    is_touched: bool = False
    is_elsewheres: bool = False


@dataclass(frozen=True)
class Listed:
    """One enrollment in a list about many learners, by the address that we know the learner by.

    `gives` is False where it is less than what we sell, such as one that anybody may have there.
    `lacking` says why the learner cannot use it as it is sold, "" where nothing is known of that.
    """

    enrollment_id: str
    email: str
    course_id: str
    gives: bool = True
    lacking: str = ""


@dataclass(frozen=True)
class Plan:
    """Of a learner's enrollments: which are to be removed, which one is kept, and what is left."""

    removed: tuple[str, ...] = ()
    kept: str = ""
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Revocation:
    """What of a learner's enrollments in a course is ours to take away.

    `made` are the ids of those we made. With `unseen` we sent a create that may have made another,
    whose id we never learned, when the learner had none yet. `lower_to` is the mode of an
    enrollment of the learner's own that we raised: it is lowered to that again, not ended.
    `payments` are the ids of payments that we made in the LMS for it.
    """

    email: str
    course_id: str
    made: frozenset[str]
    unseen: bool = False
    lower_to: str = ""
    payments: frozenset[str] = frozenset()

    def covers(self, row: Found) -> bool:
        return row.enrollment_id in self.made or (self.unseen and not row.is_elsewheres)


@dataclass(frozen=True)
class Revoked:
    """How many enrollments were removed, and which are left because others made them."""

    removed: int
    left: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """What the platform has given a learner for a course.

    `url` is where it shows it, "" where that is not on the platform's own host.
    """

    url: str = ""
    issued_on: date | None = None


@dataclass(frozen=True)
class Progress:
    """How far a learner is.

    `percent` is None where the platform does not show it. `knows_certificate` is False where it
    could not be asked for one, which says nothing about whether there is one.
    """

    percent: int | None
    certificate: Certificate | None = None
    knows_certificate: bool = True

    @property
    def completed(self) -> bool:
        return self.certificate is not None or (self.percent or 0) >= 100


@dataclass(frozen=True)
class CourseFacts:
    """What a platform says of a course; what it does not say is empty, or None.

    `modified` is when it was changed there, as it writes that: Frappe names no time zone.
    """

    course_id: str  # as the platform writes it
    title: str
    published: bool
    instructors: tuple[str, ...] = ()  # their names
    obstacles: tuple[str, ...] = ()  # why nobody could be enrolled, though it is published
    image: str = ""
    lessons: int | None = None
    modified: str = ""


class Platform(Protocol):
    # How many `enroll_many` takes; 1 where the platform has no call for many that is safe to use.
    most_at_once: ClassVar[int]

    def enroll_many(self, requests: Sequence[EnrollRequest]) -> dict[str, Enrolled]:
        """Enroll learners of one course in few calls; return those enrolled now, by e-mail.

        Whoever is left out is enrolled alone, by `enroll`. After an error nobody is enrolled, save
        where it may have taken effect.
        """

    def enroll(self, request: EnrollRequest) -> Enrolled:
        """Ensure that the learner is enrolled exactly once, and return the enrollment.

        Raises LmsAwaitingAccount where the learner has to make an account there first.
        """

    def revoke(self, revocation: Revocation) -> Revoked:
        """Remove the learner's enrollments in the course that we made, and no others."""

    def tidy(self, email: str, course_id: str) -> str:
        """Remove what a lost answer left twice, and return the id that is left, "" for none.

        Call it only where we sent more than one create when the learner had no enrollment.
        """

    def with_account(self, emails: Sequence[str]) -> set[str]:
        """Return those of these learners who can be enrolled now, in one call at most."""

    def find(self, email: str, course_id: str) -> list[Found]:
        """Return the learner's enrollments in the course, oldest first: normally none or one."""

    def list_of(self, emails: Sequence[str]) -> list[Listed]:
        """Return what these learners, a hundred at most, are enrolled in, by few calls.

        An LMS may leave some out: before anything follows from that, `find` is to be asked.
        """

    def made_since(self, since: date) -> list[Listed]:
        """Return what was enrolled there with our key since that day, by its clock.

        Nothing where the platform does not say who made an enrollment.
        """

    def course_of(self, enrollment_id: str, email: str) -> str:
        """Return the course of an enrollment, also of a learner with another address by now.

        "" where it is gone, or is another learner's.
        """

    def progress(self, email: str, course_id: str) -> Progress:
        """Return how far the learner is, and their certificate; raises LmsNotEnrolled."""

    def ping(self, *, deep: bool = False) -> str:
        """Return the user that our key belongs to; raise when no enrollment could be made now.

        With `deep` it tries all that the jobs will do: what the key may, and that a change is taken
        (something is written as it is, which an LMS in maintenance refuses).
        """

    def course(self, course_id: str) -> CourseFacts:
        """Return the platform's facts about a course; raises LmsCourseUnknown."""
