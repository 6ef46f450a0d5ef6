"""What many learners are enrolled in on Open edX. Source: contracts/openedx, sections 3 and 7.

Its list is asked by user name, which the older versions know too; it has ended enrollments in it,
and refuses all of a question for one name that breaks a site's rule: such are asked by themselves.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lms_sync.errors import LmsAccountRetired, LmsUnreadable
from lms_sync.platforms import openedx_enrollments
from lms_sync.platforms.answers import plain
from lms_sync.platforms.base import Listed, Revocation
from lms_sync.platforms.openedx_accounts import Account, find_account, same, usernames_of
from lms_sync.platforms.openedx_answers import document, rows
from lms_sync.platforms.openedx_client import EdxClient
from lms_sync.platforms.openedx_enrollments import ENROLLMENT, Row, enrollment_id, mode_for

LIST = "/api/enrollment/v1/enrollments"
PLAIN = re.compile(r"[A-Za-z0-9_-]{2,30}")  # what every site takes in a list of user names
PAGE = 100
MOST_PAGES = 50


def list_of(edx: EdxClient, emails: Sequence[str]) -> list[Listed]:
    """Return the active enrollments of these learners in all courses."""
    names = usernames_of(edx, emails)
    known = {name.casefold(): email for email, name in names.items()}
    plain = [name for name in names.values() if PLAIN.fullmatch(name)]
    found = [*_pages(edx, plain)] if plain else []
    for name in set(names.values()) - set(plain):
        found += [
            {**row, "course_id": (row.get("course_details") or {}).get("course_id")}
            for row in rows(edx.call("GET", ENROLLMENT, query={"user": name}))
        ]
    return [_listed(row, known) for row in found if row.get("is_active") is True]


def _pages(edx: EdxClient, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    query = {"username": ",".join(names), "page_size": str(PAGE)}
    for _ in range(MOST_PAGES):
        payload = document(edx.call("GET", LIST, query=query), "results")
        found = payload["results"]
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise LmsUnreadable("The list is not what was asked for.", kind="wrong_rows")
        yield from found
        if not payload.get("next"):
            return
        # Not the address itself, which may be one that only the server knows.
        query = dict(parse_qsl(urlsplit(str(payload["next"])).query))


def _listed(row: dict[str, Any], known: dict[str, str]) -> Listed:
    name, course_id, mode = str(row.get("user")), row.get("course_id"), str(row.get("mode"))
    email = known.get(name.casefold())
    if email is None or not isinstance(course_id, str):
        raise LmsUnreadable("The list is not what was asked for.", kind="wrong_rows")
    gives = Row(mode, is_active=True).gives(mode_for(course_id))
    learner = Account(0, name, is_active=True)
    lacking = "" if gives else f"in the mode {plain(mode)}"
    return Listed(enrollment_id(learner, course_id), email, course_id, gives, lacking)


def course_of(edx: EdxClient, known_id: str, email: str) -> str:
    """Return the course of an enrollment whose learner has no account under the address any more.

    Whoever has one is found by it: the user name in the id may be somebody else's then.
    """
    try:
        has_account = find_account(edx, email) is not None
    except LmsAccountRetired:
        return ""
    still = None if has_account else account_in(edx, known_id)
    return known_id.partition(",")[2] if still else ""


def account_in(edx: EdxClient, known_id: str) -> Account | None:
    """Return the account that an enrollment names, as long as the enrollment goes on."""
    name, _, course_id = known_id.partition(",")
    account = Account(0, name, is_active=True)
    row = openedx_enrollments.read(edx, account, course_id) if course_id else None
    return account if row and row.is_active else None


def had_another_name(edx: EdxClient, revocation: Revocation) -> bool:
    """Whether the learner had another user name when we made it, which nobody has any more.

    A row is there for ever: where the name that we know has none, staff have changed that name.
    """
    course_id = revocation.course_id
    ids = [known_id.partition(",") for known_id in sorted(revocation.made)]
    return any(
        openedx_enrollments.read(edx, Account(0, name, is_active=True), course_id) is None
        for name, _, course in ids
        if same(course, course_id)
    )


def renamed(edx: EdxClient, revocation: Revocation) -> Account | None:
    """Return whose enrollment we made, where the learner's account has another address by now."""
    for known_id in sorted(revocation.made):
        if same(known_id.partition(",")[2], revocation.course_id):
            account = account_in(edx, known_id)
            if account:
                return account
    return None
