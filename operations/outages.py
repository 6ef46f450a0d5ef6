"""Alert staff that a platform is down or misconfigured, and of what the nightly checks found."""

from collections.abc import Callable, Sequence

from django.utils import timezone

from lms_sync import breaker
from lms_sync.models import PlatformState
from maaledu.db import atomic
from notifications.alerts import alert_staff

WAITING = "Purchases go on; their enrollments wait, and are made as soon as the platform answers."
DENYING = (
    "It answers, and refuses a step of some jobs. The others go on; these become dead letters in"
    " about an hour, at the last attempt."
)
MOST_FINDINGS_NAMED = 50


def announce() -> int:
    """Alert staff of each new incident, once an hour for a platform and kind; return how many."""
    return sum(_announce(state) for state in breaker.pending_alerts())


@atomic
def _announce(state: PlatformState) -> bool:
    if not breaker.clear_alert(state):
        return False
    now = timezone.now()
    opened_at = state.opened_at or now
    alert_staff(
        # The moment makes the key one of this alert alone: clear_alert is what makes it one an
        # hour.
        key=f"platform:{state.name}:{state.incident}:{now:%Y%m%d%H%M%S%f}",
        subject=f"The learning platform {state.name} is {state.get_incident_display().lower()}",
        lines=[
            f"Since {opened_at:%Y-%m-%d %H:%M} UTC. {state.last_error}",
            DENYING if state.is_denying else WAITING,
            "Run `manage.py lms_check` to see what is wrong.",
        ],
    )
    return True


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
