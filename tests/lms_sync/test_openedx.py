"""What only Open edX does: learners make their accounts themselves, the mode is easily lost, its
database knows no accents, and tokens expire.
"""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from lms_sync.errors import (
    LmsAccountRetired,
    LmsAwaitingAccount,
    LmsContended,
    LmsCourseUnknown,
    LmsError,
    LmsMisconfigured,
    LmsNotEnrolled,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
    LmsUnreadable,
)
from lms_sync.platforms import openedx_client, openedx_enrollments
from lms_sync.platforms.base import EnrollRequest, Found, Notes, Progress, Revocation, Revoked
from lms_sync.platforms.openedx_certificates import find_certificate
from tests.concurrency import race
from tests.lms_sync.rawserver import raw_server, response
from tests.lms_sync.rigs import EMAIL, OpenEdxRig
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
COURSE, UNKNOWN = OpenEdxRig.course, OpenEdxRig.unknown
POST, ALLOWED = "POST /api/enrollment/v1/enrollment", "/api/enrollment/v1/enrollment_allowed/"
TOKEN = "POST /oauth2/access_token"
CLOSED = {"enrollment_end": "2020-01-01T00:00:00Z"}


@pytest.fixture
def edx(sandbox: Sandbox, with_openedx: None) -> OpenEdxRig:
    openedx_client._tokens.clear()
    return OpenEdxRig(sandbox)


@pytest.fixture
def asha(edx: OpenEdxRig) -> OpenEdxRig:
    edx.learner(EMAIL)
    return edx


def refusal(edx: OpenEdxRig, email: str = EMAIL, course: str = "") -> LmsError:
    with pytest.raises(LmsError) as caught:
        edx.enroll(email, course)
    return caught.value


def modes(edx: OpenEdxRig) -> list[tuple[str, str, bool]]:
    rows = edx.sandbox.edx()["enrollments"]
    return [(row["email"], row["mode"], row["is_active"]) for row in rows]


def entries(edx: OpenEdxRig) -> list[tuple[str, str, Any]]:
    allowed = edx.sandbox.edx()["allowed"]
    return [(entry["email"], entry["course_id"], entry["user"]) for entry in allowed]


def set_course(edx: OpenEdxRig, **facts: Any) -> None:
    edx.sandbox.edx(courses=[{"id": COURSE, **facts}])


# --- a buyer without an account -------------------------------------------------------------------


def test_without_an_account_an_entry_waits_and_nobody_is_enrolled(edx: OpenEdxRig) -> None:
    assert isinstance(refusal(edx), LmsAwaitingAccount)
    assert (entries(edx), modes(edx)) == ([(EMAIL, COURSE, None)], [])


def test_looking_again_makes_no_second_entry_and_costs_one_counted_call(edx: OpenEdxRig) -> None:
    refusal(edx)
    before = len(edx.sandbox.calls("openedx"))
    assert isinstance(refusal(edx), LmsAwaitingAccount)
    asked = [call["call"] for call in edx.sandbox.calls("openedx")[before:]]
    assert asked == ["GET /api/user/v1/accounts", f"GET {ALLOWED}"]


def test_who_registers_and_confirms_is_upgraded_to_what_was_paid_for(edx: OpenEdxRig) -> None:
    refusal(edx)
    edx.sandbox.edx(accounts=[{"email": EMAIL, "username": "asha", "is_active": False}])
    edx.sandbox.edx(activate=EMAIL)
    assert modes(edx) == [(EMAIL, "audit", True)]
    assert edx.enroll() == f"asha,{COURSE}"
    assert modes(edx) == [(EMAIL, "verified", True)]


def test_an_account_that_is_not_confirmed_yet_is_enrolled_and_stays_so(edx: OpenEdxRig) -> None:
    refusal(edx)
    edx.sandbox.edx(accounts=[{"email": EMAIL, "username": "asha", "is_active": False}])
    edx.enroll()
    edx.sandbox.edx(activate=EMAIL)
    assert modes(edx) == [(EMAIL, "verified", True)]


def test_no_entry_is_made_for_a_course_that_does_not_exist(edx: OpenEdxRig) -> None:
    """It would keep the learner's account from ever being activated."""
    assert isinstance(refusal(edx, course=UNKNOWN), LmsCourseUnknown)
    assert entries(edx) == []


