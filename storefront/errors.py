from maaledu.errors import AppError


class EnrollmentNotFound(AppError):
    code = "ENROLLMENT_NOT_FOUND"
    message = "We could not find that enrollment. Please use the link in your e-mail."
    http_status = 404
