import pytest
from django.test import Client

from accounts.models import User
from tests.affiliates.make import make_staff
from tests.enrollments.conftest import _invariants_hold, buyer

__all__ = ["_invariants_hold", "buyer"]


@pytest.fixture
def boss(db: None) -> User:
    return make_staff(email="boss@example.com")


@pytest.fixture
def office(boss: User) -> Client:
    client = Client()
    client.force_login(boss)
    return client
