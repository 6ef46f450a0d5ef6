"""Entries for learners without an account in Open edX, which enroll them once they have one.

The address checks nothing, and an entry for a course that does not exist keeps the learner's
account from ever being activated: the course is asked for first. Source: contracts/openedx,
section 5.
"""

from typing import Any

from lms_sync.errors import LmsDuplicate, LmsNotFound, LmsRefused, LmsUnreadable
from lms_sync.platforms.base import Found, Notes
from lms_sync.platforms.openedx_accounts import same
from lms_sync.platforms.openedx_answers import document, meaning, rows
from lms_sync.platforms.openedx_client import EdxClient
from lms_sync.platforms.openedx_enrollments import details_of

ALLOWED = "/api/enrollment/v1/enrollment_allowed/"
USED = (
    "An entry for this e-mail was used by an account that has another e-mail now. Look for it in"
    " Open edX (Django admin, Course enrollment allowed)."
)
OTHERS = "Open edX takes this e-mail for another person's, whose address differs by an accent."


def ensure_entry(edx: EdxClient, email: str, course_id: str, *, notes: Notes) -> None:
    """Ensure that an entry waits for this address. Raises LmsCourseUnknown, LmsRefused."""
    if _is_waiting(_entries(edx, email, course_id), email):
        return
    details = details_of(edx, course_id)
    if not same(details.get("course_id"), course_id):
        raise LmsUnreadable("The answer is about another course.", kind="wrong_course")
    notes.create_sent()
    wish = {"email": email, "course_id": course_id, "auto_enroll": True}
    try:
        document(edx.call("POST", ALLOWED, body=wish), "course_id")
    except LmsDuplicate as error:
        # Another call made it in this moment, or it is of an address that differs by an accent.
        if not _is_waiting(_entries(edx, email, course_id), email):
            raise LmsRefused(OTHERS, **error.details) from error


def waiting(edx: EdxClient, email: str, course_id: str) -> tuple[Found, ...]:
    """Return the entry for this very address, as somebody else's enrollment to come."""
    entries = _entries(edx, email, course_id)
    mine = [entry for entry in entries if same(entry.get("email"), email)]
    return tuple(Found(f"pending:{email},{course_id}", 0) for _ in mine)


def _is_waiting(entries: list[dict[str, Any]], email: str) -> bool:
    """Return whether an entry waits for this very address. Raises LmsRefused where it was used."""
    mine = [entry for entry in entries if same(entry.get("email"), email)]
    if mine and mine[0].get("user") is not None:
        raise LmsRefused(USED, status=200)
    return bool(mine)


def remove_entry(edx: EdxClient, email: str, course_id: str) -> bool:
    """Ensure that no entry lets this address in; return whether this call removed one.

    Also one that was used: it would let the learner back into a course by invitation.
    """
    entries = _entries(edx, email, course_id)
    if not any(same(entry.get("email"), email) for entry in entries):
        return False
    answer = edx.call("DELETE", ALLOWED, body={"email": email, "course_id": course_id})
    if answer.status == 204:
        return True
    error = meaning(answer)
    if isinstance(error, LmsNotFound):
        return False
    raise error


def _entries(edx: EdxClient, email: str, course_id: str) -> list[dict[str, Any]]:
    found = rows(edx.call("GET", ALLOWED, query={"email": email}))
    return [entry for entry in found if same(entry.get("course_id"), course_id)]
