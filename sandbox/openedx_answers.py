"""How Open edX answers: errors in one of five shapes, empty bodies, pages, and its faults."""

from __future__ import annotations

import json
from math import ceil

from sandbox.faults import Fault
from sandbox.wire import Header, Response, dumps, html_response

ERROR_PAGE = (
    "<!doctype html><html lang=en><head><title>{0}</title></head><body><h1>{0}</h1>"
    "<p>There has been an error on this server.</p></body></html>"
)
TITLES = {404: "Page not found", 429: "Too many requests", 500: "Server error"}


class EdxError(Exception):
    """An answer other than the good one; ``body`` None is an empty one, a text is a page."""

    def __init__(
        self, status: int, body: object = None, *, headers: tuple[Header, ...] = ()
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers

    def response(self) -> Response:
        if self.body is None:
            return Response(self.status, b"", "", self.headers)
        if isinstance(self.body, str):
            return html_response(self.body, self.status, self.headers)
        return Response(self.status, dumps(self.body), headers=self.headers)


def empty(status: int) -> EdxError:
    return EdxError(status)


def page(status: int) -> EdxError:
    return EdxError(status, ERROR_PAGE.format(TITLES.get(status, str(status))))


def message(status: int, text: str, **more: object) -> EdxError:
    """The shape of the enrollment views."""
    return EdxError(status, {"message": text, **more})


def detail(status: int, text: str, **headers: str) -> EdxError:
    """The shape of the framework: who asks, how often, and what cannot be parsed."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return EdxError(status, {"detail": text}, headers=pairs)


def developer(status: int, text: str, **more: object) -> EdxError:
    return EdxError(status, {"developer_message": text, **more})


def unauthorized(text: str = "Invalid token.") -> EdxError:
    return detail(401, text, WWW_Authenticate='JWT realm="api"')


def forbidden() -> EdxError:
    return detail(403, "You do not have permission to perform this action.")


def moved(path: str) -> EdxError:
    return EdxError(301, "", headers=(("Location", path),))


def throttled(seconds: float, *, is_list: bool = False) -> EdxError:
    """The list of enrollments says it in its own shape, and without a Retry-After."""
    wait = ceil(seconds)
    text = f"Request was throttled. Expected available in {wait} seconds."
    if is_list:
        return developer(429, text)
    return detail(429, text, Retry_After=str(wait))


def fault_answer(fault: Fault, label: str) -> Response | None:
    """Return what Open edX itself says for a fault, or None where a proxy's answer will do."""
    is_token = "/oauth2/" in label
    if fault.mode == "error":
        return EdxError(fault.status, json.loads(fault.text) if fault.text else None).response()
    if fault.mode == "429" and not is_token:
        wait = 60 if fault.retry_after is None else float(fault.retry_after)
        return throttled(wait, is_list=label.endswith("/enrollments")).response()
    if fault.mode == "503" and label.endswith("/heartbeat"):
        body = {"modulestore": {"status": False, "message": "ERROR"}, "sql": {"status": True}}
        return EdxError(503, body).response()
    if fault.mode == "401" and is_token:
        return invalid_client().response()
    known = FAULTS.get(fault.mode)
    return known.response() if known else None


def invalid_client() -> EdxError:
    headers = (("WWW-Authenticate", 'Bearer error="invalid_client"'),)
    return EdxError(401, {"error": "invalid_client"}, headers=headers)


FAULTS = {
    "400": message(400, "An error occurred while creating the new course enrollment"),
    "401": unauthorized(),
    "403": forbidden(),
    "404": empty(404),
    "405": detail(405, 'Method "GET" not allowed.'),
    "409": message(409, "The sandbox refuses this on request."),
    "429": page(429),
    "500": page(500),
}
