"""The alerts of a platform's incidents: one an hour at most for each kind."""

from django.db.models import Q
from django.utils import timezone

from lms_sync.models import ALERT_EVERY, PlatformState, PlatformStateQuerySet

CLOSED = PlatformState.State.CLOSED


def pending_alerts() -> list[PlatformState]:
    return list(PlatformState.objects.filter(alert_pending=True))


def clear_alert(state: PlatformState) -> bool:
    """Take the alert of an incident, and return whether this call did: its caller alerts staff.

    Once an hour at most for each kind: an alert that comes sooner waits for its hour, and is
    dropped if the platform answers by then. `state` is read anew.
    """
    state.refresh_from_db()
    pending = PlatformState.objects.filter(pk=state.pk, alert_pending=True, incident=state.incident)
    if state.incident and _take_alert(pending, f"{state.incident}_alerted_at"):
        return True
    pending.filter(state=CLOSED).update(alert_pending=False, incident="")
    return False


def _take_alert(pending: PlatformStateQuerySet, alerted_at: str) -> bool:
    now = timezone.now()
    in_its_hour = Q(**{alerted_at: None}) | Q(**{f"{alerted_at}__lte": now - ALERT_EVERY})
    return pending.filter(in_its_hour).update(**{alerted_at: now}, alert_pending=False) == 1
