"""The Frappe contract, sections 2 to 7: users, enrollments, batches, progress, roles."""

import threading
import time

import pytest

from tests.sandbox.conftest import message

pytestmark = pytest.mark.no_database

ENROLLMENTS = "/api/resource/LMS%20Enrollment"
USERS = "/api/resource/User"
MANY = "/api/method/frappe.client.insert_many"


def kind(response):
    return (response.status_code, response.json()["exc_type"])


def make_user(lms, email="new@x.test", **fields):
    return lms(
        "POST", USERS, json={"email": email, "first_name": "New", "send_welcome_email": 0, **fields}
    )


def test_a_user_is_made(lms, sandbox):
    answer = make_user(lms, " New.User@X.test ", first_name="Zoë")
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert (data["name"], data["email"], data["user_type"], data["enabled"]) == (
        "new.user@x.test",
        "new.user@x.test",
        "Website User",
        1,
    )
    assert (data["username"], data["full_name"], data["roles"]) == (
        "zoë",
        "Zoë",
        [{"role": "LMS Student"}],
    )
    assert lms("GET", f"{USERS}/NEW.user@x.test").json()["data"]["name"] == "new.user@x.test"
    assert sandbox.mails() == []


@pytest.mark.parametrize("email", ["lea@x.test", "LEA@X.TEST", " lea@x.test"])
def test_known_user_is_a_409_in_any_case(lms, email):
    answer = make_user(lms, email)
    assert kind(answer) == (409, "DuplicateEntryError")
    assert message(answer) == "User <strong>lea@x.test</strong> already exists"


@pytest.mark.parametrize(
    ("fields", "expected", "text"),
    [
        (
            {"email": "notanemail"},
            (417, "InvalidEmailAddressError"),
            "notanemail is not a valid Email Address",
        ),
        ({"email": "a" * 140 + "@x.test"}, (417, "CharacterLengthExceededError"), None),
        ({"email": None}, (500, "AttributeError"), None),
        ({"email": ""}, (500, "AttributeError"), None),
    ],
)
def test_wrong_users_are_refused(lms, sandbox, fields, expected, text):
    answer = make_user(lms, **fields)
    assert kind(answer) == expected
    assert text is None or message(answer) == text
    assert [user["name"] for user in sandbox.book("users")] == ["lea@x.test"]


@pytest.mark.parametrize("name", [None, "", "   ", "***"])
def test_blank_first_name_hangs_the_worker_and_ends_in_html(lms, sandbox, name):
    answer = make_user(lms, first_name=name)
    assert answer.elapsed.total_seconds() >= 0.3
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Internal Server Error" in answer.text
    assert len(sandbox.book("users")) == 1


@pytest.mark.parametrize(("email", "name"), [("lea+course@x.test", "Lea"), ("asha@x.test", "आशा")])
def test_plus_addresses_and_other_scripts_are_fine(lms, email, name):
    assert make_user(lms, email, first_name=name).json()["data"]["name"] == email


def test_same_first_name_gets_another_username_one_after_the_other(lms):
    names = [make_user(lms, f"{letter}@x.test").json()["data"]["username"] for letter in "abc"]
    assert names == ["new", "new-1", "new-2"]


