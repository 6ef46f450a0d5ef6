"""Read, make and end an enrollment in Open edX, whose mode is easily lost.

Every request names the mode: without one, coming back falls to the free mode, and a name that is
missing enrolls the service user. The row of a learner and course exists once and for ever.
Source: contracts/openedx, sections 4, 6 and 7.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.utils import timezone

from lms_sync.errors import LmsError, LmsRefused, LmsUnavailable, LmsUnreadable
from lms_sync.platforms.base import Notes
from lms_sync.platforms.client import Answer
from lms_sync.platforms.openedx_accounts import Account, same
from lms_sync.platforms.openedx_answers import (
    CLOSED,
    EMPTY,
    MODE_MISMATCH,
    document,
    shape_of,
)
from lms_sync.platforms.openedx_client import EdxClient

ENROLLMENT = "/api/enrollment/v1/enrollment"
COURSE = "/api/enrollment/v1/course"
FREE_MODES = ("audit", "honor")


@dataclass(frozen=True)
class Row:
    """The enrollment of a learner in a course, which may have ended."""

    mode: str
    is_active: bool

    def gives(self, mode: str) -> bool:
        """Whether this is what was bought, or better: a paid mode is never exchanged or lowered."""
        good = self.mode == mode or self.mode not in FREE_MODES or mode in FREE_MODES
        return self.is_active and good


def mode_for(course_id: str) -> str:
    """Return the mode that buyers of a course are enrolled in."""
    modes: dict[str, str] = settings.OPENEDX_COURSE_MODES
    key = course_id.casefold()  # Open edX may write it otherwise than the setting does
    named = (mode for each, mode in modes.items() if each.casefold() == key)
    return next(named, settings.OPENEDX_MODE)


def enrollment_id(account: Account, course_id: str) -> str:
    """Return the only name that an enrollment has there: its address."""
    return f"{account.username},{course_id}"


def read(edx: EdxClient, account: Account, course_id: str) -> Row | None:
    """Return a learner's row in a course, None where there never was one: an empty 200."""
    path = f"{ENROLLMENT}/{quote(account.username, safe='')},{quote(course_id, safe='+:')}"
    answer = edx.call("GET", path)
    if answer.status == 200 and shape_of(answer) == EMPTY:
        return None
    return _row(answer, account, course_id)


def ensure(edx: EdxClient, account: Account, course_id: str, *, notes: Notes) -> bool:
    """Ensure that the learner is enrolled in the mode that was bought; return whether we did it."""
    mode = mode_for(course_id)
    present = read(edx, account, course_id)
    if present and present.gives(mode):
        return False
    if present and present.is_active:
        notes.raised_from(present.mode)
    notes.create_sent()
    try:
        row = _post(edx, account, course_id, mode=mode, is_active=True)
    except (LmsUnavailable, LmsRefused) as error:
        _require_after_all(edx, account, course_id, error=error)
        return True
    if not row.gives(mode):
        raise LmsUnreadable("It answers with another enrollment than asked for.", kind="wrong_row")
    return True


def _require_after_all(
    edx: EdxClient, account: Account, course_id: str, *, error: LmsError
) -> None:
    """Raise the error unless the learner is enrolled in spite of it."""
    try:
        row = read(edx, account, course_id)
    except LmsError:
        raise error from None
    if row is None or not row.gives(mode_for(course_id)):
        raise _precise(edx, course_id, error)


def leave(edx: EdxClient, account: Account, course_id: str) -> bool:
    """Ensure that an enrollment has ended; return whether this call ended one.

    The mode just read is sent, so that coming back does not lose it. Nothing is sent where nothing
    is active: that would make a row, and mails of a new enrollment.
    """
    for is_last in (False, True):
        row = read(edx, account, course_id)
        if row is None or not row.is_active:
            return False
        try:
            _post(edx, account, course_id, mode=row.mode, is_active=False)
        except LmsRefused as error:
            # The mode was changed after it was read.
            if is_last or not error.reason.startswith(MODE_MISMATCH):
                raise
        else:
            break
    return True


def lower(edx: EdxClient, account: Account, course_id: str, *, to: str) -> bool:
    """Give an enrollment back the free mode it had before us; return whether this call did."""
    row = read(edx, account, course_id)
    if row is None or not row.is_active or row.mode in FREE_MODES:
        return False
    _post(edx, account, course_id, mode=to, is_active=True)
    return True


def details_of(edx: EdxClient, course_id: str) -> dict[str, Any]:
    """Return window, modes and invitation of a course; raises LmsCourseUnknown."""
    path = f"{COURSE}/{quote(course_id, safe='+:')}"
    return document(edx.call("GET", path), "course_id")


def _post(edx: EdxClient, account: Account, course_id: str, *, mode: str, is_active: bool) -> Row:
    wish = {
        "user": account.username,
        "mode": mode,
        "is_active": is_active,
        "force_enrollment": settings.OPENEDX_FORCE_ENROLLMENT,
        "course_details": {"course_id": course_id},
    }
    row = _row(edx.call("POST", ENROLLMENT, body=wish), account, course_id)
    if row.is_active != is_active:
        raise LmsUnreadable("It answers with another enrollment than asked for.", kind="wrong_row")
    return row


def _row(answer: Answer, account: Account, course_id: str) -> Row:
    """Return the row of an answer, which must be about this learner and course."""
    payload = document(answer, "mode")
    details = payload.get("course_details")
    key = details.get("course_id") if isinstance(details, dict) else None
    mode, is_active = payload.get("mode"), payload.get("is_active")
    about = same(payload.get("user"), account.username) and same(key, course_id)
    if not about or not isinstance(mode, str) or not isinstance(is_active, bool):
        raise LmsUnreadable("The enrollment is not the one asked for.", kind="wrong_row")
    return Row(mode, is_active)


def _precise(edx: EdxClient, course_id: str, error: LmsError) -> LmsError:
    """Say more of the one refusal for closed, full and by invitation."""
    if not isinstance(error, LmsRefused) or not error.reason.startswith(CLOSED):
        return error
    try:
        details = details_of(edx, course_id)
    except LmsError:
        return error
    why = closed_because(details) or "The course is probably full."
    return LmsRefused(f"{error.reason}: {why}", **error.details)


def closed_because(details: dict[str, Any]) -> str:
    """Return why a course takes nobody who is not let in by force; "" where it is open, or full."""
    now = timezone.now().isoformat()
    if details.get("invite_only"):
        return "The course is by invitation only."
    if str(details.get("enrollment_start") or "") > now:
        return "Its enrollment has not begun."
    if "" < str(details.get("enrollment_end") or "") < now:
        return "Its enrollment has ended."
    return ""
