"""The `rest` driver against servers A, B and C: enrolled exactly once, whatever the answers."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from lms_sync.connection import platform_for
from lms_sync.errors import (
    LmsAccountWaits,
    LmsContended,
    LmsCourseUnknown,
    LmsError,
    LmsIntercepted,
    LmsMisconfigured,
    LmsNotEnrolled,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms.base import (
    Certificate,
    CourseFacts,
    EnrollRequest,
    Found,
    Progress,
    Revocation,
    Revoked,
)
from lms_sync.platforms.frappe import FrappeRest, read_percent
from lms_sync.platforms.frappe_certificates import find_certificate
from tests.concurrency import race
from tests.lms_sync.rawserver import raw_server, response
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
EMAIL, COURSE = "asha@example.com", "free-course"
INSERT = "POST /api/resource/LMS Enrollment"
LOST = ["lost_answer", "hang_after", "half_answer", "short_length", "drip"]
UNUSABLE = ["html_200", "empty_200", "exc_200", "bad_json", "huge", "gzip_bomb"]


@pytest.fixture(params=["A", "B", "C"])
def server(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    sandbox.lms(server=request.param)
    return str(request.param)


@pytest.fixture
def impatient(settings: Settings) -> None:
    settings.LMS_TIMEOUT_WORKER = timedelta(seconds=0.6)


def driver() -> Any:
    return platform_for("frappe")


def enroll(email: str = EMAIL, course: str = COURSE, name: str = "Asha Rao") -> str:
    return driver().enroll(EnrollRequest(email, name, course)).enrollment_id


def refusal(email: str = EMAIL, course: str = COURSE) -> LmsError:
    with pytest.raises(LmsError) as caught:
        enroll(email, course)
    return caught.value


def rows(sandbox: Sandbox, email: str = EMAIL) -> list[str]:
    return [row["name"] for row in sandbox.enrollments(email)]


def test_a_new_learner_is_created_and_enrolled(server: str, sandbox: Sandbox) -> None:
    assert [enroll()] == rows(sandbox)
    user = sandbox.book("users")[-1]
    assert (user["name"], user["first_name"], user["last_name"], user["send_welcome_email"]) == (
        EMAIL,
        "Asha",
        "Rao",
        0,
    )


def test_a_learner_known_to_the_lms_is_not_created_again(server: str, sandbox: Sandbox) -> None:
    sandbox.lms(users=[{"email": EMAIL, "first_name": "Asha"}])
    enroll()
    assert sandbox.calls("lms", "POST /api/resource/User") == []


def test_enrolling_again_gives_the_same_id_and_no_second_row(server: str, sandbox: Sandbox) -> None:
    assert enroll() == enroll() == rows(sandbox)[0]
    assert len(sandbox.calls("lms", INSERT)) == 1


def test_an_enrollment_somebody_else_made_counts(server: str, sandbox: Sandbox) -> None:
    sandbox.lms(
        users=[{"email": EMAIL, "first_name": "Asha"}],
        enrollments=[{"member": EMAIL, "course": COURSE}],
    )
    assert [enroll()] == rows(sandbox)


def test_of_several_rows_the_oldest_is_kept(sandbox: Sandbox) -> None:
    sandbox.lms(
        users=[{"email": EMAIL, "first_name": "Asha"}],
        enrollments=[{"member": EMAIL, "course": COURSE}] * 3,
    )
    kept = enroll()
    assert (
        kept
        == min(sandbox.enrollments(EMAIL), key=lambda row: (row["creation"], row["name"]))["name"]
    )
    assert len(rows(sandbox)) == 3


@pytest.mark.parametrize("mode", LOST)
def test_an_answer_lost_after_the_work_was_done_is_read_back(
    server: str, sandbox: Sandbox, impatient: None, mode: str
) -> None:
    sandbox.fault("lms", mode, INSERT, times=1, seconds=1.0 if mode == "hang_after" else 0.3)
    assert [enroll()] == rows(sandbox)


@pytest.mark.parametrize("mode", [*UNUSABLE, "500", "503", "417", "409", "410"])
def test_an_error_answered_after_the_work_was_done_is_read_back(
    sandbox: Sandbox, mode: str
) -> None:
    sandbox.fault("lms", mode, INSERT, times=1, work=True)
    assert [enroll()] == rows(sandbox)


@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [
        ("400", {}, LmsMisconfigured),
        ("401", {}, LmsMisconfigured),
        ("403", {}, LmsMisconfigured),
        ("405", {}, LmsIntercepted),
        ("redirect", {}, LmsIntercepted),
        ("409", {}, LmsRefused),
        ("410", {}, LmsIntercepted),
        ("429", {"retry_after": 17}, LmsThrottled),
        ("429", {}, LmsThrottled),
    ],
)
def test_other_answers_to_the_insert_mean_what_the_contract_says(
    sandbox: Sandbox, mode: str, more: dict, expected: type
) -> None:
    sandbox.fault("lms", mode, INSERT, **more)
    error = refusal()
    assert isinstance(error, expected)
    assert rows(sandbox) == []
    if more:
        assert error.retry_after == timedelta(seconds=17)


def test_a_course_is_the_same_in_any_case(server: str, sandbox: Sandbox) -> None:
    """L6: the LMS finds it, and shows its enrollments under the true name."""
    sandbox.lms(courses=[{"name": "Free-Course-12b", "title": "Free course"}])
    made = enroll(course="free-course-12b")
    assert sandbox.enrollments(EMAIL)[0]["course"] == "Free-Course-12b"
    assert enroll(course="free-course-12b") == made
    sandbox.lms(progress={"email": EMAIL, "course": "Free-Course-12b", "percent": 50})
    assert driver().progress(EMAIL, "free-course-12b") == Progress(50)
    assert driver().course("free-course-12b").course_id == "Free-Course-12b"
    revocation = Revocation(EMAIL, "free-course-12b", frozenset({made}))
    assert driver().revoke(revocation) == Revoked(1)


def test_an_unknown_course_is_refused_for_good_by_name(server: str, sandbox: Sandbox) -> None:
    error = refusal(course="no-such-course")
    assert isinstance(error, LmsCourseUnknown)
    assert not error.retryable
    assert "no-such-course" in error.reason
    assert rows(sandbox) == []


def test_tracebacks_switched_off_change_nothing(sandbox: Sandbox) -> None:
    sandbox.lms(tracebacks=False)
    assert isinstance(refusal(course="no-such-course"), LmsCourseUnknown)


def test_a_member_removed_in_this_moment_is_created_by_the_next_attempt(sandbox: Sandbox) -> None:
    """Server C refuses an unknown member; the raw server knows the user at first and not any more
    at the insert.
    """
    request = EnrollRequest("gone@example.com", "Gone", COURSE)
    sandbox.lms(server="C")
    platform = driver()
    with pytest.raises(LmsContended) as caught:
        platform._create(request)
    assert caught.value.retryable
    assert rows(sandbox, "gone@example.com") == []


def test_no_enrollment_is_written_for_a_user_who_could_not_be_created(sandbox: Sandbox) -> None:
    for mode in ("503", "throttled", "403", "409"):
        sandbox.fault("lms", mode, "POST /api/resource/User", times=1)
        refusal()
    assert sandbox.calls("lms", INSERT) == []
    assert sandbox.enrollments() == []


@pytest.mark.parametrize(("server_kind", "enrolled"), [("A", False), ("B", True)])
@pytest.mark.parametrize("flaw", ["published", "paid_course", "disable_self_learning"])
def test_a_key_without_moderator_is_refused_where_the_contract_says(
    sandbox: Sandbox, server_kind: str, enrolled: bool, flaw: str
) -> None:
    course = {
        "title": "Hard course",
        "name": "hard-course",
        "published": 1,
        flaw: 0 if flaw == "published" else 1,
    }
    sandbox.lms(server=server_kind, role="System Manager", courses=[course])
    if enrolled:
        assert [enroll(course="hard-course")] == rows(sandbox)
    else:
        # L3: it is our key that is refused, and no learner.
        error = refusal(course="hard-course")
        assert isinstance(error, LmsMisconfigured)
        assert error.reason.startswith("bot@example.com lacks the role Moderator")
    sandbox.lms(role="System Manager,Moderator")
    assert [enroll(course="hard-course")] == rows(sandbox)


@pytest.mark.parametrize("key", ["wrong:secret", "sandbox-key:wrong"])
def test_a_wrong_key_is_a_misconfiguration(sandbox: Sandbox, settings: Settings, key: str) -> None:
    settings.FRAPPE_LMS_API_KEY = key
    assert isinstance(refusal(), LmsMisconfigured)
    with pytest.raises(LmsMisconfigured):
        driver().ping()


def test_an_address_of_no_site_is_nobodys_refusal(sandbox: Sandbox) -> None:
    sandbox.lms(host="lms.example")
    error = refusal()
    assert isinstance(error, LmsIntercepted)
    assert "FRAPPE_LMS_BASE_URL" in error.reason


def test_a_site_without_the_lms_is_nobodys_refusal(sandbox: Sandbox) -> None:
    """L3: Frappe answers well, and its app lms is not installed there, or not any more."""
    sandbox.fault("lms", "404", "GET /api/resource/LMS Enrollment")
    error = refusal()
    assert isinstance(error, LmsMisconfigured)
    assert "install its app lms" in error.reason
    with pytest.raises(LmsMisconfigured):
        driver().ping()


def test_endpoints_blocked_for_website_users_are_a_misconfiguration(sandbox: Sandbox) -> None:
    sandbox.lms(block_endpoints=True, role="Moderator")
    assert isinstance(refusal(), LmsMisconfigured)
    sandbox.lms(role="System Manager,Moderator")
    assert [enroll()] == rows(sandbox)


def test_ping_says_who_we_are(server: str) -> None:
    assert driver().ping() == "bot@example.com"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("401", LmsMisconfigured),
        ("403", LmsMisconfigured),
        ("503", LmsUnavailable),
        ("html_200", LmsIntercepted),
    ],
)
def test_ping_says_what_is_wrong(sandbox: Sandbox, mode: str, expected: type[LmsError]) -> None:
    sandbox.fault("lms", mode)
    with pytest.raises(expected):
        driver().ping()


def test_find_returns_nothing_for_a_stranger(server: str) -> None:
    assert driver().find("nobody@example.com", COURSE) == []


def test_find_does_not_see_other_courses_or_learners(server: str, sandbox: Sandbox) -> None:
    enroll(course="other-course")
    enroll("ben@example.com")
    assert driver().find(EMAIL, COURSE) == []
    assert len(driver().find(EMAIL, "other-course")) == 1


def test_find_returns_more_rows_than_frappe_puts_on_a_page(sandbox: Sandbox) -> None:
    sandbox.lms(
        users=[{"email": EMAIL, "first_name": "Asha"}],
        enrollments=[{"member": EMAIL, "course": COURSE}] * 30,
    )
    assert len(driver().find(EMAIL, COURSE)) == 30


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [{"name": "x", "member": "other@example.com", "course": "free-course"}]}',
        b'{"data": [{"name": "x", "member": "asha@example.com", "course": "other-course"}]}',
        b'{"data": [{"progress": 1}]}',
        b'{"data": {}}',
        b'{"data": ["x"]}',
        b'{"data": [{"name": ""}]}',
        b'{"data": [{"name": 7}]}',
        b'{"data": [{"name": "x", "progress": "lots"}]}',
        b'{"data": [{"name": "x", "progress": NaN}]}',
        b'{"data": [{"name": "x", "progress": [1]}]}',
        b'{"data": [{"name": "x", "progress": true}]}',
    ],
)
def test_rows_that_were_not_asked_for_are_not_believed(settings: Settings, body: bytes) -> None:
    with raw_server([response(body)]) as server:
        settings.FRAPPE_LMS_BASE_URL = server.url
        with pytest.raises(LmsUnreadable):
            driver().find(EMAIL, COURSE)


def revoke(*made: str, unseen: bool = False) -> Revoked:
    return driver().revoke(Revocation(EMAIL, COURSE, frozenset(made), unseen))


def test_revoking_removes_what_we_made_and_names_the_rest(server: str, sandbox: Sandbox) -> None:
    ours = enroll()
    sandbox.lms(enrollments=[{"member": EMAIL, "course": COURSE}])
    others = [row for row in rows(sandbox) if row != ours]
    enroll(course="other-course")
    enroll("ben@example.com")
    assert revoke(ours) == Revoked(1, (Found(others[0], 0),))
    assert sorted((row["member"], row["course"]) for row in sandbox.enrollments()) == [
        (EMAIL, COURSE),
        (EMAIL, "other-course"),
        ("ben@example.com", COURSE),
    ]


def test_what_a_lost_answer_may_have_made_is_revoked_and_never_what_a_batch_made(
    sandbox: Sandbox,
) -> None:
    ours = enroll()
    sandbox.lms(
        enrollments=[
            {"member": EMAIL, "course": COURSE},
            {"member": EMAIL, "course": COURSE, "enrollment_from_batch": "spring"},
        ]
    )
    revoked = revoke(ours, unseen=True)
    assert (revoked.removed, [row.is_elsewheres for row in revoked.left]) == (2, [True])
    assert rows(sandbox) == [row.enrollment_id for row in revoked.left]


def test_revoking_what_is_not_there_is_fine(server: str) -> None:
    assert revoke("gone", unseen=True) == Revoked(0)


def test_a_row_that_vanishes_while_it_is_revoked_is_fine(sandbox: Sandbox) -> None:
    ours = enroll()
    sandbox.fault("lms", "404", "DELETE /api/resource/LMS Enrollment", times=1)
    assert revoke(ours) == Revoked(0)


def test_of_two_only_the_younger_untouched_one_is_removed(server: str, sandbox: Sandbox) -> None:
    """L5: both creates of one job took effect."""
    assert driver().tidy(EMAIL, COURSE) == ""
    sandbox.lms(enrollments=[{"member": EMAIL, "course": COURSE, "creation": "2026-01-01"}] * 2)
    oldest = driver().find(EMAIL, COURSE)[0].enrollment_id
    assert (driver().tidy(EMAIL, COURSE), rows(sandbox)) == (oldest, [oldest])
    assert driver().tidy(EMAIL, COURSE) == oldest


def test_the_one_with_work_in_it_is_kept_and_two_with_work_both(sandbox: Sandbox) -> None:
    ours = enroll()
    sandbox.lms(enrollments=[{"member": EMAIL, "course": COURSE, "progress": 33.333}])
    younger = next(row for row in rows(sandbox) if row != ours)
    assert (driver().tidy(EMAIL, COURSE), rows(sandbox)) == (younger, [younger])
    sandbox.lms(enrollments=[{"member": EMAIL, "course": COURSE, "certificate": "c1"}])
    assert driver().tidy(EMAIL, COURSE) == younger
    assert len(rows(sandbox)) == 2


@pytest.mark.parametrize("mode", ["lost_answer", "503", "empty_200"])
def test_a_revocation_whose_answer_is_lost_is_finished_by_the_next(
    sandbox: Sandbox, mode: str
) -> None:
    ours = enroll()
    sandbox.fault("lms", mode, "DELETE /api/resource/LMS Enrollment", times=1)
    with pytest.raises(LmsUnavailable):
        revoke(ours)
    revoke(ours)
    assert rows(sandbox) == []


@pytest.mark.parametrize(
    ("percent", "shown", "completed"),
    [(0, 0, False), (49.9, 49, False), (99.99, 99, False), (100, 100, True)],
)
def test_progress_is_a_whole_percentage_rounded_down(
    sandbox: Sandbox, percent: float, shown: int, completed: bool
) -> None:
    enroll()
    sandbox.lms(progress={"email": EMAIL, "course": COURSE, "percent": percent})
    found = driver().progress(EMAIL, COURSE)
    assert (found, found.completed) == (Progress(shown), completed)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, 0),
        ("", 0),
        ("50.0", 50),
        (-3, 0),
        (250, 100),
        (1e300, 100),
        ("1e999999", 100),
        ("Infinity", 100),
    ],
)
def test_odd_progress_stays_between_0_and_100(value: Any, shown: int) -> None:
    assert read_percent(value) == shown


def test_there_is_no_progress_without_an_enrollment(sandbox: Sandbox) -> None:
    with pytest.raises(LmsNotEnrolled):
        driver().progress(EMAIL, COURSE)


def test_a_course_has_its_facts(server: str, sandbox: Sandbox) -> None:
    taught_by = [{"instructor": who} for who in ("nobody@x.test", "Ann@x.test", "odd@x.test")]
    sandbox.lms(
        users=[
            {"email": "ann@x.test", "first_name": "Ann Rao"},
            {"email": "odd@x.test", "first_name": "odd@x.test"},
        ],
        courses=[
            {"name": COURSE, "lessons": 12, "image": "/files/a.png", "instructors": taught_by}
        ],
    )
    found = driver().course(COURSE)
    # Their names, never their addresses, which would get onto the course page.
    assert replace(found, modified="") == CourseFacts(
        COURSE, "Free course", True, ("Ann Rao",), image="/files/a.png", lessons=12
    )
    assert found.modified.startswith("20")


@pytest.mark.parametrize("mode", ["403", "500"])
def test_a_course_is_read_where_its_instructors_cannot_be(sandbox: Sandbox, mode: str) -> None:
    sandbox.fault("lms", mode, "GET /api/resource/User")
    assert driver().course(COURSE).instructors == ()


@pytest.mark.parametrize(
    "row",
    [
        '{"name":"c1","member":"ben@example.com","course":"free-course"}',
        '{"name":"c1","member":"asha@example.com","course":"other-course"}',
        '{"name":"c1"}',
        '"c1"',
    ],
)
def test_a_certificate_that_was_not_asked_for_is_not_believed(sandbox: Sandbox, row: str) -> None:
    """A server that ignores the filter answers with everybody's."""
    client = driver().client
    with raw_server([response(f'{{"data":[{row}]}}'.encode())]) as server:
        client.base_url = server.url
        with pytest.raises(LmsUnreadable):
            find_certificate(client, email=EMAIL, course_id=COURSE)


