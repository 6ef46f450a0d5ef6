"""The faults that are switched on, and the answers that a broken server or proxy gives."""

from __future__ import annotations

import gzip
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sandbox import proxy_pages
from sandbox.wire import Response, dumps, html_response

TARGETS = ("lms", "openedx", "stripe", "smtp")
STATUSES = (
    "400",
    "401",
    "402",
    "403",
    "404",
    "405",
    "409",
    "410",
    "417",
    "429",
    "500",
    "502",
    "503",
    "504",
)
NO_WORK = (
    *STATUSES,
    "down",
    "reset",
    "hang",
    "maintenance",
    "read_only",
    "html_200",
    "empty_200",
    "exc_200",
    "bad_json",
    "redirect",
    "huge",
    "gzip_bomb",
    "deadlock",
    "query_timeout",
    "db_down",
    "lock_timeout",
    "throttled",
    "page",
    "error",
)
AFTER_WORK = ("lost_answer", "hang_after", "half_answer", "short_length", "drip", "half_list")
SMTP_MODES = ("down", "reject", "greylist", "hang", "drop", "slow", "sender_refused")
RANDOM_MODES = ("500", "502", "503", "reset", "lost_answer", "half_answer", "down")
DEFAULT_SECONDS = {"slow": 2.0, "hang": 30.0, "hang_after": 30.0, "drip": 1.0}


@dataclass(slots=True)
class Fault:
    target: str
    mode: str
    match: str = ""
    times: int | None = None
    skip: int = 0  # how many requests are let through first
    seconds: float | None = None
    retry_after: str | int | None = None
    location: str = "http://169.254.169.254/latest/meta-data/"
    size: int = 10 * 1024 * 1024
    status: int = 502  # of a page or an error
    page: str = "nginx"  # who answers: one of proxy_pages.PAGES
    exc_type: str = "ValidationError"  # of an error of Frappe's own
    text: str = ""  # of an error; of Open edX's the JSON
    work: bool = False
    percent: int = 38
    seed: int = 1
    modes: tuple[str, ...] = RANDOM_MODES
    id: int = 0
    hits: int = 0
    dice: random.Random = field(default_factory=random.Random, repr=False)

    @property
    def pause(self) -> float:
        return DEFAULT_SECONDS.get(self.mode, 0.0) if self.seconds is None else self.seconds

    def applies(self, target: str, label: str) -> bool:
        if self.target != target or self.times == 0:
            return False
        method, _, path = label.partition(" ")
        if self.mode == "read_only" and method == "GET":
            return False
        return not self.match or (path if self.match.startswith("/") else label).startswith(
            self.match
        )

    def describe(self) -> dict[str, Any]:
        data = asdict(self)
        data.pop("dice")
        return data


