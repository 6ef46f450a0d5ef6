"""Try the connection to the LMS step by step, and say what is wrong and what to do about it.

The steps build on one another, so that the first one that fails is the last.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlsplit

from django.conf import settings

from courses.models import Course
from lms_sync.connection import FRAPPE, frappe_client, platform_for
from lms_sync.errors import LmsError, LmsMisconfigured, LmsNotFound, LmsRefused, LmsUnavailable
from lms_sync.platforms.address import check_base_url, check_resolved
from lms_sync.platforms.frappe import WHO_AM_I
from lms_sync.platforms.frappe_answers import plain, value
from lms_sync.platforms.frappe_users import COLLECTION
from lms_sync.reconcile import check_course

NEEDED_ROLES = ("System Manager", "Moderator")
PING = "/api/method/ping"
ADVICE = {
    "dns": "Check the spelling of FRAPPE_LMS_BASE_URL and this machine's name server.",
    "tls": "Renew the LMS's certificate, or add its issuer to this machine's certificate store.",
    "refused": "Start the LMS, or correct the port in FRAPPE_LMS_BASE_URL.",
    "timeout": "Look whether the LMS is overloaded, or whether a firewall drops the connection.",
}
LOOK_AT_LMS = "Look at the LMS's own error log."


@dataclass(frozen=True)
class Result:
    step: str
    ok: bool
    message: str
    advice: str = ""


def examine(course: Course | None = None) -> Iterator[Result]:
    """Yield one result a step: address, name, answer, key, roles, driver, course, catalogue."""
    for step, check in _steps(course):
        result = _run(step, check)
        yield result
        if not result.ok:
            return


def _steps(course: Course | None) -> list[tuple[str, Callable[[], str]]]:
    steps: list[tuple[str, Callable[[], str]]] = [
        ("address", _address),
        ("name", _name),
        ("answer", _answer),
        ("key", _key),
        ("roles", _roles),
        ("driver", _driver),
    ]
    named: list[tuple[str, Callable[[], str]]] = (
        [("course", partial(_course, course))] if course else []
    )
    return [*steps, *named, ("catalogue", _catalogue)]


def _run(step: str, check: Callable[[], str]) -> Result:
    try:
        return Result(step, ok=True, message=check())
    except LmsError as error:
        advice = (
            ADVICE.get(str(error.details.get("kind")), LOOK_AT_LMS)
            if isinstance(error, LmsUnavailable)
            else ""
        )
        return Result(step, ok=False, message=error.explanation, advice=advice)


def _address() -> str:
    check_base_url(settings.FRAPPE_LMS_BASE_URL)
    return settings.FRAPPE_LMS_BASE_URL


def _name() -> str:
    host = urlsplit(settings.FRAPPE_LMS_BASE_URL).hostname or ""
    try:
        addresses = sorted(
            {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        )
    except OSError as error:
        raise LmsUnavailable(f"The host name {host} could not be resolved.", kind="dns") from error
    check_resolved(host, addresses)
    return f"{host} is {', '.join(addresses)}"


def _answer() -> str:
    client = frappe_client(settings.LMS_TIMEOUT_INTERACTIVE)
    answer = value(client.call("GET", PING), "message")
    milliseconds = client.journal[-1].duration.total_seconds() * 1000
    return f"ping was answered with {answer!r} in {milliseconds:.0f} ms"


def _key() -> str:
    return f"the key belongs to {_key_owner()}"


def _key_owner() -> str:
    user = value(frappe_client(settings.LMS_TIMEOUT_INTERACTIVE).call("GET", WHO_AM_I), "message")
    if user in ("", "Guest"):
        raise LmsMisconfigured(
            "The LMS takes us for a guest. FRAPPE_LMS_API_KEY must be key:secret, and no proxy may"
            " drop the header."
        )
    return plain(user)


def _roles() -> str:
    owner = _key_owner()
    roles = _roles_of(owner)
    if not roles:
        return (
            "the LMS does not show the roles of the key's user; it needs System Manager and"
            " Moderator"
        )
    missing = [role for role in NEEDED_ROLES if role not in roles]
    if missing and "Administrator" not in (owner, *roles):
        raise LmsMisconfigured(
            f"{owner} lacks the role {' and '.join(missing)}. Add it in the LMS under User, Roles."
        )
    return ", ".join(roles)


def _roles_of(user: str) -> list[str]:
    """Return the roles in the user's own document, none where the server leaves them out."""
    client = frappe_client(settings.LMS_TIMEOUT_INTERACTIVE)
    try:
        document = value(client.call("GET", f"{COLLECTION}/{quote(user, safe='@')}"), "data")
    except LmsNotFound:
        return []
    rows = document.get("roles") if isinstance(document, dict) else None
    return (
        sorted(plain(row.get("role")) for row in rows if isinstance(row, dict))
        if isinstance(rows, list)
        else []
    )


def _driver() -> str:
    platform_for(FRAPPE, timeout=settings.LMS_TIMEOUT_INTERACTIVE).ping()
    return f"{settings.FRAPPE_DRIVER} can work with this LMS"


def _course(course: Course) -> str:
    problems = [finding.problem for finding in check_course(course)]
    if problems:
        raise LmsRefused(" ".join(problems))
    return f"{course.lms_course_id} is published in the LMS as “{course.title}”"


def _catalogue() -> str:
    stranded = [
        f"{course.slug} ({course.get_lms_platform_display()})"
        for course in Course.objects.without_driver().order_by("slug")
    ]
    if stranded:
        raise LmsMisconfigured(
            "Published, and not on sale because their platform has no driver:"
            f" {', '.join(stranded)}."
        )
    return "every published course is on a platform we are connected to"
