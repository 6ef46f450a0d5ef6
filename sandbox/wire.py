"""A request as the apps see it, and an answer with the way it is to be sent."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Header = tuple[str, str]


@dataclass(slots=True)
class Request:
    """One HTTP request.

    ``path`` is decoded and relative to the app's prefix; header names are lower case;
    ``came_at`` is on the monotonic clock. ``arrived_at`` is when the machine had it, which may be
    some time before this process came to read it.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    came_at: float = field(default_factory=time.monotonic)
    arrived_at: float = field(default_factory=time.time)

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    def args(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(slots=True)
class Response:
    """One answer.

    ``transport`` says how it leaves: send, drop, reset, half, short or drip (a byte every ``pause``
    seconds).
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Sequence[Header] = ()
    transport: str = "send"
    pause: float = 0.0


def dumps(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def json_response(data: object, status: int = 200, headers: Sequence[Header] = ()) -> Response:
    return Response(status, dumps(data), headers=headers)


def html_response(html: str, status: int = 200, headers: Sequence[Header] = ()) -> Response:
    return Response(status, html.encode(), "text/html; charset=utf-8", headers)


def redirect(location: str, status: int = 303) -> Response:
    return Response(status, b"", "text/html; charset=utf-8", [("Location", location)])


def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body; an empty body is an empty object.

    Raises ValueError or TypeError for anything else.
    """
    data = json.loads(request.body or b"{}")
    if not isinstance(data, dict):
        raise TypeError("the body must be a JSON object")
    return data


def traced(request: Request) -> dict[str, str]:
    """Return which request of the shop's a call was made for, as its notes keep it."""
    return {"request_id": request.headers.get("x-request-id", "")}


def truthy(value: object) -> bool:
    return str(value).strip().lower() in {"1", "true", "yes", "on"}


def whole(value: object) -> int | None:
    """Return ``value`` as an int when it is written as one, else None."""
    text = str(value).strip()
    digits = text[1:] if text[:1] == "-" else text
    return int(text) if digits.isascii() and digits.isdigit() else None


def pick(source: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the named entries that are there."""
    return {name: source[name] for name in names if name in source}
