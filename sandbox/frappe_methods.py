"""Whitelisted methods of the LMS, stock ones and the custom payment confirmation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox import frappe_enrollments
from sandbox.frappe_documents import Caller, find_course, find_user, permission_error
from sandbox.frappe_envelope import FrappeError, server_messages
from sandbox.frappe_permissions import has_permission, reset_password, versions
from sandbox.frappe_query import parse
from sandbox.frappe_resources import Resources
from sandbox.frappe_rules import FIELDS
from sandbox.wire import Request, truthy
from sandbox.world import World

Record = dict[str, Any]
CUSTOM = "lms.lms.payment_confirmation."
CHECK_USER = "lms.lms.doctype.lms_enrollment.lms_enrollment.check_user_exists"
FORGOT = "frappe.core.doctype.user.user.reset_password"
CONFIRM_FIELDS = {
    "user_email",
    "course_id",
    "paid_status",
    "payment_id",
    "amount",
    "currency",
    "referral_code",
}
GRANT_FIELDS = {"original_amount", "discount_percentage", "grant_id", "enrollment_type"}
INSERTS = 200
KNOWN_APPS = ("frappe", "lms")


class Methods:
    """The table of methods; an unknown one is a 417 that names what could not be imported."""

    def __init__(self, world: World, resources: Resources) -> None:
        self.world, self.resources = world, resources
        self.guest: dict[str, Callable[[Record, Caller], object]] = {
            "ping": lambda data, caller: "pong",
            "frappe.ping": lambda data, caller: "pong",
            "lms.lms.utils.get_courses": self.get_courses,
            "lms.lms.utils.get_course_details": self.get_course_details,
        }
        self.members: dict[str, Callable[[Record, Caller], object]] = {
            "frappe.auth.get_logged_user": lambda data, caller: caller.user,
            "frappe.client.get_count": self.get_count,
            "frappe.client.get_list": self.get_list,
            "frappe.client.has_permission": self.has_permission,
            "frappe.utils.change_log.get_versions": lambda data, caller: versions(self.world),
        }
        self.posted: dict[str, Callable[[Record, Caller], object]] = {
            "frappe.client.insert_many": self.insert_many
        }
        self.custom: dict[str, tuple[str, Callable[[Record, Caller], object]]] = {
            CUSTOM + "confirm_payment": ("POST", self.confirm_payment),
            CUSTOM + "get_course_info": ("", self.get_course_info),
            CHECK_USER: ("", self.check_user_exists),
        }

    def call(self, request: Request, name: str, caller: Caller) -> object:
        """Call a method by name with the arguments of query and body."""
        if request.method == "HEAD":
            raise permission_error()
        from_body = _arguments(request)
        data = {**request.args(), **from_body}
        if name == FORGOT:
            _check_method(request, "POST")
            return reset_password(self.world, data, request.headers.get("x-forwarded-for", ""))
        if name in self.guest:
            return self.guest[name](data, caller)
        if self.world.lms.server == "custom" and name in self.custom:
            method, work = self.custom[name]
            _check_method(request, method)
            return work(data, caller)
        if name not in self.members and name not in self.posted:
            raise _unknown(name)
        if caller.is_guest:
            raise permission_error(f"Function {name} is not whitelisted.")
        if name in self.posted:
            _check_method(request, "POST")
            return self.posted[name](data, caller)
        return self.members[name](data, caller)

    def get_courses(self, data: Record, caller: Caller) -> object:
        with self.world.book.lock:
            return [
                _card(course)
                for course in self.world.book.docs["LMS Course"].values()
                if course["published"]
            ]

    def get_course_details(self, data: Record, caller: Caller) -> object:
        with self.world.book.lock:
            course = find_course(self.world, data.get("course"))
        return _card(course) if course else {}

    def get_count(self, data: Record, caller: Caller) -> object:
        with self.world.book.lock:
            return len(self.resources.rows(_doctype(data), _text(data.get("filters")), caller))

    def get_list(self, data: Record, caller: Caller) -> object:
        args = {name: _text(value) or "" for name, value in data.items()}
        return self.resources.find(_doctype(data), args, caller)

    def has_permission(self, data: Record, caller: Caller) -> object:
        with self.world.book.lock:
            return has_permission(self.world, caller, data)

    def insert_many(self, data: Record, caller: Caller) -> object:
        docs = data.get("docs", [])
        docs = parse(docs) if isinstance(docs, str) else docs
        if len(docs) > INSERTS:
            raise FrappeError(
                417, "ValidationError", f"Only {INSERTS} inserts allowed in one request"
            )
        if all(document.get("doctype") == "LMS Enrollment" for document in docs):
            return frappe_enrollments.insert_many(self.world, caller, docs)
        return [
            self.resources.insert(_doctype(document), document, caller)["name"] for document in docs
        ]

    def confirm_payment(self, data: Record, caller: Caller) -> object:
        """Enroll a known user in a known course; business refusals are success false."""
        known = CONFIRM_FIELDS | (GRANT_FIELDS if self.world.lms.grant_fields else set())
        unknown = sorted(set(data) - known)
        if unknown:
            text = f"Unknown field: {', '.join(unknown)}"
            raise FrappeError(
                400,
                "ValidationError",
                text,
                extra={"message": _refused(text), "_server_messages": server_messages(text)},
            )
        missing = [
            name
            for name in ("user_email", "course_id", "paid_status")
            if data.get(name) in (None, "")
        ]
        if missing:
            return _refused(f"Missing required field: {', '.join(missing)}")
        if not truthy(data["paid_status"]):
            return _refused("Payment is not completed")
        with self.world.book.lock:
            return self._enroll(str(data["user_email"]), str(data["course_id"]))

    def _enroll(self, email: str, course_id: str) -> Record:
        user, course = find_user(self.world, email), find_course(self.world, course_id)
        if user is None or course is None:
            return _refused("User not found" if user is None else "Course not found")
        rows = frappe_enrollments.of_pair(self.world, user["name"], course["name"])
        row = (
            rows[0]
            if rows
            else frappe_enrollments.add(
                self.world, {"member": user["name"], "course": course["name"]}, "Administrator"
            )
        )
        text = "User is already enrolled" if rows else "User enrolled"
        return {
            "success": True,
            "enrollment_id": row["name"],
            "user_email": user["name"],
            "course_id": course["name"],
            "message": text,
        }

    def check_user_exists(self, data: Record, caller: Caller) -> object:
        user = find_user(self.world, data.get("user_email"))
        if user is None:
            return {"success": True, "exists": False, "user_email": data.get("user_email")}
        return {
            "success": True,
            "exists": True,
            "user_email": user["name"],
            "full_name": user["full_name"],
            "enabled": user["enabled"],
        }

    def get_course_info(self, data: Record, caller: Caller) -> object:
        with self.world.book.lock:
            course = find_course(self.world, data.get("course_id"))
        if course is None:
            return _refused("Course not found")
        return {
            "success": True,
            "course_id": course["name"],
            "title": course["title"],
            "published": course["published"],
            "paid_course": course["paid_course"],
        }


def _arguments(request: Request) -> Record:
    if request.method == "GET" or not request.body:
        return {}
    if "form-urlencoded" in request.headers.get("content-type", ""):
        return dict(request.form())
    try:
        data = json.loads(request.body)
    except ValueError as error:
        raise FrappeError(500, "JSONDecodeError", str(error)) from error
    return data if isinstance(data, dict) else {}


def _check_method(request: Request, needed: str) -> None:
    if needed and request.method != needed:
        raise permission_error("Not permitted")


def _doctype(data: Record) -> str:
    doctype = str(data.get("doctype", ""))
    if doctype not in FIELDS:
        raise FrappeError(404, "DoesNotExistError", f"DocType {doctype} not found")
    return doctype


def _text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _refused(text: str) -> Record:
    return {"success": False, "error": text}


def _card(course: Record) -> Record:
    return {
        field: course[field]
        for field in (
            "name",
            "title",
            "short_introduction",
            "published",
            "paid_course",
            "course_price",
            "currency",
            "enrollments",
            "lessons",
            "rating",
        )
    }


def _unknown(name: str) -> FrappeError:
    app, dotted, _ = name.partition(".")
    module = name.rpartition(".")[0]
    if not dotted:
        problem = f"module 'frappe.handler' has no attribute '{name}'"
    elif app not in KNOWN_APPS:
        problem = f"App {app} is not installed"
    else:
        problem = f"No module named '{module}'"
    return FrappeError(
        417, "ValidationError", f"Failed to get method for command {name} with {problem}"
    )
