"""`manage.py lms_check` names what is wrong with the connection or a course, and only that."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from courses.models import Course
from lms_sync.checks import check_courses_have_drivers
from tests.factories import make_course
from tests.processes import free_port
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
Seed = Callable[[Sandbox, Settings], None]


def lines(**options: str) -> list[str]:
    """Run the command, and return what it says of each step."""
    out, code = io.StringIO(), 0
    try:
        call_command("lms_check", stdout=out, no_color=True, **options)
    except CommandError as error:
        code = error.returncode
        out.write(f"ended: {error}")
    assert (code == 1) == ("ended: " in out.getvalue())
    assert "sandbox-secret" not in out.getvalue()
    return out.getvalue().splitlines()


def wrong(found: list[str]) -> list[str]:
    return [line for line in found if line.startswith(("PROBLEM", "note"))]


@pytest.fixture
def sold(sandbox: Sandbox) -> Course:
    return make_course(slug="free-course", title="Free course")


def test_a_good_connection_passes_every_step(sandbox: Sandbox, sold: Course) -> None:
    said = lines()
    assert [line.split()[1] for line in said if line.startswith("ok")] == [
        "address:", "name:", "answer:", "key:", "roles:", "rights:", "changes:", "version:",
        "driver:", "course:", "catalogue:",
    ]  # fmt: skip
    assert said[-1] == "All is well."
    assert "LMS 2.61.0" in " ".join(said)
    assert sandbox.book("users")[0]["name"] == "bot@example.com"


def test_the_custom_driver_passes_on_its_server(sandbox: Sandbox, settings: Settings) -> None:
    sandbox.lms(server="custom")
    settings.FRAPPE_DRIVER = "confirm_payment"
    assert lines()[-1] == "All is well."


# --- each misconfiguration, seeded alone ----------------------------------------------------------


def setting(name: str, value: str) -> Seed:
    return lambda sandbox, settings: setattr(settings, name, value)


def server(**options: Any) -> Seed:
    return lambda sandbox, settings: sandbox.lms(**options) and None


def fault(mode: str, **options: Any) -> Seed:
    return lambda sandbox, settings: sandbox.fault("lms", mode, **options) and None


def closed_port(sandbox: Sandbox, settings: Settings) -> None:
    settings.FRAPPE_LMS_BASE_URL = f"http://127.0.0.1:{free_port()}"


def with_path(path: str) -> Seed:
    return lambda sandbox, settings: setattr(
        settings, "FRAPPE_LMS_BASE_URL", sandbox.lms_url + path
    )


def custom_without_its_module(sandbox: Sandbox, settings: Settings) -> None:
    sandbox.lms(server="custom")
    settings.FRAPPE_DRIVER = "confirm_payment"
    sandbox.fault("lms", "page", "POST /api/method/lms.lms.doctype", status=403, page="firewall")


url, api_key = partial(setting, "FRAPPE_LMS_BASE_URL"), partial(setting, "FRAPPE_LMS_API_KEY")
page = partial(fault, "page")
ROWS = "/api/resource/LMS Enrollment"
SEEDS: dict[str, tuple[Seed, str, str]] = {
    "no address": (url(""), "address", "FRAPPE_LMS_BASE_URL is empty"),
    "not the web": (url("ftp://lms.example"), "address", "must start with https://"),
    "a password in it": (url("https://user:pw@lms.example"), "address", "user name"),
    "no such name": (url("http://no-such-host.invalid"), "name", "could not be resolved"),
    "nobody listens": (closed_port, "answer", "refused"),
    "another host": (server(host="lms.example"), "answer", "No LMS answers at this address"),
    "a path too many": (with_path("/api"), "answer", "No LMS answers at this address"),
    "a limit": (fault("429"), "answer", "asked us to slow down"),
    "a redirect": (page(status=301), "answer", "It redirects. Set FRAPPE_LMS_BASE_URL"),
    "a log-in page": (page(status=200, page="log_in"), "answer", "“Sign in”"),
    "basic authentication": (page(status=401, page="log_in"), "answer", "a password of its own"),
    "a challenge": (page(status=403, page="challenge"), "answer", "A firewall or a challenge"),
    "a dead LMS": (page(status=502), "answer", "down or too slow behind it"),
    "maintenance": (fault("maintenance"), "answer", "in maintenance"),
    "a broken LMS": (fault("db_down"), "answer", "OperationalError"),
    "half a key": (api_key("no-colon"), "key", "must be key:secret"),
    "another key": (api_key("wrong:key"), "key", "does not accept the key"),
    "a lost header": (server(drops_key=True), "key", "takes us for a guest"),
    "blocked addresses": (
        server(block_endpoints=True, role="Moderator"),
        "key",
        "block_endpoints",
    ),
    "no roles": (server(role="LMS Student"), "roles", "is no System Manager"),
    "only Moderator": (server(role="Moderator"), "roles", "is no System Manager"),
    "only Moderator on 2.40": (server(server="B", role="Moderator"), "roles", "System Manager"),
    "only System Manager": (server(role="System Manager"), "roles", "lacks the role Moderator"),
    "users taken away": (server(denied=["User:create"]), "rights", "may not create users"),
    "users unread": (server(denied=["User:read"]), "rights", "may not read users"),
    "no enrolling": (
        server(denied=["LMS Enrollment:create"]),
        "rights",
        "may not enroll learners",
    ),
    "no removing": (
        server(denied=["LMS Enrollment:delete"]),
        "rights",
        "may not remove enrollments",
    ),
    "no switching on": (server(denied=["User:write"]), "rights", "may not switch users on"),
    "enrollments unread": (
        server(denied=["LMS Enrollment:read"]),
        "rights",
        "may not read enrollments",
    ),
    "no LMS in it": (
        fault("error", match=f"GET {ROWS}", status=404, exc_type="DoesNotExistError"),
        "rights",
        "Frappe answers, and has no LMS",
    ),
    "only to be read": (fault("read_only"), "changes", "takes no change"),
    "changes stopped": (page(match="PUT", status=403, page="firewall"), "changes", "A firewall"),
    "new users stopped": (
        page(match="POST /api/resource/User", status=403, page="firewall"),
        "changes",
        "A firewall",
    ),
    "new users down": (
        fault("error", match="POST /api/resource/User", status=500, exc_type="OperationalError"),
        "changes",
        "OperationalError",
    ),
    "removals stopped": (page(match="DELETE", status=405), "changes", "No LMS answers at this"),
    "enrolling stopped": (page(match=f"POST {ROWS}", status=403), "driver", "A firewall"),
    "enrolling down": (
        fault("error", match=f"POST {ROWS}", status=500, exc_type="OperationalError"),
        "driver",
        "OperationalError",
    ),
    "enrolling whatever is asked": (
        server(courses=[{"name": "maaledu probe: no such course"}]),
        "driver",
        "in a course that does not exist",
    ),
    "a driver we lack": (setting("FRAPPE_DRIVER", "soap"), "driver", "must be one of"),
    "a method it lacks": (
        setting("FRAPPE_DRIVER", "confirm_payment"),
        "driver",
        "lacks the custom payment confirmation method",
    ),
    "a method behind a firewall": (custom_without_its_module, "driver", "A firewall"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_each_misconfiguration_is_named_and_nothing_else(
    sandbox: Sandbox, settings: Settings, sold: Course, name: str
) -> None:
    seed, step, words = SEEDS[name]
    seed(sandbox, settings)
    said = lines()
    [problem] = wrong(said)
    assert problem.startswith(f"PROBLEM {step}:")
    assert words in problem
    assert "refused what was asked" not in problem
    assert said[-1] == "ended: The LMS cannot be used as it is set up now."


@pytest.mark.parametrize("denied", ["LMS Certificate:read", "User:write"])
def test_what_nothing_depends_on_is_a_note_or_nothing(
    sandbox: Sandbox, settings: Settings, sold: Course, denied: str
) -> None:
    settings.FRAPPE_ENABLE_USERS = False
    sandbox.lms(denied=[denied])
    said = lines()
    if denied == "User:write":
        assert wrong(said) == []
    else:
        [note] = wrong(said)
        assert note.startswith("note    certificates: My courses shows none")
        assert "System Manager and Moderator" in note
    assert said[-1] == "All is well."


@pytest.mark.parametrize("is_shown", [True, False])
def test_an_lms_that_sends_no_mail_is_a_note(sandbox: Sandbox, is_shown: bool) -> None:
    """L9: "Forgot password" is a new learner's way in."""
    sandbox.lms(outgoing_mail=False, denied=[] if is_shown else ["Email Account:read"])
    said = lines()
    notes = ["note    mail: New learners get no message to set a password with."] * is_shown
    assert [line.partition(" No Email Account")[0] for line in wrong(said)] == notes
    assert said[-1] == "All is well."


