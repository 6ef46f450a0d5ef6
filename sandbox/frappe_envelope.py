"""How Frappe wraps its answers: data, message, and errors.

The ``_server_messages`` of an error are JSON within JSON.
"""

from __future__ import annotations

import json
import secrets

from sandbox.faults import Fault
from sandbox.wire import Header, Response, dumps, html_response

GUEST_COOKIES: list[Header] = [
    ("Set-Cookie", "sid=Guest; Path=/; HttpOnly; SameSite=Lax"),
    ("Set-Cookie", "system_user=no; Path=/; SameSite=Lax"),
    ("Set-Cookie", "full_name=Guest; Path=/; SameSite=Lax"),
    ("Set-Cookie", "user_id=Guest; Path=/; SameSite=Lax"),
    ("Set-Cookie", "user_image=; Path=/; SameSite=Lax"),
]
PYTHON_ERRORS = frozenset({"AttributeError", "TypeError", "KeyError"})
SILENT = frozenset({401, 429, 503})
ERROR_PAGE = (
    "<!DOCTYPE HTML><html><head><title>Internal Server Error</title></head><body><h1>Internal"
    " Server Error</h1></body></html>"
)


class FrappeError(Exception):
    """An exception as Frappe reports it: the class name, a status and mostly a message."""

    def __init__(
        self,
        status: int,
        exc_type: str,
        message: str = "",
        *,
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.exc_type, self.message, self.extra = (
            status,
            exc_type,
            message,
            extra or {},
        )

    def body(self, *, tracebacks: bool = True) -> dict[str, object]:
        body: dict[str, object] = {"exc_type": self.exc_type}
        if tracebacks and self.status not in {404, 503}:
            body |= self._trace()
        if self.message and self.status not in SILENT and not self._is_python:
            body["_server_messages"] = server_messages(self.message)
        return body | self.extra

    @property
    def _is_python(self) -> bool:
        return self.exc_type in PYTHON_ERRORS or self.exc_type in {
            "JSONDecodeError",
            "OperationalError",
        }

    def _trace(self) -> dict[str, object]:
        modules = {"JSONDecodeError": "json.decoder.", "OperationalError": "pymysql.err."}
        prefix = modules.get(self.exc_type, "" if self._is_python else "frappe.exceptions.")
        line = f"{prefix}{self.exc_type}" + (f": {self.message}" if self.message else "")
        where = (
            '  File "apps/frappe/frappe/app.py", line 114, in application\n    response ='
            " frappe.api.handle(request)"
        )
        trace = f"Traceback (most recent call last):\n{where}\n{line}\n"
        shown = {"exception": line, "exc": json.dumps([trace])}
        return shown if self.status == 403 else {**shown, "_exc_source": "lms (app)"}


def server_messages(text: str) -> str:
    """Return a message as Frappe sends it: a JSON string of a list of JSON strings."""
    entry = {
        "message": text,
        "title": "Message",
        "indicator": "red",
        "raise_exception": 1,
        "__frappe_exc_id": secrets.token_hex(20),
    }
    return json.dumps([json.dumps(entry)])


def answer(data: object, status: int = 200) -> Response:
    return Response(status, dumps(data), headers=GUEST_COOKIES)


def html_error(status: int = 500, text: str = ERROR_PAGE) -> Response:
    return html_response(text, status)


def error_answer(error: FrappeError, *, accept: str = "", tracebacks: bool = True) -> Response:
    """Return the JSON envelope, or the page that a client asking for text gets."""
    if accept.startswith("text"):
        status = 500 if error.status == 503 else error.status
        text = (
            "Too Many Requests"
            if error.status == 429
            else f"<!DOCTYPE html><html><body><h1>{error.exc_type}</h1></body></html>"
        )
        return html_error(status, text)
    return answer(error.body(tracebacks=tracebacks), error.status)


FAULTS: dict[str, tuple[int, str, str]] = {
    "400": (400, "CSRFTokenError", "Invalid Request"),
    "401": (401, "AuthenticationError", ""),
    "403": (403, "PermissionError", "Not permitted"),
    "404": (404, "DoesNotExistError", ""),
    "409": (409, "DuplicateEntryError", "The document already exists"),
    "417": (417, "ValidationError", "The sandbox refuses this on request."),
    "throttled": (417, "ValidationError", "Throttled"),
    "maintenance": (503, "SessionStopped", "Session Stopped"),
    "read_only": (503, "InReadOnlyMode", "The site is in read only mode."),
    "deadlock": (
        500,
        "QueryDeadlockError",
        "(1213, 'Deadlock found when trying to get lock; try restarting transaction')",
    ),
    "query_timeout": (
        500,
        "QueryTimeoutError",
        "(1205, 'Lock wait timeout exceeded; try restarting transaction')",
    ),
    "db_down": (500, "OperationalError", '(2003, "Can\'t connect to MySQL server")'),
}


HTML_FAULTS = {
    "500": (500, ERROR_PAGE),
    "405": (
        405,
        "<!doctype html><title>405 Method Not Allowed</title><h1>Method Not Allowed</h1>",
    ),
}


def fault_answer(fault: Fault, accept: str) -> Response | None:
    """Return what Frappe itself says for a fault, or None where a proxy's answer will do."""
    if fault.mode == "429":
        return _too_many(fault, accept)
    if fault.mode in HTML_FAULTS:
        return html_error(*HTML_FAULTS[fault.mode])
    said = FAULTS.get(fault.mode)
    if fault.mode == "error":
        said = (fault.status, fault.exc_type, fault.text)
    return error_answer(FrappeError(*said), accept=accept) if said else None


def _too_many(fault: Fault, accept: str) -> Response:
    """With a Retry-After it is the limit of the whole site, without it that of one method."""
    if fault.retry_after is None:
        error = FrappeError(
            429,
            "RateLimitExceededError",
            extra={"_server_messages": server_messages("You hit the rate limit. Try again later.")},
        )
        return error_answer(error, accept=accept)
    response = error_answer(FrappeError(429, "TooManyRequestsError"), accept=accept)
    limits = [
        ("X-RateLimit-Limit", "1000000"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", str(fault.retry_after)),
    ]
    response.headers = [*response.headers, ("Retry-After", str(fault.retry_after)), *limits]
    return response
