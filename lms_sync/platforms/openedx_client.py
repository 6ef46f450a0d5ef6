"""Calls to Open edX with a token from the OAuth application's id and secret.

One token serves all threads of a process until shortly before it expires: the address that gives
tokens allows 120 requests a minute for all workers of a machine. A token that is refused all the
same is dropped and asked for anew, once. Source: contracts/openedx, section 2.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus, urlencode

from lms_sync.errors import FOREIGN, LmsMisconfigured, LmsUnavailable, LmsUnreadable
from lms_sync.platforms.client import Answer, Client
from lms_sync.platforms.openedx_answers import document, shape_of

ACCESS = "/oauth2/access_token"
FORM = "application/x-www-form-urlencoded"
REFRESH_BEFORE_SECONDS = 60
NO_JWT = "Open edX gives no JWT, which is what its enrollment views need."


@dataclass(frozen=True)
class Application:
    """The OAuth application of one Open edX."""

    base_url: str
    client_id: str
    secret: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.secret, quote_plus(self.secret), self.client_id)


@dataclass(frozen=True)
class Token:
    text: str
    good_until: float  # by the monotonic clock


_tokens: dict[Application, Token] = {}
_asking = threading.Lock()


@dataclass
class EdxClient:
    client: Client
    application: Application

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """Send one request with a token and return the answer; `body` is sent as JSON.

        Raises LmsError where no token can be had.
        """
        text = "" if body is None else json.dumps(body)
        token = self._token()
        answer = self._send(token).call(method, path, query=query, body=text)
        if answer.status == 401 and shape_of(answer) != FOREIGN:
            forget(self.application, token)
            answer = self._send(self._token()).call(method, path, query=query, body=text)
        return answer

    def _send(self, token: str) -> Client:
        self.client.authorization = f"JWT {token}"
        self.client.secrets = (*self.application.secrets, token)
        return self.client

    def _token(self) -> str:
        known = _good(self.application)
        if known:
            return known
        # One thread asks and the others get what it was given.
        if not _asking.acquire(timeout=self.client.timeout.total_seconds()):
            raise LmsUnavailable("There was no token in time.", kind="timeout")
        try:
            return _good(self.application) or self._ask()
        finally:
            _asking.release()

    def _ask(self) -> str:
        began = time.monotonic()
        form = {
            "grant_type": "client_credentials",
            "client_id": self.application.client_id,
            "client_secret": self.application.secret,
            "token_type": "jwt",
        }
        asking = replace(
            self.client, authorization="", content_type=FORM, secrets=self.application.secrets
        )
        text, seconds = _read(asking.call("POST", ACCESS, body=urlencode(form)))
        usable = seconds - min(REFRESH_BEFORE_SECONDS, seconds / 2)
        _tokens[self.application] = Token(text, began + usable)
        return text


def forget(application: Application, token: str) -> None:
    """Drop a token that was refused, unless another thread has a newer one already."""
    known = _tokens.get(application)
    if known and known.text == token:
        _tokens.pop(application, None)


def _good(application: Application) -> str:
    known = _tokens.get(application)
    return known.text if known and time.monotonic() < known.good_until else ""


def _read(answer: Answer) -> tuple[str, float]:
    """Return the token and for how many seconds it is good. Raises LmsError."""
    payload = document(answer, "access_token")
    token, seconds = payload.get("access_token"), payload.get("expires_in")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise LmsUnreadable("The answer holds no token.", status=answer.status)
    if str(payload.get("token_type")).lower() != "jwt":
        raise LmsMisconfigured(NO_JWT, status=answer.status)
    return token, float(seconds) if isinstance(seconds, int | float) else 0.0
