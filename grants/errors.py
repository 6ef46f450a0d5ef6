from django.utils.translation import gettext_noop as _

from maaledu.errors import AppError


class CouponUnavailable(AppError):
    """The one public refusal of a code, whatever the reason is.

    It is unknown, somebody else's, another course's, used, reserved, expired or revoked.
    """

    code = "COUPON_UNAVAILABLE"
    message = _("Coupon already used or invalid.")
    http_status = 409


class ApplicationOpen(AppError):
    code = "APPLICATION_OPEN"
    message = _("There is an open application for this course.")
    http_status = 409


class BudgetExceeded(AppError):
    code = "BUDGET_EXCEEDED"
    message = "The program's budget does not cover this grant."
    http_status = 409


class ProgramInUse(AppError):
    code = "PROGRAM_IN_USE"
    message = (
        "A grant was approved from this program in the meantime, so that was not saved. Please look"
        " at the figures again."
    )
    http_status = 409


class AlreadyDecided(AppError):
    code = "ALREADY_DECIDED"
    message = _("This application has been decided already.")
    http_status = 409


class InvalidDecision(AppError):
    code = "INVALID_DECISION"
    message = _("This decision is not possible.")
    http_status = 400


class ApplicationNotFound(AppError):
    code = "APPLICATION_NOT_FOUND"
    message = _("We could not find that application. Please use the link in your e-mail.")
    http_status = 404
