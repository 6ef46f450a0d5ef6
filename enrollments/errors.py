from maaledu.errors import AppError


class EnrollmentIsOver(AppError):
    code = "ENROLLMENT_IS_OVER"
    message = "This enrollment was not paid or has ended, so the learning platform gets no request."
    http_status = 409
