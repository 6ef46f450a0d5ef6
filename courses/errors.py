from django.utils.translation import gettext_noop as _

from maaledu.errors import AppError


class CourseNotFound(AppError):
    """The address names no course that is on sale: unknown, still a draft, or archived."""

    code = "COURSE_NOT_FOUND"
    message = _(
        "We could not find that course. It may have been withdrawn, or the address may be mistyped."
    )
    http_status = 404


class CourseNotReady(AppError):
    """The course lacks what a buyer or the LMS needs; the message says what."""

    code = "COURSE_NOT_READY"
    message = "This course cannot be published yet."
    http_status = 409


class CoverRefused(AppError):
    """What was uploaded cannot be a cover; the message says why."""

    code = "COVER_REFUSED"
    message = "This cannot be a cover."
    http_status = 400


class FactsChanged(AppError):
    """Staff looked at something else than what stands there now."""

    code = "FACTS_CHANGED"
    message = "The course, or what the LMS says of it, has changed since. Please look again."
    http_status = 409


class FactRefused(AppError):
    """What the LMS says cannot be ours; the message says why."""

    code = "FACT_REFUSED"
    message = "What the LMS says cannot be taken over."
    http_status = 400
