"""Documents of the LMS in general: names, timestamps, look-up, inserts of the plain doctypes."""

from __future__ import annotations

import random
import re
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.frappe_envelope import FrappeError
from sandbox.frappe_rules import (
    COUNTRIES,
    CREATORS,
    DELETERS,
    EDITORS,
    FIELDS,
    MANAGERS,
    REQUIRED,
    STAFF,
    label,
    may_create_user,
    slug,
)
from sandbox.world import World

Record = dict[str, Any]
LETTERS = string.ascii_lowercase + string.digits
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,139}")


@dataclass(frozen=True, slots=True)
class Caller:
    user: str
    roles: frozenset[str]
    is_system_user: bool = False

    @property
    def is_guest(self) -> bool:
        return self.user == "Guest"


GUEST = Caller("Guest", frozenset({"Guest"}))


def new_name() -> str:
    return "".join(random.choices(LETTERS, k=10))


def timestamp(world: World) -> str:
    """Return the time as Frappe writes it: naive, with microseconds."""
    return (
        datetime.fromtimestamp(world.book.now(), UTC)
        .replace(tzinfo=None)
        .isoformat(" ", "microseconds")
    )


def stamp(world: World, doctype: str, name: str, user: str) -> Record:
    now = timestamp(world)
    return {
        "name": name,
        "owner": user,
        "creation": now,
        "modified": now,
        "modified_by": user,
        "docstatus": 0,
        "idx": 0,
        "doctype": doctype,
    }


def shown(document: Record) -> Record:
    """Return a single document as the API shows it: empty fields are left out."""
    return {field: value for field, value in document.items() if value not in (None, "")}


def permission_error(text: str = "Not permitted") -> FrappeError:
    """Return a refusal, whose texts carry HTML."""
    return FrappeError(403, "PermissionError", text, extra={"_error_message": text})


def mandatory(doctype: str, name: str, missing: list[str]) -> FrappeError:
    values = ", ".join(label(field) for field in missing)
    error = FrappeError(417, "MandatoryError", f"Error: Value missing for {doctype}: {values}")
    error.extra["exception"] = (
        f"frappe.exceptions.MandatoryError: [{doctype}, {name}]: {', '.join(missing)}"
    )
    return error


RIGHTS: dict[str, dict[str, frozenset[str]]] = {
    "User": {"delete": MANAGERS},
    "LMS Enrollment": {"read": CREATORS, "create": CREATORS, "delete": DELETERS},
    "LMS Course": {"write": EDITORS, "create": EDITORS},
    "LMS Course Progress": {"read": CREATORS},
    "LMS Certificate": {"read": CREATORS},
}


def may(world: World, caller: Caller, doctype: str, right: str) -> bool:
    """Return whether a role of the caller has a right on a doctype, unless it was taken from all.

    What no table says is for those who run courses.
    """
    if f"{doctype}:{right}" in world.lms.denied:
        return False
    if (doctype, right) == ("User", "create"):
        return may_create_user(caller.roles, world.lms.version)
    return bool(caller.roles & RIGHTS.get(doctype, {}).get(right, STAFF))


def find_user(world: World, email: Any) -> Record | None:
    return world.book.docs["User"].get(str(email or "").strip().lower())


def find_course(world: World, name: Any) -> Record | None:
    """Return a course by name, in any case; with ``courses_any`` every well formed slug is one."""
    courses = world.book.docs["LMS Course"]
    wanted = str(name).lower()
    found = courses.get(str(name)) or next(
        (course for known, course in courses.items() if known.lower() == wanted), None
    )
    if found is None and world.lms.courses_any and SLUG.fullmatch(str(name)):
        return add_course(world, {"name": name})
    return found


def add_course(world: World, data: Record, user: str = "Administrator") -> Record:
    """Put a course into the book, by control call, file or API; an existing one is changed."""
    title = data.get("title") or str(data.get("name", "")).replace("-", " ").title()
    name = data.get("name") or slug(title) or new_name()
    defaults = {
        **dict.fromkeys(FIELDS["LMS Course"]),
        "title": title,
        "short_introduction": title,
        "description": title,
        "published": 1,
        "upcoming": 0,
        "status": "Approved",
        "paid_course": 0,
        "course_price": 0.0,
        "currency": None,
        "amount_usd": 0.0,
        "disable_self_learning": 0,
        "enrollments": 0,
        "lessons": 4,
        "rating": 0.0,
        "instructors": [{"instructor": "Administrator"}],
    }
    course = world.book.docs["LMS Course"].setdefault(
        name, {**stamp(world, "LMS Course", name, user), **defaults}
    )
    course.update(data, name=name)
    world.book.dirty = True
    return course


