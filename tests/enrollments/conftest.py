from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from operations import invariants
from tests.concurrency import races
from tests.holding import read_when_empty, worth_asking
from tests.sandbox_client import Sandbox


@pytest.fixture(autouse=True)
def _invariants_hold(request: pytest.FixtureRequest, db: None) -> Iterator[None]:
    """Check the invariants after a test; one that breaks an invariant on purpose is marked.

    What one thread does alone comes to the same on every engine, so it is asked about on SQLite.
    What is undecided between several, or cut off, is asked about on all three: here after a race,
    and in the state machines and system tests themselves.
    """
    read_when_empty()
    races_before = len(races)
    yield
    if "breaks_invariants" not in request.keywords and (
        connection.vendor == "sqlite" or len(races) > races_before
    ):
        assert invariants.verify(worth_asking()) == []


@pytest.fixture
def buyer(client: Client, sandbox: Sandbox) -> Client:
    return client
