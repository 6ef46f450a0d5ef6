"""Run the steps of a sweep or of the night, where the failure of one stops no other."""

import logging
from collections.abc import Callable, Mapping

from django.utils import timezone

from maaledu import tracing
from maaledu.errors import AppError
from maaledu.work.items import summary
from notifications.alerts import alert_staff, recover
from notifications.models import Alert

logger = logging.getLogger(__name__)

Steps = Mapping[str, Callable[[], object]]
CAUSE = "step:{}"


def run_all(steps: Steps, report: Callable[[str, object], object] | None = None) -> list[str]:
    """Run each of these steps, named by what it does, and return the names of those that failed.

    A step that fails is logged with its traceback and alerts staff once a day. An outside service
    that is down alerts nobody here: it passes, and has an alert of its own where it matters.
    What failed before and succeeds is over. `report` is called with the name and the result of
    each step that succeeded, as it ends.
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
        finally:
            tracing.follow("")
    _recover(set(steps) - set(failed))
    return failed


def _recover(succeeded: set[str]) -> None:
    """Say of the steps that succeeded and were alerted of that they do again."""
    try:
        alerted = Alert.objects.filter(kind="step", recovered_at=None)
        keys = alerted.values_list("key", flat=True)
        for name in {key.split(":")[1] for key in keys} & succeeded:
            recover(CAUSE.format(name))
    # As with the alert: the round is done all the same.
    except Exception:
        logger.exception("staff could not be alerted", extra={"step": ""})


def _alert(name: str, error: Exception) -> None:
    if isinstance(error, AppError) and error.retryable:
        return
    now = timezone.now()
    today = f"{CAUSE.format(name)}:{now:%Y%m%d}"
    try:
        if Alert.objects.filter(kind="step", recovered_at=None, key__startswith=today).exists():
            return
        alert_staff(
            key=f"{today}{now:%H%M%S}",
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
