"""What a live server answers to what nobody should send: refusals in our shape, and nothing changed
by any of it.
"""

import gzip
import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import make_password

from accounts.models import User
from enrollments.models import Enrollment
from tests.sandbox_client import Sandbox
from tests.system import raw
from tests.system.raw import request
from tests.system.shop import SLUG, Shop, timed

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite", "postgres")]
MEBIBYTE = 1024 * 1024
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
WEBHOOK, CHECKOUT = "/api/webhook", f"/checkout/{SLUG}/"
DEEP = "[" * 30_000 + "]" * 30_000
EVENT = '{"id": "evt_1", "object": "event", "type": "x", "livemode": false, "data": {"object": {}}}'


NOT_REQUESTS = {
    "a method to trace": (request("TRACE", "/"), {405}),
    "an invented method": (request("BREW", "/"), {400, 405, 501}),
    "a webhook that is read": (request("GET", WEBHOOK), {405}),
    "a webhook's head": (request("HEAD", WEBHOOK), {405}),
    "a webhook that is put": (request("PUT", WEBHOOK, body=b"{}"), {405}),
    "a checkout by the API that is read": (request("GET", "/api/checkout"), {405}),
    "a status page that is posted": (request("POST", "/enrollments/some-token/"), {403, 405}),
    "an unknown page": (request("GET", "/no/such/page"), {404}),
    "a stranger's host": (request("GET", "/", host="evil.example"), {400}),
    "two hosts": (request("GET", "/", "Host: evil.example"), {400}),
    "a host from a header": (request("GET", "/", "X-Forwarded-Host: evil.example"), {200}),
    "a method from a header": (request("GET", "/", "X-HTTP-Method-Override: DELETE"), {200}),
    "length and chunks at once": (
        request(
            "POST", WEBHOOK, "Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
        ),
        {400},
    ),
    "an invented encoding": (
        request("POST", WEBHOOK, "Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        {400, 501},
    ),
    "two lengths": (
        request("POST", WEBHOOK, "Content-Length: 4", "Content-Length: 5", body=b"{}{}"),
        {400},
    ),
    "a negative length": (request("POST", WEBHOOK, "Content-Length: -1", body=b"{}"), {400}),
    "a length in letters": (request("POST", WEBHOOK, "Content-Length: ten", body=b"{}"), {400}),
    "a length with a sign": (request("POST", WEBHOOK, "Content-Length: +2", body=b"{}"), {400}),
    "a header of 64 KiB": (request("GET", "/", f"X-Long: {'a' * 65536}"), {400, 431}),
    "a thousand headers": (request("GET", "/", *[f"X-{n}: a" for n in range(1000)]), {400, 431}),
    "a path of 64 KiB": (request("GET", f"/{'a' * 65536}"), {400, 414}),
    "a header with a space before the colon": (request("GET", "/", "X-Smuggled : a"), {400}),
    "a line that is folded": (request("GET", "/", "X-Folded: a\r\n b"), {400}),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400, 0}),
}


# What the database is asked for, and does not have.
NOTHING_OF_OURS = {
    "an unknown course": (request("GET", "/checkout/no-such-course/"), {404}),
    "a course's way out of its folder": (request("GET", "/checkout/..%2fadmin/"), {404}),
    "a course with a quote": (request("GET", "/checkout/'%20OR%201=1--/"), {404}),
    "a course of 300 characters": (request("GET", f"/checkout/{'a' * 300}/"), {404}),
    "somebody else's status page": (
        request("GET", "/enrollments/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/"),
        {404},
    ),
    "NUL in the path": (request("GET", "/checkout/a%00b/"), {400, 404}),
    "NUL in the query": (request("GET", "/?q=%00"), {400}),
}


@pytest.mark.engines("sqlite")
def test_what_is_not_a_request_of_ours_is_refused(port: int) -> None:
    assert_refused(port, NOT_REQUESTS)


def test_what_names_nothing_of_ours_is_not_found(port: int) -> None:
    assert_refused(port, NOTHING_OF_OURS)


def assert_refused(port: int, cases: dict[str, tuple[bytes, set[int]]]) -> None:
    for name, (sent, expected) in cases.items():
        answer = raw.send(port, sent)
        assert len(answer.statuses) <= 1, f"{name}: one request had several answers"
        assert answer.status in expected, (name, answer.data[:500])
        assert b"Traceback" not in answer.data, name
        assert b"evil.example" not in answer.data, name


PATHS_ELSEWHERE = [
    "//evil.example",
    "//evil.example/",
    "/%2f%2fevil.example/",
    "/\\evil.example",
    "/courses//evil.example",
]


@pytest.mark.engines("sqlite")
def test_no_path_leads_to_another_host(port: int) -> None:
    for path in PATHS_ELSEWHERE:
        answer = raw.send(port, request("GET", path))
        assert answer.status in {301, 302, 400, 404}, path
        assert urlsplit(answer.header("Location")).netloc == "", path
        assert not answer.header("Location").startswith(("//", "/\\")), path


# --- bodies ---------------------------------------------------------------------------------------


def forged(body: bytes) -> str:
    return f"Stripe-Signature: t={int(time.time())},v1={'0' * 64}"


