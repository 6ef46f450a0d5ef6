"""Strangers who guess do not keep somebody out of an account in a browser of theirs (fault X2)."""

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from tests.accounts.conftest import EMAIL, PASSWORD, sign_in

pytestmark = pytest.mark.any_engine


def guess(times: int, first: int = 1) -> list[int]:
    """Try wrong passwords, each from a browser and an address of its own."""
    return [
        sign_in(Client(), EMAIL, "wrong", REMOTE_ADDR=f"203.0.113.{number}").status_code
        for number in range(first, first + times)
    ]


@pytest.fixture
def own(amina: User) -> Client:
    """A browser in which she has signed in, and out again."""
    own = Client()
    assert sign_in(own).status_code == 302
    own.post("/accounts/logout/")
    return own


def test_the_right_password_is_taken_where_it_was_proved_before(own: Client) -> None:
    assert guess(12) == [200] * 9 + [429] * 3  # one of the ten was hers
    assert sign_in(Client(), REMOTE_ADDR="198.51.100.7").status_code == 429
    assert sign_in(own, REMOTE_ADDR="198.51.100.8").status_code == 302


def test_a_known_browser_has_ten_attempts_of_its_own_and_no_more(own: Client) -> None:
    statuses = [
        sign_in(own, EMAIL, "wrong", REMOTE_ADDR=f"203.0.113.{number}").status_code
        for number in range(1, 13)
    ]
    assert statuses == [200] * 10 + [429] * 2
    assert sign_in(Client(), REMOTE_ADDR="198.51.100.7").status_code == 302


def test_a_code_is_sent_where_its_owner_was_before(own: Client, mailoutbox) -> None:
    """Five codes that strangers had sent kept her from getting one, all day."""
    path, asked = "/accounts/login/code/", {"email": EMAIL}
    for number in range(1, 6):
        assert Client(REMOTE_ADDR=f"203.0.113.{number}").post(path, asked).status_code == 302
    assert Client(REMOTE_ADDR="198.51.100.7").post(path, asked).status_code == 200
    statuses = []
    for _ in range(6):
        own.cookies.pop("sessionid", None)  # where a code waits already, none is sent
        statuses.append(own.post(path, asked).status_code)
    assert statuses == [302] * 5 + [200]
    assert len(mailoutbox) == 10


@pytest.mark.parametrize("change", ["", "x", "longer" * 100])
def test_a_made_up_cookie_proves_nothing(own: Client, change: str, settings: Settings) -> None:
    name = settings.KNOWN_BROWSER_COOKIE_NAME
    forged = own.cookies[name].value[:-4] + change
    guess(10)
    stranger = Client()
    stranger.cookies[name] = forged
    assert sign_in(stranger, REMOTE_ADDR="198.51.100.9").status_code == 429


def test_the_proof_of_one_account_is_none_for_another(own: Client, django_user_model) -> None:
    other = "berta@example.com"
    django_user_model.objects.create_user(other, PASSWORD)
    for number in range(1, 11):
        sign_in(Client(), other, "wrong", REMOTE_ADDR=f"203.0.113.{number}")
    assert sign_in(own, other, REMOTE_ADDR="198.51.100.9").status_code == 429


def test_the_cookie_is_for_the_server_alone_and_names_nobody(own: Client, settings) -> None:
    cookie = own.cookies[settings.KNOWN_BROWSER_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert "amina" not in cookie.value


class Counting(MD5PasswordHasher):
    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).hashed += 1
        return super().encode(password, salt)


def test_signing_up_costs_the_same_for_a_known_address(amina: User, settings: Settings) -> None:
    """Fault X1: 18 ms and 265 ms told who has an account; the difference is the hash."""
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    counts = []
    for email in (EMAIL, "new@example.com"):
        Counting.hashed = 0
        answer = Client().post("/accounts/signup/", {"email": email, "password1": "a-new-password"})
        assert answer.status_code == 302
        counts.append(Counting.hashed)
    assert counts[0] == counts[1] > 0
