"""The learner's user in Frappe: found or created, once, and never in a way that hangs the LMS."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from lms_sync import accounts, locks
from lms_sync.connection import frappe_client
from lms_sync.errors import (
    LmsAccountWaits,
    LmsContended,
    LmsError,
    LmsIntercepted,
    LmsMisconfigured,
    LmsNoNewUsers,
    LmsRefused,
    LmsUnavailable,
    LmsUserDisabled,
)
from lms_sync.models import PlatformState, SyncLock
from lms_sync.platforms import frappe_users
from lms_sync.platforms.frappe_users import ensure_user, find_user, names, username
from tests.concurrency import race
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
CREATE = "POST /api/resource/User"
EMAIL = "asha@example.com"


def ensure(email: str = EMAIL, name: str = "Asha Rao") -> bool:
    return ensure_user(frappe_client(timedelta(seconds=5)), email, full_name=name)


def ensure_in_turn(email: str) -> bool:
    """Try until it is this thread's turn, as the queue does."""
    while True:
        try:
            return ensure(email)
        except LmsAccountWaits:
            time.sleep(0.05)


def users(sandbox: Sandbox) -> list[str]:
    return [
        user["name"]
        for user in sandbox.book("users")
        if user["name"].endswith("@example.com") and "bot@" not in user["name"]
    ]


def refused(email: str = EMAIL) -> LmsError:
    with pytest.raises(LmsError) as caught:
        ensure(email)
    return caught.value


@pytest.mark.parametrize("server", ["A", "B", "C"])
def test_ensuring_twice_creates_once(sandbox: Sandbox, server: str) -> None:
    sandbox.lms(server=server)
    assert [ensure(), ensure()] == [True, False]
    assert users(sandbox) == [EMAIL]
    assert len(sandbox.calls("lms", CREATE)) == 1


@pytest.mark.parametrize(
    ("full_name", "first", "last"),
    [
        ("Asha Rao", "Asha", "Rao"),
        ("  Asha   Maria  Rao ", "Asha", "Maria Rao"),
        ("Asha", "Asha", ""),
        ("आशा राव", "आशा", "राव"),
        ("", "asha.rao", ""),
        ("   ", "asha.rao", ""),
        ("***", "asha.rao", ""),
        ("*** Rao", "*** Rao", ""),
        ("<b>Asha</b>", "bAsha/b", ""),
        ("As\x00ha\nRao", "AshaRao", ""),
        ("\u200b\u202e", "asha.rao", ""),
    ],
)
def test_the_first_name_always_has_a_letter_or_a_digit(
    full_name: str, first: str, last: str
) -> None:
    assert names("asha.rao@example.com", full_name) == (first, last)


def test_an_address_without_letters_still_gets_a_name() -> None:
    assert names("+_-@example.com", "!!!") == ("Learner", "")


def test_names_are_cut_to_what_frappe_stores() -> None:
    for length, rest in ((200, 0), (140, 0), (139, 0), (100, 39)):
        first, last = names(EMAIL, f"{'a' * length} {'b' * 200}")
        assert (len(first), len(last)) == (min(length, 140), rest)


@pytest.mark.parametrize("name", ["", " ", "***", "\u200b"])
def test_a_blank_name_does_not_hang_the_lms(sandbox: Sandbox, name: str) -> None:
    ensure("+@example.com", name)
    assert users(sandbox) == ["+@example.com"]


def test_user_names_are_unique_and_show_nothing() -> None:
    made = {username(f"learner{number}@example.com") for number in range(1000)}
    assert len(made) == 1000
    assert username(EMAIL) == username(EMAIL)
    assert "asha" not in username(EMAIL)


def test_two_learners_of_one_name_do_not_collide(sandbox: Sandbox) -> None:
    sandbox.lms(users=[{"email": "first@example.com", "first_name": "Asha", "username": "asha"}])
    ensure()
    assert EMAIL in users(sandbox)


def test_the_user_name_is_ours_and_not_derived_by_the_lms(sandbox: Sandbox) -> None:
    ensure()
    assert [user["username"] for user in sandbox.book("users") if user["name"] == EMAIL] == [
        username(EMAIL)
    ]


def test_no_welcome_mail_is_sent(sandbox: Sandbox) -> None:
    ensure()
    assert sandbox.mails(EMAIL) == []


