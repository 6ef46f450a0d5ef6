from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.sandbox_client import Sandbox

COURSES = [
    {"title": "Free course", "name": "free-course"},
    {"title": "Other course", "name": "other-course"},
]


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: Sandbox, settings: Settings) -> Sandbox:
    """The stand-in LMS (server A), empty but for two published courses, and our settings pointing
    at it.
    """
    sandbox_process.reset()
    sandbox_process.lms(courses=COURSES)
    settings.FRAPPE_LMS_BASE_URL = sandbox_process.lms_url
    settings.FRAPPE_LMS_API_KEY = "sandbox-key:sandbox-secret"
    settings.FRAPPE_DRIVER = "rest"
    return sandbox_process
