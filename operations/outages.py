"""Alert staff that a platform is down or misconfigured, and of what the nightly checks found."""

from collections.abc import Callable, Sequence

from django.utils import timezone

from courses.models import Course
from lms_sync import breaker, incidents, steps
from lms_sync.models import PlatformState
from maaledu.db import atomic
from notifications.alerts import alert_staff, recover

WAITING = "Purchases go on; their enrollments wait, and are made as soon as the platform answers."
DENYING = (
    "It answers, and refuses a step of some jobs. The others go on; these become dead letters in"
    " about an hour, at the last attempt."
)
MOST_FINDINGS_NAMED = 50
CAUSE, DENIED = "platform:{}", "platform-step:{}"


def announce() -> int:
    """Alert staff of each new incident, once an hour for a platform and kind; return how many.

    Of each that they were alerted of they read as well when it is over.
    """
    for name in breaker.working_platforms():
        recover(CAUSE.format(name))
    for cause in steps.passed_again():
        recover(cause)
    return sum(_announce(state) for state in incidents.pending_alerts())


@atomic
def _announce(state: PlatformState) -> bool:
    if not incidents.clear_alert(state):
        return False
    now = timezone.now()
    opened_at = state.opened_at or now
    name, how = Course.Platform(state.name).label, state.get_incident_display().lower()
    alert_staff(
        # The moment makes the key one of this alert alone: clear_alert is what makes it one an
        # hour.
        key=f"{_cause(state)}:{state.incident}:{now:%Y%m%d%H%M%S%f}",
        since=opened_at,
        subject=f"The learning platform {name} is {how}",
        lines=[
            f"Since {opened_at:%Y-%m-%d %H:%M} UTC. {state.last_error}",
            DENYING if state.is_denying else WAITING,
            f"Run `manage.py lms_check --platform {state.name}` to see what is wrong.",
        ],
    )
    return True


def _cause(state: PlatformState) -> str:
    """Return the beginning of the key: what refuses some jobs is not over when others succeed."""
    return DENIED.format(state.name) if state.is_denying else CAUSE.format(state.name)


def announce_findings(check: str, find: Callable[[], Sequence[object]]) -> int:
    """Alert staff, at most once a day, of what a check finds; return how much that is."""
    found = find()
    if found:
        alert_staff(
            key=f"{check}:{timezone.now():%Y%m%d}",
            subject=f"The nightly check of {check} found {len(found)} problem(s)",
            lines=[str(finding) for finding in found[:MOST_FINDINGS_NAMED]],
        )
    return len(found)