@pytest.mark.parametrize("mode", ["lost_answer", "half_answer", "short_length"])
def test_a_lost_answer_to_the_creation_is_read_back(sandbox: Sandbox, mode: str) -> None:
    sandbox.fault("lms", mode, CREATE, times=1)
    ensure()
    assert users(sandbox) == [EMAIL]


@pytest.mark.parametrize("mode", ["409", "500", "503", "deadlock", "html_200"])
def test_an_error_about_a_user_who_is_there_is_fine(sandbox: Sandbox, mode: str) -> None:
    sandbox.fault("lms", mode, CREATE, times=1, work=True)
    ensure()
    assert users(sandbox) == [EMAIL]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("deadlock", LmsUnavailable),
        ("503", LmsIntercepted),
        ("500", LmsIntercepted),
        ("down", LmsUnavailable),
        ("409", LmsContended),
        ("throttled", LmsNoNewUsers),
        ("403", LmsMisconfigured),
        ("417", LmsRefused),
    ],
)
def test_an_error_about_a_user_who_is_not_there_is_raised(
    sandbox: Sandbox, mode: str, expected: type[LmsError]
) -> None:
    sandbox.fault("lms", mode, CREATE, times=1)
    assert type(refused()) is expected
    after_an_hour()
    ensure()
    assert users(sandbox) == [EMAIL]


def after_an_hour() -> None:
    """Let our own clock be past what was noted of the LMS's limit on new users."""
    PlatformState.objects.update(no_new_users_before=None)


@pytest.mark.every_engine
def test_the_hourly_limit_on_new_users_is_a_pause_of_an_hour(sandbox: Sandbox) -> None:
    sandbox.lms(user_limit=0)
    ensure()
    error = refused("second@example.com")
    assert isinstance(error, LmsNoNewUsers)
    assert error.retry_after == timedelta(hours=1)
    sandbox.advance(3601)
    assert isinstance(refused("second@example.com"), LmsAccountWaits)
    after_an_hour()
    ensure("second@example.com")


@pytest.mark.parametrize("email", ["notanemail", "a" * 140 + "@example.com"])
def test_an_address_frappe_does_not_take_is_refused_for_good(sandbox: Sandbox, email: str) -> None:
    assert isinstance(refused(email), LmsRefused)


def test_a_moderator_alone_may_not_create_users_on_older_servers(sandbox: Sandbox) -> None:
    sandbox.lms(server="B", role="Moderator")
    assert isinstance(refused(), LmsMisconfigured)
    sandbox.lms(server="A")
    ensure()


@pytest.mark.parametrize("mode", ["html_200", "empty_200", "bad_json"])
def test_an_unreadable_look_up_never_leads_to_a_creation(sandbox: Sandbox, mode: str) -> None:
    sandbox.fault("lms", mode, "GET /api/resource/User")
    assert isinstance(refused(), LmsUnavailable)
    assert sandbox.calls("lms", CREATE) == []


def test_an_answer_about_another_user_is_not_believed(sandbox: Sandbox) -> None:
    sandbox.lms(users=[{"email": "other@example.com", "first_name": "Other"}])
    assert find_user(frappe_client(timedelta(seconds=5)), EMAIL) is None


@pytest.mark.every_engine
def test_one_address_in_two_jobs_at_once_makes_one_user(sandbox: Sandbox) -> None:
    sandbox.lms(user_latency=0.2)
    made = race(lambda _: ensure_in_turn(EMAIL), threads=4)
    assert sorted(made) == [False, False, False, True]
    assert users(sandbox) == [EMAIL]


@pytest.mark.every_engine
def test_users_are_created_one_at_a_time_and_so_without_deadlock(sandbox: Sandbox) -> None:
    sandbox.lms(user_latency=0.1, user_deadlocks=True)
    made = race(lambda number: ensure_in_turn(f"learner{number}@example.com"), threads=8)
    assert made == [True] * 8
    assert len(users(sandbox)) == 8
    assert {call["status"] for call in sandbox.calls("lms", CREATE)} == {200}


@pytest.mark.every_engine
def test_the_control_without_the_lock_does_deadlock(sandbox: Sandbox) -> None:
    """The harness sees what the lock prevents."""
    sandbox.lms(user_latency=0.3, user_deadlocks=True)
    race(
        lambda number: frappe_users._create(
            frappe_client(timedelta(seconds=5)), f"learner{number}@example.com", "L"
        ),
        threads=8,
    )
    assert 500 in {call["status"] for call in sandbox.calls("lms", CREATE)}


