"""Try what the jobs will do in Open edX, without leaving anything behind."""

from http import HTTPStatus

from lms_sync.errors import (
    LmsContended,
    LmsCourseUnknown,
    LmsNotFound,
    LmsRefused,
    LmsUnreadable,
)
from lms_sync.platforms.openedx_accounts import Account, find_account, usernames_of
from lms_sync.platforms.openedx_answers import document, meaning, rows
from lms_sync.platforms.openedx_client import EdxClient
from lms_sync.platforms.openedx_enrollments import ENROLLMENT, read
from lms_sync.platforms.openedx_pending import ALLOWED

NOBODY, NOWHERE = "maaledu-probe-nobody", "course-v1:MaalEdu+probe+none"
PROBE_ADDRESS = "probe@maaledu.invalid"


def check_rights(edx: EdxClient) -> None:
    """Raise LmsError unless we may see accounts, enrollments, and who waits for an account."""
    usernames_of(edx, [PROBE_ADDRESS])
    find_account(edx, PROBE_ADDRESS)
    read(edx, Account(0, NOBODY, is_active=True), NOWHERE)
    rows(edx.call("GET", ALLOWED, query={"email": PROBE_ADDRESS}))


def check_changes(edx: EdxClient) -> None:
    """Raise LmsError unless an enrollment and an entry would be taken now, and an entry removed.

    Somebody who does not exist is to be enrolled: who may not enroll others is told so before
    Open edX looks for them, and one that takes no changes answers with that. The entry that is
    asked for names no course, and the one that is removed is not there.
    """
    _check_entries(edx)
    entry = {"email": PROBE_ADDRESS, "course_id": NOWHERE}
    answer = edx.call("DELETE", ALLOWED, body=entry)
    if answer.status != HTTPStatus.NO_CONTENT and not isinstance(meaning(answer), LmsNotFound):
        raise meaning(answer)
    wish = {
        "user": NOBODY,
        "mode": "audit",
        "is_active": True,
        "course_details": {"course_id": NOWHERE},
    }
    try:
        document(edx.call("POST", ENROLLMENT, body=wish), "mode")
    except (LmsContended, LmsCourseUnknown):
        return
    raise LmsUnreadable("It enrolled somebody who does not exist.", kind="wrong_row")


def _check_entries(edx: EdxClient) -> None:
    try:
        document(
            edx.call("POST", ALLOWED, body={"email": PROBE_ADDRESS, "auto_enroll": True}), "email"
        )
    except LmsRefused:
        return
    raise LmsUnreadable("It took an entry for no course.", kind="wrong_row")
