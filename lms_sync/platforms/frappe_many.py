"""Enroll many learners of one course in Frappe by few calls. Source: contracts/frappe, section 6.

One transaction over there: a single bad row and nothing is kept, and nobody says which row it was.
So only learners go into it who have a user that is enabled, and no enrollment yet; the others are
enrolled alone.
"""

import json
from collections.abc import Sequence
from typing import Any

from lms_sync.errors import LmsUnreadable
from lms_sync.platforms.answers import read_id
from lms_sync.platforms.base import Enrolled, EnrollRequest
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.frappe_lists import pieces, rows
from lms_sync.platforms.frappe_rights import ENROLLMENTS
from lms_sync.platforms.frappe_users import COLLECTION as USERS

INSERT_MANY = "/api/method/frappe.client.insert_many"


def enroll_many(client: Client, requests: Sequence[EnrollRequest]) -> dict[str, Enrolled]:
    """Return the enrollments of those who had one, and of those who were given one, by e-mail."""
    course_id = requests[0].course_id
    emails = [request.email for request in requests]
    usable = _usable(client, emails)
    present = _present(client, [each for each in emails if each in usable], course_id)
    found = {
        request.email: Enrolled(present[request.email], made=request.sent_before)
        for request in requests
        if request.email in present
    }
    missing = [each for each in requests if each.email in usable and each.email not in present]
    return found | (_insert(client, missing) if missing else {})


def _usable(client: Client, emails: Sequence[str]) -> set[str]:
    """Return those who have a user that can sign in."""
    return {
        str(row.get("name", "")).lower()
        for some in pieces(emails)
        for row in rows(client, USERS, [["name", "in", some]], ["name", "enabled"])
        if row.get("enabled") in (1, True)
    }


def _present(client: Client, emails: Sequence[str], course_id: str) -> dict[str, str]:
    """Return the oldest enrollment in the course of each who has one."""
    found: dict[str, str] = {}
    for some in pieces(emails):
        filters: list[list[Any]] = [["course", "=", course_id], ["member", "in", some]]
        for row in rows(client, ENROLLMENTS, filters, ["name", "member", "course"]):
            if str(row.get("course", "")).lower() != course_id.lower():
                raise LmsUnreadable("The list is not what was asked for.", kind="wrong_rows")
            found.setdefault(str(row.get("member", "")).lower(), read_id(row.get("name")))
    return found


def _insert(client: Client, requests: Sequence[EnrollRequest]) -> dict[str, Enrolled]:
    documents = [
        {"doctype": "LMS Enrollment", "member": each.email, "course": each.course_id}
        for each in requests
    ]
    for each in requests:
        each.notes.create_sent()
    names = value(client.call("POST", INSERT_MANY, body=json.dumps({"docs": documents})), "message")
    if not isinstance(names, list) or len(names) != len(requests):
        raise LmsUnreadable("It does not name the enrollments that it made.", kind="wrong_rows")
    made = [Enrolled(read_id(name), made=True) for name in names]
    return {each.email: enrolled for each, enrolled in zip(requests, made, strict=True)}