@pytest.mark.every_engine
def test_nobody_waits_while_another_worker_makes_a_user(sandbox: Sandbox) -> None:
    began = time.monotonic()
    with locks.held(accounts.turn_at("frappe"), lease=timedelta(minutes=1)):
        error = refused()
        assert isinstance(error, LmsAccountWaits)
        assert (error.retry_after, error.consumes_attempt) == (
            timedelta(milliseconds=100),
            False,
        )
        assert time.monotonic() - began < 2
        assert sandbox.calls("lms", CREATE) == []
        state, now = PlatformState(name="frappe"), timezone.now()
        assert not accounts.are_made(state, now), "no job that needs a user is claimed meanwhile"
        SyncLock.objects.update(until=timezone.now())
        assert ensure(), "what a lost worker held is free after its lease"
        assert accounts.are_made(state, now), "the next one is claimed at once"


def test_a_user_that_was_missing_is_made_without_a_look(sandbox: Sandbox) -> None:
    client = frappe_client(timedelta(seconds=5))
    assert ensure_user(client, EMAIL, full_name="Asha", is_missing=True)
    assert [call["call"] for call in sandbox.calls("lms")] == [CREATE]
    assert not ensure_user(client, EMAIL, full_name="Asha", is_missing=True)
    assert users(sandbox) == [EMAIL]


def test_one_that_somebody_else_made_meanwhile_is_enabled(sandbox: Sandbox) -> None:
    off(sandbox)
    client = frappe_client(timedelta(seconds=5))
    assert not ensure_user(client, EMAIL, full_name="Asha", is_missing=True)
    assert user_in_lms(sandbox)["enabled"] == 1


def off(sandbox: Sandbox) -> None:
    user = {"email": EMAIL, "first_name": "Old", "last_name": "Name", "enabled": 0}
    sandbox.lms(users=[user])


def user_in_lms(sandbox: Sandbox) -> dict:
    return next(user for user in sandbox.book("users") if user["name"] == EMAIL)


def test_a_user_who_was_disabled_is_enabled_and_keeps_the_name(sandbox: Sandbox) -> None:
    """L2."""
    off(sandbox)
    assert not ensure()
    user = user_in_lms(sandbox)
    assert (user["enabled"], user["full_name"]) == (1, "Old Name")
    ensure()
    assert len(sandbox.calls("lms", "PUT")) == 1


def test_a_disabled_user_stays_so_where_the_setting_says(
    sandbox: Sandbox, settings: Settings
) -> None:
    settings.FRAPPE_ENABLE_USERS = False
    off(sandbox)
    error = refused()
    assert isinstance(error, LmsUserDisabled)
    assert (error.retryable, error.consumes_attempt) == (True, False)
    assert user_in_lms(sandbox)["enabled"] == 0
    sandbox.lms(users=[{"email": EMAIL, "enabled": 1}])
    assert not ensure()


@pytest.mark.parametrize("words", ["User limit reached", "left it as it was"])
def test_a_user_whom_the_lms_does_not_let_us_enable_is_held_and_not_refused(
    sandbox: Sandbox, words: str
) -> None:
    """The course is paid: that the site has no room for one more user is for staff to settle."""
    off(sandbox)
    if words == "User limit reached":
        sandbox.fault("lms", "error", "PUT /api/resource/User", status=417, text=words)
    else:
        sandbox.lms(users_stay_off=True)
    error = refused()
    assert isinstance(error, LmsUserDisabled)
    assert (error.retryable, error.consumes_attempt) == (True, False)
    assert words in error.reason
    assert user_in_lms(sandbox)["enabled"] == 0


@pytest.mark.parametrize("is_on", [False, True])
def test_a_new_user_gets_the_welcome_of_the_lms_where_the_setting_says(
    sandbox: Sandbox, settings: Settings, is_on: bool
) -> None:
    settings.FRAPPE_WELCOME_MAIL = is_on
    ensure()
    assert len(sandbox.mails(EMAIL)) == int(is_on)


def test_the_longest_name_is_one_that_frappe_takes(sandbox: Sandbox) -> None:
    """First and last name together may have 140 characters there."""
    assert ensure(name="Maximiliana " + "y" * 200)
    assert len(user_in_lms(sandbox)["full_name"]) == 140