class Faults:
    """The faults that are switched on, the newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._next = 1

    def add(self, spec: dict[str, Any]) -> Fault:
        """Switch a fault on. Raises ValueError with a sentence where ``spec`` is none."""
        fault = _read(spec)
        with self._lock:
            fault.id, self._next = self._next, self._next + 1
            self._faults.insert(0, fault)
        return fault

    def clear(self, target: str = "") -> None:
        with self._lock:
            self._faults = [fault for fault in self._faults if target and fault.target != target]

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.describe() for fault in self._faults]

    def choose(self, target: str, label: str, modes: tuple[str, ...] = ()) -> Fault | None:
        """Return the fault that strikes this request, used up by one, or None."""
        if not self._faults:
            return None
        with self._lock:
            return next(
                filter(
                    None,
                    (
                        self._strike(fault, modes)
                        for fault in self._faults
                        if fault.applies(target, label)
                    ),
                ),
                None,
            )

    def _strike(self, fault: Fault, modes: tuple[str, ...]) -> Fault | None:
        mode = fault.mode
        if mode == "random":
            if fault.dice.randrange(100) >= fault.percent:
                return None
            mode = fault.dice.choice(fault.modes)
        if modes and mode not in modes:
            return None
        if fault.skip > 0:
            fault.skip -= 1
            return None
        fault.hits += 1
        fault.times = None if fault.times is None else fault.times - 1
        return replace(fault, mode=mode)


def _read(spec: dict[str, Any]) -> Fault:
    known = {name for name in Fault.__slots__ if name not in {"id", "hits", "dice"}}
    unknown = sorted(set(spec) - known)
    if unknown:
        raise ValueError(f"unknown entries in a fault: {', '.join(unknown)}")
    target, mode = spec.get("target", "lms"), str(spec.get("mode", ""))
    _check(target, mode)
    modes = tuple(spec.get("modes") or (SMTP_MODES[:3] if target == "smtp" else RANDOM_MODES))
    for each in modes:
        _check(target, each)
    if spec.get("page", "nginx") not in proxy_pages.PAGES:
        raise ValueError(f"page must be one of {', '.join(proxy_pages.PAGES)}")
    values = {name: value for name, value in spec.items() if value is not None}
    return Fault(
        **{
            **values,
            "target": target,
            "mode": mode,
            "modes": modes,
            "dice": random.Random(spec.get("seed", 1)),
        }
    )


def _check(target: str, mode: str) -> None:
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}")
    known = (
        (*SMTP_MODES, "random") if target == "smtp" else (*NO_WORK, *AFTER_WORK, "slow", "random")
    )
    if mode not in known:
        raise ValueError(f"mode must be one of {', '.join(known)}")


def run(
    fault: Fault | None, work: Callable[[], Response], refuse: Callable[[Fault], Response | None]
) -> Response:
    """Do the work as the fault says: not at all, late, or with an answer that arrives damaged.

    ``refuse`` gives the target's own answer for a mode, or None where any server would answer
    alike.
    """
    if fault is None:
        return work()
    if fault.mode in {"slow", "hang"}:
        time.sleep(fault.pause)
    if fault.mode in NO_WORK:
        if fault.work:
            work()
        return refuse(fault) or plain_answer(fault)
    return _after(fault, work())


def _after(fault: Fault, response: Response) -> Response:
    if fault.mode == "hang_after":
        time.sleep(fault.pause)
    transports = {
        "lost_answer": "drop",
        "hang_after": "drop",
        "half_answer": "half",
        "short_length": "short",
        "drip": "drip",
    }
    response.transport = transports.get(fault.mode, "send")
    if fault.mode == "half_list":
        response.body = _with_half_its_rows(response.body)
    response.pause = fault.pause
    return response


def _with_half_its_rows(body: bytes) -> bytes:
    """Return a well-formed answer that leaves out every other row of its list."""
    payload = json.loads(body or b"null")
    if isinstance(payload, dict):
        payload = {
            name: value[::2] if isinstance(value, list) else value
            for name, value in payload.items()
        }
    return dumps(payload) if isinstance(payload, dict) else body


def plain_answer(fault: Fault) -> Response:
    """Return what a proxy or a dead server gives for this mode, whoever is behind it."""
    if fault.mode in {"down", "hang", "reset"}:
        return Response(transport="reset" if fault.mode == "reset" else "drop")
    if fault.mode in BODIES:
        return BODIES[fault.mode](fault)
    status = int(fault.mode) if fault.mode in STATUSES else 500
    response = html_response(
        f"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>",
        status,
    )
    if fault.retry_after is not None:
        response.headers = [("Retry-After", str(fault.retry_after))]
    return response


def _login_page(fault: Fault) -> Response:
    return html_response(
        "<!doctype html><html><head><title>Login</title></head><body><form>Sign"
        " in</form></body></html>"
    )


def _gzip_bomb(fault: Fault) -> Response:
    return Response(200, gzip.compress(bytes(fault.size)), headers=[("Content-Encoding", "gzip")])


BODIES: dict[str, Callable[[Fault], Response]] = {
    "html_200": _login_page,
    "empty_200": lambda fault: Response(200, b""),
    "exc_200": lambda fault: Response(
        200, b'{"exc_type":"ValidationError","exc":"[\\"Traceback (most recent call last)\\"]"}'
    ),
    "bad_json": lambda fault: Response(200, b'{"data": {"name": '),
    "redirect": lambda fault: Response(302, b"", "text/html", [("Location", fault.location)]),
    "huge": lambda fault: Response(200, b'{"data":"' + b"x" * fault.size + b'"}'),
    "gzip_bomb": _gzip_bomb,
    "page": lambda fault: proxy_pages.answer(fault.page, fault.status),
}
