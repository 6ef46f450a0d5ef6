"""The LMS's REST API: /api/resource/<doctype>[/<name>] and /api/method/<name>, with auth, faults
and envelope around it.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qsl

from sandbox import faults, frappe_enrollments, frappe_users
from sandbox.frappe_auth import authenticate, check_csrf
from sandbox.frappe_documents import (
    Caller,
    find_course,
    insert_course,
    insert_plain,
    permission_error,
    shown,
)
from sandbox.frappe_envelope import FrappeError, answer, error_answer, fault_answer, html_error
from sandbox.frappe_methods import Methods
from sandbox.frappe_query import conditions, matching, page, parse, select
from sandbox.frappe_rules import FIELDS, STAFF, fields_of
from sandbox.frappe_users import WorkerKilled
from sandbox.wire import Request, Response
from sandbox.world import World

Record = dict[str, Any]
VERBS = {"collection": ("GET", "POST"), "document": ("GET", "PUT", "DELETE")}
NOT_ALLOWED = (
    "<!doctype html><html lang=en><title>405 Method Not Allowed</title><h1>Method Not"
    " Allowed</h1></html>"
)
COURSE_EDITORS = frozenset({"Administrator", "Moderator", "Course Creator"})


class FrappeApi:
    """Everything under /lms/api/."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.methods = Methods(world, self)

    def handle(self, request: Request) -> Response:
        """Answer one request as the server in the settings would."""
        request.path = request.path.removeprefix("/lms")
        if self.world.lms.latency:
            time.sleep(self.world.lms.latency)
        accept = request.headers.get("accept", "")
        fault = self.world.faults.choose("lms", request.label)
        response = faults.run(
            fault,
            lambda: self._answer(request, accept),
            lambda struck: fault_answer(struck, accept),
        )
        self._note(request, response)
        return response

    def _answer(self, request: Request, accept: str) -> Response:
        host = self.world.lms.site_host
        if host and request.headers.get("host", "").partition(":")[0] != host:
            return html_error(404, f"<p>{request.headers.get('host', '')} does not exist</p>")
        try:
            caller = authenticate(self.world, request)
            check_csrf(request)
            return self._route(request, caller)
        except FrappeError as error:
            return error_answer(error, accept=accept, tracebacks=self.world.lms.tracebacks)
        except WorkerKilled:
            return html_error()

    def _route(self, request: Request, caller: Caller) -> Response:
        parts = request.path.strip("/").split("/", 3)
        if parts[:2] == ["api", "method"] and len(parts) == 3:
            return answer({"message": self.methods.call(request, parts[2], caller)})
        if parts[:2] != ["api", "resource"] or len(parts) < 3:
            return html_error(404, "<!doctype html><title>404</title><h1>Not Found</h1>")
        if request.method not in VERBS["document" if len(parts) == 4 else "collection"]:
            return html_error(405, NOT_ALLOWED)
        if parts[2] not in FIELDS:
            raise FrappeError(404, "DoesNotExistError", f"DocType {parts[2]} not found")
        return (
            self._document(request, parts[2], parts[3], caller)
            if len(parts) == 4
            else self._collection(request, parts[2], caller)
        )

    def _collection(self, request: Request, doctype: str, caller: Caller) -> Response:
        if request.method == "POST":
            return answer({"data": shown(self.insert(doctype, read_body(request), caller))})
        args = request.args()
        return answer({"data": self.find(doctype, args, caller)})

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
            if operator == "=" and (doctype, field) == ("LMS Course", "name"):
                find_course(self.world, value)
            if operator == "=" and field == "name" and value in self.book.docs[doctype]:
                return [self.book.docs[doctype][value]]
        return list(self.book.docs[doctype].values())

    def _check_read(self, doctype: str, caller: Caller) -> None:
        students_may = doctype in {
            "LMS Enrollment",
            "LMS Course",
            "LMS Course Progress",
            "LMS Certificate",
        }
        if caller.is_guest or not (
            caller.roles & STAFF or (students_may and "LMS Student" in caller.roles)
        ):
            raise permission_error(f"User {caller.user} does not have access to {doctype}")

    def insert(self, doctype: str, data: Record, caller: Caller) -> Record:
        """Insert one document by the rules of its doctype."""
        if doctype == "User":
            return frappe_users.create(self.world, caller, data)
        if doctype == "LMS Enrollment":
            return frappe_enrollments.insert(self.world, caller, data)
        if not caller.roles & (COURSE_EDITORS if doctype == "LMS Course" else STAFF):
            raise permission_error(f"User does not have permission to create {doctype}")
        with self.book.lock:
            return (
                insert_course(self.world, data, caller.user)
                if doctype == "LMS Course"
                else insert_plain(self.world, doctype, data, caller.user)
            )

    def _document(self, request: Request, doctype: str, name: str, caller: Caller) -> Response:
        if request.method == "DELETE":
            with self.book.lock:
                self._delete(doctype, name, caller)
            return answer({"data": "ok"}, 202)
        with self.book.lock:
            document = self._get(doctype, name, caller)
            if request.method == "GET":
                return answer({"data": shown(document)})
            return answer(
                {"data": shown(self._change(doctype, document, read_body(request), caller))}
            )

    def _get(self, doctype: str, name: str, caller: Caller) -> Record:
        key = name.lower() if doctype == "User" else name
        document = (
            find_course(self.world, key)
            if doctype == "LMS Course"
            else self.book.docs[doctype].get(key)
        )
        if document is None:
            raise FrappeError(404, "DoesNotExistError", f"{doctype} {name} not found")
        own = caller.user in (document["owner"], document["name"])
        if caller.is_guest or not (own or doctype == "LMS Course" or caller.roles & STAFF):
            raise permission_error()
        return document

    def _change(self, doctype: str, document: Record, data: Record, caller: Caller) -> Record:
        if doctype == "LMS Enrollment":
            return frappe_enrollments.change(self.world, caller, document, data)
        if not caller.roles & STAFF:
            raise permission_error()
        document.update({field: value for field, value in data.items() if field in FIELDS[doctype]})
        self.book.dirty = True
        return document

    def _delete(self, doctype: str, name: str, caller: Caller) -> None:
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

    def _note(self, request: Request, response: Response) -> None:
        call = {
            "call": request.label,
            "query": request.query,
            "status": response.status,
            "transport": response.transport,
        }
        call["authorization"] = "yes" if request.headers.get("authorization") else "no"
        call["body"] = request.body[:2000].decode("utf-8", "replace")
        self.book.note_call("lms", call)


def read_body(request: Request) -> Record:
    """Return the fields of a JSON or form encoded body; what cannot be read is a 500, as on the
    real server.
    """
    if "form-urlencoded" in request.headers.get("content-type", ""):
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        data = json.loads(request.body or b"{}")
    except ValueError as error:
        raise FrappeError(500, "JSONDecodeError", str(error)) from error
    if not isinstance(data, dict):
        raise FrappeError(
            500, "AttributeError", f"'{type(data).__name__}' object has no attribute 'items'"
        )
    return data
