"""Lists of Frappe about many learners at once. Source: contracts/frappe, sections 3 and 5."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from lms_sync.errors import LmsMisconfigured, LmsRefused, LmsUnreadable
from lms_sync.platforms.answers import read_id
from lms_sync.platforms.base import Listed, Revocation
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.frappe_courses import COURSES
from lms_sync.platforms.frappe_rights import ENROLLMENTS
from lms_sync.platforms.frappe_users import COLLECTION as USERS

# Of the addresses in one question: servers refuse longer lines than about 4,000, and quotes and
# commas become three characters each.
MOST_CHARACTERS = 1500
PAGE = 500
SWITCHED_OFF = "with the learner's user switched off"
FIELDS = ["name", "member", "course"]


def list_of(client: Client, emails: Sequence[str]) -> list[Listed]:
    """Return the enrollments of these learners in all courses."""
    known = {email.lower(): email for email in emails}
    found: list[Listed] = []
    for some in pieces(emails):
        for row in rows(client, ENROLLMENTS, [["member", "in", some]], FIELDS):
            member = str(row.get("member")).lower()
            if member not in known:
                # Whoever answers with everybody's has not read the question.
                raise LmsUnreadable("The list is not what was asked for.", kind="wrong_rows")
            found.append(Listed(read_id(row.get("name")), known[member], str(row.get("course"))))
    shut_out = _shut_out(client, sorted({row.email for row in found}))
    return [
        replace(row, lacking=SWITCHED_OFF) if row.email.lower() in shut_out else row
        for row in found
    ]


def _shut_out(client: Client, emails: Sequence[str]) -> set[str]:
    """Return those whose user is disabled, as far as our key is shown users."""
    found: set[str] = set()
    try:
        for some in pieces(emails):
            filters: list[list[Any]] = [["name", "in", some], ["enabled", "=", 0]]
            found |= {
                str(row.get("name")).lower() for row in rows(client, USERS, filters, ["name"])
            }
    except (LmsMisconfigured, LmsRefused):
        return set()
    return found


def course_of(client: Client, enrollment_id: str, email: str) -> str:
    """Return the course of an enrollment; "" where it is gone, or is another learner's by now.

    A user that gets another address keeps its enrollments: they are still the learner's where
    nobody has the old address.
    """
    found = rows(client, ENROLLMENTS, [["name", "=", enrollment_id]], FIELDS)
    mine = [row for row in found if row.get("name") == enrollment_id]
    if not mine:
        return ""
    if str(mine[0].get("member")).lower() != email.lower() and rows(
        client, USERS, [["name", "=", email]], ["name"]
    ):
        return ""
    return str(mine[0].get("course"))


def made_by(client: Client, user: str, since: date) -> list[Listed]:
    """Return the enrollments made since that day that this user wrote last.

    The owner of one is the learner on some versions. How a course is learned changes neither.
    """
    filters = [["modified_by", "=", user], ["creation", ">=", f"{since:%Y-%m-%d}"]]
    found: list[Listed] = []
    page = rows(client, ENROLLMENTS, filters, FIELDS, 0)
    while page:
        found += [
            Listed(read_id(row.get("name")), str(row.get("member")), str(row.get("course")))
            for row in page
        ]
        page = rows(client, ENROLLMENTS, filters, FIELDS, len(found))
    return found


def renamed(client: Client, revocation: Revocation, *, known: set[str]) -> list[str]:
    """Return those that we made whose learner, or whose course, has another name by now.

    `known` are those that were found by address and course.
    """
    return [
        each
        for each in sorted(revocation.made - known - {""})
        if _is_the_course(client, revocation, course_of(client, each, revocation.email))
    ]


def _is_the_course(client: Client, revocation: Revocation, there: str) -> bool:
    """Whether this is what the course is called, or is called since it was given another name."""
    course_id = revocation.course_id
    if not there or there.lower() == course_id.lower():
        return bool(there)
    return not rows(client, COURSES, [["name", "=", course_id]], ["name"])


def rows(
    client: Client,
    path: str,
    filters: list[list[Any]],
    fields: list[str],
    start: int | None = None,
) -> list[dict[str, Any]]:
    """Return the rows in the order in which they were made: all, or PAGE of them from `start`."""
    query = {
        "filters": json.dumps(filters),
        "fields": json.dumps(fields),
        "order_by": "creation asc",
        "limit_page_length": "0" if start is None else str(PAGE),
        "limit_start": str(start or 0),
    }
    found = value(client.call("GET", path, query=query), "data")
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise LmsUnreadable("The list is not what was asked for.", kind="wrong_rows")
    return found


def pieces(emails: Sequence[str]) -> Iterator[list[str]]:
    """Part the addresses so that each question stays short."""
    piece: list[str] = []
    for email in emails:
        if piece and sum(map(len, piece)) + len(email) > MOST_CHARACTERS:
            yield piece
            piece = []
        piece.append(email)
    if piece:
        yield piece
