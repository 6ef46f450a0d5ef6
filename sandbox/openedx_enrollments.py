"""Enrollments of Open edX: one row for a learner and course for ever, whose mode is easily lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.openedx_answers import EdxError, empty, message, page
from sandbox.openedx_courses import course_details
from sandbox.openedx_store import (
    KEY,
    Caller,
    add_user,
    allowed_of,
    current_modes,
    default_mode,
    enrollment_of,
    find_course,
    is_full,
    put_enrollment,
    timestamp,
    user_by_email,
    user_by_name,
)
from sandbox.world import World

Record = dict[str, Any]
COHORTS = ("default",)


@dataclass(slots=True)
class Wish:
    """What a POST asks for."""

    user: Record
    course: Record
    mode: str | None
    is_active: bool | None
    force: bool


def post(world: World, body: Record, caller: Caller) -> Record:
    """Answer POST enrollment: enroll, change the mode or end an enrollment."""
    wish = _read(world, body, caller)
    row = enrollment_of(world, wish.user, wish.course)
    if wish.is_active is False:
        row = _leave(world, wish, row)
    elif row is None:
        row = _join(world, wish)
    else:
        row = _change(world, wish, row)
    _check_afterthoughts(body)
    return shown(world, row)


def _read(world: World, body: Record, caller: Caller) -> Wish:
    details = body.get("course_details") or {}
    if not isinstance(details, dict):
        raise page(500)
    key = details.get("course_id")
    if not key:
        raise message(400, "Course ID must be specified to create a new enrollment.")
    course = find_course(world, key) if KEY.fullmatch(str(key)) else None
    user = _learner(world, body, caller)
    if course is None:
        raise message(400, f"No course '{key}' found for enrollment")
    active, force = body.get("is_active"), body.get("force_enrollment", False)
    if active is not None and not isinstance(active, bool):
        raise message(400, f"'{active}' is an invalid enrollment activation status.")
    if not isinstance(force, bool):
        raise message(400, f"'{force}' is an invalid force enrollment status.")
    return Wish(user, course, body.get("mode"), active, force)


def _learner(world: World, body: Record, caller: Caller) -> Record:
    """Return whom this is about: nobody named is the caller, as a real server has it."""
    name, email = str(body.get("user") or ""), str(body.get("email") or "")
    if not name.strip() and not email.strip():
        mine = {"username": caller.username, "email": f"{caller.username}@example.com"}
        return user_by_name(world, caller.username) or add_user(world, mine)
    if not caller.is_staff and name != caller.username:
        raise empty(404)
    if name:
        user = user_by_name(world, name)
        text = f"The user {name} does not exist."
    else:
        user = user_by_email(world, email)
        text = f"The user with the email address {email} does not exist."
    if user is None or user["retired"]:
        raise message(406, text)
    return user


def _join(world: World, wish: Wish) -> Record:
    mode = wish.mode or default_mode(world, wish.course)
    if mode not in current_modes(world, wish.course, expired=wish.force):
        raise _no_mode(wish)
    if is_full(world, wish.course) or not (wish.force or _is_open(world, wish)):
        raise _closed(wish)
    return put_enrollment(world, wish.user, wish.course, mode=str(mode))


def _change(world: World, wish: Wish, row: Record) -> Record:
    """Change the mode, down as well as up; coming back without one falls to the default mode."""
    if wish.mode is None and row["is_active"]:
        return row
    mode = wish.mode or default_mode(world, wish.course) or "audit"
    if wish.mode and mode not in current_modes(world, wish.course):
        raise _no_mode(wish)
    return put_enrollment(world, wish.user, wish.course, mode=mode)


def _leave(world: World, wish: Wish, row: Record | None) -> Record:
    fallback = default_mode(world, wish.course) or "audit"
    if row is None:
        if not (wish.force or _is_open(world, wish)):
            raise _closed(wish)
        mode = wish.mode or fallback
    elif row["is_active"]:
        mode = row["mode"]
        if wish.mode not in (None, mode):
            raise message(
                400,
                f"Enrollment mode mismatch: active mode={mode}, requested mode={wish.mode}."
                " Won't deactivate.",
            )
    else:
        mode = wish.mode or fallback
    return put_enrollment(world, wish.user, wish.course, mode=mode, is_active=False)


def _is_open(world: World, wish: Wish) -> bool:
    """Whether a door is open: by the calendar, or because an entry waits for this learner."""
    course, now = wish.course, timestamp(world)
    by_calendar = (
        not course["invite_only"]
        and (course["enrollment_start"] or now) <= now
        and (course["enrollment_end"] or now) >= now
    )
    return by_calendar or any(
        entry["user"] in (None, wish.user["id"])
        for entry in allowed_of(world, wish.user["email"], course["id"])
    )


def _no_mode(wish: Wish) -> EdxError:
    text = (
        f"The [{wish.mode}] course mode is expired or otherwise unavailable for course run"
        f" [{wish.course['id']}]."
    )
    return message(400, text, course_details=course_details(wish.course))


def _closed(wish: Wish) -> EdxError:
    """The one refusal for closed, not yet open, full and by invitation."""
    return message(
        400,
        "An error occurred while creating the new course enrollment for user"
        f" '{wish.user['username']}' in course '{wish.course['id']}'",
    )


def _check_afterthoughts(body: Record) -> None:
    """Refuse what is looked at last: the learner is enrolled all the same."""
    attributes = body.get("enrollment_attributes") or []
    if not isinstance(attributes, list):
        raise page(500)
    for attribute in attributes:
        missing = [name for name in ("namespace", "name", "value") if not attribute.get(name)]
        if missing:
            text = f"'{missing[0]}' not in enrollment attribute"
            raise message(400, text, localizedMessage=text)
    cohort = body.get("cohort")
    if cohort and cohort not in COHORTS:
        raise message(400, f"An error occured while adding to cohort [{cohort}]")


def shown(world: World, row: Record) -> Record:
    course = find_course(world, row["course_id"]) or {}
    return {
        "created": row["created"],
        "mode": row["mode"],
        "is_active": row["is_active"],
        "user": _name_of(world, row),
        "course_details": course_details(course),
    }


def _name_of(world: World, row: Record) -> str:
    users = world.book.edx["users"].values()
    return next(user["username"] for user in users if user["id"] == row["user_id"])


def read(world: World, username: str, key: str, caller: Caller) -> Record | None:
    """Answer GET enrollment/{username},{key}: None, an empty 200, where there is no row at all."""
    if not caller.is_staff and username != caller.username:
        raise empty(404)
    if not KEY.fullmatch(key):
        raise page(404)
    user, course = user_by_name(world, username), find_course(world, key)
    row = enrollment_of(world, user, course) if user and course else None
    return shown(world, row) if row else None


def of_user(world: World, username: str, caller: Caller) -> list[Record]:
    """Answer GET enrollment?user=: active ones only, and nothing to those who are not staff."""
    user = user_by_name(world, username or caller.username)
    if user is None or not (caller.is_staff or user["username"] == caller.username):
        return []
    rows = world.book.edx["enrollments"].values()
    return [shown(world, row) for row in rows if row["user_id"] == user["id"] and row["is_active"]]
