"""Pending entries of Open edX ("enrollment allowed"), the list of enrollments, and bulk_enroll."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import urlencode

from sandbox.openedx_answers import EdxError, forbidden, message, page
from sandbox.openedx_store import (
    KEY,
    Caller,
    allowed_of,
    default_mode,
    enrollment_of,
    find_course,
    folded,
    put_allowed,
    put_enrollment,
    user_by_email,
    user_by_name,
)
from sandbox.world import World

Record = dict[str, Any]
LIST = "/edx/api/enrollment/v1/enrollments"
PAGE = MOST_NAMES = 100
USERNAME = re.compile(r"[A-Za-z0-9_-]{2,30}")
BAD_NAMES = "Usernames can only contain letters, numbers, underscores, and hyphens."


def add_allowed(world: World, body: Record, caller: Caller) -> Record:
    """Answer POST enrollment_allowed/ without any check of course, address or account."""
    _check_staff(caller)
    email, key = body.get("email"), body.get("course_id")
    auto_enroll = body.get("auto_enroll", False)
    if not email or not key:
        raise message(400, "Email and course ID must be specified.")
    if not KEY.fullmatch(str(key)) or not isinstance(auto_enroll, bool):
        raise page(500)
    if allowed_of(world, email, key):
        text = f"An enrollment allowed with email {email} and course {key} already exists."
        raise message(409, text)
    return put_allowed(world, str(email), str(key), auto_enroll=auto_enroll)


def list_allowed(world: World, args: Record, caller: Caller) -> list[Record]:
    _check_staff(caller)
    own = user_by_name(world, caller.username) or {"email": ""}
    return allowed_of(world, args.get("email", own["email"]))


def remove_allowed(world: World, body: Record, caller: Caller) -> None:
    _check_staff(caller)
    found = allowed_of(world, body.get("email"), body.get("course_id"))
    if not found:
        text = "An enrollment allowed with email {} and course {} doesn't exists."
        raise message(404, text.format(body.get("email"), body.get("course_id")))
    for entry in found:
        del world.book.edx["allowed"][f"{folded(entry['email'])} {folded(entry['course_id'])}"]
    world.book.dirty = True


def find(world: World, args: Record, caller: Caller) -> Record:
    """Answer GET enrollments: newest first, inactive ones too, in pages with a cursor.

    It refuses all of a question for one user name that a registration would not take.
    """
    _check_staff(caller)
    names = [name for name in args.get("username", "").split(",") if name]
    if len(names) > MOST_NAMES or not all(USERNAME.fullmatch(name) for name in names):
        raise EdxError(400, {"field_errors": {"username": {"developer_message": BAD_NAMES}}})
    keys = [key for key in args.get("course_id", "").split(",") if key]
    if not all(KEY.fullmatch(key) for key in keys):
        text = f"'{args['course_id']}' is not a valid course id."
        raise EdxError(400, {"field_errors": {"course_id": {"developer_message": text}}})
    rows = _fitting(world, args, keys)
    start = int(base64.b64decode(args["cursor"])) if args.get("cursor") else 0
    size = int(args.get("page_size") or PAGE)
    more = start + size < len(rows)
    return {
        "next": _page_link(world, args, start + size) if more else None,
        "previous": _page_link(world, args, max(0, start - size)) if start else None,
        "results": [_in_list(world, row) for row in rows[start : start + size]],
    }


def _newest(world: World) -> list[Record]:
    rows = world.book.edx["enrollments"].values()
    return sorted(rows, key=lambda row: row["created"], reverse=True)


def _fitting(world: World, args: Record, keys: list[str]) -> list[Record]:
    emails = {folded(email) for email in args.get("email", "").split(",") if email}
    names = {folded(name) for name in args.get("username", "").split(",") if name}
    learners = {
        user["id"] for user in world.book.edx["users"].values() if folded(user["username"]) in names
    }
    courses = {folded(key) for key in keys}
    return [
        row
        for row in _newest(world)
        if (not emails or folded(row["email"]) in emails)
        and (not names or row["user_id"] in learners)
        and (not courses or folded(row["course_id"]) in courses)
    ]


def _page_link(world: World, args: Record, start: int) -> str:
    cursor = base64.b64encode(str(start).encode()).decode()
    return f"{world.base_url}{LIST}?{urlencode({**args, 'cursor': cursor})}"


def _in_list(world: World, row: Record) -> Record:
    users = world.book.edx["users"].values()
    name = next(user["username"] for user in users if user["id"] == row["user_id"])
    return {
        "created": row["created"],
        "mode": row["mode"],
        "is_active": row["is_active"],
        "user": name,
        "course_id": row["course_id"],
    }


def bulk(world: World, body: Record, caller: Caller) -> Record:
    """Answer POST bulk_enroll, a page 404 unless a feature is on: always in the default mode."""
    if not world.edx.bulk:
        raise page(404)
    _check_staff(caller)
    action = body.get("action")
    if action not in ("enroll", "unenroll"):
        raise EdxError(400, {"action": ['"" is not a valid choice.']})
    keys = _listed(body.get("courses"))
    if not all(KEY.fullmatch(key) for key in keys):
        raise EdxError(400, {"courses": ["Course key not valid."]})
    auto = bool(body.get("auto_enroll"))
    courses = {
        key: {
            "action": action,
            "auto_enroll": auto,
            "results": [
                _bulk_one(world, name, key, action=action, auto=auto)
                for name in _listed(body.get("identifiers"))
            ],
        }
        for key in keys
    }
    return {"auto_enroll": auto, "email_students": False, "action": action, "courses": courses}


def _bulk_one(world: World, name: str, key: str, *, action: str, auto: bool) -> Record:
    user = user_by_email(world, name) if "@" in name else user_by_name(world, name)
    if user is None and "@" not in name:
        return {"identifier": name, "invalidIdentifier": True}
    before = _standing(world, user, name, key)
    course = find_course(world, key)
    if action == "unenroll":
        _bulk_leave(world, user, name, key)
    elif user and user["is_active"] and course:
        row = enrollment_of(world, user, course)
        mode = row["mode"] if row and row["is_active"] else default_mode(world, course) or "audit"
        put_enrollment(world, user, course, mode=mode)
    elif not allowed_of(world, name, key):
        put_allowed(world, name, key, auto_enroll=auto)
    return {"identifier": name, "before": before, "after": _standing(world, user, name, key)}


def _bulk_leave(world: World, user: Record | None, name: str, key: str) -> None:
    course = find_course(world, key)
    row = enrollment_of(world, user, course) if user and course else None
    if row:
        row["is_active"] = False
    for entry in allowed_of(world, name, key):
        del world.book.edx["allowed"][f"{folded(entry['email'])} {folded(entry['course_id'])}"]


def _standing(world: World, user: Record | None, name: str, key: str) -> Record:
    course = find_course(world, key)
    row = enrollment_of(world, user, course) if user and course else None
    entries = allowed_of(world, user["email"] if user else name, key)
    return {
        "user": user is not None,
        "enrollment": bool(row and row["is_active"]),
        "allowed": bool(entries),
        "auto_enroll": any(entry["auto_enroll"] for entry in entries),
    }


def _listed(text: object) -> list[str]:
    return [part.strip() for part in str(text or "").split(",") if part.strip()]


def _check_staff(caller: Caller) -> None:
    if not caller.is_staff:
        raise forbidden()
