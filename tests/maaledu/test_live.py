"""Through real sockets and a real gunicorn: what the test client would hide."""

import http.client
import json
import re
import socket

import pytest

from tests.processes import free_port, python

pytestmark = [pytest.mark.any_engine, pytest.mark.slow]

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def port(start) -> int:
    port = free_port()
    command = python(
        "-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4"
    )
    start(command, LOG_JSON="true").wait_port(port)
    return port


def test_each_line_of_the_server_is_json_from_the_first_one(start) -> None:
    """Fault X4: its own first lines were not."""
    port = free_port()
    server = start(
        python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}"), LOG_JSON="true"
    ).wait_port(port)
    ask(port, "GET", "/nowhere%0d%0aforged")
    lines = [json.loads(line) for line in server.output().splitlines()]
    assert lines[0]["event"].startswith("Starting gunicorn")
    assert lines[-1]["path"] == "/nowhere\r\nforged"


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(
        method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    result = (
        answer.status,
        {name.lower(): value for name, value in answer.getheaders()},
        answer.read(),
    )
    connection.close()
    return result


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_a_stranger_can_send(port):
    """One server for many questions: each is a few milliseconds, a server is a second."""
    _signs_in_at_most_ten_times(port)
    _refuses_foreign_hosts(port)
    _refuses_odd_methods(port)
    _answers_head_without_a_body(port)
    _refuses_large_bodies(port)
    _refuses_smuggling(port)
    _shows_little_about_itself(port)


def _signs_in_at_most_ten_times(port: int) -> None:
    _status, headers, page = ask(port, "GET", "/accounts/login/")
    cookie = headers["set-cookie"].split(";")[0]
    token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)[1].decode()
    body = f"csrfmiddlewaretoken={token}&login=nobody@example.com&password=wrong-password".encode()
    statuses = []
    for number in range(12):
        forged = {
            "X_Forwarded_For": f"198.51.100.{number}",
            "X_Real_IP": f"198.51.100.{number}",
            "Forwarded": f"for=198.51.100.{number}",
        }
        status, headers, _page = ask(
            port, "POST", "/accounts/login/", body, Cookie=cookie, Content_Type=FORM, **forged
        )
        statuses.append(status)
    assert statuses == [200] * 10 + [429] * 2
    assert 0 < int(headers["retry-after"]) <= 900
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("10", "0")


def _refuses_foreign_hosts(port: int) -> None:
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80",
        "127.0.0.1@evil.example",
    ):
        status, headers, page = ask(port, "GET", "/", Host=host)
        assert (status, b"evil.example" in page) == (400, False)
        assert headers["content-security-policy"]
    assert ask(port, "GET", "/", X_Forwarded_Host="evil.example")[0] == 200


def _refuses_odd_methods(port: int) -> None:
    for method in ("TRACE", "TRACK", "PROPFIND"):
        status, _headers, page = ask(port, method, "/", Cookie="a=reflected")
        assert (status, b"reflected" in page) == (405, False)


def _answers_head_without_a_body(port: int) -> None:
    for _ in range(2):
        status, headers, body = ask(port, "HEAD", "/")
        assert (status, body, headers["cache-control"]) == (200, b"", "public, max-age=60")


def _refuses_large_bodies(port: int) -> None:
    large = b"x" * (10 * 1024 * 1024)
    request = (
        b"POST /webhooks/stripe/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\nConnection:"
        b" close\r\n\r\n" % len(large)
    )
    assert raw(port, request).startswith(b"HTTP/1.1 413")
    status, headers, _page = ask(
        port, "POST", "/api/webhook", b"x" * 300_000, Content_Type="application/json"
    )
    assert (status, headers["content-type"]) == (413, "application/json")


def _refuses_smuggling(port: int) -> None:
    start = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    both = raw(
        port,
        start + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin/"
        b" HTTP/1.1\r\n\r\n",
    )
    odd = raw(port, start + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")
    assert both.startswith(b"HTTP/1.1 400")
    assert odd.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))


def _shows_little_about_itself(port: int) -> None:
    _status, headers, page = ask(port, "GET", "/nowhere")
    assert not re.search(r"\d", headers["server"])
    assert b"Traceback" not in page
    assert b"Django" not in page


def test_the_log_of_a_live_server_holds_no_secret(start, process_env):
    port = free_port()
    command = python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}")
    server = start(command, LOG_JSON="true").wait_port(port)
    ask(
        port,
        "GET",
        "/enrollments/abcdefghijklmnopqrst/?session_id=cs_test_hunter22&password=hunter22",
        Authorization="Bearer hunter22hunter22",
    )
    ask(
        port,
        "GET",
        "/amina.haddad@example.com/" + "sk_" + "live_hunter22hunter22",
        Cookie="sessionid=hunter22",
    )
    ask(
        port,
        "POST",
        "/webhooks/stripe/",
        b'{"api_key": "hunter22"}',
        Stripe_Signature="t=1,v1=hunter22",
    )
    ask(
        port,
        "POST",
        "/accounts/login/",
        b"login=amina.haddad@example.com&password=hunter22",
        Content_Type=FORM,
    )
    ask(port, "GET", "/?q=%00hunter22", Host="amina.haddad")
    ask(port, "GET", "/health/live")
    server.wait_line("/health/live")
    log = server.output()
    assert log.count('"event": "request"') == 6
    assert "hunter22" not in log
    assert "amina.haddad@" not in log
    assert "abcdefghijklmnop" not in log
    assert "127.0.0.1" not in "".join(
        line for line in log.splitlines() if '"event": "request"' in line
    )


def test_a_database_that_is_lost_makes_a_page_to_come_back_to(start, tmp_path):
    port = free_port()
    command = python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}")
    start(command, DATABASE_URL=f"sqlite:///{tmp_path}").wait_port(port)
    status, headers, page = ask(port, "GET", "/")
    assert (status, headers["retry-after"]) == (503, "30")
    assert b"SERVICE_UNAVAILABLE" in page
    assert ask(port, "GET", "/health/live")[0] == 200
