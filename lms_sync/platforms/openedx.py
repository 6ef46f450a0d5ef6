"""The driver for Open edX. Source: contracts/openedx, part 3.

Learners make their accounts themselves: whoever buys without one gets an entry that waits for their
address, and LmsAwaitingAccount says so until a later attempt finds the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from django.conf import settings

from lms_sync.errors import (
    LmsAccountRetired,
    LmsAwaitingAccount,
    LmsNotEnrolled,
    LmsNotFound,
    LmsUnreadable,
)
from lms_sync.platforms import openedx_enrollments, openedx_lists, openedx_pending
from lms_sync.platforms.answers import plain
from lms_sync.platforms.base import (
    CourseFacts,
    Enrolled,
    EnrollRequest,
    Found,
    Listed,
    Notes,
    Progress,
    Revocation,
    Revoked,
)
from lms_sync.platforms.certificates import with_certificate
from lms_sync.platforms.openedx_accounts import Account, find_account, same, usernames_of
from lms_sync.platforms.openedx_answers import document, modes_of
from lms_sync.platforms.openedx_certificates import find_certificate
from lms_sync.platforms.openedx_client import EdxClient
from lms_sync.platforms.openedx_enrollments import closed_because, enrollment_id, mode_for
from lms_sync.platforms.openedx_rights import check_changes, check_rights

ME = "/api/user/v1/me"
COURSES = "/api/courses/v1/courses"
PROGRESS = "/api/course_home/progress"


@dataclass
class OpenEdx:
    edx: EdxClient
    # Its call for many is off unless somebody switched it on, knows no mode, and takes a course
    # that does not exist, which keeps the learner's account from ever working.
    most_at_once: ClassVar[int] = 1

    def enroll_many(self, requests: Sequence[EnrollRequest]) -> dict[str, Enrolled]:
        return {}

    def enroll(self, request: EnrollRequest) -> Enrolled:
        # One create is noted for a job: the LMS keeps the row unique, so a second makes no double.
        notes = Notes() if request.sent_before else request.notes
        account = find_account(self.edx, request.email)
        if account is None:
            openedx_pending.ensure_entry(self.edx, request.email, request.course_id, notes=notes)
            raise LmsAwaitingAccount
        made = openedx_enrollments.ensure(self.edx, account, request.course_id, notes=notes)
        return Enrolled(enrollment_id(account, request.course_id), made=made or request.sent_before)

    def with_account(self, emails: Sequence[str]) -> set[str]:
        return set(usernames_of(self.edx, emails))

    def revoke(self, revocation: Revocation) -> Revoked:
        email, course_id = revocation.email, revocation.course_id
        account = self._account(email) or openedx_lists.renamed(self.edx, revocation)
        if account is None and not (revocation.made or revocation.unseen):
            return Revoked(0, openedx_pending.waiting(self.edx, email, course_id))
        if account and not self._is_ours(revocation, account):
            return Revoked(0, tuple(self._rows(account, course_id)))
        if account and revocation.lower_to:
            lowered = openedx_enrollments.lower(
                self.edx, account, course_id, to=revocation.lower_to
            )
            return Revoked(int(lowered), tuple(self._rows(account, course_id)))
        ended = account is not None and openedx_enrollments.leave(self.edx, account, course_id)
        removed = openedx_pending.remove_entry(self.edx, email, course_id)
        return Revoked(int(ended or removed))

    def _is_ours(self, revocation: Revocation, account: Account) -> bool:
        found = Found(enrollment_id(account, revocation.course_id), 0)
        return revocation.covers(found) or openedx_lists.had_another_name(self.edx, revocation)

    def tidy(self, email: str, course_id: str) -> str:
        return next((row.enrollment_id for row in self.find(email, course_id)), "")

    def find(self, email: str, course_id: str) -> list[Found]:
        return self._rows(self._account(email), course_id)

    def list_of(self, emails: Sequence[str]) -> list[Listed]:
        return openedx_lists.list_of(self.edx, emails)

    def made_since(self, since: date) -> list[Listed]:
        return []  # it says of no enrollment who made it

    def course_of(self, enrollment_id: str, email: str) -> str:
        return openedx_lists.course_of(self.edx, enrollment_id, email)

    def _rows(self, account: Account | None, course_id: str) -> list[Found]:
        row = openedx_enrollments.read(self.edx, account, course_id) if account else None
        if account is None or row is None or not row.is_active:
            return []
        return [Found(enrollment_id(account, course_id), 0)]

    def _account(self, email: str) -> Account | None:
        """Return the account of an address; one that was retired cannot be used any more."""
        try:
            return find_account(self.edx, email)
        except LmsAccountRetired:
            return None

    def progress(self, email: str, course_id: str) -> Progress:
        account = self._account(email)
        if account is None:
            raise LmsNotEnrolled
        percent = self._percent_of(account, course_id)
        return with_certificate(percent, partial(find_certificate, self.edx, account, course_id))

    def _percent_of(self, account: Account, course_id: str) -> int | None:
        """Return the percentage, None where Open edX does not show it; raises LmsNotEnrolled."""
        path = f"{PROGRESS}/{quote(course_id, safe='+:')}/{account.number}"
        try:
            answer = document(self.edx.call("GET", path), "completion_summary")
        except LmsNotFound as error:
            # Its flag course_home.course_home_mfe_progress_tab is off, or nobody is enrolled: both
            # are the same 404.
            row = openedx_enrollments.read(self.edx, account, course_id)
            if row is None or not row.is_active:
                raise LmsNotEnrolled from error
            return None
        return _percent(answer["completion_summary"])

    def ping(self, *, deep: bool = False) -> str:
        user = document(self.edx.call("GET", ME), "username")["username"]
        found = document(
            self.edx.call("GET", openedx_lists.LIST, query={"page_size": "1"}), "results"
        )
        if not isinstance(user, str) or not isinstance(found["results"], list):
            raise LmsUnreadable("The answer is not one of Open edX's.", kind="wrong_ping")
        if deep:
            check_rights(self.edx)
            check_changes(self.edx)
        return plain(user)

    def course(self, course_id: str) -> CourseFacts:
        path = f"{COURSES}/{quote(course_id, safe='+:')}"
        facts = document(self.edx.call("GET", path), "course_id")
        true_name = facts.get("course_id")
        if not same(true_name, course_id):
            raise LmsUnreadable("The answer is about another course.", kind="wrong_course")
        obstacles = _obstacles(course_id, openedx_enrollments.details_of(self.edx, course_id))
        # It names no instructors, no number of lessons, and not when the course was changed.
        return CourseFacts(
            str(true_name),
            plain(facts.get("name") or ""),
            published=True,
            obstacles=obstacles,
            image=_image(facts.get("media")),
        )


def _obstacles(course_id: str, details: dict[str, Any]) -> tuple[str, ...]:
    """Return why nobody could be enrolled as we ask for it."""
    mode, offered = mode_for(course_id), modes_of(details) or ["audit"]
    closed = "" if settings.OPENEDX_FORCE_ENROLLMENT else closed_because(details)
    found = (
        "" if mode in offered else _no_mode(mode, offered),
        f"{closed} Set OPENEDX_FORCE_ENROLLMENT, or open it there." if closed else "",
    )
    return tuple(filter(None, found))


def _no_mode(mode: str, offered: list[str]) -> str:
    return f"It does not offer the mode {mode}, but {', '.join(offered)}."


def _image(media: object) -> str:
    image = media.get("image") if isinstance(media, dict) else None
    return plain(image.get("raw") or "") if isinstance(image, dict) else ""


def _percent(summary: object) -> int:
    """Return the share of units done, rounded down; a course without units is at 0."""
    if not isinstance(summary, dict):
        raise LmsUnreadable("The progress is not what was asked for.", kind="progress")
    done, left = summary.get("complete_count"), summary.get("incomplete_count")
    if not isinstance(done, int) or not isinstance(left, int) or done < 0 or left < 0:
        raise LmsUnreadable("The progress is not a number.", kind="progress")
    return 100 * done // (done + left) if done + left else 0