def test_an_entry_that_another_account_used_is_for_staff(edx: OpenEdxRig) -> None:
    refusal(edx)
    edx.learner(EMAIL)
    edx.sandbox.edx(activate=EMAIL)
    edx.sandbox.edx(change_email={"email": EMAIL, "to": "new@example.com"})
    error = refusal(edx)
    assert isinstance(error, LmsRefused)
    assert "another e-mail now" in error.reason


def test_a_retired_account_is_for_staff_and_has_nothing_to_revoke(edx: OpenEdxRig) -> None:
    edx.sandbox.edx(accounts=[{"email": EMAIL, "username": "asha", "retired": True}])
    assert isinstance(refusal(edx), LmsAccountRetired)
    assert edx.revoke() == Revoked(0)
    assert edx.driver().find(EMAIL, COURSE) == []


@pytest.mark.every_engine
def test_two_workers_make_one_entry(edx: OpenEdxRig) -> None:
    refusals = race(lambda _: refusal(edx), threads=5)
    assert {type(error) for error in refusals} == {LmsAwaitingAccount}
    assert len(entries(edx)) == 1


# --- whose account it is --------------------------------------------------------------------------


def test_the_account_of_an_address_that_differs_by_an_accent_is_another_persons(
    edx: OpenEdxRig,
) -> None:
    edx.sandbox.edx(accounts=[{"email": "äsha@example.com", "username": "other"}])
    assert isinstance(refusal(edx), LmsAwaitingAccount)
    assert modes(edx) == []
    assert edx.driver().find(EMAIL, COURSE) == []


def test_an_entry_of_an_address_that_differs_by_an_accent_is_not_taken_for_ours(
    edx: OpenEdxRig,
) -> None:
    edx.sandbox.edx(allowed=[{"email": "äsha@example.com", "course_id": COURSE}])
    error = refusal(edx)
    assert isinstance(error, LmsRefused)
    assert "accent" in error.reason
    assert edx.revoke() == Revoked(0)
    assert len(entries(edx)) == 1


def test_capitals_make_no_other_person(edx: OpenEdxRig) -> None:
    edx.learner("Asha@Example.com")
    assert edx.enroll() == f"Asha,{COURSE}"


def test_nothing_personal_of_an_account_is_kept_in_the_notes(asha: OpenEdxRig) -> None:
    driver = asha.driver()
    driver.enroll(EnrollRequest(EMAIL, "Asha Rao", COURSE))
    notes = " ".join(f"{call.request} {call.response}" for call in driver.edx.client.journal)
    key = asha.sandbox.edx()["accounts"][0]["activation_key"]
    secrets = (key, "activation_key", "date_joined", "sandbox-edx-secret", "eyJ", EMAIL)
    assert [secret for secret in secrets if secret in notes] == []


# --- the mode -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "wanted", "becomes"),
    [
        (("audit", True), "verified", "verified"),
        (("honor", True), "verified", "verified"),
        (("verified", False), "verified", "verified"),
        (("audit", False), "verified", "verified"),
        (("professional", True), "verified", "professional"),
        (("verified", True), "audit", "verified"),
        (("honor", True), "audit", "honor"),
    ],
)
def test_a_mode_is_raised_to_what_was_bought_and_never_lowered(
    asha: OpenEdxRig, settings: Settings, present: tuple[str, bool], wanted: str, becomes: str
) -> None:
    settings.OPENEDX_COURSE_MODES = {COURSE: wanted}
    set_course(asha, modes=["audit", "honor", "verified", "professional"])
    row = {"email": EMAIL, "course_id": COURSE, "mode": present[0], "is_active": present[1]}
    asha.sandbox.edx(enrollments=[row])
    asha.enroll()
    assert modes(asha) == [(EMAIL, becomes, True)]


def test_the_mode_of_a_course_is_its_own_in_any_case(asha: OpenEdxRig, settings: Settings) -> None:
    """L6: Open edX finds a course in any case, and staff may have typed it in two."""
    settings.OPENEDX_COURSE_MODES = {COURSE.upper(): "professional"}
    set_course(asha, modes=["audit", "verified", "professional"])
    asha.enroll()
    assert modes(asha) == [(EMAIL, "professional", True)]


