"""The Frappe contract, sections 1, 2, 5 and 8: methods, envelope, keys, lists, refusals."""

import base64
import http.client
import json

import pytest
import requests

from tests.sandbox.conftest import message
from tests.sandbox_client import LMS_KEY

pytestmark = pytest.mark.no_database

ENROLLMENTS = "/api/resource/LMS%20Enrollment"
CONFIRM = "/api/method/lms.lms.payment_confirmation.confirm_payment"


def kind(response):
    return response.json()["exc_type"]


def test_ping(lms):
    for auth in (None, f"token {LMS_KEY}"):
        answer = lms("GET", "/api/method/ping", auth=auth)
        assert (answer.status_code, answer.json()) == (200, {"message": "pong"})
    assert lms("GET", "/api/method/ping", auth="token wrong:key").status_code == 401


def test_logged_user_tells_a_good_key_from_a_lost_header(lms):
    good = lms("GET", "/api/method/frappe.auth.get_logged_user")
    assert (good.status_code, good.json()) == (200, {"message": "bot@example.com"})
    guest = lms("GET", "/api/method/frappe.auth.get_logged_user", auth=None)
    assert (guest.status_code, kind(guest)) == (403, "PermissionError")
    assert "is not whitelisted" in message(guest)
    assert (
        lms("GET", "/api/method/frappe.auth.get_logged_user", auth="token a:b").status_code == 401
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "lms.lms.payment_confirmation.confirm_payment",
            "No module named 'lms.lms.payment_confirmation'",
        ),
        ("shop.orders.create", "App shop is not installed"),
        ("nothing", "has no attribute 'nothing'"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_method_is_a_417(lms, name, problem, method):
    for auth in (None, f"token {LMS_KEY}"):
        answer = lms(method, f"/api/method/{name}", auth=auth)
        assert (answer.status_code, kind(answer)) == (417, "ValidationError")
        assert message(answer).startswith(f"Failed to get method for command {name} with ")
        assert message(answer).endswith(problem)


def test_unknown_method_with_a_bearer_is_a_401(lms):
    assert lms("POST", CONFIRM, auth="Bearer x").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/resource/No%20Such%20Type",
        "/api/resource/LMS%20Enrollment/nothing",
        "/api/resource/User/absent@x.test",
    ],
)
def test_unknown_document_or_doctype_is_a_404(lms, path):
    answer = lms("GET", path)
    assert (answer.status_code, kind(answer)) == (404, "DoesNotExistError")
    assert "exception" not in answer.json()
    assert "exc" not in answer.json()


def test_wrong_verb_on_a_post_only_method_is_a_403(lms):
    answer = lms("GET", "/api/method/frappe.client.insert_many")
    assert (answer.status_code, kind(answer), message(answer)) == (
        403,
        "PermissionError",
        "Not permitted",
    )


def test_verb_the_route_does_not_know_is_an_html_405(lms):
    answer = lms("PATCH", ENROLLMENTS)
    assert answer.status_code == 405
    assert answer.headers["Content-Type"].startswith("text/html")


def test_host_of_no_site_is_an_html_404(lms, sandbox):
    sandbox.lms(host="lms.example")
    answer = lms("GET", "/api/method/ping", headers={"Host": "nosuch.example"})
    assert (answer.status_code, answer.text) == (404, "<p>nosuch.example does not exist</p>")
    assert lms("GET", "/api/method/ping", headers={"Host": "lms.example"}).status_code == 200


def test_malformed_json_is_a_500(lms):
    body = lms("POST", ENROLLMENTS, data="{not json", headers={"Content-Type": "application/json"})
    assert (body.status_code, kind(body)) == (500, "JSONDecodeError")
    filters = lms("GET", ENROLLMENTS, params={"filters": "[[nope"})
    assert (filters.status_code, kind(filters)) == (500, "JSONDecodeError")


def test_error_envelope(lms):
    answer = lms.enroll(course="no-such-course")
    body = answer.json()
    assert answer.status_code == 417
    assert (
        body["exception"]
        == "frappe.exceptions.LinkValidationError: Could not find Course: no-such-course"
    )
    assert body["exc_type"] == "LinkValidationError"
    assert json.loads(body["exc"])[0].startswith("Traceback (most recent call last):\n")
    assert body["_exc_source"] == "lms (app)"
    entry = json.loads(json.loads(body["_server_messages"])[0])
    assert entry["message"] == "Could not find Course: no-such-course"
    assert (entry["title"], entry["indicator"], entry["raise_exception"]) == ("Message", "red", 1)


def test_envelope_without_tracebacks(lms, sandbox):
    sandbox.lms(tracebacks=False)
    body = lms.enroll(course="no-such-course").json()
    assert set(body) == {"exc_type", "_server_messages"}


