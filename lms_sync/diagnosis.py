"""Try the connection to an LMS step by step, and say what is wrong and what to do about it.

The steps build on one another, so that the first one that fails is the last, and what is wrong is
named once. Courses do not: each is looked at.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from django.conf import settings

from courses.models import Course
from lms_sync import frappe_steps, openedx_steps
from lms_sync.connection import FRAPPE, OPENEDX, platform_for
from lms_sync.errors import (
    LmsError,
    LmsIntercepted,
    LmsMaintenance,
    LmsMisconfigured,
    LmsRefused,
    LmsUnavailable,
)
from lms_sync.reconcile import Finding, check_course
from maaledu.diagnosis import Result

Step = tuple[str, Callable[[], str]]
STEPS: dict[str, list[Step]] = {FRAPPE: frappe_steps.STEPS, OPENEDX: openedx_steps.STEPS}
NO_CERTIFICATES = "My courses shows none, because we are not shown them."
NO_MAIL = "New learners get no message to set a password with."
# What nothing that is sold depends on: each with what it means where it fails.
NOTES: dict[str, list[tuple[str, Callable[[], None], str]]] = {
    FRAPPE: [
        ("certificates", frappe_steps.certificates, NO_CERTIFICATES),
        ("mail", frappe_steps.mail, NO_MAIL),
    ],
    OPENEDX: [("certificates", openedx_steps.certificates, NO_CERTIFICATES)],
}
OVERLOADED = "Look whether the LMS is overloaded, or whether a firewall drops the connection."
ADVICE = {
    "dns": "Check the spelling of the address and this machine's name server.",
    "tls": "Renew the LMS's certificate, or add its issuer to this machine's certificate store.",
    "refused": "Start the LMS, or correct the port in its address.",
    "timeout": OVERLOADED,
    "unsent": OVERLOADED,
}
LOOK_AT_LMS = "Look at the LMS's own error log."
END_MAINTENANCE = "Wait for the end of the maintenance; jobs wait as well, and lose nothing."


def configured_platforms() -> list[str]:
    """Return the platforms whose address is set; Frappe LMS where none is."""
    addresses = {FRAPPE: settings.FRAPPE_LMS_BASE_URL, OPENEDX: settings.OPENEDX_BASE_URL}
    return [name for name, address in addresses.items() if address] or [FRAPPE]


def examine(platform: str = FRAPPE, courses: Iterable[Course] = ()) -> Iterator[Result]:
    """Yield one result for each step of the connection, then what there is to say of each course.

    A note is no problem: the course is sold and its buyers are enrolled.
    """
    for step, check in _steps(platform):
        result = _run(step, check)
        yield result
        if not result.ok:
            return
    yield from _notes(platform)
    for course in courses:
        yield from _course(course)
    yield _run("catalogue", _catalogue)


def _steps(platform: str) -> list[Step]:
    driver: Step = ("driver", partial(_driver, platform))
    return [*STEPS[platform], driver]


def _run(step: str, check: Callable[[], str]) -> Result:
    try:
        return Result(step, ok=True, message=check())
    except LmsError as error:
        return _problem(step, error)


def _problem(step: str, error: LmsError) -> Result:
    # What a refusal is called is about a job; here its reason says all.
    is_refusal = isinstance(error, LmsRefused | LmsMisconfigured)
    words = error.reason if is_refusal and error.reason else error.explanation
    return Result(step, ok=False, message=words, advice=_advice(error))


def _advice(error: LmsError) -> str:
    if isinstance(error, LmsMaintenance):
        return END_MAINTENANCE
    if isinstance(error, LmsIntercepted) or not isinstance(error, LmsUnavailable):
        return ""
    return ADVICE.get(str(error.details.get("kind")), LOOK_AT_LMS)


def _driver(platform: str) -> str:
    user = platform_for(platform, timeout=settings.LMS_TIMEOUT_INTERACTIVE).ping(deep=True)
    return f"{user} can do in this LMS what enrollments need"


def _notes(platform: str) -> Iterator[Result]:
    for step, check, meaning in NOTES[platform]:
        try:
            check()
        except LmsError as error:
            said = f"{meaning} {_problem(step, error).message}"
            yield Result(step, ok=True, is_note=True, message=said)


def _course(course: Course) -> Iterator[Result]:
    try:
        findings = check_course(course)
    except LmsError as error:
        yield _problem("course", error)
        return
    yield from map(_of_finding, findings)
    if all(finding.is_note for finding in findings):
        yield Result("course", ok=True, message=f"{course.slug} is published in the LMS")


def _of_finding(finding: Finding) -> Result:
    return Result("course", ok=finding.is_note, message=str(finding), is_note=finding.is_note)


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
