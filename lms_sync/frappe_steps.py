"""The steps by which the connection to a Frappe LMS is tried; each returns what it found, or raises
LmsError with what to do.
"""

import json
from collections.abc import Callable

from django.conf import settings

from lms_sync.connection import CALLS_IN_BUDGET, frappe_client
from lms_sync.errors import LmsMisconfigured, LmsRefused
from lms_sync.platforms.address import check_base_url, look_up
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe import FrappeRest
from lms_sync.platforms.frappe_answers import value
from lms_sync.platforms.frappe_certificates import check_certificates
from lms_sync.platforms.frappe_payments import needs_payment
from lms_sync.platforms.frappe_rights import check_changes, check_rights, own_roles

NEEDED_ROLES = ("System Manager", "Moderator")
PING = "/api/method/ping"
EMAIL_ACCOUNTS = "/api/resource/Email%20Account"
WHERE_TO_ADD = "in the LMS under User, Roles"


def address() -> str:
    check_base_url(settings.FRAPPE_LMS_BASE_URL)
    return settings.FRAPPE_LMS_BASE_URL


def name() -> str:
    return look_up(settings.FRAPPE_LMS_BASE_URL)


def answer() -> str:
    """Ask as a guest, so that a wrong key is not reported here."""
    timeout = settings.LMS_TIMEOUT_INTERACTIVE
    base_url = settings.FRAPPE_LMS_BASE_URL.strip().rstrip("/")
    client = Client(base_url, "", timeout=timeout, budget=timeout * CALLS_IN_BUDGET)
    said = value(client.call("GET", PING), "message")
    milliseconds = client.journal[-1].duration.total_seconds() * 1000
    return f"ping was answered with {said!r} in {milliseconds:.0f} ms"


def key() -> str:
    return f"the key belongs to {_frappe().owner()}"


def roles() -> str:
    frappe = _frappe()
    owner = frappe.owner()
    found = own_roles(frappe.client, owner)
    if not found:
        raise LmsMisconfigured(
            f"{owner} is no System Manager: the LMS does not show it its roles. Add System Manager"
            f" and Moderator {WHERE_TO_ADD}."
        )
    missing = [role for role in NEEDED_ROLES if role not in found]
    if missing and "Administrator" not in (owner, *found):
        raise LmsMisconfigured(
            f"{owner} lacks the role {' and '.join(missing)}. Add it {WHERE_TO_ADD}."
        )
    return ", ".join(found)


def rights() -> str:
    frappe = _frappe()
    check_rights(frappe.client, frappe.owner())
    return "create and read users, create and remove enrollments"


def changes() -> str:
    frappe = _frappe()
    check_changes(frappe.client, frappe.owner())
    return "the LMS takes changes"


def version() -> str:
    """Say how the version treats courses with a price, beside its number."""
    found = _frappe().version() or "of a version that it does not show"
    if settings.FRAPPE_DRIVER != "rest" or not needs_payment(found):
        return f"LMS {found}"
    return f"LMS {found}: an LMS Payment is made with each enrollment into a course with a price"


def mail() -> None:
    """Raise where new learners would get no message with which to set a password."""
    asked = [["enable_outgoing", "=", 1], ["default_outgoing", "=", 1]]
    query = {"filters": json.dumps(asked), "limit_page_length": "1"}
    try:
        found = value(_frappe().client.call("GET", EMAIL_ACCOUNTS, query=query), "data")
    except (LmsMisconfigured, LmsRefused):
        return  # it is not shown to us
    if found == []:
        raise LmsMisconfigured(
            "No Email Account of the LMS is its default for outgoing mail. Set one up there, unless"
            " its site_config.json names a mail server."
        )


def certificates() -> None:
    check_certificates(_frappe().client)


def _frappe() -> FrappeRest:
    return FrappeRest(frappe_client(settings.LMS_TIMEOUT_INTERACTIVE))


STEPS: list[tuple[str, Callable[[], str]]] = [
    (step.__name__, step) for step in (address, name, answer, key, roles, rights, changes, version)
]