def at_once(count, work):
    """Run ``work(number)`` in threads that start together; return the answers."""
    barrier, answers = threading.Barrier(count), []

    def run(number):
        barrier.wait()
        answers.append(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_same_first_name_at_once_collides_on_the_username(lms, sandbox):
    sandbox.lms(user_latency=0.3)
    answers = at_once(2, lambda number: make_user(lms, f"u{number}@x.test"))
    assert sorted(answer.status_code for answer in answers) == [200, 417]
    refused = next(answer for answer in answers if answer.status_code == 417)
    assert kind(refused) == (417, "UniqueValidationError")
    answers = at_once(
        2, lambda number: make_user(lms, f"w{number}@x.test", username=f"unique{number}")
    )
    assert [answer.status_code for answer in answers] == [200, 200]


def test_crowds_deadlock_and_pairs_do_not(lms, sandbox):
    sandbox.lms(user_latency=0.3, user_deadlocks=True)
    pair = at_once(2, lambda number: make_user(lms, f"p{number}@x.test", username=f"pair{number}"))
    assert [answer.status_code for answer in pair] == [200, 200]
    crowd = at_once(
        8, lambda number: make_user(lms, f"c{number}@x.test", username=f"crowd{number}")
    )
    assert {kind(answer) for answer in crowd if answer.status_code != 200} == {
        (500, "QueryDeadlockError")
    }
    assert sum(answer.status_code == 200 for answer in crowd) == 2


def test_more_than_the_limit_in_an_hour_is_throttled(lms, sandbox):
    sandbox.lms(user_limit=2)
    assert [make_user(lms, f"u{number}@x.test").status_code for number in range(3)] == [200] * 3
    answer = make_user(lms, "u3@x.test")
    assert (kind(answer), message(answer)) == ((417, "ValidationError"), "Throttled")
    sandbox.advance(3601)
    assert make_user(lms, "u3@x.test").status_code == 200


def test_welcome_mail_goes_out_unless_refused(lms, sandbox):
    lms("POST", USERS, json={"email": "w@x.test", "first_name": "W"})
    assert [mail["to"] for mail in sandbox.mails()] == [["w@x.test"]]


@pytest.mark.parametrize(
    ("server", "role", "status"),
    [
        ("A", "Moderator", 200),
        ("B", "Moderator", 403),
        ("A", "LMS Student", 403),
        ("A", "System Manager", 200),
    ],
)
def test_who_may_make_users(lms, sandbox, server, role, status):
    sandbox.lms(server=server, role=role)
    assert make_user(lms).status_code == status


def test_looking_for_an_absent_user(lms):
    assert kind(lms("GET", f"{USERS}/absent@x.test")) == (404, "DoesNotExistError")
    answer = lms("GET", USERS, params={"filters": '[["email","=","absent@x.test"]]'})
    assert (answer.status_code, answer.json()) == (200, {"data": []})


def test_a_user_with_enrollments_cannot_be_deleted(lms):
    lms.enroll()
    assert kind(lms("DELETE", f"{USERS}/lea@x.test")) == (417, "LinkExistsError")
    make_user(lms)
    assert lms("DELETE", f"{USERS}/new@x.test").status_code == 202
    assert kind(lms("DELETE", "/api/resource/LMS%20Course/free-course")) == (417, "LinkExistsError")


def test_an_enrollment_on_a(lms):
    answer = lms.enroll("LEA@x.test")
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert set(data) == {
        "name",
        "owner",
        "creation",
        "modified",
        "modified_by",
        "docstatus",
        "idx",
        "course",
        "progress",
        "member",
        "member_name",
        "member_username",
        "purchased_certificate",
        "member_type",
        "role",
        "doctype",
    }
    assert len(data["name"]) == 10
    assert (data["owner"], data["modified_by"], data["member"], data["course"]) == (
        "lea@x.test",
        "bot@example.com",
        "lea@x.test",
        "free-course",
    )
    assert (data["progress"], data["member_type"], data["role"], data["member_name"]) == (
        0.0,
        "Student",
        "Member",
        "Learner10",
    )
    assert len(data["creation"]) == len("2026-11-20 13:28:45.841434")


def test_owner_on_b_is_the_key(lms, sandbox):
    sandbox.lms(server="B")
    assert lms.enroll().json()["data"]["owner"] == "bot@example.com"


def test_unknown_keys_are_dropped_and_forms_are_read(lms):
    data = {"member": "lea@x.test", "course": "free-course", "payment_id": "pi_1", "amount": "49"}
    answer = lms("POST", ENROLLMENTS, data=data)
    assert answer.status_code == 200
    assert not {"payment_id", "amount"} & set(answer.json()["data"])


def test_duplicate_makes_a_second_row_on_a(lms):
    assert [lms.enroll().status_code for _ in range(2)] == [200, 200]
    assert len(lms.rows()) == 2


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("B", "Learner10 is already a Student of the course Free Course"),
        ("C", "Student is already enrolled in this course."),
    ],
)
def test_duplicate_is_a_417_on_b_and_c(lms, sandbox, server, text):
    sandbox.lms(server=server)
    assert lms.enroll().status_code == 200
    answer = lms.enroll()
    assert (kind(answer), message(answer)) == ((417, "ValidationError"), text)
    assert len(lms.rows()) == 1


@pytest.mark.parametrize("server", ["A", "B", "custom"])
def test_unknown_member_makes_an_orphan_row(lms, sandbox, server):
    sandbox.lms(server=server)
    answer = lms.enroll("ghost@x.test")
    assert answer.status_code == 200
    assert "member_name" not in answer.json()["data"]
    assert len(lms.rows("ghost@x.test")) == 1


def test_unknown_member_is_refused_on_c(lms, sandbox):
    sandbox.lms(server="C")
    answer = lms.enroll("ghost@x.test")
    assert (kind(answer), message(answer)) == (
        (417, "LinkValidationError"),
        "Could not find Member: ghost@x.test",
    )
    assert (
        message(lms.enroll("ghost@x.test", "nope"))
        == "Could not find Course: nope, Member: ghost@x.test"
    )


