"""Read a course in Frappe, and the names of those who teach it.

Source: contracts/frappe, sections 4 and 5.
"""

import json
from typing import Any
from urllib.parse import quote

from lms_sync.errors import LmsCourseUnknown, LmsError, LmsNotFound, LmsUnreadable
from lms_sync.platforms.answers import plain
from lms_sync.platforms.base import CourseFacts
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.frappe_rights import USERS

COURSES = "/api/resource/LMS%20Course"
MOST_INSTRUCTORS = 20


def read_course(client: Client, course_id: str) -> dict[str, Any]:
    """Return the document of a course. Raises LmsCourseUnknown."""
    try:
        document = value(client.call("GET", f"{COURSES}/{quote(course_id, safe='')}"), "data")
    except LmsNotFound as error:
        raise LmsCourseUnknown(
            f"It knows no course {plain(course_id)}.", **error.details
        ) from error
    name = document.get("name") if isinstance(document, dict) else None
    if not isinstance(name, str) or name.casefold() != course_id.casefold():
        raise LmsUnreadable("The answer is about another course.", kind="wrong_course")
    return document


def read_facts(
    client: Client, document: dict[str, Any], *, obstacles: tuple[str, ...]
) -> CourseFacts:
    lessons = document.get("lessons")
    return CourseFacts(
        document["name"],
        plain(document.get("title") or ""),
        document.get("published") in (1, True),
        _names_of(client, document),
        obstacles,
        image=plain(document.get("image") or ""),
        lessons=lessons if isinstance(lessons, int) and lessons >= 0 else None,
        modified=plain(document.get("modified") or ""),
    )


def _names_of(client: Client, document: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the instructors, whom a course names by their e-mail addresses.

    Whoever has no name is left out, and so are all where the LMS does not show its users: an
    address must not get onto a page of ours.
    """
    rows = document.get("instructors")
    emails = [
        str(row["instructor"])
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get("instructor")
    ][:MOST_INSTRUCTORS]
    names = _full_names(client, emails) if emails else {}
    return tuple(names[email.lower()] for email in emails if email.lower() in names)


def _full_names(client: Client, emails: list[str]) -> dict[str, str]:
    query = {
        "filters": json.dumps([["name", "in", emails]]),
        "fields": json.dumps(["name", "full_name"]),
        "limit_page_length": "0",
    }
    try:
        users = value(client.call("GET", USERS, query=query), "data")
    except LmsError:
        return {}
    found = [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []
    names = {str(user.get("name")).lower(): plain(user.get("full_name") or "") for user in found}
    return {email: name for email, name in names.items() if name and "@" not in name}
