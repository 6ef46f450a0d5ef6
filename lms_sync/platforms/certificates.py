"""A learner's certificate, as a platform answers for it beside the progress."""

import logging
from collections.abc import Callable
from datetime import date, datetime

from lms_sync.errors import LmsError
from lms_sync.platforms.base import Certificate, Progress

logger = logging.getLogger(__name__)


def with_certificate(percent: int | None, find: Callable[[], Certificate | None]) -> Progress:
    """Return the progress with what `find` returns.

    What has been learned of the progress is kept where the certificate cannot be had: a key that
    may not read certificates must not keep learners from seeing how far they are.
    """
    try:
        return Progress(percent, find())
    except LmsError as error:
        logger.warning("certificate not known", extra={"code": error.code, "why": error.reason})
        return Progress(percent, knows_certificate=False)


def read_day(candidate: object) -> date | None:
    """Return the day of a date or moment as platforms write it, None where it is neither."""
    try:
        return datetime.fromisoformat(str(candidate)).date()
    except ValueError:
        return None
