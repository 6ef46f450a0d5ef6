"""Whether the key may do what the jobs do, and whether their calls arrive; nothing is changed.

A list of enrollments proves nothing: a student gets an empty one. Nor does a right that is granted:
a firewall may stop the very call that uses it. Source: contracts/frappe, sections 4, 7 and 13.
"""

import json
from typing import Any
from urllib.parse import quote

from django.conf import settings

from lms_sync.errors import (
    LmsError,
    LmsMisconfigured,
    LmsNotFound,
    LmsRefused,
    LmsThrottled,
    LmsUnreadable,
)
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_answers import NO_RIGHT, value
from lms_sync.platforms.frappe_users import new_user

WHO_AM_I = "/api/method/frappe.auth.get_logged_user"
GUEST_KEY = (
    "The LMS takes us for a guest: the key was lost on the way, or FRAPPE_LMS_API_KEY is not"
    " key:secret."
)
# Whom the LMS lets enroll others in what is paid for there, not published, or not for all.
ADMINS = {"Administrator", "Moderator", "Course Creator", "Batch Evaluator"}
USERS, ENROLLMENTS = "/api/resource/User", "/api/resource/LMS%20Enrollment"
HAS_PERMISSION = "/api/method/frappe.client.has_permission"
STANDARD_USERS = ("Administrator", "Guest")
NOBODYS, NOWHERE = "maaledu-probe-no-such-row", "maaledu probe: no such course"
NO_ADDRESS = "maaledu-probe"
LIMIT_ON_NEW_USERS = 417  # which passes, and concerns those jobs alone that need one
NO_LMS = (
    "Frappe answers, and has no LMS at this address: install its app lms at this site, or set"
    " FRAPPE_LMS_BASE_URL to the site that has it."
)
NEEDS_ROLES = "It needs the roles System Manager and Moderator."


def find_owner(client: Client) -> str:
    """Return the user whose key ours is; raises LmsMisconfigured where we are a guest."""
    try:
        user = value(client.call("GET", WHO_AM_I), "message")
    except LmsMisconfigured as error:
        # A key that is lost on the way makes us a guest, who is not even told so.
        raise LmsMisconfigured(GUEST_KEY) if error.reason == NO_RIGHT else error from error
    if not isinstance(user, str) or user in ("", "Guest"):
        raise LmsMisconfigured(GUEST_KEY)
    return user


def list_enrollments(client: Client, query: dict[str, str]) -> Any:
    """Return a list of enrollments; raises LmsMisconfigured where the site has no LMS."""
    try:
        return value(client.call("GET", ENROLLMENTS, query=query), "data")
    except LmsNotFound as error:
        raise LmsMisconfigured(NO_LMS, **error.details) from error


def check_role(client: Client, refused: LmsRefused) -> None:
    """Raise LmsMisconfigured where a refusal is of our key: it lacks the role it is not for.

    What the customer's own method refuses is no such refusal.
    """
    if refused.details.get("shape") != "ValidationError":
        return
    try:
        owner = find_owner(client)
        roles = own_roles(client, owner)
    except LmsError:
        return
    if roles and not ADMINS & {owner, *roles}:
        reason = f"{owner} lacks the role Moderator, so that the LMS says: {refused.reason}"
        raise LmsMisconfigured(reason, **refused.details) from refused


def check_rights(client: Client, owner: str) -> None:
    """Raise LmsMisconfigured, with what is missing, unless the key may do all that jobs need."""
    # The right is asked of another user: one's own document and the standard ones are special.
    others = [["name", "not in", [owner, *STANDARD_USERS]]]
    user = _first(client, USERS, {"filters": json.dumps(others)}, missing="read users")
    enrollment = _first(client, ENROLLMENTS, {}, missing="read enrollments")
    asked = [
        ("User", user, "create", "create users"),
        ("LMS Enrollment", enrollment, "create", "enroll learners"),
        ("LMS Enrollment", enrollment, "delete", "remove enrollments"),
    ]
    if settings.FRAPPE_ENABLE_USERS:
        asked.append(("User", user, "write", "switch users on"))
    for doctype, name, right, words in asked:
        if is_denied(client, doctype, name, right):
            raise LmsMisconfigured(f"{owner} may not {words} in the LMS. {NEEDS_ROLES}")


