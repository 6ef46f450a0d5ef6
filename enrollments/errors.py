from datetime import timedelta

from django.utils.translation import gettext_noop as _

from maaledu.errors import AppError


class EnrollmentNotFound(AppError):
    code = "ENROLLMENT_NOT_FOUND"
    message = _("We could not find that enrollment. Please use the link in your e-mail.")
    http_status = 404


class EnrollmentIsOver(AppError):
    code = "ENROLLMENT_IS_OVER"
    message = "This enrollment was not paid or has ended, so the learning platform gets no request."
    http_status = 409


class BatchUnreadable(AppError):
    code = "BATCH_UNREADABLE"
    message = "We could not read that list of learners."
    http_status = 400


class BatchOffSale(AppError):
    code = "BATCH_OFF_SALE"
    message = "The course is not on sale any more, so nobody was enrolled in it."
    http_status = 409


class EnrolledMeanwhile(AppError):
    code = "ENROLLED_MEANWHILE"
    message = "The learner was enrolled, or began a checkout, at this very moment."
    http_status = 409
    retryable = True
    retry_after = timedelta(seconds=5)
    consumes_attempt = False


class EnrolledOrPaying(AppError):
    code = "ENROLLED_OR_PAYING"
    message = _("This address is enrolled in the course already, or is paying for it just now.")
    http_status = 409


class CourseOffSale(AppError):
    code = "COURSE_OFF_SALE"
    message = "The course is not on sale, so nobody was enrolled in it."
    http_status = 409


class MailNotRepeatable(AppError):
    code = "MAIL_NOT_REPEATABLE"
    message = (
        "This e-mail is not sent again: it holds a code, or what it says is not so any more, such"
        " as after a refund or a move to another address."
    )
    http_status = 409


class NotSettled(AppError):
    code = "NOT_SETTLED"
    message = "This enrollment is not refunded. Refund it first, then settle the letter."
    http_status = 409


class SameAddress(AppError):
    code = "SAME_ADDRESS"
    message = "The enrollment has this address already."
    http_status = 409


class AddressTaken(AppError):
    code = "ADDRESS_TAKEN"
    message = (
        "This address is enrolled in the course already, or is in the middle of a checkout for it."
    )
    http_status = 409


class MailOnItsWay(AppError):
    """Whom a message reaches that is being sent at this moment cannot be changed any more."""

    code = "MAIL_ON_ITS_WAY"
    message = (
        "An e-mail about this enrollment is being sent to the old address at this very moment."
        " Please try again in a minute."
    )
    http_status = 409
    retryable = True
    retry_after = timedelta(minutes=1)


class ComparedElsewhere(AppError):
    code = "COMPARED_ELSEWHERE"
    message = "Another process is comparing this platform just now."
    http_status = 409
    retryable = True


class AccessNotCompared(AppError):
    """Some of the platforms could not be asked about everything; details are in the message."""

    code = "ACCESS_NOT_COMPARED"
    message = "Not every learning platform could be compared with our enrollments."
    http_status = 503
    retryable = True


class NotRepairable(AppError):
    """Nothing of ours would put this right."""

    code = "NOT_REPAIRABLE"
    message = "Nothing that we made can be taken away here: put it right in the LMS."
    http_status = 409


class DifferenceIsOver(AppError):
    code = "DIFFERENCE_IS_OVER"
    message = "The enrollment has changed since this was found, so there is nothing to repair."
    http_status = 409


class AccountInUse(AppError):
    code = "ACCOUNT_IN_USE"
    message = _("This account cannot be deleted yet.")
    http_status = 409
