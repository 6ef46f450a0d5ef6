"""`manage.py lms_check` says in words what is wrong with the connection."""

import io

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from courses.models import Course
from lms_sync.checks import check_courses_have_drivers
from tests.factories import make_course
from tests.processes import free_port
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]


def check(**options: str) -> str:
    out = io.StringIO()
    call_command("lms_check", stdout=out, no_color=True, **options)
    return out.getvalue()


def problem(**options: str) -> str:
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("lms_check", stdout=out, no_color=True, **options)
    assert caught.value.returncode == 1
    return next(
        (line for line in out.getvalue().splitlines() if line.startswith("PROBLEM")),
        str(caught.value),
    )


def give_roles(sandbox: Sandbox, *roles: str) -> None:
    for more in ({"first_name": "Bot"}, {"roles": [{"role": role} for role in roles]}):
        sandbox.lms(users=[{"email": "bot@example.com", **more}])


@pytest.mark.every_engine
def test_a_good_connection_passes_every_step(sandbox: Sandbox) -> None:
    give_roles(sandbox, "System Manager", "Moderator", "LMS Student")
    make_course(slug="free-course", title="Free course")
    said = check(course="free-course")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("ok")] == [
        "address:", "name:", "answer:", "key:", "roles:", "driver:", "course:", "catalogue:",
    ]  # fmt: skip
    assert said.endswith("All is well.\n")
    assert "sandbox-secret" not in said


def test_the_custom_driver_passes_on_its_server(sandbox: Sandbox, settings: Settings) -> None:
    sandbox.lms(server="custom")
    settings.FRAPPE_DRIVER = "confirm_payment"
    assert "confirm_payment can work" in check()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "is empty"),
        ("ftp://lms.example", "must start with https://"),
        ("https://user:pw@lms.example", "user name"),
        ("http://no-such-host.invalid", "could not be resolved"),
    ],
)
def test_a_wrong_address_is_named(settings: Settings, url: str, words: str) -> None:
    settings.FRAPPE_LMS_BASE_URL = url
    assert words in problem()


def test_a_closed_port_is_named(settings: Settings) -> None:
    settings.FRAPPE_LMS_BASE_URL = f"http://127.0.0.1:{free_port()}"
    assert problem().startswith("PROBLEM answer:")


@pytest.mark.parametrize(("key", "step"), [("no-colon", "answer"), ("wrong:key", "answer")])
def test_a_wrong_key_is_named(sandbox: Sandbox, settings: Settings, key: str, step: str) -> None:
    settings.FRAPPE_LMS_API_KEY = key
    said = problem()
    assert said.startswith(f"PROBLEM {step}:")
    assert "FRAPPE_LMS_API_KEY" in said


def test_a_missing_role_is_named(sandbox: Sandbox) -> None:
    give_roles(sandbox, "System Manager")
    assert "lacks the role Moderator" in problem()


def test_a_missing_custom_method_is_named(sandbox: Sandbox, settings: Settings) -> None:
    settings.FRAPPE_DRIVER = "confirm_payment"
    assert "lacks the custom payment confirmation method" in problem()


@pytest.mark.parametrize(
    ("mode", "step"),
    [("503", "answer"), ("maintenance", "answer"), ("html_200", "answer"), ("redirect", "answer")],
)
def test_an_lms_in_trouble_is_named(sandbox: Sandbox, mode: str, step: str) -> None:
    sandbox.fault("lms", mode)
    assert problem().startswith(f"PROBLEM {step}:")


def test_a_course_the_lms_does_not_have_is_named(sandbox: Sandbox) -> None:
    make_course(slug="lost", lms_course_id="no-such-course")
    assert "no-such-course" in problem(course="lost")


def test_a_course_we_do_not_have_is_named(sandbox: Sandbox) -> None:
    assert "no course missing" in problem(course="missing")


def test_published_courses_of_a_platform_without_a_driver_are_named(sandbox: Sandbox) -> None:
    give_roles(sandbox, "System Manager", "Moderator")
    make_course(slug="free-course")
    stranded(make_course(slug="b-run"), "course-v1:A+B+1")
    stranded(make_course(slug="a-run", status="draft"), "course-v1:A+A+1")
    said = problem()
    assert said.startswith("PROBLEM catalogue:")
    assert "b-run (Open edX)" in said
    assert "a-run" not in said
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
