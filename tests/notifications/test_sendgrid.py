"""What SendGrid's API answers, over real HTTP, and what becomes of the message."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from maaledu.work.queue import drain
from notifications import outgoing
from notifications.models import Email
from notifications.queue import EMAILS

# anymail keeps SendGrid's backend without being able to try it on a real account any more; this is
# the trial of ours.
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning"),
    pytest.mark.any_engine,
]
HANGS_UP = 0


class Api(http.server.ThreadingHTTPServer):
    """Answers every POST with `status`, or reads it and hangs up; keeps what it was sent."""

    status = 202

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v3/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        self.server.received.append(
            json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        )
        if self.server.status == HANGS_UP:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def api(settings: Settings) -> Iterator[Api]:
    server = Api()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.EMAIL_DELIVERY_BACKEND = "anymail.backends.sendgrid.EmailBackend"
    settings.ANYMAIL = {"SENDGRID_API_KEY": "SG.test", "SENDGRID_API_URL": server.url}
    yield server
    server.shutdown()
    server.server_close()


def sent() -> Email:
    outgoing.stage(
        kind=outgoing.STAFF_ALERT,
        to="ada@example.com",
        dedupe_key="one",
        context={"subject": "Something", "lines": ["a line"]},
    )
    drain(EMAILS, limit=1)
    return Email.objects.get(dedupe_key="one")


def test_an_accepted_message_is_done(api: Api) -> None:
    assert sent().status == "done"
    assert [
        to["email"]
        for message in api.received
        for part in message["personalizations"]
        for to in part["to"]
    ] == ["ada@example.com"]


@pytest.mark.parametrize(
    ("status", "code", "attempts", "state"),
    [
        (400, "MAIL_REFUSED", 1, "dead"),
        (401, "MAIL_NOT_ALLOWED", 0, "pending"),
        (403, "MAIL_NOT_ALLOWED", 0, "pending"),
        (404, "MAIL_NOT_ALLOWED", 0, "pending"),
        (429, "MAIL_UNAVAILABLE", 0, "pending"),
        (503, "MAIL_UNAVAILABLE", 0, "pending"),
        (HANGS_UP, "MAIL_UNCERTAIN", 1, "pending"),
    ],
)
def test_every_other_answer_has_its_consequence(
    api: Api, status: int, code: str, attempts: int, state: str
) -> None:
    api.status = status
    email = sent()
    assert (email.last_error.split(":")[0], email.attempts, email.status) == (code, attempts, state)


def test_an_api_that_nobody_answers_at_uses_up_no_attempt(api: Api, settings: Settings) -> None:
    api.shutdown()
    api.server_close()
    email = sent()
    assert (email.last_error.split(":")[0], email.attempts, email.status) == (
        "MAIL_UNAVAILABLE",
        0,
        "pending",
    )