def test_a_mode_that_is_not_offered_is_refused_with_those_that_are(asha: OpenEdxRig) -> None:
    set_course(asha, modes=["audit", "honor"])
    error = refusal(asha)
    assert isinstance(error, LmsRefused)
    assert "It offers audit, honor." in error.reason
    assert asha.driver().course(COURSE).obstacles == (
        "It does not offer the mode verified, but audit, honor.",
    )


def test_a_learner_who_audits_a_course_whose_mode_has_expired_is_refused(asha: OpenEdxRig) -> None:
    set_course(asha, modes=["audit", "verified:2020-01-01"])
    assert asha.enroll()  # who is new is let in by force
    asha.sandbox.edx(enrollments=[{"email": EMAIL, "course_id": COURSE, "mode": "audit"}])
    assert isinstance(refusal(asha), LmsRefused)


@pytest.mark.parametrize(
    ("facts", "force", "words"),
    [
        (CLOSED, True, ""),
        ({"enrollment_start": "2099-01-01T00:00:00Z"}, True, ""),
        ({"invite_only": True}, True, ""),
        (CLOSED, False, "Its enrollment has ended"),
        ({"enrollment_start": "2099-01-01T00:00:00Z"}, False, "Its enrollment has not begun"),
        ({"invite_only": True}, False, "by invitation only"),
        ({"seats": 0}, True, "probably full"),
    ],
)
def test_force_opens_every_door_but_that_of_a_full_course(
    asha: OpenEdxRig, settings: Settings, facts: dict, force: bool, words: str
) -> None:
    settings.OPENEDX_FORCE_ENROLLMENT = force
    set_course(asha, **facts)
    if not words:
        assert asha.enroll()
        return
    error = refusal(asha)
    assert isinstance(error, LmsRefused)
    assert words in error.reason


# --- leaving --------------------------------------------------------------------------------------


def test_leaving_keeps_the_mode_and_makes_no_row_for_strangers(asha: OpenEdxRig) -> None:
    assert asha.revoke() == Revoked(0)
    assert modes(asha) == []
    asha.enroll()
    assert asha.revoke() == Revoked(1)
    assert modes(asha) == [(EMAIL, "verified", False)]


def test_what_we_made_is_taken_back_from_a_learner_with_another_user_name_by_now(
    asha: OpenEdxRig,
) -> None:
    made = asha.enroll()
    asha.sandbox.edx(change_username={"email": EMAIL, "to": "Asha.R"})
    assert asha.revoke("another,name").removed == 0
    assert asha.revoke(made) == Revoked(1)
    assert modes(asha) == [(EMAIL, "verified", False)]


@pytest.mark.parametrize("used", [False, True])
def test_leaving_takes_the_entry_away_as_well(edx: OpenEdxRig, used: bool) -> None:
    refusal(edx)
    if used:
        edx.learner(EMAIL)
        edx.sandbox.edx(activate=EMAIL)
    assert edx.revoke() == Revoked(1)
    assert entries(edx) == []
    assert [row for row in modes(edx) if row[2]] == []


def test_an_entry_that_somebody_else_made_stays_and_is_named(edx: OpenEdxRig) -> None:
    """L4: a teacher let the learner in before the purchase, whose end is not the entry's."""
    edx.sandbox.edx(allowed=[{"email": EMAIL, "course_id": COURSE}])
    assert isinstance(refusal(edx), LmsAwaitingAccount)
    left = edx.driver().revoke(Revocation(EMAIL, COURSE, frozenset()))
    assert left == Revoked(0, (Found(f"pending:{EMAIL},{COURSE}", 0),))
    assert entries(edx) == [(EMAIL, COURSE, None)]


def test_an_entry_that_vanishes_in_this_moment_is_fine(edx: OpenEdxRig) -> None:
    refusal(edx)
    edx.break_("lost_answer", f"DELETE {ALLOWED}", times=1)
    with pytest.raises(LmsUnavailable):
        edx.revoke()
    assert edx.revoke() == Revoked(0)


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.every_engine
def test_all_threads_share_one_token(asha: OpenEdxRig) -> None:
    assert race(lambda _: asha.driver().ping(), threads=5) == ["shop_worker"] * 5
    assert len(asha.sandbox.calls("openedx", TOKEN)) == 1


def test_a_token_that_is_refused_is_replaced_once(asha: OpenEdxRig) -> None:
    asha.driver().ping()
    asha.sandbox.edx(forget_tokens=True)
    assert asha.enroll()
    assert len(asha.sandbox.calls("openedx", TOKEN)) == 2
    asha.break_("401", "GET /api/user/v1/me")
    with pytest.raises(LmsMisconfigured):
        asha.driver().ping()
    assert len(asha.sandbox.calls("openedx", TOKEN)) == 3


