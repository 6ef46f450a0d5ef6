"""Find a learner's certificate in Frappe, a document of its own that outlives the enrollment.

Source: contracts/frappe, sections 5 and 13.
"""

import json
from typing import Any

from lms_sync.errors import LmsUnreadable
from lms_sync.links import certificate_link
from lms_sync.platforms.answers import read_id
from lms_sync.platforms.base import Certificate
from lms_sync.platforms.certificates import read_day
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value

CERTIFICATES = "/api/resource/LMS%20Certificate"


def find_certificate(client: Client, *, email: str, course_id: str) -> Certificate | None:
    """Return the learner's certificate for the course, the newest where there are several."""
    query = {
        "filters": json.dumps([["member", "=", email], ["course", "=", course_id]]),
        "fields": json.dumps(["name", "member", "course", "issue_date"]),
        "order_by": "creation asc",
        "limit_page_length": "0",
    }
    rows = value(client.call("GET", CERTIFICATES, query=query), "data")
    if not isinstance(rows, list) or not all(_is_about(row, email, course_id) for row in rows):
        raise LmsUnreadable("The certificates are not those asked for.", kind="wrong_rows")
    if not rows:
        return None
    newest = rows[-1]
    url = certificate_link(str(newest["course"]), read_id(newest.get("name")))
    return Certificate(url, read_day(newest.get("issue_date")))


def check_certificates(client: Client) -> None:
    """Raise LmsError where the key is not shown certificates."""
    value(client.call("GET", CERTIFICATES, query={"limit_page_length": "1"}), "data")


def _is_about(row: Any, email: str, course_id: str) -> bool:
    """Return whether a row is the learner's: nobody is shown the certificate of somebody else."""
    if not isinstance(row, dict):
        return False
    member, course = str(row.get("member")), str(row.get("course"))
    return member.lower() == email.lower() and course.lower() == course_id.lower()
