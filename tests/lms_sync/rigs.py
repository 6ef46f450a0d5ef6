"""What a test of any driver needs of its platform: learners and enrollments made from elsewhere,
what the platform holds in the end, and its write broken.
"""

from dataclasses import dataclass
from typing import Any

from lms_sync.connection import platform_for
from lms_sync.platforms.base import EnrollRequest, Revocation, Revoked
from tests.sandbox_client import Sandbox

EMAIL, OTHER = "asha@example.com", "ben@example.com"


@dataclass(frozen=True)
class FrappeRig:
    sandbox: Sandbox
    name: str = "frappe"
    target: str = "lms"
    course: str = "free-course"
    second: str = "other-course"
    unknown: str = "no-such-course"
    write: str = "POST /api/resource/LMS Enrollment"
    read: str = "GET /api/resource/LMS Enrollment"
    owner: str = "bot@example.com"
    certificates: str = "GET /api/resource/LMS Certificate"

    def driver(self) -> Any:
        return platform_for(self.name)

    def enroll(self, email: str = EMAIL, course: str = "") -> str:
        request = EnrollRequest(email, "Asha Rao", course or self.course, amount=4900)
        return self.driver().enroll(request).enrollment_id

    def revoke(self, *made: str, email: str = EMAIL) -> Revoked:
        """Revoke those that we made; without any, what a create whose answer was lost made."""
        revocation = Revocation(email, self.course, frozenset(made), unseen=not made)
        return self.driver().revoke(revocation)

    def learner(self, *emails: str) -> None:
        self.sandbox.lms(users=[{"email": email, "first_name": "Asha"} for email in emails])

    def enrolled_elsewhere(self) -> None:
        self.learner(EMAIL)
        self.sandbox.lms(enrollments=[{"member": EMAIL, "course": self.course}])

    def rename_learner(self, email: str, to: str) -> None:
        self.sandbox.lms(rename_user={"name": email, "to": to})

    def rows(self) -> list[tuple[str, str]]:
        """Return who is enrolled in what."""
        return sorted((row["member"], row["course"]) for row in self.sandbox.enrollments())

    def set_progress(self, percent: int) -> None:
        self.sandbox.lms(progress={"email": EMAIL, "course": self.course, "percent": percent})

    def give_certificate(self, *, email: str = EMAIL) -> str:
        """Give the learner a certificate of 20 November 2026, and return where it is shown."""
        given = {"email": email, "course": self.course, "issue_date": "2026-11-20"}
        [name] = self.sandbox.lms(certificates=[given])["certificates"]
        return f"{self.sandbox.lms_url}/courses/{self.course}/{name}"

    def set_course(self, **facts: Any) -> None:
        self.sandbox.lms(courses=[{"name": self.course, **facts}])

    def lock_out(self) -> None:
        self.sandbox.lms(key="another-key:another-secret")

    def break_(self, mode: str, match: str = "", **more: Any) -> None:
        self.sandbox.fault(self.target, mode, match, **more)

    def writes(self) -> int:
        return len(self.sandbox.calls(self.target, self.write))


@dataclass(frozen=True)
class OpenEdxRig(FrappeRig):
    name: str = "openedx"
    target: str = "openedx"
    course: str = "course-v1:Maal+Free+2026"
    second: str = "course-v1:Maal+Other+2026"
    unknown: str = "course-v1:Maal+Nothing+2026"
    write: str = "POST /api/enrollment/v1/enrollment"
    read: str = "GET /api/enrollment/v1/enrollment/"
    owner: str = "shop_worker"
    certificates: str = "GET /api/certificates"

    def learner(self, *emails: str) -> None:
        accounts = [{"email": email, "username": email.partition("@")[0]} for email in emails]
        self.sandbox.edx(accounts=accounts)

    def enrolled_elsewhere(self) -> None:
        self.learner(EMAIL)
        row = {"email": EMAIL, "course_id": self.course, "mode": "verified"}
        self.sandbox.edx(enrollments=[row])

    def rename_learner(self, email: str, to: str) -> None:
        self.sandbox.edx(change_email={"email": email, "to": to})

    def rows(self) -> list[tuple[str, str]]:
        rows = self.sandbox.edx()["enrollments"]
        return sorted((row["email"], row["course_id"]) for row in rows if row["is_active"])

    def set_progress(self, percent: int) -> None:
        step = {"email": EMAIL, "course_id": self.course, "done": percent // 10}
        self.sandbox.edx(progress=step)

    def give_certificate(self, *, email: str = EMAIL, url: str = "") -> str:
        shown_at = url or f"{self.sandbox.edx_url}/certificates/1"
        row = {"email": email, "course_id": self.course, "certificate": shown_at}
        self.sandbox.edx(progress=row)
        return shown_at

    def set_course(self, **facts: Any) -> None:
        title = {"name": facts.pop("title")} if "title" in facts else {}
        self.sandbox.edx(courses=[{"id": self.course, **facts, **title}])

    def lock_out(self) -> None:
        self.sandbox.edx(client_secret="another-secret", forget_tokens=True)
