from maaledu.errors import AppError


class BrokenTemplate(AppError):
    code = "EMAIL_TEMPLATE_BROKEN"
    message = "The e-mail's template cannot be rendered; repair it and replay."


class MailUnavailable(AppError):
    """The mail server did not answer, or refuses everything for now.

    That says nothing about this message, so it uses up no attempt.
    """

    code = "MAIL_UNAVAILABLE"
    message = "The mail server is unavailable."
    retryable = True
    consumes_attempt = False


class MailDeferred(AppError):
    code = "MAIL_DEFERRED"
    message = "The mail server asked for this message to be sent later."
    retryable = True


class MailUncertain(AppError):
    """The connection was lost while the message was handed over.

    The message may have arrived, so each try uses up an attempt.
    """

    code = "MAIL_UNCERTAIN"
    message = "The mail server did not say whether it has taken the message."
    retryable = True


class MailRefused(AppError):
    code = "MAIL_REFUSED"
    message = "The mail server refused this message for good."
