"""The learner's user in Frappe: found or created, once, and never in a way that hangs the LMS."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from lms_sync import locks
from lms_sync.connection import frappe_client
from lms_sync.errors import (
    LmsBusy,
    LmsContended,
    LmsError,
    LmsMisconfigured,
    LmsRefused,
    LmsThrottled,
    LmsUnavailable,
)
from lms_sync.platforms import frappe_users
from lms_sync.platforms.frappe_users import CREATION_LOCK, ensure_user, names, user_exists, username
from tests.concurrency import race
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
CREATE = "POST /api/resource/User"
EMAIL = "asha@example.com"


def ensure(email: str = EMAIL, name: str = "Asha Rao") -> None:
    ensure_user(frappe_client(timedelta(seconds=5)), email, full_name=name)


def users(sandbox: Sandbox) -> list[str]:
    return [
        user["name"]
        for user in sandbox.state()["users"]
        if user["name"].endswith("@example.com") and "bot@" not in user["name"]
    ]


def refused(email: str = EMAIL) -> LmsError:
    with pytest.raises(LmsError) as caught:
        ensure(email)
    return caught.value


@pytest.mark.parametrize("server", ["A", "B", "C"])
def test_ensuring_twice_creates_once(sandbox: Sandbox, server: str) -> None:
    sandbox.lms(server=server)
    ensure()
    ensure()
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
    first, last = names(EMAIL, f"{'a' * 200} {'b' * 200}")
    assert (len(first), len(last)) == (140, 140)


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
    assert [user["username"] for user in sandbox.state()["users"] if user["name"] == EMAIL] == [
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
        ("503", LmsUnavailable),
        ("500", LmsUnavailable),
        ("down", LmsUnavailable),
        ("409", LmsContended),
        ("throttled", LmsThrottled),
        ("403", LmsMisconfigured),
        ("417", LmsRefused),
    ],
)
def test_an_error_about_a_user_who_is_not_there_is_raised(
    sandbox: Sandbox, mode: str, expected: type[LmsError]
) -> None:
    sandbox.fault("lms", mode, CREATE, times=1)
    assert type(refused()) is expected
    ensure()
    assert users(sandbox) == [EMAIL]


def test_the_hourly_limit_on_new_users_is_a_pause_of_an_hour(sandbox: Sandbox) -> None:
    sandbox.lms(user_limit=0)
    ensure()
    error = refused("second@example.com")
    assert isinstance(error, LmsThrottled)
    assert error.retry_after == timedelta(hours=1)
    sandbox.advance(3601)
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
    assert not user_exists(frappe_client(timedelta(seconds=5)), EMAIL)


@pytest.mark.every_engine
def test_one_address_in_two_jobs_at_once_makes_one_user(sandbox: Sandbox) -> None:
    sandbox.lms(user_latency=0.2)
    assert race(lambda _: ensure(), threads=4) == [None] * 4
    assert users(sandbox) == [EMAIL]


@pytest.mark.every_engine
def test_users_are_created_one_at_a_time_and_so_without_deadlock(sandbox: Sandbox) -> None:
    sandbox.lms(user_latency=0.1, user_deadlocks=True)
    assert race(lambda number: ensure(f"learner{number}@example.com"), threads=8) == [None] * 8
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


def test_who_waits_too_long_for_the_lock_tries_later(
    sandbox: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frappe_users, "LONGEST_WAIT_FOR_LOCK", timedelta(seconds=0.2))
    with locks.held(CREATION_LOCK, lease=timedelta(minutes=1)):
        assert isinstance(refused(), LmsBusy)
    assert sandbox.calls("lms", CREATE) == []