def test_disabled_member_is_enrolled(lms, sandbox):
    sandbox.lms(users=[{"email": "off@x.test", "first_name": "Off", "enabled": 0}])
    assert lms.enroll("off@x.test").status_code == 200


@pytest.mark.parametrize("server", ["A", "B", "C"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"member": "lea@x.test", "course": "nope"},
            (417, "LinkValidationError", "Could not find Course: nope"),
        ),
        (
            {"course": "free-course"},
            (417, "MandatoryError", "Error: Value missing for LMS Enrollment: Member"),
        ),
        (
            {"member": "lea@x.test", "course": "free-course", "payment": "PAY-1"},
            (417, "LinkValidationError", "Could not find Payment: PAY-1"),
        ),
        (
            {"member": "lea@x.test", "course": "free-course", "role": "King"},
            (417, "ValidationError", None),
        ),
    ],
)
def test_refusals_alike_on_all_servers(lms, sandbox, server, data, expected):
    sandbox.lms(server=server)
    answer = lms("POST", ENROLLMENTS, json=data)
    assert kind(answer) == expected[:2]
    assert expected[2] in (None, message(answer))
    assert sandbox.enrollments() == []


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("A", (500, "AttributeError")),
        ("B", (417, "MandatoryError")),
        ("C", (500, "AttributeError")),
    ],
)
def test_missing_course(lms, sandbox, server, expected):
    sandbox.lms(server=server)
    assert kind(lms("POST", ENROLLMENTS, json={"member": "lea@x.test"})) == expected


REFUSALS = {
    "hidden-course": "You cannot enroll in an unpublished course.",
    "paid-course": "You need to complete the payment for this course before enrolling.",
    "guided-course": (
        "You cannot enroll in this course as self-learning is disabled. Please contact the"
        " Administrator."
    ),
}


@pytest.mark.parametrize("course", ["free-course", *REFUSALS])
@pytest.mark.parametrize(
    "role",
    [
        "Administrator",
        "Moderator",
        "System Manager + Moderator",
        "Course Creator",
        "Batch Evaluator",
        "System Manager",
        "LMS Student",
    ],
)
def test_role_matrix_of_a(lms, sandbox, role, course):
    sandbox.lms(role=role)
    answer = lms.enroll(course=course)
    if role in {"System Manager", "LMS Student"} and course in REFUSALS:
        assert (kind(answer), message(answer)) == ((417, "ValidationError"), REFUSALS[course])
        assert lms.rows(course=course) == []
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("role", ["Administrator", "System Manager", "LMS Student"])
def test_every_cell_is_open_on_b(lms, sandbox, role):
    sandbox.lms(server="B", role=role)
    assert [lms.enroll(course=course).status_code for course in ("free-course", *REFUSALS)] == [
        200
    ] * 4


def test_a_payment_row_opens_a_paid_course(lms, sandbox):
    sandbox.lms(role="System Manager")
    payment = {
        "member": "lea@x.test",
        "billing_name": "Lea",
        "address": "Shop-Billing",
        "amount": 49,
        "currency": "USD",
        "payment_id": "pi_1",
        "source": "Web",
        "payment_for_document_type": "LMS Course",
        "payment_for_document": "paid-course",
        "payment_received": 1,
    }
    missing = (417, "LinkValidationError")
    assert kind(lms("POST", "/api/resource/LMS%20Payment", json=payment)) == missing
    address = {"address_title": "Shop", "address_line1": "1", "city": "X", "country": "Nowhere"}
    assert kind(lms("POST", "/api/resource/Address", json=address)) == missing
    made = lms("POST", "/api/resource/Address", json={**address, "country": "India"}).json()
    assert made["data"]["name"] == payment["address"]
    source = {"source": payment["source"]}
    assert lms("POST", "/api/resource/LMS%20Source", json=source).json()["data"]["name"] == "Web"
    assert kind(lms("POST", "/api/resource/LMS%20Source", json=source))[0] == 409
    assert kind(lms("POST", "/api/resource/LMS%20Payment", json={**payment, "source": ""})) == (
        417,
        "MandatoryError",
    )
    name = lms("POST", "/api/resource/LMS%20Payment", json=payment).json()["data"]["name"]
    again = lms("POST", "/api/resource/LMS%20Payment", json=payment)
    assert (kind(again), message(again)) == (
        (417, "UniqueValidationError"),
        "Payment ID must be unique",
    )
    answer = lms(
        "POST", ENROLLMENTS, json={"member": "lea@x.test", "course": "paid-course", "payment": name}
    )
    assert answer.json()["data"]["payment"] == name


