"""The `rest` driver: a stock Frappe LMS, through its documents.

The LMS does not keep (member, course) unique, so this driver does: ask first, create, and ask again
after a lost answer or a refusal. Source: contracts/frappe, sections 4, 5, 7 and 12.
"""

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from lms_sync.errors import (
    LmsBrokenLink,
    LmsContended,
    LmsCourseUnknown,
    LmsError,
    LmsMisconfigured,
    LmsNotEnrolled,
    LmsNotFound,
    LmsRefused,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms.base import CourseFacts, EnrollRequest, Found, Progress
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import NO_RIGHT, plain, read_id, value
from lms_sync.platforms.frappe_users import ensure_user

ENROLLMENTS = "/api/resource/LMS%20Enrollment"
COURSES = "/api/resource/LMS%20Course"
WHO_AM_I = "/api/method/frappe.auth.get_logged_user"
GUEST_KEY = (
    "The LMS takes us for a guest: the key was lost on the way, or FRAPPE_LMS_API_KEY is not"
    " key:secret."
)


@dataclass
class FrappeRest:
    client: Client

    def enroll(self, request: EnrollRequest) -> str:
        ensure_user(self.client, request.email, full_name=request.full_name)
        rows = self.find(request.email, request.course_id)
        return rows[0].enrollment_id if rows else self._create(request)

    def _create(self, request: EnrollRequest) -> str:
        try:
            return self._insert(request)
        except (LmsUnavailable, LmsRefused) as error:
            return self._enrolled_after_all(request, error)

    def _insert(self, request: EnrollRequest) -> str:
        body = json.dumps({"member": request.email, "course": request.course_id})
        document = value(self.client.call("POST", ENROLLMENTS, body=body), "data")
        return read_id(document.get("name") if isinstance(document, dict) else None)

    def _enrolled_after_all(self, request: EnrollRequest, error: LmsError) -> str:
        """Return the enrollment that exists in spite of the error, or raise the error."""
        try:
            rows = self.find(request.email, request.course_id)
        except LmsError:
            raise error from None
        if not rows:
            raise _precise(error, request)
        return rows[0].enrollment_id

    def find(self, email: str, course_id: str) -> list[Found]:
        filters = [["member", "=", email], ["course", "=", course_id]]
        query = {
            "filters": json.dumps(filters),
            "fields": json.dumps(["name", "member", "course", "progress", "creation"]),
            "order_by": "creation asc",
            "limit_page_length": "0",
        }
        rows = value(self.client.call("GET", ENROLLMENTS, query=query), "data")
        if not isinstance(rows, list) or not all(_is_about(row, email, course_id) for row in rows):
            raise LmsUnreadable(
                "The list of enrollments is not what was asked for.", kind="wrong_rows"
            )
        rows.sort(key=lambda row: (str(row.get("creation", "")), str(row.get("name"))))
        return [Found(read_id(row.get("name")), read_percent(row.get("progress"))) for row in rows]

    def revoke(self, email: str, course_id: str) -> int:
        return sum(self._delete(row.enrollment_id) for row in self.find(email, course_id))

    def _delete(self, enrollment_id: str) -> bool:
        try:
            value(
                self.client.call("DELETE", f"{ENROLLMENTS}/{quote(enrollment_id, safe='')}"), "data"
            )
        except LmsNotFound:
            return False
        return True

    def progress(self, email: str, course_id: str) -> Progress:
        rows = self.find(email, course_id)
        if not rows:
            raise LmsNotEnrolled
        return Progress(max(row.percent for row in rows))

    def ping(self) -> str:
        user = value(self.client.call("GET", WHO_AM_I), "message")
        if not isinstance(user, str) or user in ("", "Guest"):
            raise LmsMisconfigured(GUEST_KEY)
        self._check_rights()
        return plain(user)

    def _check_rights(self) -> None:
        rows = value(self.client.call("GET", ENROLLMENTS, query={"limit_page_length": "1"}), "data")
        if not isinstance(rows, list):
            raise LmsMisconfigured(NO_RIGHT)

    def course(self, course_id: str) -> CourseFacts:
        try:
            document = value(
                self.client.call("GET", f"{COURSES}/{quote(course_id, safe='')}"), "data"
            )
        except LmsNotFound as error:
            raise LmsCourseUnknown(
                f"It knows no course {plain(course_id)}.", **error.details
            ) from error
        if not isinstance(document, dict):
            raise LmsUnreadable("The answer is not a course.", kind="wrong_course")
        teachers = tuple(
            plain(row["instructor"])
            for row in document.get("instructors") or []
            if isinstance(row, dict) and "instructor" in row
        )
        return CourseFacts(
            course_id,
            plain(document.get("title", "")),
            document.get("published") in (1, True),
            teachers,
        )


def _is_about(row: Any, email: str, course_id: str) -> bool:
    """Return whether a row is the learner's: a server that ignores the filter returns others'."""
    if not isinstance(row, dict):
        return False
    return (
        str(row.get("member", email)).lower() == email.lower()
        and str(row.get("course", course_id)) == course_id
    )


def _precise(error: LmsError, request: EnrollRequest) -> LmsError:
    """Say whether the course is unknown, for good, or the user, whom the next attempt creates."""
    if not isinstance(error, LmsBrokenLink):
        return error
    if request.email.lower() in error.reason.lower() and request.course_id not in error.reason:
        return LmsContended(error.reason, **error.details)
    return LmsCourseUnknown(error.reason, **error.details)


def read_percent(candidate: Any) -> int:
    """Return progress as a whole percentage, 0 to 100, rounded down. Raises LmsUnreadable."""
    try:
        return int(max(Decimal(0), min(Decimal(100), Decimal(str(candidate or 0)))))
    except (InvalidOperation, ValueError) as error:
        raise LmsUnreadable("The progress is not a number.", kind="progress") from error
