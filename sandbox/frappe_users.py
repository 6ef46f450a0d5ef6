"""Users of the LMS: creation with its throttle, usernames, and its loop on a blank first name."""

from __future__ import annotations

import re
import time
from typing import Any

from sandbox.frappe_documents import Caller, find_user, mandatory, may, permission_error, stamp
from sandbox.frappe_envelope import FrappeError
from sandbox.frappe_rules import FIELDS
from sandbox.mailbox import welcome
from sandbox.wire import truthy
from sandbox.world import World

Record = dict[str, Any]
EMAIL = re.compile(r"[^@\s,;<>]+@(?:[^@\s.,;<>]+\.)+[^@\s.,;<>]{2,}")
EMAIL_LENGTH = NAME_LENGTH = 140
HOUR = 3600
CROWD = 2


class WorkerKilled(Exception):
    """The worker looped for ever and was killed; the client gets an HTML 500."""


def create(world: World, caller: Caller, data: Record) -> Record:
    """Create a user as POST /api/resource/User does; takes as long as the settings say."""
    if not may(world, caller, "User", "create"):
        raise permission_error("User does not have permission to create User")
    if not data.get("email"):
        raise FrappeError(500, "AttributeError", "'NoneType' object has no attribute 'strip'")
    _check_throttle(world)
    if not _has_letters(data.get("first_name")):
        time.sleep(world.lms.hang_seconds)
        raise WorkerKilled
    with world.book.lock:
        world.users_in_flight += 1
        crowded = world.lms.user_deadlocks and world.users_in_flight > CROWD
        username = _username(world, data)
    try:
        time.sleep(world.lms.user_latency)
        if crowded:
            raise FrappeError(
                500,
                "QueryDeadlockError",
                "(1213, 'Deadlock found when trying to get lock; try restarting transaction')",
            )
        with world.book.lock:
            return _insert(world, caller.user, data, username)
    finally:
        with world.book.lock:
            world.users_in_flight -= 1


def add(world: World, data: Record, user: str = "Administrator") -> Record:
    """Put a user into the book without the server's checks; an existing one is changed."""
    email = str(data["email"]).strip().lower()
    existing = world.book.docs["User"].get(email)
    if existing is not None:
        existing.update(data, email=email)
        return existing
    names = [str(data.get(field) or "") for field in ("first_name", "last_name")]
    document = {
        **stamp(world, "User", email, user),
        **dict.fromkeys(FIELDS["User"]),
        "enabled": 1,
        "user_type": "Website User",
        "language": "en",
        "full_name": " ".join(filter(None, names)),
        "send_welcome_email": 0,
        **{field: data[field] for field in FIELDS["User"] if field in data},
        "email": email,
        "username": data.get("username") or _username(world, data),
        "roles": [{"role": "LMS Student"}],
    }
    world.book.docs["User"][email] = document
    world.book.dirty = True
    return document


def delete(world: World, name: str) -> None:
    """Delete a user, unless enrollments hang on them."""
    if world.book.enrollments_of(name):
        raise FrappeError(
            417,
            "LinkExistsError",
            f"Cannot delete or cancel because User {name} is linked with LMS Enrollment",
        )
    del world.book.docs["User"][name]
    world.book.dirty = True


def _insert(world: World, caller: str, data: Record, username: str) -> Record:
    email = str(data["email"]).strip().lower()
    if not EMAIL.fullmatch(email) or not email.partition("@")[2].isascii():
        raise FrappeError(
            417, "InvalidEmailAddressError", f"{data['email']} is not a valid Email Address"
        )
    _check_names(email, data, username)
    if find_user(world, email):
        raise FrappeError(
            409, "DuplicateEntryError", f"User <strong>{email}</strong> already exists"
        )
    if not str(data.get("first_name") or "").strip():
        raise mandatory("User", email, ["first_name"])
    if any(user["username"] == username for user in world.book.docs["User"].values()):
        raise FrappeError(417, "UniqueValidationError", "Username must be unique")
    world.book.user_times.append(world.book.now())
    wants_mail = truthy(data.get("send_welcome_email", 1))
    if wants_mail:
        welcome(world, email)
    return add(world, {**data, "username": username, "send_welcome_email": int(wants_mail)}, caller)


def _check_names(email: str, data: Record, username: str) -> None:
    names = [str(data.get(field) or "") for field in ("first_name", "last_name")]
    texts = {
        "Email": email,
        "First Name": names[0],
        "Last Name": names[1],
        "Full Name": " ".join(filter(None, names)),
        "Username": username,
    }
    for label, text in texts.items():
        if len(text) > NAME_LENGTH:
            raise FrappeError(
                417,
                "CharacterLengthExceededError",
                f"{label} '{text}' is longer than {NAME_LENGTH} characters",
            )


def _check_throttle(world: World) -> None:
    """Refuse when more than the limit were created within the hour."""
    since = world.book.now() - HOUR
    with world.book.lock:
        recent = world.book.user_times = [
            moment for moment in world.book.user_times if moment > since
        ]
    if len(recent) > world.lms.user_limit:
        raise FrappeError(417, "ValidationError", "Throttled")


def _has_letters(name: Any) -> bool:
    return any(letter.isalnum() for letter in str(name or ""))


def _username(world: World, data: Record) -> str:
    """Return the username asked for or one from the first name, with a number when it is taken.

    Only two creations at once get as far as the same one.
    """
    taken = {user["username"] for user in world.book.docs["User"].values()}
    base = (
        str(data.get("username") or "")
        or "".join(filter(str.isalnum, str(data.get("first_name") or "").lower()))
        or str(data["email"]).split("@")[0]
    )
    name, number = base, 0
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name
