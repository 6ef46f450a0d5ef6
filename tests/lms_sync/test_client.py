"""One call to the LMS: bounded in time and size, never redirected, never carrying cookies, and
noted without secrets.
"""

import gzip
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from lms_sync.errors import LmsIntercepted, LmsUnavailable, LmsUnreadable
from lms_sync.platforms import sockets
from lms_sync.platforms.client import Client, session
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.sockets import total_deadline
from tests.lms_sync.rawserver import drip, raw_server, response
from tests.processes import free_port
from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database

PONG = response(b'{"message":"pong"}')
MIB = 1024 * 1024


def client(url: str, *, seconds: float = 1, budget: float = 10) -> Client:
    return Client(
        url,
        "token k3y:s3cr3t",
        timeout=timedelta(seconds=seconds),
        budget=timedelta(seconds=budget),
        secrets=("k3y:s3cr3t", "k3y", "s3cr3t"),
    )


def ping(url: str, **options: float) -> str:
    return value(client(url, **options).call("GET", "/api/method/ping"), "message")


def failure(url: str, **options: float) -> LmsUnavailable:
    with pytest.raises(LmsUnavailable) as caught:
        ping(url, **options)
    return caught.value


def test_a_good_answer_is_returned_whole() -> None:
    with raw_server([PONG]) as server:
        assert ping(server.url) == "pong"


@pytest.mark.parametrize(
    "script",
    [
        drip(PONG, 0.2),
        [PONG[:-18], *drip(PONG[-18:], 0.2)],
        [response(b"x" * 100)[:-100], *drip(b"x" * 100, 0.3)],
        [5.0, PONG],
        [b"HTTP/1.1 200 OK\r\n", *drip(b"X-Header: 1\r\n" * 20, 0.1)],
    ],
    ids=["drip of everything", "drip of the body", "long drip", "silence", "drip of headers"],
)
def test_a_server_that_trickles_cannot_stretch_the_call_beyond_its_time(script: list) -> None:
    with raw_server(script) as server:
        started = time.monotonic()
        error = failure(server.url, seconds=0.8)
        assert error.details["kind"] == "timeout"
        assert time.monotonic() - started < 1.3


def test_a_request_waits_for_its_turn_with_the_connection_made_and_loses_no_time() -> None:
    sent: list[int] = []
    with raw_server([PONG]) as server:

        def wait() -> float:
            wait_until(lambda: len(server.accepted_at) == 1, 10)
            time.sleep(0.5)
            sent.append(len(server.requests))
            return 10

        with total_deadline(0.5, wait), session().get(server.url, timeout=1) as answer:
            assert (answer.status_code, sent) == (200, [0])


def test_all_calls_of_a_client_share_one_budget() -> None:
    with raw_server([0.3, PONG]) as server:
        spent = client(server.url, seconds=1, budget=0.5)
        spent.call("GET", "/api/method/ping")
        errors: list[LmsUnavailable] = []
        # The second is cut off; of a connection that ends sooner there may be another one.
        while not errors or (errors[-1].may_have_taken_effect and len(errors) < 10):
            with pytest.raises(LmsUnavailable) as failed:
                spent.call("GET", "/api/method/ping")
            errors.append(failed.value)
        assert errors[0].may_have_taken_effect
        assert not errors[-1].may_have_taken_effect


def test_a_body_over_one_mib_is_not_read_on() -> None:
    with raw_server([response(b'{"message":"' + b"x" * (MIB + 10) + b'"}')]) as server:
        error = failure(server.url, seconds=5)
    assert isinstance(error, LmsIntercepted)
    assert error.details["kind"] == "too_large"


