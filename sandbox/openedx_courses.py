"""Courses of Open edX, and what it shows of a learner's progress, grade and certificate."""

from __future__ import annotations

from typing import Any

from sandbox.openedx_answers import EdxError, detail, developer, forbidden, page
from sandbox.openedx_store import (
    KEY,
    Caller,
    current_modes,
    enrollment_of,
    find_course,
    user_by_name,
)
from sandbox.world import World

Record = dict[str, Any]


def course_details(course: Record) -> Record:
    """Return a course as the enrollment views show it."""
    return {
        "course_id": course["id"],
        "course_name": course["name"],
        "enrollment_start": course["enrollment_start"],
        "enrollment_end": course["enrollment_end"],
        "course_start": course["start"],
        "course_end": course["end"],
        "invite_only": course["invite_only"],
        "pacing_type": "Instructor Paced",
        "course_modes": course["modes"],
    }


def for_enrollment(world: World, key: str, *, expired: bool = False) -> Record:
    """Answer GET enrollment/v1/course/{key}, which everybody may: window and modes, no seats.

    Modes that have expired are left out, unless they are asked for.
    """
    _check_key(key)
    course = find_course(world, key)
    if course is None:
        raise EdxError(400, {"message": f"No course found for course ID '{key}'"})
    current = current_modes(world, course, expired=expired)
    modes = [mode for mode in course["modes"] if mode["slug"] in current]
    return {**course_details(course), "course_modes": modes}


def in_catalogue(world: World, key: str) -> Record:
    """Answer GET courses/v1/courses/{key}: what is not visible does not exist."""
    _check_key(key)
    course = find_course(world, key)
    if course is None or not course["visible"]:
        raise developer(404, "Course not found.")
    return {
        "id": course["id"],
        "course_id": course["id"],
        "name": course["name"],
        "org": course["org"],
        "number": course["number"],
        "start": course["start"],
        "end": course["end"],
        "enrollment_start": course["enrollment_start"],
        "enrollment_end": course["enrollment_end"],
        "pacing": "instructor",
        "hidden": False,
        "invitation_only": course["invite_only"],
        "short_description": "",
        "overview": f"<h2>About</h2><p>{course['name']}</p>",
        "media": {"image": {"raw": f"{world.base_url}/edx/asset/{course['number']}.png"}},
    }


def _check_key(key: str) -> None:
    if not KEY.fullmatch(key):
        raise page(404)


def progress(world: World, key: str, user_id: str, caller: Caller) -> Record:
    """Answer GET course_home/progress: 404 unless a flag is on, and for everything odd."""
    course = find_course(world, key)
    users = world.book.edx["users"].values()
    user = next((user for user in users if str(user["id"]) == user_id), None)
    if not (world.edx.progress_tab and caller.is_staff and course and user):
        raise detail(404, "Not found.")
    row = enrollment_of(world, user, course) or {"done": 0, "passed": False, "mode": None}
    return {
        "username": user["username"],
        "user_has_passing_grade": row["passed"],
        "enrollment_mode": row["mode"],
        "completion_summary": {
            "complete_count": row["done"],
            "incomplete_count": course["units"] - row["done"],
            "locked_count": 0,
        },
        "course_grade": {
            "letter_grade": "Pass" if row["passed"] else None,
            "percent": 1.0 if row["passed"] else 0.0,
            "is_passing": row["passed"],
        },
        "certificate_data": None,
        "section_scores": [],
    }


def grade(world: World, key: str, username: str, caller: Caller) -> list[Record]:
    """Answer GET grades: a list of one, without the e-mail; inactive rows count as enrolled."""
    if not caller.is_staff:
        raise forbidden()
    course, user = find_course(world, key), user_by_name(world, username)
    row = enrollment_of(world, user, course) if user and course else None
    if row is None or user is None or course is None:
        code = "course_does_not_exist" if course is None else "user_not_enrolled"
        code = "user_does_not_exist" if course and user is None else code
        raise developer(404, "The grade does not exist.", error_code=code)
    return [
        {
            "username": user["username"],
            "email": "",
            "course_id": course["id"],
            "passed": row["passed"],
            "percent": 1.0 if row["passed"] else 0.0,
            "letter_grade": "Pass" if row["passed"] else None,
        }
    ]


def certificate(world: World, username: str, key: str, caller: Caller) -> Record:
    course, user = find_course(world, key), user_by_name(world, username)
    row = enrollment_of(world, user, course) if user and course else None
    if row is None or not row["certificate"] or not caller.is_staff:
        raise EdxError(404, {"error_code": "no_certificate_for_user"})
    return {
        "username": username,
        "course_id": key,
        "certificate_type": row["mode"],
        "created_date": row["created"],
        "status": "downloadable",
        "is_passing": True,
        "download_url": row["certificate"],
        "grade": "1.0",
    }
