"""The base of every refusal, and those that belong to no app (the others: `<app>/errors.py`)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _


class AppError(Exception):
    """A refusal with a public code and message.

    `message` is the sentence that a visitor reads, marked for translation in the class, and
    `public_details` goes with it to a program that called us; `details` are for logs and staff
    only. `headers` go on the response.
    """

    code = "INTERNAL_ERROR"
    message: str = _("Something went wrong on our side.")
    http_status = 500
    retryable = False
    # Read by the work machine: when to try again, and whether the error is about the job itself.
    retry_after: timedelta | None = None
    consumes_attempt = True

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or gettext(self.message)
        self.details = details
        self.public_details: Mapping[str, Any] = {}
        self.headers: Mapping[str, str] = {}
        super().__init__(message or type(self).message)  # for staff, in English


class BadRequest(AppError):
    code = "BAD_REQUEST"
    message = _("We could not read that request.")
    http_status = 400


class Forbidden(AppError):
    code = "FORBIDDEN"
    message = _("You do not have access to this page.")
    http_status = 403


class NotFound(AppError):
    code = "NOT_FOUND"
    message = _("We could not find that page.")
    http_status = 404


class MethodNotAllowed(AppError):
    code = "METHOD_NOT_ALLOWED"
    message = _("This address does not take that kind of request.")
    http_status = 405


class LengthRequired(AppError):
    code = "LENGTH_REQUIRED"
    message = _("Send the body in one piece, with its Content-Length.")
    http_status = 411


class PayloadTooLarge(AppError):
    code = "PAYLOAD_TOO_LARGE"
    message = _("That request is too large.")
    http_status = 413


class UnsupportedMediaType(AppError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = _("Send the body as JSON, with Content-Type: application/json.")
    http_status = 415


class RateLimited(AppError):
    code = "RATE_LIMITED"
    message = _("Too many attempts in a short time. Please wait a little and try again.")
    http_status = 429
    retryable = True
    retry_after = timedelta(minutes=1)


class ServiceUnavailable(AppError):
    code = "SERVICE_UNAVAILABLE"
    message = _("We cannot reach our database for the moment. Please try again in a minute.")
    http_status = 503
    retryable = True
    retry_after = timedelta(seconds=30)
