"""Enrollments of the LMS: what each server checks before it writes a row, and in which order."""

from __future__ import annotations

import time
from typing import Any

from sandbox.frappe_documents import (
    Caller,
    find_course,
    find_user,
    mandatory,
    may,
    new_name,
    permission_error,
    stamp,
    timestamp,
)
from sandbox.frappe_envelope import FrappeError
from sandbox.frappe_rules import (
    SELECTS,
    STAFF,
    fields_of,
    self_enrollment_refusal,
)
from sandbox.wire import pick
from sandbox.world import World

Record = dict[str, Any]
WRITABLE = (
    "progress",
    "current_lesson",
    "member_type",
    "role",
    "purchased_certificate",
    "certificate",
    "payment",
)
BLIND_TO_DUPLICATES = ("A", "D")
PROGRESS_FROM_LESSONS = ("A", "C")


def insert(world: World, caller: Caller, data: Record) -> Record:
    """Insert a row as POST /api/resource/LMS Enrollment does, with the LMS's rules.

    Check and write are not one step on real servers; ``race_window`` says how long others can get
    in between.
    """
    with world.book.lock:
        _check(world, caller, data)
        if not world.lms.race_window:
            return add(world, data, caller.user)
    time.sleep(world.lms.race_window)
    with world.book.lock:
        return add(world, data, caller.user)


def add(world: World, data: Record, user: str) -> Record:
    """Write the row. The member may be unknown: then it is an orphan, without a name."""
    version, member = world.lms.version, find_user(world, data["member"])
    email = member["name"] if member else data["member"]
    # The true name, however it was written in the request.
    course = (find_course(world, data["course"]) or {"name": data["course"]})["name"]
    row = {
        **stamp(world, "LMS Enrollment", new_name(), user),
        **dict.fromkeys(fields_of("LMS Enrollment", version)[7:]),
        "course": course,
        "member": email,
        "member_name": member["full_name"] if member else None,
        "member_username": member["username"] if member else None,
        "progress": world.lms.progress_to_come.pop((email, course), 0.0),
        "purchased_certificate": 0,
        "member_type": data.get("member_type") or "Student",
        "role": data.get("role") or "Member",
        "payment": data.get("payment"),
    }
    row["owner"] = user if version == "B" else email
    world.book.add_enrollment(row)
    return row


def put(world: World, data: Record) -> Record:
    """Put a row into the book as somebody else's, with whatever else it is to say."""
    row = add(world, data, "Administrator")
    row.update(pick(data, *WRITABLE, "creation", "enrollment_from_batch"))
    row["progress"] = float(row["progress"])
    return row


def join(world: World, batch: Record) -> None:
    """Have learners join a batch, which enrolls them where they are not enrolled yet."""
    docs, name, courses = world.book.docs, batch["name"], batch["courses"]
    for course in courses:  # one row for each: as the list is, filtered by them
        known = {**stamp(world, "LMS Batch", name, "Administrator"), "title": name}
        docs["LMS Batch"][f"{name} {course}"] = {**known, "Batch Course.course": course}
    for member in batch["members"]:
        row = stamp(world, "LMS Batch Enrollment", new_name(), "Administrator")
        docs["LMS Batch Enrollment"][row["name"]] = {**row, "batch": name, "member": member}
        has = {each["course"] for each in world.book.enrollments_of(member)}
        for course in set(courses) - has:
            put(world, {"member": member, "course": course, "enrollment_from_batch": name})


def join_by_request(world: World, data: Record) -> Record:
    """Have one learner join a batch, as POST /api/resource/LMS Batch Enrollment does."""
    lacking = [name for name in ("member", "batch") if not data.get(name)]
    if lacking:
        raise mandatory("LMS Batch Enrollment", new_name(), lacking)
    rows, batch, member = world.book.docs["LMS Batch Enrollment"], data["batch"], data["member"]
    if any((row["batch"], row["member"]) == (batch, member) for row in rows.values()):
        raise FrappeError(417, "ValidationError", "Member already enrolled in this batch")
    known = [row for row in world.book.docs["LMS Batch"].values() if row["title"] == batch]
    if not known:
        raise FrappeError(417, "LinkValidationError", f"Could not find Batch: {batch}")
    courses = [row["Batch Course.course"] for row in known]
    join(world, {"name": batch, "courses": courses, "members": [member]})
    return rows[list(rows)[-1]]


def insert_many(world: World, caller: Caller, documents: list[Record]) -> list[str]:
    """Insert all rows or none."""
    done: list[str] = []
    with world.book.lock:
        try:
            for document in documents:
                # Not in one expression: on a refusal, what was done so far is taken away.
                done.append(insert(world, caller, document)["name"])  # noqa: PERF401
        except FrappeError:
            for name in done:
                world.book.remove_enrollment(name)
            raise
    return done


