"""A step of an LMS that is down while others are answered: it costs no job its attempts.

A failure uses up an attempt only where other calls of the same step were answered since the job
failed at it before, or where it is the job's first.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from lms_sync import call_counts
from lms_sync.errors import LmsError, LmsStepDown, LmsUnavailable
from lms_sync.models import SyncAttempt, SyncJob
from lms_sync.platforms.client import Exchange
from notifications.alerts import alert_staff
from notifications.models import Alert

KIND = "lms-step"
CAUSE = KIND + ":{}:{}"
# Jobs try it after 1, 3 and 7 minutes: staff are alerted within five.
ALERT_AFTER = timedelta(minutes=2)


def judged(job: SyncJob, error: LmsError, journal: Sequence[Exchange]) -> LmsError:
    """Return the error, or LmsStepDown for one that says nothing about this job."""
    is_outage = isinstance(error, LmsUnavailable) and error.outage and error.consumes_attempt
    if not is_outage or job.attempts == 0:
        return error
    step, failed_at = failed_step(journal), _failures(job)
    if len(failed_at) < 2 or call_counts.has_passed(job.platform, step, since=failed_at[-2]):
        return error
    if timezone.now() - failed_at[0] >= ALERT_AFTER:
        _alert(job.platform, step, since=failed_at[0])
    return LmsStepDown(error.reason, **error.details)


def failed_step(journal: Sequence[Exchange]) -> str:
    """Return the step of the last call that was not answered, or of the last one."""
    unanswered = [each for each in journal if each.status is None or each.status >= 500]
    calls = (unanswered or list(journal))[-1:]
    return call_counts.step_of(*calls[0].request.split(" ")[:2]) if calls else ""


def _failures(job: SyncJob) -> list[datetime]:
    """Return when the deliveries of a job began, this one last."""
    records = SyncAttempt.objects.filter(job=job).order_by("started_at")
    return list(records.values_list("started_at", flat=True))


def passed_again() -> list[str]:
    """Return the causes of alerts about steps that are answered again."""
    alerts = Alert.objects.filter(kind=KIND, recovered_at=None)
    found = []
    for alert in alerts:
        _, platform, step, _ = alert.key.split(":")
        if call_counts.has_passed(platform, step, since=alert.created_at):
            found.append(CAUSE.format(platform, step))
    return found


def _alert(platform: str, step: str, *, since: datetime) -> None:
    alert_staff(
        key=f"{CAUSE.format(platform, step)}:{timezone.now():%Y%m%d}",
        since=since,
        subject=f"The learning platform {platform} does not answer one step",
        lines=[
            f"“{step}” gets no answer since {since:%Y-%m-%d %H:%M} UTC; other steps do.",
            "The jobs that need it wait and use up no attempt; each tries it every few minutes.",
            f"Run `manage.py lms_check --platform {platform}` to see what is wrong.",
        ],
    )
