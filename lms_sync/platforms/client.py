"""One HTTP call to the LMS within a limit of time and size, and a redacted note of it.

No cookie jar (a login cookie makes Frappe ask for a CSRF token), no redirects (the key would be
sent to their target), no proxies or .netrc from the environment, no retries: whether to ask again
is decided where the meaning of the call is known.
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3.exceptions
from django.conf import settings

from lms_sync import call_counts, pace
from lms_sync.errors import LmsIntercepted, LmsUnavailable
from lms_sync.platforms.sockets import CheckedAdapter, total_deadline
from lms_sync.redaction import redact
from maaledu import metrics, tracing

MAX_BODY = 1024 * 1024
LEAST_SECONDS = 0.02  # of a call: what a clock leaves over of a budget is none
FAILURES = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, UnicodeError)
_threads = threading.local()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str] | None
    body: str

    @property
    def text(self) -> str:
        parts = (
            self.method,
            self.path,
            json.dumps(dict(self.query)) if self.query else "",
            self.body,
        )
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body, or None when it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Exchange:
    """What was asked and answered, redacted. `status` is None when there was no answer."""

    request: str
    response: str
    status: int | None
    duration: timedelta


@dataclass
class Client:
    """Calls one base URL with one key: `timeout` is for a call, `budget` for all its calls.

    Each call waits for its turn among all calls of `platform`, which counts for neither: first
    until shortly before it, then with the connection made. Without a platform it waits for nobody.
    """

    base_url: str
    authorization: str
    timeout: timedelta
    budget: timedelta
    platform: str = ""
    secrets: tuple[str, ...] = ()
    journal: list[Exchange] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    content_type: str = "application/json"
    is_question: bool = False  # nobody waits for it

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: str = ""
    ) -> Answer:
        """Send one request and return the whole answer, whatever its status.

        Raises LmsUnavailable when there is none, and LmsPaced when none may be sent soon.
        """
        turn, request = self._approach(), Request(method, path, query, body)
        began = time.monotonic()
        try:
            answer = self._send(request, turn)
        except FAILURES as error:
            failure = unavailable(error)
            self._note(request, failure.explanation, began=began + turn.waited)
            raise failure from error
        except LmsUnavailable as error:
            self._note(
                request, error.explanation, status=error.lms_status, began=began + turn.waited
            )
            raise
        text = answer.body.decode(errors="replace")
        self._note(request, text, status=answer.status, began=began + turn.waited)
        return answer

    def _approach(self) -> pace.Turn:
        if not self.platform:
            return pace.Turn()
        began = time.monotonic()
        turn = pace.approach(self.platform, is_question=self.is_question)
        self.started += time.monotonic() - began
        return turn

    def _send(self, request: Request, turn: pace.Turn) -> Answer:
        try:
            with total_deadline(self._seconds_left(), turn.take), self._open(request) as response:
                content = response.raw.read(MAX_BODY + 1, decode_content=True)
        finally:
            self.started += turn.waited
        if len(content) > MAX_BODY:
            raise LmsIntercepted(
                "The answer is larger than 1 MiB.", kind="too_large", status=response.status_code
            )
        return Answer(response.status_code, response.headers, content)

    def _open(self, request: Request) -> requests.Response:
        return session().request(
            request.method,
            f"{self.base_url}{request.path}",
            params=request.query,
            data=request.body.encode() or None,
            headers=self._headers(request.body),
            timeout=(settings.LMS_CONNECT_TIMEOUT.total_seconds(), self.timeout.total_seconds()),
            allow_redirects=False,
            stream=True,
        )

    def _headers(self, body: str) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            # A site in another language translates its errors, and some are told by their words.
            "Accept-Language": "en",
            "User-Agent": "MaalEdu",
        }
        if request_id := tracing.current():
            headers[tracing.HEADER] = request_id
        if self.authorization:
            headers["Authorization"] = self.authorization
        return headers | ({"Content-Type": self.content_type} if body else {})

    def _seconds_left(self) -> float:
        left = self.budget.total_seconds() - (time.monotonic() - self.started)
        if left < LEAST_SECONDS:
            raise LmsUnavailable("No time was left for another call.", kind="unsent")
        return min(left, self.timeout.total_seconds())

    def _note(
        self, request: Request, answered: str, *, status: int | None = None, began: float
    ) -> None:
        seconds = time.monotonic() - began
        duration = timedelta(seconds=seconds)
        self._count(request, answered, status=status, duration=duration)
        answer = f"{status // 100}xx" if status else "none"
        metrics.LMS_CALLS.labels(self.platform or "check", answer).observe(seconds)
        self.journal.append(
            Exchange(
                redact(request.text, self.secrets),
                redact(answered, self.secrets),
                status,
                duration,
            )
        )

    def _count(
        self, request: Request, answered: str, *, status: int | None, duration: timedelta
    ) -> None:
        """Count the call; only what looks like JSON can be the LMS's own answer."""
        if not self.platform:
            return
        is_own = not answered.strip() or answered.lstrip()[0] in '{["'
        failed = status is None or status >= 500 or not is_own
        call_counts.note(
            self.platform,
            call_counts.step_of(request.method, request.path),
            milliseconds=duration // timedelta(milliseconds=1),
            failed=failed,
            refused=not failed and status is not None and status >= 400,
        )


def session() -> requests.Session:
    """Return this thread's session, which keeps connections but no cookies."""
    if not hasattr(_threads, "session"):
        _threads.session = _new_session()
    return _threads.session


def _new_session() -> requests.Session:
    fresh = requests.Session()
    fresh.trust_env = False
    fresh.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    fresh.mount("http://", CheckedAdapter())
    fresh.mount("https://", CheckedAdapter())
    return fresh


def unavailable(error: BaseException) -> LmsUnavailable:
    """Return the error that says why there is no answer.

    `kind` in its details is dns, tls, timeout, refused or broken.
    """
    causes = _causes(error)
    for kind, types, words in _KINDS:
        if any(isinstance(cause, types) for cause in causes):
            return LmsUnavailable(words, kind=kind)
    return LmsUnavailable("The connection broke before the answer was complete.", kind="broken")


_KINDS: tuple[tuple[str, tuple[type[BaseException], ...], str], ...] = (
    (
        "dns",
        (socket.gaierror, urllib3.exceptions.NameResolutionError),
        "The host name could not be resolved.",
    ),
    (
        "tls",
        (urllib3.exceptions.SSLError, requests.exceptions.SSLError),
        "The TLS certificate was not accepted.",
    ),
    ("refused", (ConnectionRefusedError,), "The connection was refused."),
    (
        "timeout",
        (TimeoutError, urllib3.exceptions.TimeoutError, requests.exceptions.Timeout),
        "There was no answer in time.",
    ),
)


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and all that it wraps, which urllib3 puts into arguments and reasons too."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        current = queue.pop()
        if isinstance(current, BaseException) and not any(current is known for known in found):
            found.append(current)
            queue += [
                *current.args,
                current.__cause__,
                current.__context__,
                getattr(current, "reason", None),
            ]
    return found
