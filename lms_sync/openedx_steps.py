"""The steps by which the connection to Open edX is tried; each returns what it found, or raises
LmsError with what to do.
"""

from collections.abc import Callable

from django.conf import settings

from lms_sync.connection import CALLS_IN_BUDGET, edx_client
from lms_sync.errors import LmsUnavailable
from lms_sync.platforms.address import check_application, check_base_url, look_up
from lms_sync.platforms.answers import plain
from lms_sync.platforms.client import Client
from lms_sync.platforms.openedx import ME
from lms_sync.platforms.openedx_answers import document, meaning
from lms_sync.platforms.openedx_certificates import check_certificates
from lms_sync.platforms.openedx_client import EdxClient
from lms_sync.platforms.openedx_rights import check_changes, check_rights

HEARTBEAT = "/heartbeat"


def address() -> str:
    check_base_url(settings.OPENEDX_BASE_URL, setting="OPENEDX_BASE_URL")
    return settings.OPENEDX_BASE_URL


def name() -> str:
    return look_up(settings.OPENEDX_BASE_URL)


def answer() -> str:
    """Ask without a token, so that a wrong application is not reported here."""
    timeout = settings.LMS_TIMEOUT_INTERACTIVE
    client = Client(
        settings.OPENEDX_BASE_URL, "", timeout=timeout, budget=timeout * CALLS_IN_BUDGET
    )
    heard = client.call("GET", HEARTBEAT)
    parts = heard.json()
    if not isinstance(parts, dict):
        raise meaning(heard)
    unwell = [
        plain(part)
        for part, state in parts.items()
        if isinstance(state, dict) and state.get("status") is False
    ]
    if heard.status != 200 or unwell:
        raise LmsUnavailable(f"Its own check fails: {', '.join(unwell)}.", status=heard.status)
    milliseconds = client.journal[-1].duration.total_seconds() * 1000
    return f"the heartbeat was answered in {milliseconds:.0f} ms"


def application() -> str:
    check_application(settings.OPENEDX_CLIENT_ID, settings.OPENEDX_CLIENT_SECRET)
    user = document(_edx().call("GET", ME), "username")["username"]
    return f"the OAuth application's user is {plain(user)}"


def rights() -> str:
    check_rights(_edx())
    return "find accounts, see who waits for one"


def changes() -> str:
    check_changes(_edx())
    return "Open edX takes enrollments"


def certificates() -> None:
    check_certificates(_edx())


def _edx() -> EdxClient:
    return edx_client(settings.LMS_TIMEOUT_INTERACTIVE)


STEPS: list[tuple[str, Callable[[], str]]] = [
    (step.__name__, step) for step in (address, name, answer, application, rights, changes)
]