@pytest.mark.engines("sqlite")
def test_a_body_of_ten_mebibytes_is_refused_and_not_kept_in_memory(shop: Shop, port: int) -> None:
    token = requests.get(shop.url + CHECKOUT, timeout=20).cookies["csrftoken"]
    ours = (f"Cookie: csrftoken={token}", f"X-CSRFToken: {token}")
    before = resident_bytes(shop)
    body = b"x" * (10 * MEBIBYTE)
    for path, headers, status in [
        (WEBHOOK, (JSON,), 413),
        ("/webhooks/stripe/", (JSON,), 413),
        ("/api/checkout", (JSON, *ours), 413),
        (CHECKOUT, (FORM, *ours), 413),
        ("/api/checkout", (JSON,), 403),  # without our token nothing is read at all
        (CHECKOUT, (JSON,), 403),
    ]:
        for _ in range(3):
            answer = raw.send(port, request("POST", path, forged(body), *headers, body=body))
            assert answer.status == status, (path, answer.data[:300])
    announced = raw.send(
        port, request("POST", WEBHOOK, JSON, forged(b""), "Content-Length: 10485760")
    )
    assert announced.status == 413
    assert resident_bytes(shop) - before < 8 * MEBIBYTE


def resident_bytes(shop: Shop) -> int:
    """Return the memory of the web server with all its processes."""
    pids = [shop.web.pid, *shop.web.children()]
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in pids)


@pytest.mark.engines("sqlite")
def test_chunks_without_end_are_refused_and_not_kept_in_memory(shop: Shop, port: int) -> None:
    before = resident_bytes(shop)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = raw.send(
        port,
        request(
            "POST", WEBHOOK, JSON, "Transfer-Encoding: chunked", body=chunk * 160 + b"0\r\n\r\n"
        ),
    )
    assert answer.status in {400, 411, 413, 0}
    assert resident_bytes(shop) - before < 8 * MEBIBYTE


BODIES = {
    "shorter than announced": request(
        "POST", WEBHOOK, JSON, "Content-Length: 500", body=EVENT.encode()
    ),
    "longer than announced": request(
        "POST", WEBHOOK, JSON, "Content-Length: 5", body=EVENT.encode()
    ),
    "in chunks": request(
        "POST",
        WEBHOOK,
        JSON,
        "Transfer-Encoding: chunked",
        body=b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n',
    ),
    "compressed": request(
        "POST", WEBHOOK, JSON, "Content-Encoding: gzip", body=gzip.compress(b"x" * MEBIBYTE)
    ),
    "a broken chunk": request(
        "POST", WEBHOOK, JSON, "Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n"
    ),
}


@pytest.mark.engines("sqlite")
def test_a_body_that_is_not_what_it_says_is_refused(port: int) -> None:
    statuses = {"in chunks": 411, "a broken chunk": 411}
    for name, data in BODIES.items():
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = raw.Answer(connection.recv(65536))
        assert answer.status in {statuses.get(name, 400), 0}, (name, answer.data[:300])


@pytest.mark.engines("sqlite")  # one process of eight threads: all of them are taken here
def test_senders_that_fall_silent_give_their_threads_back(shop: Shop, port: int) -> None:
    beginnings = [
        request("POST", WEBHOOK, JSON, forged(b""), "Content-Length: 1000", body=b"{"),
        b"POST /api/webhook HTTP/1.1\r\nHo",
    ]
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(8)
        ]
        for number, connection in enumerate(silent):
            connection.sendall(beginnings[number % 2])
        time.sleep(0.5)
        assert timed(lambda: requests.get(f"{shop.url}/health/live", timeout=20)) < 15


# --- the checkout ---------------------------------------------------------------------------------


@pytest.fixture
def browser(shop: Shop, port: int) -> requests.Session:
    """A browser that has opened the form, so that it has a CSRF token."""
    with requests.Session() as browser:
        assert browser.get(shop.url + CHECKOUT, timeout=20).status_code == 200
        browser.headers["X-CSRFToken"] = browser.cookies["csrftoken"]
        yield browser


