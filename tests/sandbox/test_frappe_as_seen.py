"""The Frappe contract, section 13, and the versions of section 4: what running servers showed."""

import pytest

from tests.sandbox.conftest import message

pytestmark = pytest.mark.no_database

USERS, COURSES = "/api/resource/User", "/api/resource/LMS%20Course"
ENROLLMENTS = "/api/resource/LMS%20Enrollment"
OWN = f"{USERS}/bot@example.com"
FORGOT = "/api/method/frappe.core.doctype.user.user.reset_password"


def may(lms, doctype, right, name=""):
    asked = {"doctype": doctype, "docname": name, "perm_type": right}
    answer = lms("GET", "/api/method/frappe.client.has_permission", params=asked)
    return answer.json()["message"]["has_permission"] if answer.ok else answer.status_code


@pytest.mark.parametrize(
    ("roles", "shown"),
    [
        ("System Manager,Moderator", ["LMS Student", "Moderator", "System Manager"]),
        ("Moderator", None),
        ("LMS Student", None),
    ],
)
def test_roles_are_shown_to_system_managers_only(lms, sandbox, roles, shown):
    sandbox.lms(role=roles)
    document = lms("GET", OWN).json()["data"]
    assert document["name"] == "bot@example.com"
    assert [row["role"] for row in document.get("roles", [])] == (shown or [])


def test_a_student_reads_its_own_user_and_nobody_elses(lms, sandbox):
    sandbox.lms(role="LMS Student")
    for path in (f"{USERS}/lea@x.test", f"{USERS}/absent@x.test", USERS, f"{COURSES}/free-course"):
        answer = lms("GET", path)
        assert (answer.status_code, answer.json()["exc_type"]) == (403, "PermissionError")
        assert "_exc_source" not in answer.json()
    assert lms("GET", OWN).status_code == 200
    assert lms("GET", ENROLLMENTS, params={"limit_page_length": 1}).json() == {"data": []}


@pytest.mark.parametrize(
    ("server", "roles", "expected"),
    [
        ("A", "System Manager,Moderator", [True, True, True]),
        ("A", "System Manager", [True, True, True]),
        ("A", "Moderator", [True, True, True]),
        ("B", "Moderator", [False, True, True]),
        ("A", "Course Creator", [False, True, True]),
        ("A", "LMS Student", [False, True, False]),
    ],
)
def test_what_a_key_may_do_is_told(lms, sandbox, server, roles, expected):
    sandbox.lms(server=server, role=roles)
    asked = [("User", "create"), ("LMS Enrollment", "create"), ("LMS Enrollment", "delete")]
    assert [may(lms, doctype, right) for doctype, right in asked] == expected


def test_a_right_on_one_document(lms, sandbox):
    assert [may(lms, "User", "create", name) for name in ("lea@x.test", "Administrator")] == [
        True,
        False,
    ]
    assert may(lms, "User", "create", "absent@x.test") == 404
    sandbox.lms(role="LMS Student")
    assert [may(lms, "User", "read", name) for name in ("bot@example.com", "lea@x.test")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("server", "version"), [("A", "2.61.0"), ("B", "2.40.0"), ("C", "2.61.0"), ("D", "2.50.0")]
)
def test_the_version_is_shown_to_users(lms, sandbox, server, version):
    sandbox.lms(server=server)
    path = "/api/method/frappe.utils.change_log.get_versions"
    assert lms("GET", path).json()["message"]["lms"]["version"] == version
    assert lms("GET", path, auth=None).status_code == 403


def test_before_2_54_nobody_enrolls_into_a_paid_course_without_a_payment(lms, sandbox):
    sandbox.lms(server="D")
    answer = lms.enroll(course="paid-course")
    assert (answer.status_code, "complete the payment" in message(answer)) == (417, True)
    assert lms.enroll(course="hidden-course").status_code == 200


def test_a_username_that_is_taken_is_replaced_by_another(lms):
    wish = {"email": "new@x.test", "first_name": "New", "username": "learner10"}
    answer = lms("POST", USERS, json=wish)
    assert (answer.status_code, answer.json()["data"]["username"]) == (200, "learner10-1")


