import io
import json
import logging

import pytest
from django.conf import settings as django_settings
from django.test import Client

from maaledu.logs import ACCESS, AccessFormatter, Redactor
from maaledu.version import VERSION

pytestmark = pytest.mark.any_engine

UNSAFE = ("'unsafe-inline'", "'unsafe-hashes'", " *", "data: script", "http:")


def test_a_well_formed_request_id_is_kept(probe):
    given = "4bf92f35-77b3-4da6_a3ce929d"
    assert probe.get("/nowhere", headers={"x-request-id": given})["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given",
    ["", "short", "a" * 65, "has space", "new\nline", "<script>", "é" * 10, "-starts-with-a-dash"],
)
def test_any_other_request_id_is_replaced(probe, given):
    answer = probe.get("/nowhere", headers={"x-request-id": given})
    assert answer["X-Request-ID"] != given
    assert len(answer["X-Request-ID"]) == 32


def test_every_request_has_an_id_of_its_own(probe):
    assert probe.get("/probe/public")["X-Request-ID"] != probe.get("/probe/public")["X-Request-ID"]


@pytest.fixture
def access_lines():
    """The access log as it is written in production, line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(AccessFormatter(redact=Redactor(), as_json=True))
    logger = logging.getLogger(ACCESS)
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_the_access_line_has_the_facts_and_no_query_token_or_whole_address(probe, db, access_lines):
    answer = probe.get(
        "/enrollments/abcdefghijklmnopqrstuvwxyz/?session_id=cs_test_1&email=a@b.example"
    )
    [line] = access_lines()
    assert line["path"] == "/enrollments/abcd…/"
    assert (line["method"], line["status"], line["address"]) == (
        "GET",
        answer.status_code,
        "127.0.0.0/24",
    )
    assert (line["request_id"], line["version"]) == (answer["X-Request-ID"], VERSION)
    assert 0 <= line["duration_ms"] < 10_000
    assert "cs_test_1" not in json.dumps(line)


def test_a_kept_page_has_its_access_line_too(probe, access_lines):
    probe.get("/probe/public")
    probe.get("/probe/public")
    assert [line["status"] for line in access_lines()] == [200, 200]


@pytest.mark.parametrize(
    "path",
    ["/probe/public", "/nowhere", "/probe/broken", "/accounts/login/", "/api/nowhere", "/?x=%00"],
)
def test_every_answer_carries_the_security_headers(probe, db, path):
    answer = probe.get(path)
    expected = {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert not answer.has_header("Access-Control-Allow-Origin")


@pytest.mark.parametrize("path", ["/probe/public", "/nowhere", "/accounts/login/", "/admin/login/"])
def test_the_content_policy_allows_nothing_inline_and_no_framing(probe, db, path):
    policy = probe.get(path)["Content-Security-Policy"]
    if path.startswith("/admin/"):  # style attributes alone, of which its own templates have many
        assert "style-src-attr 'unsafe-inline'" in policy
        policy = policy.replace("style-src-attr 'unsafe-inline'", "")
    assert not [
        source
        for source in UNSAFE
        if source in policy.replace("http://127.0.0.1:*", "").replace("http://localhost:*", "")
    ]
    for directive in (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert directive in policy


def test_only_the_office_may_compute_expressions(probe, db):
    assert "unsafe-eval" not in probe.get("/accounts/login/")["Content-Security-Policy"]
    assert "'unsafe-eval'" in probe.get("/admin/")["Content-Security-Policy"]


def test_the_office_needs_no_inline_style(db, django_user_model):
    staff = Client()
    staff.force_login(
        django_user_model.objects.create_superuser("staff@example.com", "long enough 1")
    )
    page = staff.get("/admin/").content.decode()
    assert "css/office.css" in page
    assert "<style" not in page


@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("/favicon.ico", "image/", b"\0\0\1\0"),
        ("/apple-touch-icon.png", "image/png", b"\x89PNG\r\n"),
    ],
)
def test_icons_lie_where_browsers_look_for_them(probe, path, kind, start):
    answer = probe.get(path)
    assert (answer.status_code, answer["Content-Type"].startswith(kind)) == (200, True)
    assert b"".join(answer.streaming_content).startswith(start)


@pytest.mark.parametrize("path", ["/", "/probe/public", "/accounts/login/", "/api/checkout"])
@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND"])
def test_methods_nobody_needs_are_refused(probe, db, method, path):
    assert probe.generic(method, path).status_code == 405


def test_options_answers_with_no_permission_for_other_origins(probe, db):
    answer = probe.options(
        "/api/checkout",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )
    assert not answer.has_header("Access-Control-Allow-Origin")


def test_a_method_override_has_no_effect(probe):
    answer = probe.get("/probe/post-only", headers={"x-http-method-override": "POST"})
    assert answer.status_code == 405


@pytest.mark.parametrize(
    "path", ["/?q=a%00b", "/courses/a%00b/", "/enrollments/%00/", "/nowhere%00"]
)
def test_nul_in_an_address_is_a_bad_request(probe, db, path):
    assert probe.get(path).status_code == 400


@pytest.mark.parametrize(
    "query", ["q=%ED%A0%80", "q=%FF%FE", "q=%", "cursor=%F0%9F%98%80", "level=%E0%A4%A"]
)
def test_bytes_that_are_no_text_do_not_break_a_page(probe, db, query):
    assert probe.get(f"/?{query}").status_code in (200, 400)


@pytest.mark.parametrize(
    "cookie", ['"\\000aaaaaaaaa"', "a" * 5000, "é" * 32, "' OR 1=1 --", "{$ne:1}aaaa"]
)
def test_a_session_cookie_that_cannot_be_one_of_ours_is_no_session(probe, db, cookie):
    answer = probe.get(
        "/account/", headers={"cookie": f"{django_settings.SESSION_COOKIE_NAME}={cookie}"}
    )
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