def test_some_errors_carry_no_message(lms):
    assert "_server_messages" not in lms.enroll(auth="token a:b").json()


def test_every_answer_sets_the_guest_cookies(lms):
    assert "sid=Guest" in lms("GET", "/api/method/ping").headers["Set-Cookie"]


@pytest.mark.parametrize(
    "auth",
    [
        f"token {LMS_KEY}",
        f"TOKEN {LMS_KEY}",
        "Basic " + base64.b64encode(LMS_KEY.encode()).decode(),
    ],
)
def test_key_is_taken_as_token_or_basic(lms, auth):
    assert lms.enroll(auth=auth).status_code == 200


@pytest.mark.parametrize(
    "auth",
    [
        "token unknown:secret",
        "token sandbox-key:wrong",
        "token nocolon",
        "Bearer x",
        f"Bearer {LMS_KEY}",
        "Digest abc",
        "Basic ###",
    ],
)
def test_wrong_key_is_a_401(lms, auth):
    answer = lms.enroll(auth=auth)
    assert (answer.status_code, kind(answer)) == (401, "AuthenticationError")
    assert lms.rows() == []


@pytest.mark.parametrize("auth", [None, LMS_KEY, f"token  {LMS_KEY}", f"token {LMS_KEY} "])
def test_header_that_is_not_two_words_is_silently_guest(lms, sandbox, auth):
    # The client library trims its headers, so this one goes out by hand.
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.http_port)
    for course, status, exc_type in (
        ("free-course", 403, "PermissionError"),
        ("no-such", 417, "LinkValidationError"),
    ):
        headers = {
            "Content-Type": "application/json",
            **({} if auth is None else {"Authorization": auth}),
        }
        connection.request(
            "POST",
            "/lms" + ENROLLMENTS,
            json.dumps({"member": "lea@x.test", "course": course}),
            headers,
        )
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["exc_type"]) == (status, exc_type)
    connection.close()
    assert lms.rows() == []


def test_what_a_guest_may_see(lms):
    for path in (ENROLLMENTS, "/api/resource/LMS%20Course", "/api/resource/User"):
        assert lms("GET", path, auth=None).status_code == 403
    courses = lms("GET", "/api/method/lms.lms.utils.get_courses", auth=None)
    assert "hidden-course" not in [course["name"] for course in courses.json()["message"]]
    details = lms(
        "GET",
        "/api/method/lms.lms.utils.get_course_details",
        auth=None,
        params={"course": "free-course"},
    )
    assert details.json()["message"]["title"] == "Free Course"


def test_login_cookie_without_csrf_token_is_a_400_even_with_a_good_key(lms):
    answer = lms.enroll(headers={"Cookie": "sid=abc123; full_name=X"})
    assert (answer.status_code, kind(answer), message(answer)) == (
        400,
        "CSRFTokenError",
        "Invalid Request",
    )
    assert lms.enroll(headers={"Cookie": "sid=Guest"}).status_code == 200
    assert lms("GET", "/api/method/ping", headers={"Cookie": "sid=abc123"}).status_code == 200


def test_blocked_endpoints_lock_website_users_out(lms, sandbox):
    sandbox.lms(block_endpoints=True, role="Moderator")
    answer = lms.enroll()
    assert (answer.status_code, message(answer)) == (
        403,
        "Access not allowed for this URL: /api/resource/LMS Enrollment",
    )
    sandbox.lms(role="System Manager + Moderator")
    assert lms.enroll().status_code == 200


def test_lists_filter_choose_and_page(lms, sandbox):
    for number in range(25):
        sandbox.lms(enrollments=[{"member": f"m{number}@x.test", "course": "free-course"}])
    name = lms.enroll().json()["data"]["name"]
    asked = {
        "filters": '[["member","=","lea@x.test"],["course","=","free-course"]]',
        "fields": '["name","progress","current_lesson"]',
    }
    answer = lms("GET", ENROLLMENTS, params=asked)
    assert (answer.status_code, answer.json()) == (
        200,
        {"data": [{"name": name, "progress": 0.0, "current_lesson": None}]},
    )
    page = lms("GET", ENROLLMENTS).json()["data"]
    assert len(page) == 20
    assert page[0] == {"name": name}
    assert len(lms("GET", ENROLLMENTS, params={"limit_page_length": 0}).json()["data"]) == 26
    shown = lms(
        "GET",
        ENROLLMENTS,
        params={"limit_start": 20, "limit_page_length": 50, "order_by": "creation asc"},
    ).json()["data"]
    assert len(shown) == 6
    assert shown[-1] == {"name": name}
    count = lms("GET", "/api/method/frappe.client.get_count", params={"doctype": "LMS Enrollment"})
    assert count.json() == {"message": 26}
    nothing = lms("GET", ENROLLMENTS, params={"filters": '{"member": "nobody@x.test"}'})
    assert (nothing.status_code, nothing.json()) == (200, {"data": []})
    full = lms(
        "GET",
        ENROLLMENTS,
        params={"filters": f'[["LMS Enrollment","name","=","{name}"]]', "fields": '["*"]'},
    ).json()["data"][0]
    assert full["certificate"] is None
    assert full["course"] == "free-course"