def insert_course(world: World, data: Record, user: str) -> Record:
    _require("LMS Course", data)
    base = name = slug(data["title"]) or new_name()
    number = 1
    while name in world.book.docs["LMS Course"]:
        number += 1
        name = f"{base}-{number}"
    return add_course(world, {"published": 0, **data, "name": name}, user)


def insert_plain(world: World, doctype: str, data: Record, user: str) -> Record:
    """Insert a payment, certificate or progress row, with the few checks that the server makes."""
    check_links(world, doctype, data)
    _require(doctype, data)
    rows = world.book.docs[doctype]
    if doctype == "LMS Payment":
        _check_payment(world, rows, data)
    if doctype == "LMS Certificate":
        _check_certificate(world, rows, data)
    name = _name_of(rows, doctype, data)
    rows[name] = {
        **stamp(world, doctype, name, user),
        **{field: data.get(field) for field in FIELDS[doctype]},
    }
    world.book.dirty = True
    return rows[name]


def set_up_with(world: World, doctype: str) -> dict[str, Record]:
    """Return the documents of a kind that the site was set up with, by names in small letters."""
    rows: dict[str, Record] = {}
    if doctype == "Country":
        rows = {name: {"country_name": name} for name in COUNTRIES}
    if doctype == "Email Account" and world.lms.outgoing_mail:
        rows["Notifications"] = {
            "email_id": "lms@example.com",
            "enable_outgoing": 1,
            "default_outgoing": 1,
        }
    return {
        name.lower(): {**stamp(world, doctype, name, "Administrator"), **row}
        for name, row in rows.items()
    }


def add_certificate(world: World, email: str, course: str, issued_on: str | None = None) -> Record:
    """Give a learner a certificate, as the LMS does at the end of a course."""
    title = (find_course(world, course) or {}).get("title", course)
    data = {
        "member": email,
        "course": course,
        "course_title": title,
        "issue_date": issued_on or timestamp(world)[:10],
        "published": 1,
    }
    return insert_plain(world, "LMS Certificate", data, "Administrator")


def check_links(world: World, doctype: str, data: Record) -> None:
    """Refuse what names documents that are not there; it is looked at before anything else."""
    docs, lost = world.book.docs, []
    for field, kind in (("address", "Address"), ("source", "LMS Source")):
        if doctype == "LMS Payment" and data.get(field) and data[field] not in docs[kind]:
            lost.append(f"{label(field)}: {data[field]}")
    if doctype == "Address" and data.get("country") and data["country"] not in COUNTRIES:
        lost.append(f"Country: {data['country']}")
    if lost:
        raise FrappeError(417, "LinkValidationError", f"Could not find {', '.join(lost)}")


def _name_of(rows: dict[str, Record], doctype: str, data: Record) -> str:
    """Return the new document's name: sources and addresses are called by what they hold."""
    if doctype == "LMS Source":
        if data["source"] in rows:
            text = f"LMS Source <strong>{data['source']}</strong> already exists"
            raise FrappeError(409, "DuplicateEntryError", text)
        return str(data["source"])
    if doctype == "Address":
        name = f"{data.get('address_title')}-{data.get('address_type') or 'Billing'}"
        return f"{name}-{len(rows)}" if name in rows else name
    return new_name()


def _require(doctype: str, data: Record) -> None:
    missing = [field for field in REQUIRED[doctype] if data.get(field) in (None, "", [])]
    if missing:
        raise mandatory(doctype, new_name(), missing)


def _check_payment(world: World, rows: dict[str, Record], data: Record) -> None:
    if not data.get("source"):
        raise mandatory("LMS Payment", new_name(), ["source"])
    # Nobody has seen it be unique before 2.61.
    if (
        world.lms.version != "D"
        and data.get("payment_id")
        and any(row["payment_id"] == data["payment_id"] for row in rows.values())
    ):
        raise FrappeError(417, "UniqueValidationError", "Payment ID must be unique")


def _check_certificate(world: World, rows: dict[str, Record], data: Record) -> None:
    if any(
        (row["member"], row["course"]) == (data["member"], data["course"]) for row in rows.values()
    ):
        user, course = find_user(world, data["member"]), find_course(world, data["course"])
        who, what = (
            (user or {}).get("full_name", data["member"]),
            (course or {}).get("title", data["course"]),
        )
        raise FrappeError(
            417, "ValidationError", f"{who} is already certified for the course {what}"
        )