UNREADABLE = {
    "a list": "[]",
    "null": "null",
    "a number": "1",
    "a text": '"a"',
    "nothing": "",
    "half": '{"email": ',
    "not UTF-8": b"\xff\xfe",
    "nested deep": DEEP,
    "NUL": '{"email": "a\\u0000@example.com"}',
    "a lone surrogate": '{"email": "\\ud800"}',
    "no number": '{"email": NaN}',
}
REFUSED_FORMS = {
    "no terms": {"email": "a@example.com", "courseId": SLUG},
    "a list for an e-mail": {"email": ["a@example.com"], "courseId": SLUG, "acceptTerms": True},
    "an object for an e-mail": {"email": {"$ne": ""}, "courseId": SLUG, "acceptTerms": True},
    "no e-mail": {"email": "ada", "courseId": SLUG, "acceptTerms": True},
    "a header in the e-mail": {
        "email": "a@example.com\r\nBcc: b@example.com",
        "courseId": SLUG,
        "acceptTerms": True,
    },
    "an e-mail of 400 characters": {
        "email": f"{'a' * 390}@x.example",
        "courseId": SLUG,
        "acceptTerms": True,
    },
    "a script for an e-mail": {
        "email": "<script>alert(1)</script>@x.example",
        "courseId": SLUG,
        "acceptTerms": True,
    },
    "a name of control characters": {
        "email": "a@example.com",
        "name": "a\u0007b",
        "courseId": SLUG,
        "acceptTerms": True,
    },
}
UNKNOWN_COURSES = {
    "a course that is a number": {"email": "a@example.com", "courseId": 1, "acceptTerms": True},
    "a course that is an object": {
        "email": "a@example.com",
        "courseId": {"$ne": ""},
        "acceptTerms": True,
    },
    "an unknown course": {
        "email": "a@example.com",
        "courseId": "no-such-course",
        "acceptTerms": True,
    },
}
REFUSED_BODIES = {
    **{name: (body, 400, "BAD_REQUEST") for name, body in UNREADABLE.items()},
    **{name: (body, 400, "INVALID_CHECKOUT") for name, body in REFUSED_FORMS.items()},
    **{name: (body, 404, "COURSE_NOT_FOUND") for name, body in UNKNOWN_COURSES.items()},
}


def test_an_order_that_makes_no_sense_is_refused(shop: Shop, browser: requests.Session) -> None:
    answers = {}
    for name, (body, _, _) in REFUSED_BODIES.items():
        data = json.dumps(body) if isinstance(body, dict) else body
        answer = browser.post(
            f"{shop.url}/api/checkout",
            data=data,
            headers={"Content-Type": "application/json"},
            timeout=20,
        )
        answers[name] = (answer.status_code, answer.json()["code"])
        assert set(answer.json()) == {"error", "code", "retryable", "details", "timestamp"}, name
    assert answers == {name: (status, code) for name, (_, status, code) in REFUSED_BODIES.items()}


@pytest.mark.engines("sqlite")
def test_a_form_from_elsewhere_is_refused(shop: Shop, browser: requests.Session) -> None:
    form = {"email": "ada@example.com", "accept_terms": "on"}
    bare = requests.post(shop.url + CHECKOUT, data=form, timeout=20)
    foreign = browser.post(
        shop.url + CHECKOUT, data=form, headers={"Origin": "https://evil.example"}, timeout=20
    )
    nobody = browser.post(shop.url + CHECKOUT, data=form, headers={"Origin": "null"}, timeout=20)
    assert [answer.status_code for answer in (bare, foreign, nobody)] == [403, 403, 403]


@pytest.mark.engines("postgres")  # where two processes count together
def test_the_eleventh_attempt_is_refused_whatever_address_it_claims_to_come_from(
    shop: Shop, sandbox: Sandbox
) -> None:
    shop.restart_web(RATE_LIMIT_CHECKOUT="10/15m")
    with requests.Session() as browser:
        browser.get(shop.url + CHECKOUT, timeout=20)
        browser.headers["X-CSRFToken"] = browser.cookies["csrftoken"]
        answers = []
        for number in range(12):
            made_up = {
                "X-Forwarded-For": f"203.0.113.{number}",
                "X-Real-IP": f"203.0.113.{number}",
                "Forwarded": f"for=203.0.113.{number}",
            }
            form = {"email": f"learner{number}@example.com", "accept_terms": ""}
            answers.append(
                browser.post(shop.url + CHECKOUT, data=form, headers=made_up, timeout=20)
            )
    assert [answer.status_code for answer in answers] == [400] * 10 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 900
    assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
    assert Enrollment.objects.count() == 0


# --- signing in -----------------------------------------------------------------------------------

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "/ok\r\nX-Evil: 1",
]


@pytest.mark.engines("sqlite")
def test_signing_in_leads_nowhere_else(shop: Shop, settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    user = User.objects.create(
        email="ada@example.com", password=make_password("a-good-password-42")
    )
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    for elsewhere in ELSEWHERE:
        with requests.Session() as browser:
            browser.get(f"{shop.url}/accounts/login/", params={"next": elsewhere}, timeout=20)
            form = {
                "login": user.email,
                "password": "a-good-password-42",
                "next": elsewhere,
                "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            }
            answer = browser.post(
                f"{shop.url}/accounts/login/", data=form, allow_redirects=False, timeout=20
            )
        assert answer.status_code == 302, elsewhere
        place = urlsplit(answer.headers["Location"])
        assert (place.scheme, place.netloc, place.path) == ("", "", "/account/"), answer.headers[
            "Location"
        ]
        assert "X-Evil" not in answer.headers


@pytest.mark.engines("sqlite")
def test_every_answer_says_how_browsers_are_to_treat_it(port: int) -> None:
    answer = raw.send(port, request("GET", CHECKOUT))
    policy = answer.header("Content-Security-Policy")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (answer.header("X-Frame-Options"), answer.header("X-Content-Type-Options")) == (
        "DENY",
        "nosniff",
    )
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("X-Request-ID")
    assert "gunicorn/" not in answer.header("Server")
    assert settings.SITE_NAME.encode() in answer.data