def test_students_see_their_own_rows_only(lms, sandbox):
    sandbox.lms(users=[{"email": "bot@example.com", "first_name": "Bot"}])
    lms.enroll()
    own = lms.enroll("bot@example.com").json()["data"]["name"]
    sandbox.lms(role="LMS Student")
    assert lms("GET", ENROLLMENTS).json()["data"] == [{"name": own}]
    assert lms("GET", f"{ENROLLMENTS}/{own}").status_code == 200


def many(lms, pairs, **options):
    docs = [
        {"doctype": "LMS Enrollment", "member": member, "course": course}
        for member, course in pairs
    ]
    return lms("POST", MANY, json={"docs": docs}, **options)


def test_a_batch_is_one_transaction(lms, sandbox):
    pairs = [(f"m{number}@x.test", "free-course") for number in range(3)]
    answer = many(lms, pairs)
    assert answer.status_code == 200
    assert answer.json()["message"] == [row["name"] for row in sandbox.enrollments()]
    bad = many(lms, [("a@x.test", "free-course"), ("b@x.test", "nope")])
    assert (kind(bad), message(bad)) == (
        (417, "LinkValidationError"),
        "Could not find Course: nope",
    )
    assert len(sandbox.enrollments()) == 3


def test_a_duplicate_on_b_empties_the_batch(lms, sandbox):
    sandbox.lms(server="B")
    lms.enroll()
    assert (
        many(lms, [("a@x.test", "free-course"), ("lea@x.test", "free-course")]).status_code == 417
    )
    assert len(sandbox.enrollments()) == 1


def test_limits_of_a_batch(lms, sandbox):
    refused = many(lms, [(f"m{number}@x.test", "free-course") for number in range(201)])
    assert (refused.status_code, message(refused)) == (
        417,
        "Only 200 inserts allowed in one request",
    )
    assert sandbox.enrollments() == []
    assert (
        len(
            many(lms, [(f"m{number}@x.test", "free-course") for number in range(200)]).json()[
                "message"
            ]
        )
        == 200
    )
    assert many(lms, []).json() == {"message": []}
    assert many(lms, [], auth=None).status_code == 403
    assert (
        lms(
            "POST",
            MANY,
            json={
                "docs": '[{"doctype":"LMS Enrollment","member":"j@x.test","course":"free-course"}]'
            },
        ).status_code
        == 200
    )


def test_deleting_an_enrollment(lms, sandbox):
    name = lms.enroll().json()["data"]["name"]
    assert kind(lms("DELETE", f"{ENROLLMENTS}/{name}", auth=None)) == (403, "PermissionError")
    sandbox.lms(role="LMS Student")
    assert lms("DELETE", f"{ENROLLMENTS}/{name}").status_code == 403
    assert lms("DELETE", f"{ENROLLMENTS}/{name}", auth="token a:b").status_code == 401
    sandbox.lms(role="System Manager")
    answer = lms("DELETE", f"{ENROLLMENTS}/{name}")
    assert (answer.status_code, answer.json()) == (202, {"data": "ok"})
    gone = lms("DELETE", f"{ENROLLMENTS}/{name}")
    assert (gone.status_code, gone.json()) == (404, {"exc_type": "DoesNotExistError"})
    assert lms.rows() == []


def test_progress(lms, sandbox):
    data = lms.enroll().json()["data"]
    sandbox.lms(progress={"email": "lea@x.test", "course": "free-course", "percent": 50})
    read = lms("GET", f"{ENROLLMENTS}/{data['name']}").json()["data"]
    assert (read["progress"], read["modified"]) == (50.0, data["modified"])
    assert read["current_lesson"]
    put = lms("PUT", f"{ENROLLMENTS}/{data['name']}", json={"progress": 100})
    assert (put.status_code, put.json()["data"]["progress"]) == (200, 100.0)
    stale = lms(
        "PUT", f"{ENROLLMENTS}/{data['name']}", json={"progress": 10, "modified": data["modified"]}
    )
    assert kind(stale) == (417, "TimestampMismatchError")
    sandbox.lms(role="LMS Student")
    assert lms("PUT", f"{ENROLLMENTS}/{data['name']}", json={"progress": 10}).status_code == 403


def test_progress_that_is_set_before_the_enrollment_is_what_it_begins_with(lms, sandbox):
    begun = {"email": "lea@x.test", "course": "free-course", "percent": 50}
    assert sandbox.lms(progress=begun)["progress_rows"] == 0
    assert lms.enroll().json()["data"]["progress"] == 50.0
    [row] = lms.rows()
    assert lms("DELETE", f"{ENROLLMENTS}/{row['name']}").status_code == 202
    assert lms.enroll().json()["data"]["progress"] == 0.0


