import threading
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.accounts.conftest import EMAIL, PASSWORD, sign_in
from tests.concurrency import race

pytestmark = pytest.mark.any_engine

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "https://evil.example",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "/ok\r\nSet-Cookie: a=b",
    "\x08//evil.example",
    "ｈttp://evil.example",
    "https://testserver@evil.example",
    "https://testserver.evil.example/",
    "data:text/html,x",
]


@pytest.mark.parametrize("typed", [EMAIL, " Amina@EXAMPLE.com ", "AMINA@example.COM"])
def test_an_address_signs_in_however_it_is_typed(amina, visitor, typed):
    answer = sign_in(visitor, typed)
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert visitor.session["_auth_user_id"] == str(amina.pk)


def test_an_internationalized_address_signs_in_as_it_was_typed(visitor):
    user = User.objects.create_superuser("leila@bücher.example", PASSWORD)
    assert user.email == "leila@xn--bcher-kva.example"
    assert sign_in(visitor, "LEILA@BÜCHER.example").status_code == 302


def test_a_session_lasts_seven_days(amina, visitor):
    answer = sign_in(visitor)
    assert answer.cookies["sessionid"]["max-age"] == 7 * 24 * 3600
    expires = Session.objects.get(session_key=visitor.cookies["sessionid"].value).expire_date
    assert timedelta(days=6, hours=23) < expires - timezone.now() <= timedelta(days=7)


def test_the_cookie_of_a_session_is_out_of_reach_of_scripts_and_other_sites(amina, visitor):
    cookie = sign_in(visitor).cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True,
        "Lax",
        "/",
        "",
    )


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(amina, visitor):
    wrong, unknown = (
        sign_in(visitor, EMAIL, "wrong-password"),
        sign_in(visitor, "nobody@example.com", "wrong-password"),
    )
    assert wrong.status_code == unknown.status_code == 200
    assert plain(wrong) == plain(unknown).replace("nobody@example.com", EMAIL)
    assert "_auth_user_id" not in visitor.session


def plain(answer) -> str:
    """Return a page without the form token, which differs on every page."""
    page = answer.content.decode()
    start = page.index('name="csrfmiddlewaretoken"')
    return page[:start] + page[page.index(">", start) :]


def test_somebody_deactivated_can_neither_sign_in_nor_stay(amina, visitor):
    sign_in(visitor)
    User.objects.filter(pk=amina.pk).update(is_active=False)
    assert visitor.get("/account/").status_code == 302
    again = Client()
    sign_in(again)
    assert "_auth_user_id" not in again.session


def test_an_address_that_is_not_verified_gets_a_code_instead_of_a_session(visitor, mailoutbox):
    User.objects.create_user("new@example.com", PASSWORD)
    answer = sign_in(visitor, "new@example.com")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    assert "_auth_user_id" not in visitor.session
    assert [message.to for message in mailoutbox] == [["new@example.com"]]


def test_somebody_who_cancels_and_signs_in_at_once_gets_a_new_code(visitor, mailoutbox):
    visitor.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD})
    for number in (2, 3):
        visitor.post("/accounts/logout/")
        assert sign_in(visitor, "new@example.com")["Location"] == "/accounts/confirm-email/"
        assert len(mailoutbox) == number


def test_whose_password_is_right_reads_nothing_of_failed_attempts(visitor, mailoutbox):
    User.objects.create_user("new@example.com", PASSWORD)
    for _ in range(3):
        sign_in(Client(), "new@example.com")
    page = sign_in(visitor, "new@example.com").content.decode()
    assert "Please wait a few seconds and try again." in page
    assert "failed" not in page
    assert len(mailoutbox) == 3


@pytest.mark.parametrize(
    ("path", "form", "sentence"),
    [
        (
            "/accounts/login/",
            {"login": EMAIL, "password": "wrong"},
            "The e-mail address or the password is not right.",
        ),
        (
            "/accounts/login/",
            {"login": "nobody", "password": "wrong"},
            "Enter a valid e-mail address.",
        ),
        (
            "/accounts/signup/",
            {"email": "nobody", "password1": PASSWORD},
            "Enter a valid e-mail address.",
        ),
        ("/accounts/password/reset/", {"email": "nobody"}, "Enter a valid e-mail address."),
    ],
)
def test_a_refused_form_speaks_our_words_and_says_so_in_its_title(visitor, path, form, sentence):
    page = visitor.post(path, form).content.decode()
    assert "<title>Please check: " in page
    assert sentence in page
    assert "email address" not in page.replace('placeholder="Email address"', "")
    assert "<title>Please check: " not in visitor.get(path).content.decode()


def test_a_session_planted_before_signing_in_is_worth_nothing_after(amina, visitor):
    visitor.get("/accounts/login/")
    visitor.session["planted"] = True
    planted = visitor.session
    planted["planted"] = True
    planted.save()
    before = planted.session_key
    visitor.cookies["sessionid"] = before
    sign_in(visitor)
    assert visitor.cookies["sessionid"].value != before
    attacker = Client()
    attacker.cookies["sessionid"] = before
    assert attacker.get("/account/").status_code == 302
    assert not Session.objects.filter(session_key=before).exists()


