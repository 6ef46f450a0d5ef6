from maaledu.errors import AppError


class InvalidInput(AppError):
    """What was sent is no such thing as the document describes; the fields are named."""

    code = "INVALID_INPUT"
    message = "Please check what you sent."
    http_status = 422


class ScopeMissing(AppError):
    code = "API_KEY_SCOPE_MISSING"
    message = "This API key was not made for that."
    http_status = 403


class SignInRefused(AppError):
    """The same for an unknown address, a wrong password and a closed account."""

    code = "SIGN_IN_REFUSED"
    message = "The e-mail address or the password is not right."
    http_status = 401


class SecondFactorNeeded(AppError):
    code = "SECOND_FACTOR_NEEDED"
    message = "Send the code of your second factor with the e-mail address and the password."
    http_status = 401
