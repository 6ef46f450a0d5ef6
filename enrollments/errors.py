from maaledu.errors import AppError


class EnrollmentIsOver(AppError):
    code = "ENROLLMENT_IS_OVER"
    message = "This place was not paid for, or has ended; it is not made in the learning platform."
    http_status = 409
