"""A round of steps, such as a sweep or the night's: a step that fails keeps no other from being
made, and staff hear of it.
"""

import logging
from collections.abc import Callable, Mapping

from django.utils import timezone

from maaledu import work
from maaledu.errors import AppError
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)


def failed(steps: Mapping[str, Callable[[], object]]) -> list[str]:
    """Make each of these steps, named by what it does, and return those that failed.

    A step that fails is logged with its traceback, and staff are told of it once a day; but not
    that an outside service is down, which passes, and has its own alert where it matters.
    """
    return [what for what, step in steps.items() if not _is_made(what, step)]


def _is_made(what: str, step: Callable[[], object]) -> bool:
    try:
        step()
    except Exception as error:
        logger.exception("step failed", extra={"step": what})
        if not (isinstance(error, AppError) and error.retryable):
            _tell(what, error)
        return False
    return True


def _tell(what: str, error: Exception) -> None:
    try:
        alert_staff(
            key=f"step:{what}:{timezone.now():%Y%m%d}",
            subject=f"A regular task failed: {what}",
            lines=[
                work.summary(error),
                "The other tasks went on, and this one is tried again with the next round.",
                "The log has the whole story, as `step failed` or `row failed`.",
            ],
        )
    except Exception:
        logger.exception("staff could not be told", extra={"step": what})