@pytest.mark.parametrize(
    "params", [{"fields": '["name","secret"]'}, {"filters": '[["secret","=","1"]]'}]
)
def test_unknown_field_in_a_query_is_a_417(lms, params):
    answer = lms("GET", ENROLLMENTS, params=params)
    assert (answer.status_code, kind(answer), message(answer)) == (
        417,
        "DataError",
        "Field not permitted in query: secret",
    )


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ('[["title","like","%Course%"]]', {"free-course"}),
        ('[["published","=",0]]', {"hidden-course"}),
        ('[["name","in",["paid-course","guided-course"]]]', {"paid-course", "guided-course"}),
        ('[["course_price",">",10]]', {"paid-course"}),
        ('[["name","!=","free-course"],["published","=",1]]', {"paid-course", "guided-course"}),
        ('[["image","is","set"]]', set()),
    ],
)
def test_filter_operators(lms, filters, found):
    answer = lms("GET", "/api/resource/LMS%20Course", params={"filters": filters})
    assert {row["name"] for row in answer.json()["data"]} == found


def test_courses_are_found_by_name_only(lms, sandbox):
    assert (
        lms("GET", "/api/resource/LMS%20Course/free-course").json()["data"]["title"]
        == "Free Course"
    )
    assert lms("GET", "/api/resource/LMS%20Course/Free%20Course").status_code == 404
    sandbox.lms(
        courses=[
            {
                "name": "two",
                "title": "Two",
                "instructors": [{"instructor": "a@x.test"}, {"instructor": "b@x.test"}],
            }
        ]
    )
    asked = {
        "filters": '{"name":"two"}',
        "fields": '["name","instructors","instructors.instructor"]',
    }
    rows = lms("GET", "/api/resource/LMS%20Course", params=asked).json()["data"]
    assert rows == [
        {"name": "two", "instructor": "a@x.test"},
        {"name": "two", "instructor": "b@x.test"},
    ]


def test_a_course_is_made_with_its_required_fields(lms, sandbox):
    missing = lms("POST", "/api/resource/LMS%20Course", json={"title": "New Course"})
    assert (missing.status_code, kind(missing)) == (417, "MandatoryError")
    data = {
        "title": "New Course",
        "short_introduction": "s",
        "description": "d",
        "instructors": [{"instructor": "Administrator"}],
    }
    names = [
        lms("POST", "/api/resource/LMS%20Course", json=data).json()["data"]["name"]
        for _ in range(2)
    ]
    assert names == ["new-course", "new-course-2"]
    sandbox.lms(role="LMS Student")
    assert lms("POST", "/api/resource/LMS%20Course", json=data).status_code == 403


def test_any_course_exists_when_asked(lms, sandbox):
    assert lms.enroll(course="no-such-course").status_code == 417
    sandbox.lms(courses_any=True)
    assert lms.enroll(course="no-such-course").status_code == 200
    assert lms.enroll(course="Not A Slug").status_code == 417


def test_slow_server_is_slow(lms, sandbox):
    sandbox.lms(latency=0.3)
    assert lms("GET", "/api/method/ping").elapsed.total_seconds() >= 0.3


def test_calls_are_on_record(lms, sandbox):
    lms.enroll()
    call = sandbox.calls("lms", "POST /api/resource/LMS Enrollment")[-1]
    assert (call["status"], call["authorization"]) == (200, "yes")
    assert json.loads(call["body"]) == {"member": "lea@x.test", "course": "free-course"}
    assert "sandbox-secret" not in json.dumps(sandbox.calls("lms"))


def test_course_page_says_who_is_enrolled(lms, sandbox):
    lms.enroll()
    for path in ("/lms/courses/free-course", "/lms/lms/courses/free-course"):
        page = requests.get(sandbox.url + path, params={"email": "lea@x.test"}, timeout=5)
        assert page.status_code == 200
        assert "lea@x.test is enrolled" in page.text
    assert (
        "is not enrolled"
        in requests.get(f"{sandbox.lms_url}/courses/free-course?email=b@x.test", timeout=5).text
    )
    assert requests.get(f"{sandbox.lms_url}/courses/nothing", timeout=5).status_code == 404
