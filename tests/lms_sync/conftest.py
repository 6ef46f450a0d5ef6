from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.sandbox_client import Sandbox

COURSES = [
    {"title": "Free course", "name": "free-course"},
    {"title": "Other course", "name": "other-course"},
]
EDX_COURSES = [
    {"name": "Free course", "id": "course-v1:Maal+Free+2026"},
    {"name": "Other course", "id": "course-v1:Maal+Other+2026"},
]


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: Sandbox, settings: Settings) -> Sandbox:
    """The stand-in LMSs (Frappe as server A, and Open edX), empty but for two published courses
    each, and our settings pointing at them.
    """
    sandbox_process.reset()
    sandbox_process.lms(courses=COURSES)
    sandbox_process.edx(courses=EDX_COURSES)
    settings.FRAPPE_LMS_BASE_URL = sandbox_process.lms_url
    settings.FRAPPE_LMS_API_KEY = "sandbox-key:sandbox-secret"
    settings.FRAPPE_DRIVER = "rest"
    return sandbox_process


@pytest.fixture
def with_openedx(sandbox: Sandbox, settings: Settings) -> None:
    """We are connected to Open edX as well: the other tests know Frappe alone."""
    settings.OPENEDX_BASE_URL = sandbox.edx_url
