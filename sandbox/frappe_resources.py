"""The documents of the LMS by doctype: what each caller may find, insert, change and delete."""

from __future__ import annotations

from typing import Any

from sandbox import frappe_enrollments, frappe_users
from sandbox.frappe_documents import (
    Caller,
    find_course,
    insert_course,
    insert_plain,
    may,
    permission_error,
    set_up_with,
)
from sandbox.frappe_envelope import FrappeError
from sandbox.frappe_permissions import own_document
from sandbox.frappe_query import conditions, matching, page, parse, select
from sandbox.frappe_rules import FIELDS, STAFF, fields_of
from sandbox.world import World

Record = dict[str, Any]
# Refused to students before it is looked whether there is such a document.
HIDDEN = ("User", "LMS Course")
SET_UP = ("Country", "Email Account")  # when the site was made, by its staff


class Resources:
    """Every doctype, with the permissions of Frappe's roles."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book

    def find(self, doctype: str, args: dict[str, str], caller: Caller) -> list[Record]:
        """Return one page of a list, as far as the caller may see it."""
        fields = parse(args.get("fields"))
        with self.book.lock:
            rows = page(self.rows(doctype, args.get("filters"), caller), args)
            return select(rows, fields, doctype, self.world.lms.version)

    def rows(self, doctype: str, filters: str | None, caller: Caller) -> list[Record]:
        """Return all documents that fit the filters and that the caller may see. Hold the lock."""
        wanted = conditions(parse(filters))
        self._check_read(doctype, caller)
        found = matching(
            self._candidates(doctype, wanted), wanted, fields_of(doctype, self.world.lms.version)
        )
        if doctype == "LMS Enrollment" and not caller.roles & STAFF:
            return [row for row in found if row["owner"] == caller.user]
        return found

    def _candidates(self, doctype: str, wanted: list[tuple[str, str, Any]]) -> list[Record]:
        for field, operator, value in wanted:
            if (
                operator == "="
                and isinstance(value, str)
                and (doctype, field) == ("LMS Enrollment", "member")
            ):
                return self.book.enrollments_of(value)
            if operator == "in" and (doctype, field) == ("LMS Enrollment", "member"):
                members = {str(member).lower() for member in value}
                return [row for member in members for row in self.book.enrollments_of(member)]
            if operator == "=" and (doctype, field) == ("LMS Course", "name"):
                find_course(self.world, value)
            if operator == "=" and field == "name" and value in self.book.docs[doctype]:
                return [self.book.docs[doctype][value]]
        if doctype in SET_UP:
            return list(set_up_with(self.world, doctype).values())
        return list(self.book.docs[doctype].values())

    def _check_read(self, doctype: str, caller: Caller) -> None:
        if caller.is_guest or not may(self.world, caller, doctype, "read"):
            raise permission_error(f"User {caller.user} does not have access to {doctype}")

    def insert(self, doctype: str, data: Record, caller: Caller) -> Record:
        """Insert one document by the rules of its doctype."""
        if doctype == "User":
            return frappe_users.create(self.world, caller, data)
        if doctype == "LMS Enrollment":
            return frappe_enrollments.insert(self.world, caller, data)
        if not may(self.world, caller, doctype, "create"):
            raise permission_error(f"User does not have permission to create {doctype}")
        with self.book.lock:
            if doctype == "LMS Batch Enrollment":
                return frappe_enrollments.join_by_request(self.world, data)
            return (
                insert_course(self.world, data, caller.user)
                if doctype == "LMS Course"
                else insert_plain(self.world, doctype, data, caller.user)
            )

    def get(self, doctype: str, name: str, caller: Caller) -> Record:
        key = name.lower() if doctype == "User" else name
        if doctype == "User" and key == caller.user.lower():
            return own_document(self.world, caller)
        if doctype in HIDDEN and not may(self.world, caller, doctype, "read"):
            raise permission_error(f"User <strong>{caller.user}</strong> may not read {doctype}")
        document = self._one(doctype, key)
        if document is None:
            raise FrappeError(404, "DoesNotExistError", f"{doctype} {name} not found")
        own = caller.user in (document["owner"], document["name"])
        if caller.is_guest or not (own or caller.roles & STAFF):
            raise permission_error()
        return document

    def _one(self, doctype: str, key: str) -> Record | None:
        if doctype == "LMS Course":
            return find_course(self.world, key)
        if doctype in SET_UP:
            return set_up_with(self.world, doctype).get(key.lower())
        return self.book.docs[doctype].get(self._true_name(doctype, key))

    def _true_name(self, doctype: str, name: str) -> str:
        """Return the name as the document has it: the LMS's database compares without case."""
        known = self.book.docs[doctype]
        if name in known:
            return name
        return next((each for each in known if each.lower() == name.lower()), name)

    def change(self, doctype: str, document: Record, data: Record, caller: Caller) -> Record:
        if doctype == "LMS Enrollment":
            return frappe_enrollments.change(self.world, caller, document, data)
        if not caller.roles & STAFF:
            raise permission_error()
        known = {field: value for field, value in data.items() if field in FIELDS[doctype]}
        if self.world.lms.users_stay_off:
            known.pop("enabled", None)
        document.update(known)
        self.book.dirty = True
        return document

    def delete(self, doctype: str, name: str, caller: Caller) -> None:
        name = self._true_name(doctype, name)
        if doctype == "LMS Enrollment":
            frappe_enrollments.remove(self.world, caller, name)
            return
        if name not in self.book.docs[doctype]:
            raise FrappeError(404, "DoesNotExistError")
        if not caller.roles & STAFF:
            raise permission_error()
        if doctype == "User":
            frappe_users.delete(self.world, name)
            return
        if doctype == "LMS Course" and any(
            row["course"] == name for row in self.book.docs["LMS Enrollment"].values()
        ):
            raise FrappeError(
                417,
                "LinkExistsError",
                f"Cannot delete or cancel because LMS Course {name} is linked with LMS Enrollment",
            )
        del self.book.docs[doctype][name]
        self.book.dirty = True