def test_signing_out_ends_the_session_on_the_server(amina, visitor):
    sign_in(visitor)
    key = visitor.cookies["sessionid"].value
    assert visitor.get("/accounts/logout/").status_code == 200
    assert Session.objects.filter(session_key=key).exists()
    assert visitor.post("/accounts/logout/")["Location"] == "/"
    assert not Session.objects.filter(session_key=key).exists()


# --- redirects ------------------------------------------------------------------------------------
def test_a_path_of_ours_is_followed_after_signing_in(amina, visitor):
    assert (
        sign_in(visitor, path="/accounts/login/?next=/courses/%3Fq=data")["Location"]
        == "/courses/?q=data"
    )


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nobody_is_sent_elsewhere_after_signing_in(amina, visitor, target):
    answer = visitor.post(
        "/accounts/login/", {"login": EMAIL, "password": PASSWORD, "next": target}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/account/")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nobody_who_is_signed_in_is_sent_elsewhere_by_a_link(amina, visitor, target):
    visitor.force_login(amina)
    answer = visitor.get("/accounts/login/", {"next": target})
    assert answer["Location"] == "/account/"


@pytest.mark.parametrize("target", ELSEWHERE)
def test_nobody_is_sent_elsewhere_after_signing_out(amina, visitor, target):
    visitor.force_login(amina)
    assert visitor.post("/accounts/logout/", {"next": target})["Location"] == "/"


# --- brute force ----------------------------------------------------------------------------------
def test_the_eleventh_attempt_from_one_address_is_refused_even_with_the_right_password(
    amina, visitor
):
    for number in range(10):
        assert sign_in(visitor, f"nobody{number}@example.com", "wrong").status_code == 200
    refused = sign_in(visitor)
    assert refused.status_code == 429
    assert "_auth_user_id" not in visitor.session
    assert (refused["X-RateLimit-Limit"], refused["X-RateLimit-Remaining"]) == ("10", "0")
    assert 0 < int(refused["Retry-After"]) <= 900
    assert sign_in(Client(), REMOTE_ADDR="203.0.113.9").status_code == 302


def test_the_eleventh_attempt_at_one_account_is_refused_wherever_it_comes_from(amina, visitor):
    attempts = [
        sign_in(Client(), f" {EMAIL.upper()}", "wrong", REMOTE_ADDR=f"203.0.113.{n}")
        for n in range(11)
    ]
    assert [attempt.status_code for attempt in attempts] == [200] * 10 + [429]
    refused = attempts[-1]
    assert (refused["X-RateLimit-Limit"], refused["X-RateLimit-Remaining"]) == ("10", "0")
    assert 0 < int(refused["Retry-After"]) <= 900
    amina.refresh_from_db()
    assert amina.is_active


def test_an_unknown_account_is_counted_like_a_known_one(visitor, db):
    attempts = [
        sign_in(Client(), "nobody@example.com", "wrong", REMOTE_ADDR=f"203.0.113.{n}")
        for n in range(11)
    ]
    assert [attempt.status_code for attempt in attempts] == [200] * 10 + [429]


def test_one_accounts_attempts_do_not_lock_anybody_else_out(amina, visitor):
    for number in range(11):
        sign_in(Client(), "other@example.com", "wrong", REMOTE_ADDR=f"203.0.113.{number}")
    assert sign_in(visitor, REMOTE_ADDR="198.51.100.1").status_code == 302


def test_the_lock_opens_by_itself(amina, settings, monkeypatch):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login_account": "1/1s"}
    answers = []
    for number in range(40):
        answers.append(sign_in(Client(), REMOTE_ADDR=f"203.0.113.{number}").status_code)
        if answers[-1] == 302 and 429 in answers:
            break
        threading.Event().wait(0.1)
    assert 429 in answers
    assert answers[-1] == 302


@pytest.mark.every_engine
def test_attempts_at_the_same_moment_do_not_slip_through(amina):
    statuses = race(
        lambda n: sign_in(Client(), EMAIL, "wrong", REMOTE_ADDR=f"203.0.113.{n}").status_code,
        threads=20,
    )
    assert statuses.count(200) == 10
    assert statuses.count(429) == 10


@pytest.mark.parametrize(
    "login",
    [
        "",
        "a" * 5000,
        "amina@example.com\x00",
        "amina@example.com\r\nBcc: x@y.example",
        "' OR 1=1 --",
        '{"$ne": ""}',
        "\ud800@x.example",
    ],
)
def test_an_odd_address_is_refused_by_the_form(visitor, login):
    body = f"login={quote(login, errors='surrogatepass')}&password=wrong-password"
    answer = visitor.post(
        "/accounts/login/", body, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 200
    assert "_auth_user_id" not in visitor.session