def test_what_is_tried_leaves_nothing_behind(sandbox: Sandbox, sold: Course) -> None:
    sandbox.lms(
        users=[{"email": "asha@example.com", "first_name": "Asha"}],
        enrollments=[{"member": "asha@example.com", "course": "free-course"}],
        courses_any=True,  # as in the demo, where every well-formed name is a course
    )
    assert lines()[-1] == "All is well."
    assert [row["member"] for row in sandbox.enrollments()] == ["asha@example.com"]
    assert len(sandbox.book("users")) == 2
    assert len(sandbox.calls("lms", f"POST {ROWS}")) == 1
    assert len(sandbox.calls("lms", f"DELETE {ROWS}")) == 2


def test_a_limit_on_new_users_that_is_reached_now_is_no_misconfiguration(
    sandbox: Sandbox, sold: Course
) -> None:
    """It passes, and concerns those jobs alone that need a new one."""
    sandbox.lms(user_limit=-1)
    assert lines()[-1] == "All is well."


PAID = {"paid_course": 1, "course_price": 49}
COURSES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "unknown": ({}, {"lms_course_id": "no-such-course"}, "PROBLEM", "no-such-course"),
    "not published": ({"published": 0}, {}, "PROBLEM", "not published in the LMS"),
    "with a price on 2.50, no payments": (
        {**PAID, "server": "D", "denied": ["LMS Payment:create"]},
        {},
        "PROBLEM",
        "the key may not create the LMS Payment for it",
    ),
    "with a price on 2.50, payments unread": (
        {**PAID, "server": "D", "denied": ["LMS Payment:read"]},
        {},
        "PROBLEM",
        "the key may not read the LMS Payment for it",
    ),
    "with a price on 2.50, payments unchanged": (
        {**PAID, "server": "D", "denied": ["LMS Payment:write"]},
        {},
        "PROBLEM",
        "the key may not write the LMS Payment for it",
    ),
    "with a price on 2.50, no sources": (
        {**PAID, "server": "D", "denied": ["LMS Source:create"]},
        {},
        "PROBLEM",
        "the key may not create the LMS Source for it",
    ),
    "with a price on 2.50, no addresses": (
        {**PAID, "server": "D", "denied": ["Address:create"]},
        {},
        "PROBLEM",
        "the key may not create the Address for it",
    ),
    "with a price on 2.50, in no country": (
        {**PAID, "server": "D"},
        {"country": "Atlantis"},
        "PROBLEM",
        "The LMS knows no country Atlantis. Set FRAPPE_PAYMENT_COUNTRY to one that it lists.",
    ),
    "another title": ({"title": "Theirs"}, {}, "note", "“Theirs”, we call it “Free course”"),
    "in another case": (
        {},
        {"lms_course_id": "FREE-Course"},
        "note",
        "writes its name free-course, not FREE-Course: corrected here",
    ),
}


