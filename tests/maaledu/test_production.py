"""A real server with production's settings, behind a proxy: what only those switch on."""

import http.client
from http.cookies import SimpleCookie

import pytest

from tests.maaledu.test_checks import GOOD, run
from tests.processes import free_port, python

pytestmark = [pytest.mark.any_engine, pytest.mark.slow]

HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
HOST = {"Host": "learn.example.com"}


@pytest.fixture
def ask(start, tmp_path):
    environment = {
        **GOOD,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'shop.sqlite3'}",
        "REDIS_URL": "",
        "STATIC_ROOT": str(tmp_path / "static"),
        "STRIPE_API_BASE": "",
    }
    for command in (["collectstatic", "--noinput"], ["migrate", "--verbosity", "0"]):
        prepared = start(python("manage.py", *command), **environment)
        assert prepared.wait_end(120) == 0, prepared.output()
    port = free_port()
    start(
        python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}"), **environment
    ).wait_port(port)

    def ask_one(path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers={**HOST, **headers})
        answer = connection.getresponse()
        result = (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read().decode(),
        )
        connection.close()
        return result

    return ask_one


@pytest.mark.slow
def test_production_serves_over_https_only_with_its_cookies_and_headers_closed(ask):
    status, headers, _page = ask("/accounts/login/")
    assert (status, headers["location"]) == (301, "https://learn.example.com/accounts/login/")
    assert "set-cookie" not in headers

    status, headers, page = ask("/accounts/login/", **HTTPS)
    assert status == 200
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "127.0.0.1" not in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "Sandbox" not in page
    [cookie] = SimpleCookie(headers["set-cookie"]).values()
    assert (cookie.key, cookie["secure"], cookie["httponly"]) == ("__Host-csrftoken", True, True)
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")

    status, headers, page = ask("/", **HTTPS)
    assert (status, headers["cache-control"]) == (200, "public, max-age=60")
    stylesheet = page.split('rel="stylesheet" href="')[1].split('"')[0]
    status, headers, _css = ask(stylesheet, **HTTPS)
    assert (status, headers["cache-control"]) == (200, "max-age=315360000, public, immutable")

    assert ask("/health/live")[0] == 200
    assert ask("/health/ready")[0] == 200
    assert ask("/", **{**HTTPS, "Host": "127.0.0.1"})[0] == 400
    assert "DEBUG" not in ask("/nowhere", **HTTPS)[2]


def test_the_session_cookie_of_production_is_bound_to_host_and_https():
    names = (
        "SESSION_COOKIE_NAME",
        "SESSION_COOKIE_SECURE",
        "SESSION_COOKIE_HTTPONLY",
        "SESSION_COOKIE_SAMESITE",
    )
    shown = run(
        python(
            "-c",
            "from django.conf import settings; print(*[getattr(settings, name) for name in"
            f" {names}])",
        )
    )
    assert shown.stdout.split() == ["__Host-sessionid", "True", "True", "Lax"]
