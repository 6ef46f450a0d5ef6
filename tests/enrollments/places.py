"""Many enrollments with access, here and in an LMS alike, and what people do to them over there."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from courses.models import Course
from enrollments import access_comparison, lms_jobs, mails
from enrollments.models import AccessComparison, AccessDifference, Enrollment, EnrollmentEvent
from lms_sync.models import SyncJob
from notifications.models import Email
from tests.factories import make_course
from tests.sandbox_client import Sandbox

KEY, OTHER_KEY = "course-v1:Maal+DS101+2026", "course-v1:Maal+DS102+2026"
CHUNK = 500


@dataclass(frozen=True)
class Frappe:
    """A Frappe LMS with two courses of ours."""

    sandbox: Sandbox
    name: str = "frappe"
    target: str = "lms"
    listing: str = "GET /api/resource/LMS Enrollment"
    key: str = "data-science"
    other_key: str = "data-engineering"

    def courses(self) -> tuple[Course, Course]:
        both = [{"title": key, "name": key} for key in (self.key, self.other_key)]
        self.sandbox.lms(courses=both)
        first, second = (make_course(slug=key, lms_course_id=key) for key in both_names(self))
        return first, second

    def enroll(self, emails: list[str], course_id: str = "", **more: Any) -> list[str]:
        """Enroll learners from elsewhere, and return the ids of that."""
        self.sandbox.lms(users=[{"email": email, "first_name": "Asha"} for email in emails])
        key = course_id or self.key
        rows = [{"member": email, "course": key, **more} for email in emails]
        return list(self.sandbox.lms(enrollments=rows)["enrollments"])

    def end(self, *enrollments: Enrollment) -> None:
        """Remove them by hand, as staff of the LMS do."""
        self.sandbox.lms(remove=[each.lms_enrollment_id for each in enrollments])

    def move(self, *enrollments: Enrollment) -> None:
        moves = [{"name": each.lms_enrollment_id, "course": self.other_key} for each in enrollments]
        self.sandbox.lms(move=moves)

    def lessen(self, *enrollments: Enrollment) -> None:
        """Leave them there, so that their learners cannot use them."""
        self.sandbox.lms(users=[{"email": each.email, "enabled": 0} for each in enrollments])

    def put_back(self, *enrollments: Enrollment) -> None:
        """Leave in the LMS what we made, though we say that it was taken away."""

    def rename_learner(self, email: str, to: str) -> None:
        self.sandbox.lms(rename_user={"name": email, "to": to})

    def rows(self) -> set[tuple[str, str, str]]:
        """Return the id, learner and course of everything that gives access there."""
        rows = self.sandbox.enrollments()
        return {(row["name"], row["member"], row["course"]) for row in rows}


@dataclass(frozen=True)
class OpenEdx(Frappe):
    name: str = "openedx"
    target: str = "openedx"
    listing: str = "GET /api/enrollment/v1/enrollments"
    key: str = KEY
    other_key: str = OTHER_KEY

    def courses(self) -> tuple[Course, Course]:
        self.sandbox.edx(courses=[{"id": key, "name": key} for key in both_names(self)])
        first, second = (
            make_course(lms_platform="openedx", lms_course_id=key) for key in both_names(self)
        )
        return first, second

    def enroll(self, emails: list[str], course_id: str = "", **more: Any) -> list[str]:
        key = course_id or self.key
        accounts = [{"email": each, "username": each.partition("@")[0]} for each in emails]
        rows = [{"email": each, "course_id": key, "mode": "verified", **more} for each in emails]
        self.sandbox.edx(accounts=accounts)
        self.sandbox.edx(enrollments=rows)
        return [f"{account['username']},{key}" for account in accounts]

    def _set(self, enrollments: tuple[Enrollment, ...], key: str, *, is_active: bool) -> None:
        rows = [
            {"email": each.email, "course_id": key, "mode": "verified", "is_active": is_active}
            for each in enrollments
        ]
        self.sandbox.edx(enrollments=rows)

    def end(self, *enrollments: Enrollment) -> None:
        self._set(enrollments, self.key, is_active=False)

    def lessen(self, *enrollments: Enrollment) -> None:
        lower = {"course_id": self.key, "mode": "audit"}
        self.sandbox.edx(enrollments=[{"email": each.email, **lower} for each in enrollments])

    def move(self, *enrollments: Enrollment) -> None:
        self._set(enrollments, self.key, is_active=False)
        self._set(enrollments, self.other_key, is_active=True)

    def rename_learner(self, email: str, to: str) -> None:
        self.sandbox.edx(change_email={"email": email, "to": to})

    def rows(self) -> set[tuple[str, str, str]]:
        rows = [row for row in self.sandbox.edx()["enrollments"] if row["is_active"]]
        return {(row["mode"], row["email"], row["course_id"]) for row in rows}


def both_names(lms: Frappe) -> tuple[str, str]:
    return lms.key, lms.other_key


def with_access(
    lms: Frappe, number: int, course: Course, *, kind: str = "free", prefix: str = "learner"
) -> list[Enrollment]:
    """Return so many enrollments that we made in the LMS, as the worker leaves them behind."""
    emails = [f"{prefix}{each}@example.com" for each in range(number)]
    made: list[Enrollment] = []
    for start in range(0, number, CHUNK):
        some = emails[start : start + CHUNK]
        ids = lms.enroll(some)
        made += [
            _place(course, email, kind, lms_id) for email, lms_id in zip(some, ids, strict=True)
        ]
    Enrollment.objects.bulk_create(made, batch_size=CHUNK)
    rows: list[tuple[Any, list[Any]]] = [
        (EnrollmentEvent, [_event(each) for each in made]),
        (SyncJob, [_job(each) for each in made]),
        (Email, [_mail(each) for each in made]),
    ]
    for model, each in rows:
        model.objects.bulk_create(each, batch_size=CHUNK)
    return made


def _place(course: Course, email: str, kind: str, lms_id: str) -> Enrollment:
    now = timezone.now()
    return Enrollment(
        course=course,
        email=email,
        kind=kind,
        course_title=course.title,
        course_slug=course.slug,
        lms_platform=course.lms_platform,
        lms_course_id=course.lms_course_id,
        list_price=0,
        amount=0,
        currency="usd",
        status="paid",
        paid_at=now,
        lms_status="success",
        lms_origin="made",
        lms_enrollment_id=lms_id,
        lms_synced_at=now,
    )


def _event(each: Enrollment) -> EnrollmentEvent:
    return EnrollmentEvent(enrollment=each, from_status="pending", to_status="paid", actor="test")


def _job(each: Enrollment) -> SyncJob:
    return SyncJob(
        dedupe_key=lms_jobs.job_key(each),
        platform=each.lms_platform,
        email=each.email,
        course_id=each.lms_course_id,
        payload={"enrollment_id": str(each.pk)},
        status="done",
        finished_at=timezone.now(),
        creates_sent=1,
        lms_origin="made",
        lms_enrollment_id=each.lms_enrollment_id,
    )


def _mail(each: Enrollment) -> Email:
    return Email(
        kind=mails.PURCHASE_CONFIRMATION,
        to=each.email,
        dedupe_key=f"{mails.PURCHASE_CONFIRMATION}:{each.pk}",
        status="done",
        finished_at=timezone.now(),
    )


def compare(lms: Frappe) -> AccessComparison:
    """Compare the LMS to the end."""
    found = access_comparison.compare(lms.name)
    assert found.failure == ""
    assert found.finished_at is not None
    return found


def differences() -> list[tuple[str, str, str]]:
    """Return learner, kind and status of each difference."""
    rows = AccessDifference.objects.select_related("enrollment")
    return sorted((each.enrollment.email, each.kind, each.status) for each in rows)


def counts(found: AccessComparison) -> dict[str, int]:
    """Return what a comparison counted."""
    return {"looked_at": found.looked_at, **found.counts}


def end_here(*enrollments: Enrollment) -> None:
    """Take them back here alone, as if the LMS had lost the revocation."""
    keys = [each.pk for each in enrollments]
    Enrollment.objects.filter(pk__in=keys).update(status="refunded", lms_status="revoked")
