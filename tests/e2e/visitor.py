"""One person with a browser of their own: a fresh profile, an address of their own, and an ear for
every complaint.
"""

import itertools
from collections.abc import MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
NARROWEST = {"width": 320, "height": 640}
PATIENCE_MS = 10_000
PROGRESS_MS = 20_000  # the worker asks within five seconds, and the page as often
SESSION_COOKIE = "sessionid"
ABORTED = "net::ERR_ABORTED"  # a poll that the browser gave up because the page was left
_numbers = itertools.count(1)


class Visitor:
    """A browser context and its first page, with everything that was wrong and that no assertion
    looked at.
    """

    def __init__(
        self,
        browser: Browser,
        *,
        base_url: str,
        origins: Sequence[str],
        sessions: MutableMapping[Any, Any] | None = None,
        **options,
    ) -> None:
        number = next(_numbers)
        defaults = {
            "viewport": DESKTOP,
            "locale": "en-US",
            "reduced_motion": "reduce",
            "color_scheme": "light",
        }
        address = {"X-Forwarded-For": f"10.20.{number // 250}.{number % 250 + 1}"}
        self.context: BrowserContext = browser.new_context(
            base_url=base_url, extra_http_headers=address, **{**defaults, **options}
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.origins = set(origins)
        # What others who signed in before left here, by person: see enter_office.
        self.sessions = {} if sessions is None else sessions
        self.expected_statuses: set[int] = set()
        self.tolerated: list[str] = []
        self.complaints: list[str] = []
        self._listen()
        self.page: Page = self.context.new_page()

    def expect_statuses(self, *statuses: int) -> None:
        """Say that pages with these statuses are what this visitor came for."""
        self.expected_statuses.update(statuses)

    @property
    def session(self) -> Any:
        """The cookie by which the shop knows who signed in here; None where nobody did."""
        return next(
            (cookie for cookie in self.context.cookies() if cookie["name"] == SESSION_COOKIE), None
        )

    @session.setter
    def session(self, cookie: Any) -> None:
        self.context.clear_cookies(name=SESSION_COOKIE)
        self.context.add_cookies([cookie] if cookie else [])

    def leave(self) -> list[str]:
        """Close the browser; return script errors, breaches of the security policy, unexpected
        answers, other hosts.
        """
        self.context.close()
        return self.complaints

    def _listen(self) -> None:
        self.context.on("console", self._hear)
        self.context.on(
            "weberror", lambda error: self.complaints.append(f"script error: {error.error}")
        )
        self.context.on("request", self._see_request)
        self.context.on("requestfailed", self._see_failure)
        self.context.on("response", self._see_response)

    def _hear(self, message: ConsoleMessage) -> None:
        told_by_response = message.text.startswith(
            "Failed to load resource: the server responded with"
        )
        tolerated = message.text.startswith(tuple(self.tolerated))
        if message.type in {"error", "warning"} and not told_by_response and not tolerated:
            self.complaints.append(f"console {message.type}: {message.text}")

    def _see_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if (
            parts.scheme in {"http", "https", "ws", "wss"}
            and f"{parts.scheme}://{parts.netloc}" not in self.origins
        ):
            self.complaints.append(f"a request to somewhere else: {request.url}")

    def _see_failure(self, request: Request) -> None:
        if request.failure != ABORTED:
            self.complaints.append(f"{request.method} {request.url} failed: {request.failure}")

    def _see_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected_statuses:
            self.complaints.append(
                f"{response.request.method} {response.url} answered {response.status}"
            )