def _first(client: Client, path: str, query: dict[str, str], *, missing: str) -> str:
    """Return the name of one document of a kind, "" where there is none."""
    try:
        rows = value(client.call("GET", path, query={**query, "limit_page_length": "1"}), "data")
    except LmsNotFound as error:
        raise LmsMisconfigured(NO_LMS, **error.details) from error
    except LmsMisconfigured as error:
        if error.lms_status != 403:
            raise
        raise LmsMisconfigured(
            f"The key may not {missing} in the LMS. {NEEDS_ROLES}", **error.details
        ) from error
    first = rows[0] if isinstance(rows, list) and rows else None
    return str(first.get("name") or "") if isinstance(first, dict) else ""


def is_denied(client: Client, doctype: str, name: str, right: str) -> bool:
    """Return whether the LMS says no. Without a `name` the right on all documents is asked for."""
    query = {"doctype": doctype, "docname": name, "perm_type": right}
    try:
        said = value(client.call("GET", HAS_PERMISSION, query=query), "message")
    except LmsMisconfigured:
        raise
    except LmsRefused:
        return False  # the document has gone meanwhile
    except LmsError:
        # An old Frappe may not take the question about all documents, which proves nothing.
        if name:
            raise
        return False
    return isinstance(said, dict) and not said.get("has_permission", True)


def check_changes(client: Client, owner: str) -> None:
    """Raise LmsError where the LMS can be read and takes no change, or none arrives.

    What is written is the key's own user as it is, a user is asked for who has no address, and a
    row is deleted that is not there.
    """
    path = f"{USERS}/{quote(owner, safe='@')}"
    try:
        document = value(client.call("GET", path), "data")
        value(client.call("PUT", path, body=json.dumps(_as_it_is(document))), "data")
    except (LmsMisconfigured, LmsRefused):
        pass  # this key may not write it, so it cannot be tried
    _check_new_users(client)
    try:
        value(client.call("DELETE", f"{ENROLLMENTS}/{NOBODYS}"), "data")
    except LmsRefused:
        return


def _check_new_users(client: Client) -> None:
    """Raise LmsError unless the question for a new user arrives; every version refuses this one."""
    try:
        value(client.call("POST", USERS, body=json.dumps(new_user(NO_ADDRESS, "Probe"))), "data")
    except (LmsMisconfigured, LmsRefused):
        # A right that is missing was asked for before, and concerns those jobs alone.
        return
    except LmsThrottled as error:
        if error.lms_status != LIMIT_ON_NEW_USERS:
            raise
        return
    raise LmsUnreadable("It made a user without an address.", kind="wrong_user")


def check_enrolling(client: Client, owner: str) -> None:
    """Raise LmsError unless an enrollment would be taken now.

    One is asked for in a course that does not exist, which every version refuses before all else.
    """
    body = json.dumps({"member": owner, "course": NOWHERE})
    try:
        value(client.call("POST", ENROLLMENTS, body=body), "data")
    except LmsRefused:
        return
    raise LmsUnreadable("It enrolled somebody in a course that does not exist.", kind="wrong_row")


def _as_it_is(document: Any) -> dict[str, Any]:
    is_enabled = document.get("enabled", 1) if isinstance(document, dict) else 1
    return {"enabled": is_enabled}


def own_roles(client: Client, owner: str) -> list[str]:
    """Return the roles in the key's own user, which only a System Manager is shown."""
    document = value(client.call("GET", f"{USERS}/{quote(owner, safe='@')}"), "data")
    rows = document.get("roles") if isinstance(document, dict) else None
    found = rows if isinstance(rows, list) else []
    return sorted(str(row.get("role")) for row in found if isinstance(row, dict))
