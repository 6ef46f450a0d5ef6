"""System checks of the connection to the LMS: each says what to set.

Those that read the database run with `migrate` and `check --database default`.
"""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError

from lms_sync.errors import LmsMisconfigured
from lms_sync.platforms.address import check_application, check_base_url, check_key


def check_lms_settings(**_: Any) -> list[CheckMessage]:
    """Refuse a start in production without a valid address and key (requirements R102, R103).

    Frappe LMS may be left out where there is Open edX, and the other way round.
    """
    if not settings.PRODUCTION:
        return []
    frappe, openedx = settings.FRAPPE_LMS_BASE_URL, settings.OPENEDX_BASE_URL
    found: list[CheckMessage] = []
    if frappe or not openedx:
        found += _errors("E001", check_base_url, frappe)
        found += _errors("E002", check_key, settings.FRAPPE_LMS_API_KEY)
    if openedx:
        application = (settings.OPENEDX_CLIENT_ID, settings.OPENEDX_CLIENT_SECRET)
        found += _errors("E003", check_base_url, openedx, setting="OPENEDX_BASE_URL")
        found += _errors("E004", check_application, *application)
    return found


def check_courses_have_drivers(**_: Any) -> list[CheckMessage]:
    """Name the published courses that cannot be sold, because their platform has no driver."""
    try:
        courses = list(
            apps.get_model("courses", "Course").objects.without_driver().order_by("slug")
        )
    except DatabaseError:  # before the first migration
        return []
    return [
        checks.Warning(
            f"“{course.slug}” is published and not on sale. {course.no_driver}", id="lms_sync.W003"
        )
        for course in courses
    ]


def _errors(
    number: str, check: Callable[..., None], *values: str, **more: str
) -> list[CheckMessage]:
    try:
        check(*values, **more)
    except LmsMisconfigured as error:
        return [Error(error.reason, id=f"lms_sync.{number}")]
    return []