@pytest.mark.parametrize(
    ("fields", "exc_type"),
    [
        ({"email": "ada@bücher.example"}, "InvalidEmailAddressError"),
        ({"first_name": "x" * 141}, "CharacterLengthExceededError"),
        ({"last_name": "x" * 141}, "CharacterLengthExceededError"),
        ({"first_name": "x" * 100, "last_name": "y" * 100}, "CharacterLengthExceededError"),
        ({"username": "x" * 141}, "CharacterLengthExceededError"),
    ],
)
def test_what_a_user_may_not_be_called(lms, fields, exc_type):
    answer = lms("POST", USERS, json={"email": "new@x.test", "first_name": "New", **fields})
    assert (answer.status_code, answer.json()["exc_type"]) == (417, exc_type)
    ascii_form = {"email": "ada@xn--bcher-kva.example", "first_name": "Ada"}
    assert lms("POST", USERS, json=ascii_form).status_code in (200, 409)


def test_a_course_is_known_in_any_case_and_stored_by_its_true_name(lms, sandbox):
    sandbox.lms(courses=[{"name": "Free-Course-12b", "title": "Free course 12b"}])
    assert lms("GET", f"{COURSES}/free-course-12b").json()["data"]["name"] == "Free-Course-12b"
    row = lms.enroll(course="free-course-12b").json()["data"]
    assert row["course"] == "Free-Course-12b"
    filters = '[["member","=","lea@x.test"],["course","=","FREE-course-12B"]]'
    found = lms("GET", ENROLLMENTS, params={"filters": filters}).json()["data"]
    assert found == [{"name": row["name"]}]


def test_forgotten_passwords_three_an_hour_for_an_address(lms, sandbox):
    sandbox.lms(users=[{"email": "off@x.test", "first_name": "Off", "enabled": 0}])
    said = [
        lms("POST", FORGOT, auth=None, json={"user": user}).json()["message"]
        for user in ("off@x.test", "absent@x.test", "lea@x.test")
    ]
    assert said == ["disabled", "not found", None]
    assert [mail["subject"] for mail in sandbox.mails("lea@x.test")] == ["Password Reset"]
    assert lms("POST", FORGOT, auth=None, json={"user": "lea@x.test"}).status_code == 429
    elsewhere = {"X-Forwarded-For": "192.0.2.7"}
    sandbox.lms(outgoing_mail=False)
    answer = lms("POST", FORGOT, auth=None, json={"user": "lea@x.test"}, headers=elsewhere)
    assert answer.status_code == 500


def test_a_user_is_enabled_by_the_key(lms, sandbox):
    sandbox.lms(users=[{"email": "off@x.test", "first_name": "Off", "enabled": 0}])
    assert lms("GET", f"{USERS}/off@x.test").json()["data"]["enabled"] == 0
    assert lms("PUT", f"{USERS}/off@x.test", json={"enabled": 1}).status_code == 200
    assert lms("GET", f"{USERS}/off@x.test").json()["data"]["enabled"] == 1


def test_head_of_a_ping_is_refused(lms):
    assert lms("HEAD", "/api/method/ping").status_code == 403


def test_an_enrollment_is_known_by_its_name_in_any_case(lms):
    name = lms.enroll().json()["data"]["name"]
    other = f"{ENROLLMENTS}/{name.upper()}"
    assert lms("GET", other).json()["data"]["name"] == name
    assert lms("PUT", other, json={"progress": 5}).json()["data"]["progress"] == 5
    assert lms("DELETE", other).status_code == 202
    assert lms("GET", f"{ENROLLMENTS}/{name}").status_code == 404


def test_a_title_without_latin_letters_gives_a_course_a_name_of_ten_characters(lms):
    facts = dict.fromkeys(("title", "short_introduction", "description"), "डेटा")
    body = {**facts, "instructors": [{"instructor": "bot@example.com"}]}
    name = lms("POST", COURSES, json=body).json()["data"]["name"]
    assert (len(name), name.isalnum()) == (10, True)
    assert lms("GET", f"{COURSES}/{name}").json()["data"]["title"] == "डेटा"


def test_who_joins_a_batch_is_enrolled_in_its_courses_and_joins_it_once(lms, sandbox):
    sandbox.lms(users=[{"email": "lea@x.test", "first_name": "Lea"}])
    sandbox.lms(batches=[{"name": "spring", "courses": ["free-course"], "members": []}])
    wish = {"batch": "spring", "member": "lea@x.test"}
    path = "/api/resource/LMS%20Batch%20Enrollment"
    assert lms("POST", path, json=wish).json()["data"]["batch"] == "spring"
    [row] = sandbox.enrollments("lea@x.test")
    assert (row["course"], row["enrollment_from_batch"]) == ("free-course", "spring")
    again = lms("POST", path, json=wish)
    assert (again.status_code, message(again)) == (417, "Member already enrolled in this batch")
    unknown = lms("POST", path, json={**wish, "batch": "autumn"})
    assert unknown.json()["exc_type"] == "LinkValidationError"
