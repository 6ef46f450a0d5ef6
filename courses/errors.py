from maaledu.errors import AppError


class CourseNotFound(AppError):
    """The address names no course that is on sale: unknown, still a draft, or archived."""

    code = "COURSE_NOT_FOUND"
    message = (
        "We could not find that course. It may have been withdrawn, or the address may be mistyped."
    )
    http_status = 404


class CourseNotReady(AppError):
    """A course that lacks what a buyer or the LMS needs cannot go on sale; the message says what is
    missing.
    """

    code = "COURSE_NOT_READY"
    message = "This course cannot be published yet."
    http_status = 409