def test_a_gzip_bomb_does_not_fill_the_memory() -> None:
    bomb = gzip.compress(bytes(200 * MIB))
    with raw_server([response(bomb, headers="Content-Encoding: gzip\r\n")]) as server:
        tracemalloc.start()
        error = failure(server.url, seconds=10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert error.details["kind"] == "too_large"
    assert peak < 12 * MIB


def test_an_honest_gzip_answer_is_understood() -> None:
    with raw_server(
        [response(gzip.compress(b'{"message":"pong"}'), headers="Content-Encoding: gzip\r\n")]
    ) as server:
        assert ping(server.url) == "pong"


@pytest.mark.parametrize(
    "status",
    [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ],
)
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere(status: str) -> None:
    with raw_server([PONG]) as elsewhere:
        headers = f"Location: {elsewhere.url}/api/method/ping\r\n"
        with (
            raw_server([response(b"", status=status, headers=headers)]) as server,
            pytest.raises(LmsIntercepted) as caught,
        ):
            ping(server.url)
    assert "redirect" in caught.value.reason
    assert elsewhere.requests == []


def test_cookies_are_neither_kept_nor_sent() -> None:
    with raw_server(
        [
            response(
                b'{"message":"pong"}',
                headers="Set-Cookie: sid=login; Path=/\r\nConnection: close\r\n",
            )
        ]
    ) as server:
        ping(server.url)
        ping(server.url)
    assert len(server.requests) == 2
    assert all(b"cookie" not in request.lower() for request in server.requests)


def test_errors_are_asked_for_in_english_whatever_the_language_of_the_site() -> None:
    """Frappe translates “Throttled” and “Failed to get method”, which only their words tell."""
    with raw_server([PONG]) as server:
        ping(server.url)
    assert b"accept-language: en\r\n" in server.requests[0].lower()


def test_the_key_of_a_netrc_file_does_not_replace_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with raw_server([PONG]) as server:
        ping(server.url)
    assert b"authorization: token k3y:s3cr3t" in server.requests[0].lower()


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([], "broken"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"], "broken"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], "broken"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], "broken"),
        ([response(b"not gzip", headers="Content-Encoding: gzip\r\n")], "broken"),
    ],
    ids=["no answer", "half a body", "not HTTP", "bad chunk", "bad gzip"],
)
def test_a_broken_answer_means_unavailable(script: list, kind: str) -> None:
    with raw_server(script) as server:
        assert failure(server.url).details["kind"] == kind


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Login</html>",
        b"[]",
        b"null",
        b"7",
        b'{"data": 1}',
        b"[" * 100_000,
        b'{"message":"x","exc":"[]"}',
        b"\xff\xfe",
    ],
)
def test_a_200_that_is_not_frappes_is_never_taken_for_success(body: bytes) -> None:
    with raw_server([response(body)]) as server:
        assert isinstance(failure(server.url), (LmsIntercepted, LmsUnreadable))


def test_a_closed_port_is_refused() -> None:
    assert failure(f"http://127.0.0.1:{free_port()}").details["kind"] == "refused"


def test_a_name_that_does_not_exist_is_said_so() -> None:
    assert failure("http://no-such-host.invalid", seconds=5).details["kind"] == "dns"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


def test_a_certificate_nobody_vouches_for_is_not_accepted(self_signed: Path) -> None:
    with raw_server([PONG], certificate=self_signed) as server:
        assert failure(server.url).details["kind"] == "tls"
    assert server.requests == []


@pytest.fixture
def trusted(self_signed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process reads once which certificates its machine trusts: here it does so anew."""
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed))
    sockets.trusted.cache_clear()
    yield
    sockets.trusted.cache_clear()


@pytest.mark.usefixtures("trusted")
def test_tls_answers_have_the_same_deadline(self_signed: Path) -> None:
    """With the certificate's issuer in the machine's own store the call goes through, and a drip is
    still cut.
    """
    with raw_server([PONG], certificate=self_signed) as server:
        assert _in_new_thread(server.url) == "pong"
    with raw_server(drip(PONG, 0.2), certificate=self_signed) as server:
        started = time.monotonic()
        assert _in_new_thread(server.url) == "timeout"
        assert time.monotonic() - started < 1.6


def _in_new_thread(url: str) -> str:
    """A session belongs to its thread, and keeps its connections."""

    def attempt() -> str:
        try:
            return ping(url, seconds=0.8)
        except LmsUnavailable as error:
            return str(error.details.get("kind"))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(attempt).result()


def test_the_journal_keeps_the_conversation_without_key_name_or_address() -> None:
    answer = b'{"data":{"name":"asha@example.com","first_name":"Asha","api_secret":"s3cr3t"}}'
    with raw_server([response(answer)]) as server:
        talking = client(server.url)
        talking.call(
            "POST",
            "/api/resource/User",
            body='{"email":"asha@example.com","first_name":"Asha","password":"hunter2"}',
        )
    noted = talking.journal[0]
    assert noted.status == 200
    for hidden in ("s3cr3t", "k3y", "Asha", "asha@", "hunter2"):
        assert hidden not in noted.request + noted.response
    assert "POST /api/resource/User" in noted.request
    assert "a***@example.com" in noted.request