def change(world: World, caller: Caller, row: Record, data: Record) -> Record:
    """Save changes of a row, as PUT does."""
    if not caller.roles & STAFF:
        raise permission_error()
    if data.get("modified", row["modified"]) != row["modified"]:
        raise FrappeError(
            417,
            "TimestampMismatchError",
            "The document has been modified after you have opened it. Please refresh to get the"
            " latest document.",
        )
    _check_selects(data)
    row.update({field: data[field] for field in WRITABLE if field in data})
    row["progress"] = float(row["progress"] or 0)
    row.update(modified=timestamp(world), modified_by=caller.user)
    world.book.dirty = True
    return row


def remove(world: World, caller: Caller, name: str) -> None:
    """Delete a row; unknown ones are a bare 404."""
    if name not in world.book.docs["LMS Enrollment"]:
        raise FrappeError(404, "DoesNotExistError")
    if not may(world, caller, "LMS Enrollment", "delete"):
        raise permission_error()
    world.book.remove_enrollment(name)


def set_progress(world: World, email: str, course: str, percent: float) -> int:
    """Set a learner's progress in every row of the pair, and return how many rows there were.

    Where there is none yet, the first one begins with it.
    """
    with world.book.lock:
        rows = of_pair(world, email, course)
        if not rows:
            world.lms.progress_to_come[email, course] = float(percent)
        for row in rows:
            row.update(
                progress=float(percent),
                current_lesson=f"{course}-lesson-1" if percent < 100 else row["current_lesson"],
            )
            if world.lms.version not in PROGRESS_FROM_LESSONS:
                row["modified"] = timestamp(world)
        world.book.dirty = True
        return len(rows)


def of_pair(world: World, email: str, course: str) -> list[Record]:
    return [
        row
        for row in world.book.enrollments_of(email.strip().lower())
        if row["course"].lower() == course.lower()
    ]


def _check(world: World, caller: Caller, data: Record) -> None:
    _check_links(world, data)
    if not may(world, caller, "LMS Enrollment", "create"):
        raise permission_error("User does not have permission to create LMS Enrollment")
    _check_rules(world, caller, data)
    _check_fields(data)


def _check_links(world: World, data: Record) -> None:
    lost = []
    if data.get("course") and find_course(world, data["course"]) is None:
        lost.append(f"Course: {data['course']}")
    if world.lms.version == "C" and data.get("member") and find_user(world, data["member"]) is None:
        lost.append(f"Member: {data['member']}")
    if data.get("payment") and data["payment"] not in world.book.docs["LMS Payment"]:
        lost.append(f"Payment: {data['payment']}")
    if lost:
        raise FrappeError(417, "LinkValidationError", f"Could not find {', '.join(lost)}")


def _check_rules(world: World, caller: Caller, data: Record) -> None:
    version = world.lms.version
    if not data.get("course"):
        if version == "B":
            return
        raise FrappeError(500, "AttributeError", "'NoneType' object has no attribute 'published'")
    course = find_course(world, data["course"]) or {}
    if version != "B" and (
        refusal := self_enrollment_refusal(
            course, caller.roles, version, has_paid=_has_paid(world, data)
        )
    ):
        raise FrappeError(417, "ValidationError", refusal)
    if (
        version in BLIND_TO_DUPLICATES
        or not data.get("member")
        or not of_pair(world, str(data["member"]), data["course"])
    ):
        return
    member = find_user(world, data["member"]) or {"full_name": data["member"]}
    known = (
        f"{member['full_name']} is already a Student of the course {course['title']}"
        if version == "B"
        else "Student is already enrolled in this course."
    )
    raise FrappeError(417, "ValidationError", known)


def _has_paid(world: World, data: Record) -> bool:
    return any(
        row["payment_for_document_type"] == "LMS Course"
        and row["payment_for_document"].lower() == data["course"].lower()
        and row["member"] == data.get("member")
        and row["payment_received"]
        for row in world.book.docs["LMS Payment"].values()
    )


def _check_fields(data: Record) -> None:
    missing = [field for field in ("member", "course") if not data.get(field)]
    if missing:
        raise mandatory("LMS Enrollment", new_name(), missing)
    _check_selects(data)


def _check_selects(data: Record) -> None:
    for field, allowed in SELECTS.items():
        if data.get(field) is not None and data[field] not in allowed:
            options = ", ".join(f'"{option}"' for option in allowed)
            raise FrappeError(
                417,
                "ValidationError",
                f'{field.replace("_", " ").title()} cannot be "{data[field]}". It should be one of'
                f" {options}",
            )
