"""What Open edX keeps: accounts, courses, enrollments and pending ones, found as its database does.

The database compares without case, accents and trailing blanks, so `böb@` is found as `bob@`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sandbox.world import World

Record = dict[str, Any]
_PART = r"[\w\-~.:]+"
KEY = re.compile(rf"course-v1:{_PART}\+{_PART}\+{_PART}|{_PART}/{_PART}/{_PART}")
MODE_NAMES = {"audit": "Audit", "honor": "Honor Code", "verified": "Verified Certificate"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is."""

    username: str
    is_staff: bool


def folded(text: object) -> str:
    plain = unicodedata.normalize("NFKD", str(text).rstrip(" "))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def timestamp(world: World, moment: float | None = None) -> str:
    seconds = world.book.now() if moment is None else moment
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def user_by_email(world: World, email: object) -> Record | None:
    return world.book.edx["users"].get(folded(email))


def user_by_name(world: World, name: object) -> Record | None:
    email = world.book.edx["names"].get(folded(name))
    return world.book.edx["users"][email] if email else None


def add_user(world: World, data: Record) -> Record:
    """Put an account into the book, by control call or registration; an existing one is changed."""
    edx, email = world.book.edx, str(data["email"])
    user = user_by_email(world, email)
    if user is None:
        edx["count"] += 1
        user = {
            "username": data.get("username") or f"{email.partition('@')[0]}{edx['count']}",
            "email": email,
            "id": edx["count"],
            "name": "",
            "is_active": True,
            "retired": False,
            "date_joined": timestamp(world),
            "activation_key": uuid4().hex,
        }
        edx["users"][folded(email)] = user
        edx["names"][folded(user["username"])] = folded(email)
    user.update({name: data[name] for name in user if name in data})
    world.book.dirty = True
    return user


def find_course(world: World, key: object) -> Record | None:
    """Return a course by key; with ``courses_any`` every well formed key is one."""
    found = world.book.edx["courses"].get(folded(key))
    if found is None and world.edx.courses_any and KEY.fullmatch(str(key)):
        return add_course(world, {"id": str(key)})
    return found


def add_course(world: World, data: Record) -> Record:
    """Put a course into the book; an existing one is changed. ``modes`` are slugs or records."""
    key = str(data["id"])
    org, number, run = re.split(r"[+/]", key.removeprefix("course-v1:"))[:3]
    course = world.book.edx["courses"].setdefault(
        folded(key),
        {
            "id": key,
            "name": f"Course {number}",
            "org": org,
            "number": number,
            "run": run,
            "start": timestamp(world, world.book.now() - 30 * 86400),
            "end": None,
            "enrollment_start": None,
            "enrollment_end": None,
            "invite_only": False,
            "visible": True,
            "seats": None,
            "units": 10,
            "modes": [_mode("audit"), _mode("verified")],
        },
    )
    course.update({name: data[name] for name in course if name in data})
    course["modes"] = [_mode(mode) if isinstance(mode, str) else mode for mode in course["modes"]]
    world.book.dirty = True
    return course


def _mode(slug: str, expires: str | None = None) -> Record:
    """Return a mode as the API shows it; ``verified:2020-01-01`` is one that has expired."""
    slug, _, end = slug.partition(":")
    return {
        "slug": slug,
        "name": MODE_NAMES.get(slug, slug.title()),
        "min_price": 0 if slug in ("audit", "honor") else 49,
        "suggested_prices": "",
        "currency": "usd",
        "expiration_datetime": f"{end}T00:00:00Z" if end else expires,
        "description": None,
        "sku": None,
        "bulk_sku": None,
    }


def current_modes(world: World, course: Record, *, expired: bool = False) -> list[str]:
    """Return the slugs that can be chosen now; a course without any mode is audit only."""
    now = timestamp(world)
    slugs = [
        mode["slug"]
        for mode in course["modes"]
        if expired or not mode["expiration_datetime"] or mode["expiration_datetime"] > now
    ]
    return slugs if course["modes"] else ["audit"]


def default_mode(world: World, course: Record) -> str | None:
    offered = current_modes(world, course)
    return next((slug for slug in ("audit", "honor") if slug in offered), None)


def enrollment_of(world: World, user: Record, course: Record) -> Record | None:
    return world.book.edx["enrollments"].get(_pair(user, course))


def put_enrollment(
    world: World, user: Record, course: Record, *, mode: str, is_active: bool = True
) -> Record:
    """Make the one row of a learner and course say this; ``created`` stays what it was."""
    row = world.book.edx["enrollments"].setdefault(
        _pair(user, course),
        {
            "created": timestamp(world),
            "email": user["email"],
            "user_id": user["id"],
            "course_id": course["id"],
            "done": 0,
            "passed": False,
            "certificate": "",
        },
    )
    row.update(mode=mode, is_active=is_active)
    world.book.dirty = True
    return row


def _pair(user: Record, course: Record) -> str:
    return f"{user['id']} {course['id']}"


def allowed_of(world: World, email: object, key: object = "") -> list[Record]:
    """Return the pending entries of an address, of one course where it is given."""
    return [
        entry
        for entry in world.book.edx["allowed"].values()
        if folded(entry["email"]) == folded(email)
        and (not key or folded(entry["course_id"]) == folded(key))
    ]


def put_allowed(world: World, email: str, key: str, *, auto_enroll: bool) -> Record:
    entry = {
        "email": email,
        "course_id": key,
        "auto_enroll": auto_enroll,
        "created": timestamp(world),
        "user": None,
    }
    world.book.edx["allowed"][f"{folded(email)} {folded(key)}"] = entry
    world.book.dirty = True
    return entry


def is_full(world: World, course: Record) -> bool:
    if course["seats"] is None:
        return False
    taken = sum(
        row["is_active"]
        for row in world.book.edx["enrollments"].values()
        if row["course_id"] == course["id"]
    )
    return taken >= course["seats"]