@pytest.mark.parametrize(("seconds", "used_for"), [(3600, 3540), (120, 60), (60, 30), (0, 0)])
def test_a_token_is_replaced_before_it_expires(
    asha: OpenEdxRig, seconds: int, used_for: int
) -> None:
    asha.sandbox.edx(token_seconds=seconds)
    asha.driver().ping()
    (token,) = openedx_client._tokens.values()
    assert used_for - 5 < token.good_until - time.monotonic() <= used_for


def test_a_token_that_is_about_to_expire_is_not_used_again(asha: OpenEdxRig) -> None:
    asha.sandbox.edx(token_seconds=0)
    asha.driver().ping()
    calls = [(call["call"], call["status"]) for call in asha.sandbox.calls("openedx")]
    assert [status for _, status in calls] == [200, 200, 200, 200]
    assert len([call for call, _ in calls if call == TOKEN]) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "other"},
        {"grant_type": "password"},
    ],
)
def test_an_application_that_is_not_accepted_is_a_misconfiguration(
    asha: OpenEdxRig, changes: dict
) -> None:
    asha.sandbox.edx(**changes)
    error = refusal(asha)
    assert isinstance(error, LmsMisconfigured)
    assert "OAuth application" in error.reason


@pytest.mark.parametrize("mode", ["down", "500", "503", "html_200", "empty_200", "bad_json"])
def test_without_a_usable_answer_to_the_token_request_it_is_unavailable(
    asha: OpenEdxRig, mode: str
) -> None:
    asha.break_(mode, TOKEN)
    assert isinstance(refusal(asha), LmsUnavailable)


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token":"","expires_in":1,"token_type":"JWT"}',
        b'{"access_token":7,"expires_in":1,"token_type":"JWT"}',
        b'{"access_token":"a\\nb","expires_in":1,"token_type":"JWT"}',
        b"[]",
        b"null",
    ],
)
def test_what_is_no_token_is_not_used(settings: Settings, edx: OpenEdxRig, body: bytes) -> None:
    with raw_server([response(body)]) as server:
        settings.OPENEDX_BASE_URL = server.url
        assert isinstance(refusal(edx), LmsUnavailable)


def test_an_opaque_token_is_refused_as_the_entries_would_refuse_it(
    settings: Settings, edx: OpenEdxRig
) -> None:
    body = b'{"access_token":"abc","expires_in":36000,"token_type":"Bearer"}'
    with raw_server([response(body)]) as server:
        settings.OPENEDX_BASE_URL = server.url
        assert isinstance(refusal(edx), LmsMisconfigured)


def test_too_many_token_requests_are_a_pause(asha: OpenEdxRig) -> None:
    asha.sandbox.edx(token_limit=0)
    error = refusal(asha)
    assert isinstance(error, LmsThrottled)
    assert error.retry_after == timedelta(minutes=1)


def test_no_cookie_comes_back(asha: OpenEdxRig) -> None:
    """With one, a good token would be answered by an error page."""
    assert asha.driver().ping() == asha.driver().ping() == "shop_worker"


# --- rights, limits and oddities ------------------------------------------------------------------


def test_a_user_who_is_not_staff_is_a_misconfiguration_everywhere(asha: OpenEdxRig) -> None:
    asha.sandbox.edx(staff=False)
    for step in (asha.driver().ping, asha.enroll, lambda: asha.enroll("new@example.com")):
        with pytest.raises(LmsMisconfigured) as caught:
            step()
        assert "has to be staff" in caught.value.reason
    assert (modes(asha), entries(asha)) == ([], [])


def test_its_throttle_says_how_long_to_wait(asha: OpenEdxRig) -> None:
    asha.sandbox.edx(api_limit=1)
    error = refusal(asha)
    assert isinstance(error, LmsThrottled)
    assert timedelta(seconds=50) < error.retry_after <= timedelta(seconds=60)
    with pytest.raises(LmsThrottled) as caught:  # the list says it in words alone
        asha.driver().ping()
    assert timedelta(seconds=50) < caught.value.retry_after <= timedelta(seconds=60)


