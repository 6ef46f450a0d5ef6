"""`lms_check --platform openedx` names what is wrong with Open edX or a course there, and only
that; the probe tries the same.
"""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from courses.models import Course
from lms_sync import breaker
from lms_sync.platforms import openedx_client
from tests.factories import make_course
from tests.lms_sync.rigs import OpenEdxRig
from tests.lms_sync.test_lms_check import lines, wrong
from tests.processes import free_port
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
KEY = OpenEdxRig.course
Seed = Callable[[Sandbox, Settings], None]


@pytest.fixture
def sold(sandbox: Sandbox, with_openedx: None) -> Course:
    openedx_client._tokens.clear()
    return make_course(
        slug="free-run", title="Free course", lms_platform="openedx", lms_course_id=KEY
    )


def check(**options: str) -> list[str]:
    return lines(platform="openedx", **options)


def setting(name: str, value: str) -> Seed:
    return lambda sandbox, settings: setattr(settings, name, value)


def server(**options: Any) -> Seed:
    return lambda sandbox, settings: sandbox.edx(**options) and None


def fault(mode: str, match: str = "", **options: Any) -> Seed:
    return lambda sandbox, settings: sandbox.fault("openedx", mode, match, **options) and None


def course(**facts: Any) -> Seed:
    return server(courses=[{"id": KEY, **facts}])


def closed_port(sandbox: Sandbox, settings: Settings) -> None:
    settings.OPENEDX_BASE_URL = f"http://127.0.0.1:{free_port()}"


def with_path(path: str) -> Seed:
    return lambda sandbox, settings: setattr(settings, "OPENEDX_BASE_URL", sandbox.edx_url + path)


def stopped(match: str) -> Seed:
    return fault("page", match, status=403, page="firewall")


def unforced(**facts: Any) -> Seed:
    def seed(sandbox: Sandbox, settings: Settings) -> None:
        settings.OPENEDX_FORCE_ENROLLMENT = False
        course(**facts)(sandbox, settings)

    return seed


