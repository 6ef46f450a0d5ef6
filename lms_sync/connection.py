"""The driver of each platform, with the address and key of the settings, read at each call."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.conf import settings

from lms_sync.errors import LmsMisconfigured
from lms_sync.platforms.address import check_application, check_base_url, check_key
from lms_sync.platforms.base import Platform
from lms_sync.platforms.client import Client, Exchange
from lms_sync.platforms.frappe import FrappeRest
from lms_sync.platforms.frappe_confirm import FrappeConfirm
from lms_sync.platforms.openedx import OpenEdx
from lms_sync.platforms.openedx_client import Application, EdxClient

FRAPPE, OPENEDX = "frappe", "openedx"
CALLS_IN_BUDGET = 3
# Set while somebody waits for what a job comes to (decisions: LMS time-out).
_is_awaited: ContextVar[bool] = ContextVar("is_awaited", default=False)
DRIVERS: dict[str, type[FrappeRest]] = {"rest": FrappeRest, "confirm_payment": FrappeConfirm}


@contextmanager
def awaited() -> Iterator[None]:
    """Give each call in this block the time that somebody waits, and not the worker's."""
    token = _is_awaited.set(True)
    try:
        yield
    finally:
        _is_awaited.reset(token)


def _usual_timeout() -> timedelta:
    return settings.LMS_TIMEOUT_INTERACTIVE if _is_awaited.get() else settings.LMS_TIMEOUT_WORKER


def platform_for(
    name: str,
    *,
    timeout: timedelta | None = None,
    journal: list[Exchange] | None = None,
    is_question: bool = False,
) -> Platform:
    """Return the driver of a platform, or raise LmsMisconfigured with what is missing.

    `timeout` is for one call (default: the worker's, or that of `awaited`); all calls of the driver
    together get three times that. `journal` receives a redacted note of each call. `is_question`:
    nobody waits for it.
    """
    if name == OPENEDX and settings.OPENEDX_BASE_URL:
        edx = edx_client(timeout or _usual_timeout(), journal)
        edx.client.is_question = is_question
        return OpenEdx(edx)
    if name != FRAPPE:
        raise LmsMisconfigured(f"No driver for {name} is configured.")
    if settings.FRAPPE_DRIVER not in DRIVERS:
        raise LmsMisconfigured(f"FRAPPE_DRIVER must be one of {', '.join(DRIVERS)}.")
    client = frappe_client(timeout or _usual_timeout(), journal)
    client.is_question = is_question
    return DRIVERS[settings.FRAPPE_DRIVER](client)


def edx_client(timeout: timedelta, journal: list[Exchange] | None = None) -> EdxClient:
    """Return a client for the configured Open edX.

    Raises LmsMisconfigured when the address or the application cannot be right.
    """
    base_url = settings.OPENEDX_BASE_URL.strip().rstrip("/")
    client_id, secret = settings.OPENEDX_CLIENT_ID.strip(), settings.OPENEDX_CLIENT_SECRET.strip()
    check_base_url(base_url, setting="OPENEDX_BASE_URL")
    check_application(client_id, secret)
    client = Client(
        base_url,
        "",
        timeout=timeout,
        budget=timeout * CALLS_IN_BUDGET,
        platform=OPENEDX,
        journal=[] if journal is None else journal,
    )
    return EdxClient(client, Application(base_url, client_id, secret))


def frappe_client(timeout: timedelta, journal: list[Exchange] | None = None) -> Client:
    """Return a client for the configured Frappe.

    Raises LmsMisconfigured when the address or the key cannot be right.
    """
    base_url, key = settings.FRAPPE_LMS_BASE_URL.strip(), settings.FRAPPE_LMS_API_KEY.strip()
    check_base_url(base_url)
    check_key(key)
    return Client(
        base_url.rstrip("/"),
        f"token {key}",
        timeout=timeout,
        budget=timeout * CALLS_IN_BUDGET,
        platform=FRAPPE,
        secrets=(key, *key.split(":", 1)),
        journal=[] if journal is None else journal,
    )
