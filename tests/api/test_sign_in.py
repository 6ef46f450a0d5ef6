"""Sign-in for programs (requirement R150): the same account, limits and steps as on the page."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth import hashers
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.accounts.conftest import EMAIL, PASSWORD, amina
from tests.affiliates.make import make_user
from tests.api.asking import make_worker, post, refused

__all__ = ["amina"]
pytestmark = pytest.mark.any_engine
SIGN_IN = "/api/auth/signin"


def sign_in(client: Client, email: str = EMAIL, password: str = PASSWORD, **headers: str):
    return post(client, SIGN_IN, {"email": email, "password": password}, **headers)


def strict() -> tuple[Client, dict[str, str]]:
    client = Client(enforce_csrf_checks=True)
    return client, {"X-CSRFToken": client.get("/api/auth/csrf").json()["csrfToken"]}


def test_a_program_signs_in_and_its_session_is_who_it_is(amina: User) -> None:
    client, token = strict()
    answer = sign_in(client, "  Amina@EXAMPLE.com", **token)
    assert answer.status_code == 200
    assert answer.json()["user"] == {"email": EMAIL, "name": "", "isStaff": False}
    assert answer.cookies["sessionid"]["max-age"] == 7 * 24 * 3600
    left = datetime.fromisoformat(answer.json()["expiresAt"]) - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert client.get("/api/enrollments").json()["enrollments"] == []
    new = {"X-CSRFToken": answer.json()["csrfToken"]}
    assert refused(post(client, "/api/affiliate/register", {}, **token)) == (403, "FORBIDDEN")
    joining = post(client, "/api/affiliate/register", {}, **new)
    assert refused(joining) == (400, "INVALID_JOINING")


@pytest.mark.every_engine
def test_an_unknown_address_and_a_wrong_password_have_one_answer_after_one_hash(
    amina: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.create_user("closed@example.com", PASSWORD, is_active=False)
    hashed: list[str] = []
    encode = hashers.MD5PasswordHasher.encode

    def counted(self, password, salt, *args):
        hashed.append(password)
        return encode(self, password, salt, *args)

    monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", counted)
    bodies, hashes = [], []
    for email in (EMAIL, "unknown@example.com", "closed@example.com"):
        hashed.clear()
        password = PASSWORD if email.startswith("closed") else "wrong"
        answer = sign_in(client, email, password)
        assert refused(answer) == (401, "SIGN_IN_REFUSED")
        bodies.append({**answer.json(), "timestamp": ""})
        hashes.append(len(hashed))
    assert bodies == bodies[:1] * 3
    assert hashes == [1] * 3
    assert not Session.objects.exists()


def test_attempts_are_limited_by_address_and_by_account(amina: User, client, settings) -> None:
    """Requirement R024."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login_account": "2/15m"}
    answers = [sign_in(client, EMAIL, "wrong") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert refused(answers[2]) == (429, "RATE_LIMITED")
    assert refused(sign_in(Client(REMOTE_ADDR="192.0.2.7"))) == (429, "RATE_LIMITED")
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": "1/15m", "login_account": "9/15m"}
    other = Client(REMOTE_ADDR="192.0.2.9")
    assert [sign_in(other).status_code for _ in range(2)] == [200, 429]


def test_an_address_that_is_not_proved_is_told_so_and_signed_in_nowhere(db: None) -> None:
    User.objects.create_user(EMAIL, PASSWORD)
    client = Client()
    assert refused(sign_in(client)) == (403, "EMAIL_NOT_VERIFIED")
    assert refused(client.get("/api/enrollments")) == (401, "SIGN_IN_NEEDED")


def test_who_is_of_the_staff_is_said_so(db: None, client: Client) -> None:
    user = make_worker()
    user.set_password(PASSWORD)
    user.save()
    assert sign_in(client, user.email).json()["user"]["isStaff"] is True
    assert sign_in(client, make_user("ada@example.com").email).status_code == 401


def test_who_signs_in_in_anothers_session_is_not_taken_for_them(amina: User) -> None:
    User.objects.create_user("closed@example.com", PASSWORD, is_active=False)
    client = Client()
    client.force_login(make_user("ada@example.com"))
    assert refused(sign_in(client, EMAIL, "wrong")) == (401, "SIGN_IN_REFUSED")
    assert client.get("/api/enrollments").status_code == 200
    assert refused(sign_in(client, "closed@example.com")) == (401, "SIGN_IN_REFUSED")
    assert sign_in(client).json()["user"]["email"] == EMAIL