PAYMENT = "/api/method/lms.lms.payment_confirmation."
CHECK = "/api/method/lms.lms.doctype.lms_enrollment.lms_enrollment.check_user_exists"


def confirm(lms, auth=None, **changes):
    data = {
        "user_email": "lea@x.test",
        "course_id": "free-course",
        "paid_status": True,
        "payment_id": "pi_1",
        "amount": 49.0,
        "currency": "usd",
        **changes,
    }
    return lms("POST", PAYMENT + "confirm_payment", json=data, auth=auth)


@pytest.mark.parametrize(
    "auth", [None, "Bearer sandbox-key:sandbox-secret", "token sandbox-key:sandbox-secret"]
)
def test_confirm_payment_enrolls_once(lms, sandbox, auth):
    sandbox.lms(server="custom")
    first = confirm(lms, auth).json()["message"]
    assert (first["success"], first["user_email"], first["course_id"]) == (
        True,
        "lea@x.test",
        "free-course",
    )
    assert confirm(lms, auth).json()["message"]["enrollment_id"] == first["enrollment_id"]
    assert [row["name"] for row in lms.rows()] == [first["enrollment_id"]]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"user_email": "ghost@x.test"}, "User not found"),
        ({"course_id": "nope"}, "Course not found"),
        ({"paid_status": False}, "Payment is not completed"),
        ({"user_email": ""}, "Missing required field: user_email"),
    ],
)
def test_confirm_payment_refuses_with_a_200(lms, sandbox, changes, text):
    sandbox.lms(server="custom")
    answer = confirm(lms, **changes)
    assert (answer.status_code, answer.json()) == (
        200,
        {"message": {"success": False, "error": text}},
    )
    assert sandbox.enrollments() == []


def test_confirm_payment_knows_its_fields(lms, sandbox):
    sandbox.lms(server="custom")
    answer = confirm(lms, coupon="X")
    assert (answer.status_code, message(answer)) == (400, "Unknown field: coupon")
    assert sandbox.enrollments() == []
    assert confirm(lms, referral_code="abc").json()["message"]["success"] is True
    assert lms("GET", PAYMENT + "confirm_payment").status_code == 403
    assert confirm(lms, auth="Bearer wrong").status_code == 401


def test_custom_look_ups(lms, sandbox):
    sandbox.lms(server="custom")
    known = lms("POST", CHECK, json={"user_email": "LEA@x.test"}, auth=None).json()["message"]
    assert known == {
        "success": True,
        "exists": True,
        "user_email": "lea@x.test",
        "full_name": "Learner10",
        "enabled": 1,
    }
    assert (
        lms("POST", CHECK, json={"user_email": "ghost@x.test"}, auth=None).json()["message"][
            "exists"
        ]
        is False
    )
    assert (
        lms(
            "GET", PAYMENT + "get_course_info", params={"course_id": "free-course"}, auth=None
        ).json()["message"]["title"]
        == "Free Course"
    )
    sandbox.lms(server="A")
    for path in (CHECK, PAYMENT + "get_course_info", PAYMENT + "confirm_payment"):
        assert lms("POST", path, json={}).status_code == 417


def test_an_lms_upgrade_takes_the_method_away(lms, sandbox):
    sandbox.lms(server="custom")
    assert confirm(lms).status_code == 200
    sandbox.lms(server="A")
    assert message(confirm(lms)).startswith(
        "Failed to get method for command lms.lms.payment_confirmation.confirm_payment"
    )


def test_racing_posts_on_a_make_a_row_each(lms):
    answers = at_once(6, lambda number: lms.enroll())
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(lms.rows()) == 6


def test_racing_posts_on_b_can_make_two_rows(lms, sandbox):
    sandbox.lms(server="B", race_window=0.3)
    assert [answer.status_code for answer in at_once(2, lambda number: lms.enroll())] == [200, 200]
    assert lms.enroll().status_code == 417
    assert len(lms.rows()) == 2


def test_server_cannot_be_one_that_is_not_known(lms, sandbox):
    with pytest.raises(RuntimeError, match="server must be one of"):
        sandbox.lms(server="Z")


def test_clock_moves_timestamps(lms, sandbox):
    before = lms.enroll().json()["data"]["creation"]
    sandbox.advance(86400)
    assert lms.enroll().json()["data"]["creation"] > before
    assert time.time() + 86000 < sandbox.book("now")
