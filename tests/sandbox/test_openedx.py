"""Open edX as it really answers, with its oddities: contracts/openedx, part 2, point by point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.no_database

KEY, PAID = "course-v1:Maal+Open1+2026", "course-v1:Maal+Paid+2026"
SHUT, FULL, UNKNOWN = (f"course-v1:Maal+{name}+2026" for name in ("Shut", "Full", "Nothing"))
ENROLL, ALLOWED = "/api/enrollment/v1/enrollment", "/api/enrollment/v1/enrollment_allowed/"
LIST, ACCOUNTS = "/api/enrollment/v1/enrollments", "/api/user/v1/accounts"
FORM = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-edx-secret",
    "token_type": "jwt",
}
REGISTRATION = {
    "email": "new@x.test",
    "name": "New Learner",
    "username": "newbie",
    "password": "sandbox",
    "honor_code": "true",
    "terms_of_service": "true",
}


class Edx:
    """Open edX as a client meets it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = requests.Session()
        self.auth = "JWT " + self.token()["access_token"]

    def token(self, **changes: Any) -> dict[str, Any]:
        return dict(self("POST", "/oauth2/access_token", auth="", data={**FORM, **changes}).json())

    def __call__(
        self, method: str, path: str, *, auth: str | None = None, **options: Any
    ) -> requests.Response:
        self.http.cookies.clear()
        value = self.auth if auth is None else auth
        headers = {**({"Authorization": value} if value else {}), **options.pop("headers", {})}
        url = self.sandbox.edx_url + path
        return self.http.request(
            method, url, headers=headers, timeout=30, allow_redirects=False, **options
        )

    def enroll(self, user: str = "bob", key: str = KEY, **more: Any) -> requests.Response:
        body = {"user": user, "course_details": {"course_id": key}, **more}
        return self("POST", ENROLL, json={name: value for name, value in body.items() if value})

    def leave(self, mode: str = "") -> requests.Response:
        body = {"user": "bob", "is_active": False, "course_details": {"course_id": KEY}}
        return self("POST", ENROLL, json={**body, **({"mode": mode} if mode else {})})

    def rows(self) -> list[tuple[str, str, bool]]:
        rows = self.sandbox.edx()["enrollments"]
        return [(row["email"], row["mode"], row["is_active"]) for row in rows]


@pytest.fixture
def edx(sandbox: Sandbox) -> Iterator[Edx]:
    sandbox.edx(
        courses=[
            {"id": KEY},
            {"id": PAID, "modes": ["verified"]},
            {"id": SHUT, "enrollment_end": "2020-01-01T00:00:00Z"},
            {"id": FULL, "seats": 0},
        ],
        accounts=[
            {"email": "bob@x.test", "username": "bob"},
            {"email": "gone@x.test", "username": "gone", "retired": True},
        ],
    )
    client = Edx(sandbox)
    yield client
    client.http.close()


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_id": "x"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "all"}, 400, "invalid_scope"),
    ],
)
def test_a_token_is_refused(edx: Edx, changes: dict, status: int, error: str) -> None:
    answer = edx("POST", "/oauth2/access_token", auth="", data={**FORM, **changes})
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_tokens_are_of_two_kinds_and_not_to_be_mixed_up(edx: Edx) -> None:
    opaque = edx.token(token_type="")
    assert (opaque["token_type"], opaque["expires_in"]) == ("Bearer", 36000)
    me = "/api/user/v1/me"
    assert edx("GET", me, auth=f"Bearer {opaque['access_token']}").status_code == 200
    assert edx("GET", me, auth=edx.auth.replace("JWT", "jwt")).status_code == 200
    mixed = edx("GET", me, auth=edx.auth.replace("JWT", "Bearer"))
    assert (mixed.status_code, mixed.json()["error_code"]) == (401, "token_nonexistent")
    assert edx("GET", ALLOWED, auth=f"Bearer {opaque['access_token']}").status_code == 401
    edx.sandbox.advance(3602)
    late = edx("GET", me)
    assert (late.status_code, late.json()) == (401, {"detail": "Invalid token."})
    assert late.headers["WWW-Authenticate"] == 'JWT realm="api"'
    assert edx("POST", "/oauth2/access_token", auth="", json=FORM).status_code == 400


