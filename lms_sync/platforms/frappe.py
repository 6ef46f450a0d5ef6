"""The `rest` driver: a stock Frappe LMS, through its documents.

The LMS does not keep (member, course) unique, so this driver does: ask first, create, and ask again
after a lost answer or a refusal. Source: contracts/frappe, sections 4, 5, 7 and 12.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from django.conf import settings

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
from lms_sync.platforms import frappe_batches, frappe_lists, frappe_payments
from lms_sync.platforms.answers import plain, read_id
from lms_sync.platforms.base import (
    CourseFacts,
    Enrolled,
    EnrollRequest,
    Found,
    Listed,
    Progress,
    Revocation,
    Revoked,
)
from lms_sync.platforms.certificates import with_certificate
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.frappe_certificates import find_certificate
from lms_sync.platforms.frappe_courses import read_course, read_facts
from lms_sync.platforms.frappe_many import enroll_many
from lms_sync.platforms.frappe_rights import (
    ENROLLMENTS,
    check_changes,
    check_enrolling,
    check_rights,
    check_role,
    find_owner,
    list_enrollments,
)
from lms_sync.platforms.frappe_users import ensure_user

# What a learner's work leaves in an enrollment, and which batch of the LMS's own made it.
WORK = ("current_lesson", "certificate", "purchased_certificate", "payment")
BATCHES = ("enrollment_from_batch", "batch_old")
VERSIONS = "/api/method/frappe.utils.change_log.get_versions"


@dataclass
class FrappeRest:
    client: Client
    most_at_once: ClassVar[int] = 50

    def enroll_many(self, requests: Sequence[EnrollRequest]) -> dict[str, Enrolled]:
        return enroll_many(self.client, requests)

    def enroll(self, request: EnrollRequest) -> Enrolled:
        self._ensure_user(request)
        rows = self.find(request.email, request.course_id)
        if rows:
            return Enrolled(rows[0].enrollment_id, made=request.sent_before)
        return Enrolled(self._create(request), made=True)

    def _ensure_user(self, request: EnrollRequest) -> None:
        is_missing = request.needs_account
        if ensure_user(
            self.client, request.email, full_name=request.full_name, is_missing=is_missing
        ):
            request.notes.user_made()
        elif is_missing:
            request.notes.user_found()

    def _create(self, request: EnrollRequest) -> str:
        try:
            return self._send_create(request)
        except LmsRefused as error:
            request.notes.create_refused()
            if type(error) is not LmsRefused:
                raise
            check_role(self.client, error)
            if not self._lacks_payment(request.course_id):
                raise
        try:
            frappe_payments.ensure_payment(self.client, request)
        except LmsError as error:
            raise _patient(error) from error
        return self._send_create(request)

    def _send_create(self, request: EnrollRequest) -> str:
        request.notes.create_sent()
        try:
            return self._insert(request)
        except (LmsUnavailable, LmsRefused) as error:
            return self._enrolled_after_all(request, error)

    def _lacks_payment(self, course_id: str) -> bool:
        """Return whether a payment is all that a refused create may lack."""
        if not self.asks_for_payments():
            return False
        document = read_course(self.client, course_id)
        return bool(document.get("paid_course") and document.get("published"))

    def asks_for_payments(self) -> bool:
        """Return whether the LMS wants a payment of its own before it enrolls somebody."""
        return frappe_payments.needs_payment(self.version())

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
            raise _patient(_precise(error, request))
        return rows[0].enrollment_id

    def with_account(self, emails: Sequence[str]) -> set[str]:
        return set(emails)  # whoever has none is given one by us

    def find(self, email: str, course_id: str) -> list[Found]:
        filters = [["member", "=", email], ["course", "=", course_id]]
        query = {
            "filters": json.dumps(filters),
            # All of them: the one that names a batch has another name in other versions.
            "fields": json.dumps(["*"]),
            "order_by": "creation asc",
            "limit_page_length": "0",
        }
        rows = list_enrollments(self.client, query)
        if not isinstance(rows, list) or not all(_is_about(row, email, course_id) for row in rows):
            raise LmsUnreadable(
                "The list of enrollments is not what was asked for.", kind="wrong_rows"
            )
        rows.sort(key=lambda row: (str(row.get("creation", "")), str(row.get("name"))))
        return [_found(row) for row in rows]

    def list_of(self, emails: Sequence[str]) -> list[Listed]:
        return frappe_lists.list_of(self.client, emails)

    def made_since(self, since: date) -> list[Listed]:
        return frappe_lists.made_by(self.client, self.owner(), since)

    def course_of(self, enrollment_id: str, email: str) -> str:
        return frappe_lists.course_of(self.client, enrollment_id, email)

    def revoke(self, revocation: Revocation) -> Revoked:
        rows = self.find(revocation.email, revocation.course_id)
        ours = [row for row in rows if revocation.covers(row)]
        kept = frappe_batches.counted_on(self.client, revocation, rows, ours)
        needed = {row.enrollment_id for row in kept}
        ids = [row.enrollment_id for row in ours if row.enrollment_id not in needed]
        ids += frappe_lists.renamed(self.client, revocation, known={r.enrollment_id for r in rows})
        removed = sum(map(self._delete, ids))
        frappe_payments.withdraw(self.client, revocation.email, revocation.payments)
        return Revoked(removed, (*kept, *(row for row in rows if row not in ours)))

    def tidy(self, email: str, course_id: str) -> str:
        rows = [row for row in self.find(email, course_id) if not row.is_elsewheres]
        if not rows:
            return ""
        kept = next((row for row in rows if row.is_touched), rows[0])
        for row in rows:
            if row != kept and not row.is_touched:
                self._delete(row.enrollment_id)
        return kept.enrollment_id

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
        percent = max(row.percent for row in rows)
        return with_certificate(
            percent, partial(find_certificate, self.client, email=email, course_id=course_id)
        )

    def ping(self, *, deep: bool = False) -> str:
        user = self.owner()
        if deep:
            check_rights(self.client, user)
            check_changes(self.client, user)
            self._check_insert(user)
        else:
            # Reads the database, which the question before is answered without.
            list_enrollments(self.client, {"limit_page_length": "1"})
        return plain(user)

    def _check_insert(self, owner: str) -> None:
        check_enrolling(self.client, owner)

    def owner(self) -> str:
        """Return the user whose key ours is; raises LmsMisconfigured where we are a guest."""
        return find_owner(self.client)

    def version(self) -> str:
        """Return the version of the LMS app, "" where it is not shown."""
        try:
            apps = value(self.client.call("GET", VERSIONS), "message")
        except (LmsMisconfigured, LmsRefused):
            return ""
        app = apps.get("lms") if isinstance(apps, dict) else None
        return plain(app.get("version", "")) if isinstance(app, dict) else ""

    def course(self, course_id: str) -> CourseFacts:
        document = read_course(self.client, course_id)
        obstacles = self._obstacles() if document.get("paid_course") else ()
        return read_facts(self.client, document, obstacles=obstacles)

    def _obstacles(self) -> tuple[str, ...]:
        """Return why nobody could be enrolled in a course that has a price in the LMS."""
        asks = self.asks_for_payments()
        return frappe_payments.obstacles(self.client) if asks else ()


def _is_about(row: Any, email: str, course_id: str) -> bool:
    """Return whether a row is the learner's: a server that ignores the filter returns others'."""
    if not isinstance(row, dict):
        return False
    # The LMS compares names without case, and shows the true one.
    return (
        str(row.get("member", email)).lower() == email.lower()
        and str(row.get("course", course_id)).lower() == course_id.lower()
    )


def _found(row: dict[str, Any]) -> Found:
    percent = read_percent(row.get("progress"))
    return Found(
        read_id(row.get("name")),
        percent,
        is_touched=percent > 0 or any(row.get(field) for field in WORK),
        is_elsewheres=any(row.get(field) for field in BATCHES),
    )


def _patient(error: LmsError) -> LmsError:
    """Let a create whose answer was lost rest until its server cannot be at it any more.

    A second create before that would leave two enrollments.
    """
    if error.may_have_taken_effect:
        error.retry_after = settings.LMS_LOST_CREATE_WAIT
    return error


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
