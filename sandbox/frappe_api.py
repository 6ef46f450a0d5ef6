"""The LMS's REST API: /api/resource/<doctype>[/<name>] and /api/method/<name>.

Authentication, faults and Frappe's envelope are around it.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from sandbox import faults
from sandbox.frappe_auth import authenticate, check_csrf
from sandbox.frappe_documents import Caller, shown
from sandbox.frappe_envelope import FrappeError, answer, error_answer, fault_answer, html_error
from sandbox.frappe_methods import Methods
from sandbox.frappe_permissions import with_roles
from sandbox.frappe_resources import Resources
from sandbox.frappe_rules import FIELDS
from sandbox.frappe_users import WorkerKilled
from sandbox.wire import Request, Response, traced
from sandbox.world import World

Record = dict[str, Any]
ALLOWED = {"collection": ("GET", "POST"), "document": ("GET", "PUT", "DELETE")}
NOT_ALLOWED = (
    "<!doctype html><html lang=en><title>405 Method Not Allowed</title><h1>Method Not"
    " Allowed</h1></html>"
)


class FrappeApi:
    """Everything under /lms/api/."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.resources = Resources(world)
        self.methods = Methods(world, self.resources)

    def handle(self, request: Request) -> Response:
        """Answer one request as the server in the settings would."""
        request.path = request.path.removeprefix("/lms")
        if self.world.lms.latency:
            time.sleep(self.world.lms.latency)
        accept = request.headers.get("accept", "")
        fault = self.world.faults.choose("lms", request.label)
        response = faults.run(
            fault,
            partial(self._answer, request, accept),
            partial(fault_answer, accept=accept),
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
        if request.method not in ALLOWED["document" if len(parts) == 4 else "collection"]:
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
            document = self.resources.insert(doctype, read_body(request), caller)
            return answer({"data": shown(document)})
        return answer({"data": self.resources.find(doctype, request.args(), caller)})

    def _document(self, request: Request, doctype: str, name: str, caller: Caller) -> Response:
        if request.method == "DELETE":
            with self.book.lock:
                self.resources.delete(doctype, name, caller)
            return answer({"data": "ok"}, 202)
        with self.book.lock:
            document = self.resources.get(doctype, name, caller)
            if request.method == "PUT":
                document = self.resources.change(doctype, document, read_body(request), caller)
            return answer({"data": shown(with_roles(document, caller))})

    def _note(self, request: Request, response: Response) -> None:
        has_key = "yes" if request.headers.get("authorization") else "no"
        facts = {"authorization": has_key, "arrived_at": request.arrived_at, **traced(request)}
        self.book.note_call("lms", request, response, facts)


def read_body(request: Request) -> Record:
    """Return the fields of a JSON or form encoded body.

    What cannot be read is a 500, as on the real server.
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