def test_requests_for_tokens_are_limited_by_a_page(edx: Edx) -> None:
    edx.sandbox.edx(token_limit=2)
    answers = [edx("POST", "/oauth2/access_token", auth="", data=FORM) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "Retry-After" not in answers[1].headers
    assert "html" in answers[1].headers["Content-Type"]


BODY = {"course_details": {"course_id": KEY}}
# What is asked, and what is answered: status and a part of the body, "" for none at all.
ANSWERS = [
    ("GET", f"{ACCOUNTS}?email=nobody@x.test", {}, 404, ""),
    ("GET", f"{ACCOUNTS}?email=BÖB@x.test", {}, 200, '"username":"bob"'),
    ("GET", f"{ACCOUNTS}?email=gone@x.test", {}, 404, "retired account"),
    ("GET", f"{ENROLL}/bob,{KEY}", {}, 200, ""),
    ("GET", f"{ENROLL}/nobody,{KEY}", {}, 200, ""),
    ("GET", f"{ENROLL}/bob,{UNKNOWN}", {}, 200, ""),
    ("GET", f"{ENROLL}/bob,nonsense", {}, 404, "<h1>"),
    ("GET", f"{ENROLL}/", {}, 404, "<h1>"),
    ("GET", f"{LIST}?course_id={KEY}", {}, 400, "field_errors"),
    ("GET", f"{LIST}?email=nobody@x.test", {}, 200, '"results":[]'),
    ("POST", ALLOWED.rstrip("/"), {}, 301, ""),
    ("PUT", ENROLL, {}, 405, "detail"),
    ("POST", ENROLL, {"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "parse"),
    ("POST", ENROLL, {"data": "x", "headers": {"Content-Type": "text/plain"}}, 415, "detail"),
    ("POST", ENROLL, {"json": []}, 500, "<h1>"),
    ("POST", ENROLL, {"json": {"user": "bob", "course_details": KEY}}, 500, "<h1>"),
    ("POST", ENROLL, {"json": {"user": "bob"}}, 400, "Course ID must be specified"),
    ("POST", ENROLL, {"json": {"user": "bob@x.test", **BODY}}, 406, "does not exist"),
    ("POST", ENROLL, {"json": {"email": "no@x.test", **BODY}}, 406, "with the email address"),
    ("POST", ENROLL, {"json": {"user": "bob", "is_active": "yes", **BODY}}, 400, "activation"),
    ("POST", ENROLL, {"json": BODY}, 200, '"user":"shop_worker"'),
    ("POST", ENROLL, {"json": {"email": "böb@x.test ", **BODY}}, 200, '"user":"bob"'),
    ("GET", ENROLL, {"headers": {"Accept": "text/html"}}, 406, "Accept header"),
    ("GET", ENROLL, {"headers": {"Cookie": "sessionid=odd"}}, 500, "<h1>"),
    ("POST", "/api/bulk_enroll/v1/bulk_enroll", {"json": {}}, 404, "<h1>"),
    ("GET", f"/api/courses/v1/courses/{UNKNOWN}", {}, 404, "Course not found."),
    ("GET", f"/api/course_home/progress/{KEY}/bob", {}, 404, "Not found."),
    ("GET", f"/api/grades/v1/courses/{KEY}/?username=bob", {}, 404, "user_not_enrolled"),
    ("DELETE", ALLOWED, {"json": {"email": "no@x.test", "course_id": KEY}}, 404, "message"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "part"), ANSWERS)
def test_answers(edx: Edx, method: str, path: str, options: dict, status: int, part: str) -> None:
    answer = edx(method, path, **options)
    assert (answer.status_code, part in answer.text) == (status, True)
    assert answer.headers["Set-Cookie"].startswith("sessionid=")
    if not part and status != 301:
        assert (answer.text, "Content-Type" in answer.headers) == ("", False)


@pytest.mark.parametrize(
    ("key", "wish", "status", "part"),
    [
        (KEY, {}, 200, '"mode":"audit"'),
        (KEY, {"mode": "verified"}, 200, '"mode":"verified"'),
        (KEY, {"mode": "honor"}, 400, "The [honor] course mode is expired"),
        (PAID, {}, 400, "The [None] course mode is expired"),
        (UNKNOWN, {}, 400, "No course '"),
        (SHUT, {}, 400, "An error occurred while creating"),
        (SHUT, {"force_enrollment": True}, 200, '"is_active":true'),
        (FULL, {"force_enrollment": True}, 400, "An error occurred while creating"),
    ],
)
def test_enrolling(edx: Edx, key: str, wish: dict, status: int, part: str) -> None:
    answer = edx.enroll(key=key, **wish)
    assert (answer.status_code, part in answer.text) == (status, True)


def test_the_mode_is_lowered_lost_and_reset(edx: Edx) -> None:
    edx.enroll(mode="verified")
    assert edx.enroll().json()["mode"] == "verified"
    assert edx.enroll(mode="audit").json()["mode"] == "audit"
    edx.enroll(mode="verified")
    assert "mismatch" in edx.leave("audit").json()["message"]
    assert edx.leave("verified").json()["mode"] == "verified"
    assert edx.leave().json()["mode"] == "audit"  # a second time
    edx.enroll(mode="verified")
    edx.leave("verified")
    assert edx.enroll(is_active=True).json()["mode"] == "audit"


def test_leaving_makes_a_row_for_a_stranger(edx: Edx) -> None:
    assert edx.leave().status_code == 200
    assert edx.rows() == [("bob@x.test", "audit", False)]
    listed = edx("GET", f"{LIST}?email=bob@x.test").json()["results"]
    assert [row["is_active"] for row in listed] == [False]


def test_who_had_a_seat_walks_back_into_a_course_that_is_full_and_closed(edx: Edx) -> None:
    row = {"email": "bob@x.test", "course_id": FULL, "mode": "verified", "is_active": False}
    edx.sandbox.edx(enrollments=[row])
    assert edx.enroll(key=FULL, mode="verified").json()["is_active"] is True


@pytest.mark.parametrize(
    "afterthought",
    [{"cohort": "none"}, {"enrollment_attributes": [{"namespace": "order", "name": "id"}]}],
)
def test_a_refused_afterthought_leaves_the_learner_enrolled(edx: Edx, afterthought: dict) -> None:
    assert edx.enroll(**afterthought).status_code == 400
    assert edx.rows() == [("bob@x.test", "audit", True)]


def test_a_user_who_is_not_staff_learns_little(edx: Edx) -> None:
    edx.sandbox.edx(staff=False)
    assert (edx.enroll().status_code, edx.enroll().text) == (404, "")
    assert edx("GET", f"{ENROLL}/bob,{KEY}").status_code == 404
    assert edx("GET", f"{ENROLL}?user=bob").json() == []
    for path in (LIST, ALLOWED, f"{ACCOUNTS}?email=bob@x.test"):
        answer = edx("GET", path)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])


def test_entries_are_not_checked_and_used_when_the_account_is_activated(edx: Edx) -> None:
    wish = {"email": "new@x.test", "course_id": PAID, "auto_enroll": True}
    answers = [edx("POST", ALLOWED, json=wish) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    made = edx("POST", "/api/user/v2/account/registration/", auth="", data=REGISTRATION)
    assert made.json()["success"] is True
    assert edx.rows() == []
    link = edx.sandbox.mails("new@x.test")[0]["text"].split()[-1]
    assert requests.get(link, timeout=10).status_code == 200
    assert edx.rows() == [("new@x.test", "audit", True)]
    assert isinstance(edx.sandbox.edx()["allowed"][0]["user"], int)
    again = edx("POST", "/api/user/v2/account/registration/", auth="", data=REGISTRATION)
    assert (again.status_code, again.json()["error_code"]) == (409, "duplicate-email")


def test_an_entry_for_an_unknown_course_breaks_the_activation(edx: Edx) -> None:
    wish = {"email": "new@x.test", "course_id": UNKNOWN, "auto_enroll": True}
    assert edx("POST", ALLOWED, json=wish).status_code == 201
    edx("POST", "/api/user/v2/account/registration/", auth="", data=REGISTRATION)
    link = edx.sandbox.mails("new@x.test")[0]["text"].split()[-1]
    assert requests.get(link, timeout=10).status_code == 500
    account = edx.sandbox.edx()["accounts"][-1]
    assert (account["email"], account["is_active"]) == ("new@x.test", False)


def test_an_entry_that_does_not_enroll_opens_a_closed_door(edx: Edx) -> None:
    entry = {"email": "bob@x.test", "course_id": SHUT, "auto_enroll": False}
    assert edx("POST", ALLOWED, json=entry).status_code == 201
    assert edx.enroll(key=SHUT).status_code == 200


def test_one_bucket_for_all_views_of_enrollment(edx: Edx) -> None:
    edx.sandbox.edx(api_limit=2)
    assert [edx("GET", f"{ENROLL}?user=bob").status_code for _ in range(3)] == [200, 200, 429]
    told = edx("GET", ALLOWED)
    assert (told.status_code, 0 < int(told.headers["Retry-After"]) <= 60) == (429, True)
    listed = edx("GET", LIST)
    assert "Retry-After" not in listed.headers
    assert "Expected available in" in listed.json()["developer_message"]
    assert edx("GET", f"{ACCOUNTS}?email=bob@x.test").status_code == 200


def test_the_list_comes_in_pages(edx: Edx) -> None:
    edx.enroll()
    edx.enroll(key=SHUT, force_enrollment=True)
    first = edx("GET", f"{LIST}?email=bob@x.test&page_size=1").json()
    rest = edx("GET", first["next"].removeprefix(edx.sandbox.edx_url)).json()
    keys = [row["course_id"] for page in (first, rest) for row in page["results"]]
    assert (sorted(keys), rest["next"]) == (sorted([KEY, SHUT]), None)


def test_bulk_enroll_where_it_is_switched_on_knows_no_mode(edx: Edx) -> None:
    edx.sandbox.edx(bulk=True)
    body = {
        "action": "enroll",
        "auto_enroll": True,
        "courses": PAID,
        "identifiers": "bob@x.test,new@x.test,nobody",
    }
    answer = edx("POST", "/api/bulk_enroll/v1/bulk_enroll", json=body).json()
    results = answer["courses"][PAID]["results"]
    assert [result.get("invalidIdentifier", False) for result in results] == [False, False, True]
    assert edx.rows() == [("bob@x.test", "audit", True)]
    assert edx.sandbox.edx()["allowed"][0]["email"] == "new@x.test"


def test_progress_grade_and_certificate(edx: Edx) -> None:
    edx.enroll()
    facts = {"email": "bob@x.test", "course_id": KEY, "done": 3, "certificate": "https://c.test/1"}
    edx.sandbox.edx(progress={**facts, "passed": True})
    summary = edx("GET", f"/api/course_home/progress/{KEY}/1").json()["completion_summary"]
    assert summary == {"complete_count": 3, "incomplete_count": 7, "locked_count": 0}
    grade = edx("GET", f"/api/grades/v1/courses/{KEY}/?username=bob").json()
    assert [(row["passed"], row["email"]) for row in grade] == [(True, "")]
    shown = edx("GET", f"/api/certificates/v0/certificates/bob/courses/{KEY}/").json()
    assert shown["download_url"] == "https://c.test/1"
    edx.sandbox.edx(progress_tab=False)
    assert edx("GET", f"/api/course_home/progress/{KEY}/1").status_code == 404


@pytest.mark.parametrize(
    ("mode", "path", "status", "part"),
    [
        ("401", ENROLL, 401, "Invalid token."),
        ("403", ENROLL, 403, "permission"),
        ("404", ENROLL, 404, ""),
        ("429", ENROLL, 429, "Expected available in 60 seconds"),
        ("500", ENROLL, 500, "<h1>"),
        ("502", ENROLL, 502, "nginx"),
        ("redirect", ENROLL, 302, ""),
        ("html_200", ENROLL, 200, "Login"),
        ("503", "/heartbeat", 503, "modulestore"),
    ],
)
def test_its_own_failures(edx: Edx, mode: str, path: str, status: int, part: str) -> None:
    edx.sandbox.fault("openedx", mode)
    answer = edx("GET", path)
    assert (answer.status_code, part in answer.text) == (status, True)


def test_the_control_page_breaks_it_and_the_home_page_leads_to_it(edx: Edx) -> None:
    form = {"action": "fault", "target": "openedx", "mode": "503"}
    requests.post(f"{edx.sandbox.url}/control/switch", data=form, timeout=10)
    assert edx("GET", ENROLL).status_code == 503
    assert "/edx/" in requests.get(edx.sandbox.url, timeout=10).text
    page = requests.get(f"{edx.sandbox.url}/control/", timeout=10).text
    assert "2 accounts, 4 courses, 0 enrollments, 0 pending" in page
    form = {"action": "openedx", "progress_tab": "on"}
    requests.post(f"{edx.sandbox.url}/control/switch", data=form, timeout=10)
    settings = edx.sandbox.edx()["settings"]
    assert (settings["staff"], settings["progress_tab"]) == (False, True)