@pytest.mark.parametrize("name", COURSES)
def test_each_thing_about_a_course_is_named_and_the_next_course_looked_at(
    sandbox: Sandbox, sold: Course, settings: Settings, name: str
) -> None:
    there, here, mark, words = COURSES[name]
    here = dict(here)
    settings.FRAPPE_PAYMENT_COUNTRY = here.pop("country", settings.FRAPPE_PAYMENT_COUNTRY)
    options = {name: there[name] for name in there.keys() & {"server", "denied"}}
    course = {name: there[name] for name in there.keys() - options.keys()}
    sandbox.lms(courses=[{"name": "free-course", **course}], **options)
    if here:
        Course.objects.filter(pk=sold.pk).update(**here)
    make_course(slug="other-course", title="Other course")
    said = lines()
    [line] = wrong(said)
    assert line.startswith(f"{mark:7} course: free-course: ")
    assert words in line
    assert "other-course is published in the LMS" in " ".join(said)
    attention = "ended: The connection is good; some courses need attention."
    assert said[-1] == ("All is well." if mark == "note" else attention)


@pytest.mark.parametrize("server_kind", ["A", "B", "C", "D"])
def test_a_price_in_the_lms_is_no_problem_and_the_version_says_what_it_takes(
    sandbox: Sandbox, sold: Course, server_kind: str
) -> None:
    """L11."""
    sandbox.lms(courses=[{"name": "free-course", **PAID}], server=server_kind)
    said = lines()
    assert said[-1] == "All is well."
    assert ("an LMS Payment is made" in " ".join(said)) == (server_kind == "D")


def test_the_true_name_of_a_course_is_kept_and_found_from_then_on(
    sandbox: Sandbox, sold: Course
) -> None:
    """L6."""
    sandbox.lms(courses=[{"name": "Free-Course-12b", "title": "Free course"}])
    Course.objects.filter(pk=sold.pk).update(lms_course_id="free-course-12b")
    assert len(wrong(lines(course="free-course"))) == 1
    sold.refresh_from_db()
    assert sold.lms_course_id == "Free-Course-12b"
    sold.full_clean()
    assert wrong(lines(course="free-course")) == []


def test_a_course_we_do_not_have_is_named(sandbox: Sandbox) -> None:
    assert lines(course="missing") == ["ended: The catalogue has no course missing."]


def test_published_courses_of_a_platform_without_a_driver_are_named(
    sandbox: Sandbox, sold: Course
) -> None:
    stranded(make_course(slug="b-run"), "course-v1:A+B+1")
    stranded(make_course(slug="a-run", status="draft"), "course-v1:A+A+1")
    [problem] = wrong(lines(platform="frappe"))
    assert problem.startswith("PROBLEM catalogue:")
    assert "b-run (Open edX)" in problem
    assert "a-run" not in problem
    assert [
        (message.id, "b-run" in str(message.msg)) for message in check_courses_have_drivers()
    ] == [("lms_sync.W003", True)]


@pytest.mark.every_engine
def test_the_check_before_the_start_names_them_too(sandbox: Sandbox) -> None:
    stranded(make_course(slug="b-run"), "course-v1:A+B+1")
    err = io.StringIO()
    call_command("check", databases=["default"], stdout=io.StringIO(), stderr=err)
    assert (
        "“b-run” is published and not on sale. Nothing connects us to Open edX yet"
        in err.getvalue()
    )


def stranded(course: Course, key: str) -> None:
    """Put a course on a platform without a driver, as an earlier version let staff do."""
    Course.objects.filter(pk=course.pk).update(lms_platform="openedx", lms_course_id=key)
