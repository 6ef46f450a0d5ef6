"""Tells staff, once an incident, that a platform is down or misconfigured; and what the night's checks found."""

from collections.abc import Sequence

from django.utils import timezone

from lms_sync import breaker
from lms_sync.models import PlatformState
from maaledu.db import atomic
from notifications.alerts import alert_staff


def announce() -> int:
    """Turn the incidents nobody was told of into staff e-mails, and return how many this call announced."""
    return sum(_announce(state) for state in breaker.pending_alerts())


@atomic
def _announce(state: PlatformState) -> bool:
    if not breaker.clear_alert(state):
        return False
    opened_at = state.opened_at or timezone.now()
    alert_staff(
        key=f"platform:{state.name}:{state.incident}:{opened_at:%Y%m%d%H%M%S}",
        subject=f"The learning platform {state.name} is {state.get_incident_display().lower()}",
        lines=[
            f"Since {opened_at:%Y-%m-%d %H:%M} UTC. {state.last_error}",
            "Purchases go on; their places wait, and are made as soon as the platform answers.",
            "Run `manage.py lms_check` to see what is wrong.",
        ],
    )
    return True


def announce_findings(check: str, findings: Sequence[object]) -> bool:
    """Tell staff, at most once a day, what a check found; return whether there was anything."""
    if findings:
        alert_staff(
            key=f"{check}:{timezone.now():%Y%m%d}",
            subject=f"The nightly check of {check} found {len(findings)} problem(s)",
            lines=[str(finding) for finding in findings[:50]],
        )
    return bool(findings)
