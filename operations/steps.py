"""Run the steps of a sweep or of the night, where the failure of one stops no other."""

import logging
from collections.abc import Callable, Mapping

from django.utils import timezone

from maaledu.errors import AppError
from maaledu.work.items import summary
from notifications.alerts import alert_staff

logger = logging.getLogger(__name__)

Steps = Mapping[str, Callable[[], object]]


def run_all(steps: Steps, report: Callable[[str, object], object] | None = None) -> list[str]:
    """Run each of these steps, named by what it does, and return the names of those that failed.

    A step that fails is logged with its traceback and alerts staff once a day. An outside service
    that is down alerts nobody here: it passes, and has an alert of its own where it matters.
    `report` is called with the name and the result of each step that succeeded, as it ends.
    """
    failed = []
    for name, step in steps.items():
        try:
            result = step()
        except Exception as error:
            logger.exception("step failed", extra={"step": name})
            _alert(name, error)
            failed.append(name)
        else:
            if report:
                report(name, result)
    return failed


def _alert(name: str, error: Exception) -> None:
    if isinstance(error, AppError) and error.retryable:
        return
    try:
        alert_staff(
            key=f"step:{name}:{timezone.now():%Y%m%d}",
            subject=f"A regular task failed: {name}",
            lines=[
                summary(error),
                "The other tasks went on, and this one runs again with the next round.",
                "The log has the details, as `step failed` or `row failed`.",
            ],
        )
    # The fault may be a lost database, which loses the alert as well: the other steps still run.
    except Exception:
        logger.exception("staff could not be alerted", extra={"step": name})
