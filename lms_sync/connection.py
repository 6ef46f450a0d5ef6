"""The driver of each platform, with the address and key of the settings, read at each call."""

from datetime import timedelta

from django.conf import settings

from lms_sync.errors import LmsMisconfigured
from lms_sync.platforms.address import check_base_url, check_key
from lms_sync.platforms.base import Platform
from lms_sync.platforms.client import Client, Exchange
from lms_sync.platforms.frappe import FrappeRest
from lms_sync.platforms.frappe_confirm import FrappeConfirm

FRAPPE = "frappe"
CALLS_IN_BUDGET = 3
DRIVERS: dict[str, type[FrappeRest]] = {"rest": FrappeRest, "confirm_payment": FrappeConfirm}


def platform_for(
    name: str, *, timeout: timedelta | None = None, journal: list[Exchange] | None = None
) -> Platform:
    """Return the driver of a platform, or raise LmsMisconfigured with what is missing.

    `timeout` is for one call (default: the worker's); all calls of the driver together get three
    times that. `journal` receives a redacted note of each call.
    """
    if name != FRAPPE:
        raise LmsMisconfigured(f"No driver for {name} is configured.")
    if settings.FRAPPE_DRIVER not in DRIVERS:
        raise LmsMisconfigured(f"FRAPPE_DRIVER must be one of {', '.join(DRIVERS)}.")
    return DRIVERS[settings.FRAPPE_DRIVER](
        frappe_client(timeout or settings.LMS_TIMEOUT_WORKER, journal)
    )


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
        secrets=(key, *key.split(":", 1)),
        journal=[] if journal is None else journal,
    )
