"""Hand one message to the delivery backend, and say by `answers` what came of it."""

import base64
import contextlib
import smtplib
import ssl
import traceback
from typing import Any

from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from urllib3.exceptions import MaxRetryError

from maaledu.errors import AppError
from maaledu.logs import HIDDEN, Redactor
from maaledu.storable import clean
from notifications import answers
from notifications.errors import MailNotAllowed, MailRefused, MailUnavailable, MailUncertain

LONGEST_SENTENCE = 300
MESSAGE_ITSELF = "data"  # the function of smtplib in which the message itself is sent
START_INPUT = 354  # the server's answer there, after which the message is sent
WRONG_TLS = "WRONG_VERSION_NUMBER"


def hand_over(message: EmailMultiAlternatives) -> None:
    """Give the message to the mail server.

    Raises MailUnavailable, MailNotAllowed, MailDeferred, MailUncertain, MailRefused.
    """
    try:
        backend = get_connection(settings.EMAIL_DELIVERY_BACKEND)
    except ImproperlyConfigured as error:
        raise _of_opening(error) from error
    try:
        _open_and_send(backend, message)
    finally:
        # A server that took the message may answer QUIT with an error: taken for a failure, it
        # would send the message a second time.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            backend.close()


def _open_and_send(backend: BaseEmailBackend, message: EmailMultiAlternatives) -> None:
    try:
        backend.open()
    except (smtplib.SMTPException, OSError, ImproperlyConfigured) as error:
        raise _of_opening(error) from error
    try:
        backend.send_messages([message])
    except (smtplib.SMTPException, AnymailError, OSError, ValueError) as error:
        raise _of_sending(error) from error


def _of_opening(error: Exception) -> AppError:
    """Return what a connection that was not made means: nothing of it is about a message."""
    stage = _stage_of_opening(error)
    if isinstance(error, smtplib.SMTPResponseException):
        return answers.judge(stage, error.smtp_code, sentence(error.smtp_error))
    words = _about_us(error, stage)
    kind = MailNotAllowed if words else MailUnavailable
    facts = f"({stage}: {type(error).__name__}: {sentence(str(error))})"
    return kind(" ".join(filter(None, (kind.message, words, facts))), stage=stage)


def _about_us(error: Exception, stage: str) -> str:
    """Return what to do about a connection that our settings prevent; nothing where it passes."""
    if isinstance(error, ImproperlyConfigured):
        return answers.API_WORDS
    if isinstance(error, ssl.SSLCertVerificationError) or WRONG_TLS in str(error):
        return answers.TLS_WORDS
    # The server does not offer what was asked for, or no way to sign in that both know.
    if type(error) in (smtplib.SMTPNotSupportedError, smtplib.SMTPException):
        return answers.TLS_WORDS if stage == answers.STARTTLS else answers.LOGIN_WORDS
    return ""


def _stage_of_opening(error: Exception) -> str:
    functions = _functions(error)
    if "login" in functions:
        return answers.LOGIN
    return answers.STARTTLS if "starttls" in functions else answers.CONNECT


def _of_sending(error: Exception) -> AppError:
    """Return what an answer to a message, or none, means."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(error.recipients.values()))
        return answers.judge(answers.RCPT, code, sentence(reply))
    if isinstance(error, smtplib.SMTPResponseException):
        is_about_sender = isinstance(error, smtplib.SMTPSenderRefused)
        stage = answers.MAIL if is_about_sender else answers.DATA
        return answers.judge(stage, error.smtp_code, sentence(error.smtp_error))
    if isinstance(error, AnymailAPIError):
        return _of_api(error)
    kind = _kind_without_answer(error)
    return kind(f"{kind.message} ({type(error).__name__}: {sentence(str(error))})")


def _kind_without_answer(error: Exception) -> type[AppError]:
    """Return what an error means that is no answer: ours, the message's, or a lost connection."""
    if isinstance(error, ImproperlyConfigured):
        return MailNotAllowed
    if not isinstance(error, OSError):  # an address or a header that cannot be written
        return MailRefused
    return MailUncertain if _was_all_sent(error) else MailUnavailable


def _was_all_sent(error: Exception) -> bool:
    """Whether the server had the message to its end; before that it takes none."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == MESSAGE_ITSELF and frame.f_locals.get("code") == START_INPUT:
            return "send" not in _functions(error)
    return False


def _of_api(error: AnymailAPIError) -> AppError:
    if isinstance(error, AnymailRecipientsRefused):
        return MailRefused(f"{MailRefused.message} {sentence(str(error))}", stage=answers.API)
    status = error.status_code
    if status is not None:
        says = getattr(error.response, "text", "") or ""
        return answers.judge(answers.API, status, sentence(says))
    # A connection that was never made is an outage; one that broke may have delivered.
    cause = next(iter(error.__cause__.args), None) if error.__cause__ else None
    lost = MailUnavailable if isinstance(cause, MaxRetryError) else MailUncertain
    return lost(f"{lost.message} ({type(error.__cause__).__name__})", stage=answers.API)


def _functions(error: Exception) -> set[str]:
    """Return the names of the functions in which it was raised.

    A connection that is lost leaves an error that does not say at which command.
    """
    return {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}


def sentence(reply: Any) -> str:
    """Return what a server said as one line for staff, without our secrets and whole addresses."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    line = " ".join(clean(Redactor().text(text)).split())
    return line if len(line) <= LONGEST_SENTENCE else f"{line[: LONGEST_SENTENCE - 1]}…"


def _secrets() -> list[str]:
    """Return the secrets as they are sent, so that a server that repeats a command shows none."""
    user, password = settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD
    sent = (f"\0{user}\0{password}", password) if password else ()
    encoded = (base64.b64encode(text.encode()).decode() for text in sent)
    return [each for each in (password, *encoded, settings.ANYMAIL["SENDGRID_API_KEY"]) if each]