def test_an_account_that_vanishes_in_this_moment_is_looked_for_again(asha: OpenEdxRig) -> None:
    accounts = asha.driver()._account(EMAIL)
    asha.sandbox.edx(accounts=[{"email": EMAIL, "retired": True}])
    with pytest.raises(LmsContended):
        openedx_enrollments.ensure(asha.driver().edx, accounts, COURSE, notes=Notes())


def test_progress_that_is_not_shown_is_not_zero(asha: OpenEdxRig) -> None:
    asha.enroll()
    asha.sandbox.edx(progress_tab=False)
    assert asha.driver().progress(EMAIL, COURSE) == Progress(None)
    asha.give_certificate()
    found = asha.driver().progress(EMAIL, COURSE)
    assert (found.percent, found.completed) == (None, True)
    asha.revoke()
    with pytest.raises(LmsNotEnrolled):
        asha.driver().progress(EMAIL, COURSE)


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("{base}/certificates/1", True),
        ("/edx/certificates/1", True),
        ("https://elsewhere.example/certificates/1", False),
        ("//elsewhere.example/1", False),
        ("javascript:alert(1)", False),
        ("http://127.0.0.1:1/certificates/1", False),
        ("http://user@{host}/certificates/1", False),
        ("http://{host}.elsewhere.example/1", False),
        ("http://{host}\\@elsewhere.example/1", False),
        ("http://[/1", False),
        ("{base}/a b", False),
        ("{base}/" + "a" * 600, False),
    ],
)
def test_a_certificate_elsewhere_is_known_without_its_link(
    asha: OpenEdxRig, url: str, is_own: bool
) -> None:
    asha.enroll()
    base = asha.sandbox.edx_url
    host = base.partition("//")[2].partition("/")[0]
    url = url.format(base=base, host=host)
    asha.give_certificate(url=url)
    certificate = asha.driver().progress(EMAIL, COURSE).certificate
    assert certificate is not None
    complete = f"http://{host}{url}" if url.startswith("/edx") else url
    assert certificate.url == (complete if is_own else "")


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({}, True),
        ({"status": "generating"}, False),
        ({"status": "notpassing"}, False),
        ({"username": "ben"}, None),
        ({"course_id": "course-v1:A+B+C"}, None),
        ({"username": 7}, None),
    ],
)
def test_only_a_certificate_that_was_given_for_this_is_believed(
    asha: OpenEdxRig, change: dict[str, object], given: bool | None
) -> None:
    answer = {"username": "asha", "course_id": COURSE, "status": "downloadable", **change}
    driver = asha.driver()
    account = driver._account(EMAIL)
    with raw_server([response(json.dumps(answer).encode())]) as server:
        driver.edx.client.base_url = server.url
        if given is None:
            with pytest.raises(LmsUnreadable):
                find_certificate(driver.edx, account, COURSE)
        else:
            assert (find_certificate(driver.edx, account, COURSE) is not None) is given


def test_a_course_has_its_image(asha: OpenEdxRig) -> None:
    found = asha.driver().course(COURSE)
    assert found.image.startswith(asha.sandbox.edx_url)
    assert (found.instructors, found.lessons, found.modified) == ((), None, "")


def test_a_course_without_units_is_not_divided_by(asha: OpenEdxRig) -> None:
    set_course(asha, units=0)
    asha.enroll()
    assert asha.driver().progress(EMAIL, COURSE).percent == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"user":"ben","mode":"verified","is_active":true,"course_details":{"course_id":"%s"}}',
        b'{"user":"asha","mode":"verified","is_active":true,"course_details":{"course_id":"x"}}',
        b'{"user":"asha","mode":"verified","is_active":"yes","course_details":{"course_id":"%s"}}',
        b'{"user":"asha","mode":null,"is_active":true,"course_details":{"course_id":"%s"}}',
        b'{"user":"asha","mode":"verified","is_active":true}',
        b"[]",
    ],
)
def test_an_enrollment_that_was_not_asked_for_is_not_believed(
    asha: OpenEdxRig, settings: Settings, body: bytes
) -> None:
    account = asha.driver()._account(EMAIL)
    driver = asha.driver()
    with raw_server([response(body.replace(b"%s", COURSE.encode()))]) as server:
        driver.edx.client.base_url = server.url
        with pytest.raises(LmsUnreadable):
            openedx_enrollments.read(driver.edx, account, COURSE)
