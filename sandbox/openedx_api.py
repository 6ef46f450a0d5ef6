"""Open edX's HTTP API under /edx/: tokens, throttle, cookies and faults around the views."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sandbox import (
    faults,
    openedx_accounts,
    openedx_courses,
    openedx_enrollments,
    openedx_pending,
)
from sandbox.openedx_answers import EdxError, detail, fault_answer, moved, page, throttled
from sandbox.openedx_auth import WINDOW, caller_of, check_accept, give_token
from sandbox.openedx_store import Caller
from sandbox.wire import Request, Response, json_response, traced, truthy
from sandbox.world import World

Record = dict[str, Any]
ENROLLMENTS = "/api/enrollment/v1"
NOT_STAFF_LIMIT = 40
# Without their slash these are redirected, which loses the body of a POST.
WITH_SLASH = re.compile(
    r"/api/enrollment/v1/enrollment_allowed|/api/grades/v1/courses/[^/]+"
    r"|/api/certificates/v0/certificates/.+[^/]|/api/user/v[12]/account/registration"
)
THROTTLED = re.compile(r"/api/(enrollment/v1/(?!course/)|bulk_enroll/)")


class OpenEdxApi:
    """Everything under /edx/api/, /edx/oauth2/ and /edx/heartbeat."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.views: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/api/user/v1/me", self._me),
            ("GET", r"/api/user/v1/accounts", self._accounts),
            ("POST", r"/api/user/v1/accounts/search_emails", self._search),
            ("POST", rf"{ENROLLMENTS}/enrollment", self._enroll),
            ("GET", rf"{ENROLLMENTS}/enrollment", self._of_user),
            ("GET", rf"{ENROLLMENTS}/enrollment/([^,/]+),(.+)", self._read),
            ("GET", rf"{ENROLLMENTS}/enrollments", self._find),
            ("GET", rf"{ENROLLMENTS}/enrollment_allowed/", self._list_allowed),
            ("POST", rf"{ENROLLMENTS}/enrollment_allowed/", self._add_allowed),
            ("DELETE", rf"{ENROLLMENTS}/enrollment_allowed/", self._remove_allowed),
            ("POST", r"/api/bulk_enroll/v1/bulk_enroll", self._bulk),
            ("GET", r"/api/course_home/progress/([^/]+)/([^/]+)", self._progress),
            ("GET", r"/api/grades/v1/courses/([^/]+)/", self._grade),
            ("GET", r"/api/certificates/v0/certificates/([^/]+)/courses/([^/]+)/", self._cert),
        ]
        self.public: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/heartbeat", self._heartbeat),
            ("GET", rf"{ENROLLMENTS}/course/(.+)", self._course),
            ("GET", r"/api/courses/v1/courses/([^/]+)/?", self._in_catalogue),
            ("POST", r"/api/user/v[12]/account/registration/", self._register),
        ]

    def handle(self, request: Request) -> Response:
        """Answer one request; every answer of the application sets a cookie."""
        request.path = request.path.removeprefix("/edx")
        if self.world.edx.latency:
            time.sleep(self.world.edx.latency)
        response = faults.run(
            self.world.faults.choose("openedx", request.label),
            partial(self._answer, request),
            partial(fault_answer, label=request.label),
        )
        scheme = request.headers.get("authorization", "").partition(" ")[0]
        facts = {"authorization": scheme, **traced(request)}
        self.book.note_call("openedx", request, response, facts)
        return response

    def _answer(self, request: Request) -> Response:
        try:
            response = self._route(request)
        except EdxError as error:
            response = error.response()
        response.headers = [*response.headers, ("Set-Cookie", "sessionid=1|sandbox; Path=/")]
        return response

    def _route(self, request: Request) -> Response:
        if request.path.rstrip("/") == "/oauth2/access_token":
            return give_token(self.world, request)
        if WITH_SLASH.fullmatch(request.path):
            raise moved(f"/edx{request.path}/")
        public = self._view(self.public, request)
        if public:
            return json_response(public(request))
        view = self._view(self.views, request)
        if view is None:
            raise page(404)
        check_accept(request)
        caller = caller_of(self.world, request, jwt_only="enrollment_allowed" in request.path)
        if THROTTLED.match(request.path):
            self._throttle(request, caller)
        with self.book.lock:
            return _reply(view(request, caller))

    def _view(
        self, views: list[tuple[str, str, Callable[..., object]]], request: Request
    ) -> Callable[..., object] | None:
        fitting = [
            (method, partial(view, *match.groups()))
            for method, pattern, view in views
            if (match := re.fullmatch(pattern, request.path))
        ]
        for method, view in fitting:
            if method == request.method:
                return view
        if fitting:
            raise detail(405, f'Method "{request.method}" not allowed.')
        return None

    def _throttle(self, request: Request, caller: Caller) -> None:
        """Count in the one bucket that a user has for all views of enrollment."""
        limit = self.world.edx.api_limit if caller.is_staff else NOT_STAFF_LIMIT
        now = self.book.now()
        with self.book.lock:
            recent = [moment for moment in self.world.edx.api_times if moment > now - WINDOW]
            if len(recent) < limit:
                recent.append(now)
                self.world.edx.api_times = recent
                return
        raise throttled(recent[0] + WINDOW - now, is_list=request.path.endswith("/enrollments"))

    def _me(self, request: Request, caller: Caller) -> object:
        return {"username": caller.username}

    def _accounts(self, request: Request, caller: Caller) -> object:
        return openedx_accounts.find(self.world, request.args(), caller)

    def _search(self, request: Request, caller: Caller) -> object:
        return openedx_accounts.search(self.world, read_body(request), caller)

    def _enroll(self, request: Request, caller: Caller) -> object:
        return openedx_enrollments.post(self.world, read_body(request), caller)

    def _of_user(self, request: Request, caller: Caller) -> object:
        return openedx_enrollments.of_user(self.world, request.args().get("user", ""), caller)

    def _read(self, username: str, key: str, request: Request, caller: Caller) -> object:
        return openedx_enrollments.read(self.world, username, key, caller)

    def _find(self, request: Request, caller: Caller) -> object:
        return openedx_pending.find(self.world, request.args(), caller)

    def _list_allowed(self, request: Request, caller: Caller) -> object:
        return openedx_pending.list_allowed(self.world, request.args(), caller)

    def _add_allowed(self, request: Request, caller: Caller) -> object:
        made = openedx_pending.add_allowed(self.world, read_body(request), caller)
        return json_response(made, 201)

    def _remove_allowed(self, request: Request, caller: Caller) -> object:
        openedx_pending.remove_allowed(self.world, read_body(request), caller)
        return Response(204, b"", "")

    def _bulk(self, request: Request, caller: Caller) -> object:
        return openedx_pending.bulk(self.world, read_body(request), caller)

    def _progress(self, key: str, user_id: str, request: Request, caller: Caller) -> object:
        return openedx_courses.progress(self.world, key, user_id, caller)

    def _grade(self, key: str, request: Request, caller: Caller) -> object:
        username = request.args().get("username", caller.username)
        return openedx_courses.grade(self.world, key, username, caller)

    def _cert(self, username: str, key: str, request: Request, caller: Caller) -> object:
        return openedx_courses.certificate(self.world, username, key, caller)

    def _heartbeat(self, request: Request) -> object:
        return {
            "modulestore": {"status": True, "message": "OK"},
            "sql": {"status": True, "message": "OK"},
        }

    def _course(self, key: str, request: Request) -> object:
        with self.book.lock:
            expired = truthy(request.args().get("include_expired", ""))
            return openedx_courses.for_enrollment(self.world, key, expired=expired)

    def _in_catalogue(self, key: str, request: Request) -> object:
        with self.book.lock:
            return openedx_courses.in_catalogue(self.world, key)

    def _register(self, request: Request) -> object:
        form = {} if "json" in request.headers.get("content-type", "") else request.form()
        with self.book.lock:
            return openedx_accounts.register(self.world, form)


def _reply(answer: object) -> Response:
    """Return a view's answer; None is what the real one answers with: 200 and nothing at all."""
    if isinstance(answer, Response):
        return answer
    return Response(200, b"", "") if answer is None else json_response(answer)


def read_body(request: Request) -> Record:
    """Return the fields of a body; what is no object is a page with 500, as on the real server."""
    kind = request.headers.get("content-type", "application/json")
    if "form-urlencoded" in kind:
        return dict(request.form())
    if "json" not in kind:
        raise detail(415, f'Unsupported media type "{kind}" in request.')
    try:
        data = json.loads(request.body or b"{}")
    except ValueError as error:
        raise detail(400, f"JSON parse error - {error}") from error
    if not isinstance(data, dict):
        raise page(500)
    return data
