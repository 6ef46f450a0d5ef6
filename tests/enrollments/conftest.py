from collections.abc import Iterator

import pytest
from django.test import Client

from operations import invariants
from tests.holding import read_when_empty, worth_asking
from tests.sandbox_client import Sandbox


@pytest.fixture(autouse=True)
def _invariants_hold(request: pytest.FixtureRequest, db: None) -> Iterator[None]:
    """Whatever a test did, everything that must hold holds after it; a test that breaks one on
    purpose says so.
    """
    read_when_empty()
    yield
    if "breaks_invariants" not in request.keywords:
        assert invariants.verify(worth_asking()) == []


@pytest.fixture
def buyer(client: Client, sandbox: Sandbox) -> Client:
    return client
