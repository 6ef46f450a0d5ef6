import re

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import User

EMAIL, PASSWORD = "amina@example.com", "nine-quiet-rivers"


@pytest.fixture
def amina(db) -> User:
    """Somebody with an account and a verified address."""
    user = User.objects.create_user(EMAIL, PASSWORD)
    EmailAddress.objects.create(user=user, email=EMAIL, verified=True, primary=True)
    return user


@pytest.fixture
def visitor(db) -> Client:
    return Client()


def sign_in(
    visitor: Client,
    email: str = EMAIL,
    password: str = PASSWORD,
    path: str = "/accounts/login/",
    **extra,
):
    return visitor.post(path, {"login": email, "password": password}, **extra)


def code_in(message) -> str:
    """Return the code of a message, which stands on a line of its own."""
    return re.search(r"^\s{4}(\S+)$", message.body, flags=re.MULTILINE)[1]