def test_the_newest_certificate_is_shown_whatever_its_name(sandbox: Sandbox) -> None:
    rows = [
        {"name": "old", "member": EMAIL, "course": COURSE, "issue_date": "2025-01-01"},
        {"name": "a/b?c#d", "member": EMAIL, "course": COURSE, "issue_date": "no date"},
    ]
    client = driver().client
    with raw_server([response(json.dumps({"data": rows}).encode())]) as server:
        client.base_url = server.url
        found = find_certificate(client, email=EMAIL, course_id=COURSE)
    assert found == Certificate(f"{sandbox.lms_url}/courses/{COURSE}/a%2Fb%3Fc%23d", None)


def test_a_course_the_lms_does_not_know_is_said_so(server: str) -> None:
    with pytest.raises(LmsCourseUnknown):
        driver().course("Free course")


def test_ids_with_odd_characters_reach_the_lms_unharmed(sandbox: Sandbox) -> None:
    odd = "asha+x/y%25#?&@example.com"
    assert [enroll(odd)] == rows(sandbox, odd)
    with pytest.raises(LmsCourseUnknown):
        driver().course("../../method/ping")


def test_an_address_in_capitals_finds_the_same_learner(sandbox: Sandbox) -> None:
    first = enroll()
    assert driver().find("Asha@Example.com".lower(), COURSE) == [Found(first, 0)]


def test_the_whole_delivery_ends_within_its_budget(sandbox: Sandbox, impatient: None) -> None:
    sandbox.fault("lms", "slow", seconds=0.5)
    platform: FrappeRest = driver()
    for _ in range(3):
        platform.find(EMAIL, COURSE)
    with pytest.raises(LmsUnavailable):
        platform.find(EMAIL, COURSE)
    assert sum((e.duration for e in platform.client.journal), timedelta(0)) < timedelta(seconds=2.1)


@pytest.mark.every_engine
def test_many_workers_enrolling_different_learners_leave_one_row_each(sandbox: Sandbox) -> None:
    def step(number: int) -> str:
        while True:
            try:
                return enroll(f"learner{number}@example.com")
            except LmsAccountWaits:  # another one's user is being made
                time.sleep(0.05)

    made = race(step, threads=6)
    assert sorted(made) == sorted(row["name"] for row in sandbox.enrollments())
