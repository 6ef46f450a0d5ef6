"""Why a message was not handed over, by whose fault it is: `answers` says which is raised when."""

from datetime import timedelta

from maaledu.errors import AppError


class BrokenTemplate(AppError):
    code = "EMAIL_TEMPLATE_BROKEN"
    message = "The e-mail's template cannot be rendered; repair it and replay."


class MailUnavailable(AppError):
    """The mail server did not answer, or takes nothing for now: passing, and about no message."""

    code = "MAIL_UNAVAILABLE"
    message = "The mail server is unavailable."
    retryable = True
    consumes_attempt = False


class MailNotAllowed(AppError):
    """The mail server refuses what we do: login, sender, quota, reputation. About no message."""

    code = "MAIL_NOT_ALLOWED"
    message = "The mail server does not take mail from us."
    retryable = True
    consumes_attempt = False


class MailPaused(AppError):
    """Nothing was sent: the queue waits until the mail server takes mail again."""

    code = "MAIL_PAUSED"
    message = "E-mails wait until the mail server takes them again."
    retryable = True
    retry_after = timedelta(seconds=5)
    consumes_attempt = False


class MailDeferred(AppError):
    code = "MAIL_DEFERRED"
    message = "The mail server asked for this message to be sent later."
    retryable = True


class MailUncertain(AppError):
    """The server had the message, and did not say whether it has taken it.

    It may have arrived, so each try uses up an attempt. The others wait meanwhile, so that a server
    that does so with everybody gets no more of them than it is tried with.
    """

    code = "MAIL_UNCERTAIN"
    message = "The mail server did not say whether it has taken the message."
    retryable = True


class MailRefused(AppError):
    code = "MAIL_REFUSED"
    message = "The mail server refused this message for good."


class MailHeld(AppError):
    """Nothing was sent: an earlier message to this address came back."""

    code = "MAIL_HELD"
    message = "Earlier messages to this address came back. Nothing was sent."


class ChannelUnavailable(AppError):
    code = "ALERT_CHANNEL_UNAVAILABLE"
    message = "The channel for alerts did not answer."
    retryable = True


class ChannelRefused(AppError):
    code = "ALERT_CHANNEL_REFUSED"
    message = "The channel for alerts refused the alert."


class WebhookNotSigned(AppError):
    code = "MAIL_WEBHOOK_NOT_SIGNED"
    message = "This address takes signed events of the mail service only."
    http_status = 401