SEEDS: dict[str, tuple[Seed, str, str]] = {
    "no address": (setting("OPENEDX_BASE_URL", ""), "address", "OPENEDX_BASE_URL is empty"),
    "no such name": (
        setting("OPENEDX_BASE_URL", "http://no-such-host.invalid"),
        "name",
        "could not be resolved",
    ),
    "nobody listens": (closed_port, "answer", "refused"),
    "a path too many": (with_path("/api"), "answer", "No LMS answers at this address"),
    "tokens limited": (
        fault("page", "POST /oauth2", status=429),
        "application",
        "asked us to slow down",
    ),
    "a redirect": (fault("page", status=301), "answer", "Set OPENEDX_BASE_URL"),
    "a log-in page": (fault("page", status=200, page="log_in"), "answer", "“Sign in”"),
    "unwell": (fault("503", "GET /heartbeat"), "answer", "Its own check fails: modulestore"),
    "no secret": (
        setting("OPENEDX_CLIENT_SECRET", ""),
        "application",
        "OPENEDX_CLIENT_SECRET must be",
    ),
    "another secret": (
        setting("OPENEDX_CLIENT_SECRET", "other"),
        "application",
        "does not accept the OAuth application",
    ),
    "another grant type": (
        server(grant_type="password"),
        "application",
        "the grant type client credentials",
    ),
    "not staff": (server(staff=False), "rights", "has to be staff"),
    "only to be read": (
        fault("page", "POST /api/enrollment", status=503),
        "changes",
        "down or too slow",
    ),
    "accounts unseen": (stopped("GET /api/user/v1/accounts"), "rights", "A firewall"),
    "enrollments unseen": (stopped("GET /api/enrollment/v1/enrollment/"), "rights", "A firewall"),
    "lists unseen": (stopped("GET /api/enrollment/v1/enrollments"), "driver", "A firewall"),
    "removals stopped": (stopped("DELETE /api/enrollment"), "changes", "A firewall"),
    "entries stopped": (
        stopped("POST /api/enrollment/v1/enrollment_allowed/"),
        "changes",
        "A firewall",
    ),
    "closed, without force": (
        unforced(enrollment_end="2020-01-01T00:00:00Z"),
        "course",
        "Its enrollment has ended. Set OPENEDX_FORCE_ENROLLMENT",
    ),
    "not begun, without force": (
        unforced(enrollment_start="2099-01-01T00:00:00Z"),
        "course",
        "Its enrollment has not begun. Set OPENEDX_FORCE_ENROLLMENT",
    ),
    "by invitation, without force": (
        unforced(invite_only=True),
        "course",
        "by invitation only. Set OPENEDX_FORCE_ENROLLMENT",
    ),
    "a mode that has ended": (
        course(modes=["audit", "verified:2020-01-01"]),
        "course",
        "not offer the mode verified, but audit",
    ),
    "an invisible course": (course(visible=False), "course", "Course not found"),
    "no such mode": (course(modes=["audit"]), "course", "not offer the mode verified, but audit"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_each_misconfiguration_is_named_and_nothing_else(
    sandbox: Sandbox, settings: Settings, sold: Course, name: str
) -> None:
    seed, step, words = SEEDS[name]
    seed(sandbox, settings)
    [problem] = wrong(check())
    assert problem.startswith(f"PROBLEM {step}:")
    assert words in problem


def test_a_good_connection_passes_every_step_and_leaves_nothing_behind(
    sandbox: Sandbox, sold: Course
) -> None:
    said = check()
    assert [line.split()[1] for line in said if line.startswith("ok")] == [
        "address:", "name:", "answer:", "application:", "rights:", "changes:", "driver:",
        "course:", "catalogue:",
    ]  # fmt: skip
    assert said[-1] == "All is well."
    assert "sandbox-edx-secret" not in " ".join(said)
    books = sandbox.edx()
    assert (books["enrollments"], books["allowed"], books["accounts"]) == ([], [], [])


def test_with_force_a_closed_course_is_no_problem(sandbox: Sandbox, sold: Course) -> None:
    closed = {"id": KEY, "invite_only": True, "enrollment_end": "2020-01-01T00:00:00Z"}
    sandbox.edx(courses=[closed])
    assert wrong(check()) == []


def test_certificates_that_we_are_not_shown_are_a_note(sandbox: Sandbox, sold: Course) -> None:
    sandbox.fault("openedx", "page", "GET /api/certificates", status=403, page="firewall")
    said = check()
    [note] = wrong(said)
    assert note.startswith("note    certificates: My courses shows none")
    assert said[-1] == "All is well."


def test_both_platforms_are_tried_where_both_are_configured(sold: Course) -> None:
    steps = [line.split()[1] for line in lines() if line.startswith("ok")]
    assert steps.count("address:") == 2
    assert {"roles:", "application:"} <= set(steps)


@pytest.mark.every_engine
def test_what_differs_without_harm_is_a_note(sandbox: Sandbox, sold: Course) -> None:
    Course.objects.update(lms_course_id=KEY.replace("Free", "FREE"), title="Our title")
    found = wrong(check())
    assert [line.split(":")[0] for line in found] == ["note    course", "note    course"]
    sold.refresh_from_db()
    assert sold.lms_course_id == KEY


@pytest.mark.parametrize(
    ("seed", "state"),
    [
        (server(staff=False), "parked"),
        (fault("page", "POST /api/enrollment", status=503), "open"),
    ],
)
def test_the_probe_is_not_fooled_by_what_can_be_read(
    sandbox: Sandbox, settings: Settings, sold: Course, seed: Seed, state: str
) -> None:
    settings.LMS_BREAKER_FAILURES = 1
    breaker.state_of("openedx")
    assert breaker.probe_now("openedx")
    seed(sandbox, settings)
    assert not breaker.probe_now("openedx")
    assert breaker.state_of("openedx").state == state
