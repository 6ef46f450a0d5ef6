"""Find a learner's certificate in Open edX. Source: contracts/openedx, section 9."""

from typing import Any
from urllib.parse import quote

from courses.models import Course
from lms_sync.errors import LmsNotFound, LmsUnreadable
from lms_sync.links import own_link
from lms_sync.platforms.base import Certificate
from lms_sync.platforms.certificates import read_day
from lms_sync.platforms.openedx_accounts import Account, same
from lms_sync.platforms.openedx_answers import document
from lms_sync.platforms.openedx_client import EdxClient
from lms_sync.platforms.openedx_rights import NOBODY, NOWHERE

CERTIFICATES = "/api/certificates/v0/certificates"
GIVEN = "downloadable"  # others are being made, or were refused


def find_certificate(edx: EdxClient, account: Account, course_id: str) -> Certificate | None:
    """Return the learner's certificate for the course, None where none was given."""
    found = _read(edx, account.username, course_id)
    if found is None:
        return None
    if not (
        same(found.get("username"), account.username) and same(found.get("course_id"), course_id)
    ):
        raise LmsUnreadable("The certificate is not the one asked for.", kind="wrong_row")
    if found.get("status") != GIVEN:
        return None
    url = own_link(Course.Platform.OPENEDX, str(found.get("download_url") or ""))
    return Certificate(url, read_day(found.get("created_date")))


def check_certificates(edx: EdxClient) -> None:
    """Raise LmsError where we are not shown whether somebody has a certificate."""
    _read(edx, NOBODY, NOWHERE)


def _read(edx: EdxClient, username: str, course_id: str) -> dict[str, Any] | None:
    name, key = quote(username, safe=""), quote(course_id, safe="+:")
    try:
        return document(edx.call("GET", f"{CERTIFICATES}/{name}/courses/{key}/"), "username")
    except LmsNotFound:
        return None
