"""Accounts of Open edX: looked up by staff, made by their owners, activated by a mailed link."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any

from sandbox.mailbox import receive
from sandbox.openedx_answers import EdxError, empty, forbidden, page
from sandbox.openedx_store import (
    Caller,
    add_user,
    allowed_of,
    default_mode,
    enrollment_of,
    find_course,
    folded,
    put_enrollment,
    user_by_email,
    user_by_name,
)
from sandbox.world import World

Record = dict[str, Any]
EMAIL = re.compile(r"[^@\s,;<>]+@(?:[^@\s.,;<>]+\.)+[^@\s.,;<>]{2,}")
USERNAME = re.compile(r"[\w .@_+-]{2,30}")
REQUIRED = ("email", "name", "username", "password", "honor_code", "terms_of_service")
NO_REPLY = "lms@sandbox.example"
RETIRED = {
    "error_msg": "This email is associated to a retired account.",
    "can_cancel_retirement": False,
    "cancel_retirement_url": None,
}


def find(world: World, args: Record, caller: Caller) -> list[Record]:
    """Answer GET accounts?email= or ?username=: a list of one; none is an empty 404."""
    if not caller.is_staff:
        raise forbidden()
    user = (
        user_by_email(world, args["email"])
        if "email" in args
        else user_by_name(world, args.get("username", ""))
    )
    if user is None:
        raise empty(404)
    if user["retired"]:
        raise EdxError(404, RETIRED)
    shown = ("username", "email", "id", "name", "is_active", "date_joined", "activation_key")
    return [{**{name: user[name] for name in shown}, "country": None, "is_staff": False}]


def search(world: World, body: Record, caller: Caller) -> list[Record]:
    if not caller.is_staff:
        raise forbidden()
    found = (user_by_email(world, email) for email in body.get("emails", []))
    return [
        {"email": user["email"], "id": user["id"], "username": user["username"]}
        for user in found
        if user and not user["retired"]
    ]


def register(world: World, form: Record) -> Record:
    """Make an account that is inactive until its owner opens the mailed link."""
    missing = [field for field in REQUIRED if not form.get(field)]
    if missing:
        raise _invalid(400, "validation-error", dict.fromkeys(missing, "This field is required."))
    if not EMAIL.fullmatch(form["email"]):
        raise _invalid(400, "validation-error", {"email": "A properly formatted e-mail is needed."})
    if not USERNAME.fullmatch(form["username"]):
        raise _invalid(400, "validation-error", {"username": "Usernames have 2 to 30 characters."})
    if user_by_email(world, form["email"]):
        text = f"It looks like {form['email']} belongs to an existing account."
        raise _invalid(409, "duplicate-email", {"email": text})
    if user_by_name(world, form["username"]):
        text = f"It looks like {form['username']} belongs to an existing account."
        raise _invalid(409, "duplicate-username", {"username": text})
    user = add_user(world, {**form, "is_active": False})
    _mail(world, user)
    about = {
        "username": user["username"],
        "full_name": user["name"],
        "user_id": user["id"],
    }
    return {"success": True, "redirect_url": world.base_url + "/edx/", "authenticated_user": about}


def _mail(world: World, user: Record) -> None:
    link = f"{world.base_url}/edx/activate/{user['activation_key']}"
    message = EmailMessage()
    message["From"], message["To"] = NO_REPLY, user["email"]
    message["Subject"] = "Action required: activate your account"
    message.set_content(f"Open this link to activate your account:\n\n{link}\n")
    receive(world, message.as_bytes(), NO_REPLY, [user["email"]])


def activate(world: World, user: Record) -> None:
    """Make an account active, and enroll it where an entry waits for its address.

    An entry for a course that does not exist breaks it off: the account stays inactive.
    """
    entries = [
        entry
        for entry in allowed_of(world, user["email"])
        if entry["auto_enroll"] and entry["user"] in (None, user["id"])
    ]
    courses = [find_course(world, entry["course_id"]) for entry in entries]
    if None in courses:
        raise page(500)
    user["is_active"] = True
    for entry, course in zip(entries, courses, strict=True):
        _enroll(world, user, course or {})
        entry["user"] = user["id"]
    world.book.dirty = True


def _enroll(world: World, user: Record, course: Record) -> None:
    """Enroll in the default mode, also where only another one is sold; active rows are kept."""
    row = enrollment_of(world, user, course)
    if row is None or not row["is_active"]:
        put_enrollment(world, user, course, mode=default_mode(world, course) or "audit")


def change_email(world: World, user: Record, email: str) -> None:
    """Give an account another address, which counts like an activation."""
    edx = world.book.edx
    del edx["users"][folded(user["email"])]
    user["email"] = email
    edx["users"][folded(email)] = user
    edx["names"][folded(user["username"])] = folded(email)
    for row in edx["enrollments"].values():
        if row["user_id"] == user["id"]:
            row["email"] = email
    if user["is_active"]:
        activate(world, user)


def change_username(world: World, user: Record, name: str) -> None:
    names = world.book.edx["names"]
    del names[folded(user["username"])]
    user["username"] = name
    names[folded(name)] = folded(user["email"])
    world.book.dirty = True


def _invalid(status: int, code: str, problems: dict[str, str]) -> EdxError:
    fields = {name: [{"user_message": text}] for name, text in problems.items()}
    return EdxError(status, {**fields, "error_code": code})
