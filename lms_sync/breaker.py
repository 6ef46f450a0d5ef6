"""The circuit breaker of each platform. Its state is a row, so all processes of all machines share
it.

Three consecutive failures to answer open it for a minute; then one process, whoever wins the
guarded UPDATE, probes. A green probe closes it, a red one opens it again. An answer that means a
misconfiguration is checked by a probe at once: a red one parks the platform until it is green, a
green one leaves the others alone. What the LMS says about one job (4xx) never counts. Source:
decisions, "circuit breaker".
"""

import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from lms_sync.connection import CALLS_IN_BUDGET, platform_for
from lms_sync.errors import (
    LmsDenied,
    LmsDown,
    LmsError,
    LmsMisconfigured,
    LmsThrottled,
    LmsUnavailable,
)
from lms_sync.models import ALERT_EVERY, WATCH_EVERY, PlatformState, PlatformStateQuerySet

CLOSED, OPEN = PlatformState.State.CLOSED, PlatformState.State.OPEN
HALF_OPEN, PARKED = PlatformState.State.HALF_OPEN, PlatformState.State.PARKED
UNAVAILABLE, MISCONFIGURED = (
    PlatformState.Incident.UNAVAILABLE,
    PlatformState.Incident.MISCONFIGURED,
)
MAX_ERROR = 600


def state_of(name: str) -> PlatformState:
    return PlatformState.objects.get_or_create(name=name)[0]


@dataclass(frozen=True)
class Outage:
    since: datetime | None
    next_try_at: datetime | None


def outage(name: str) -> Outage | None:
    """Return since when a platform has not been answering and when it is asked again; None while it
    answers.
    """
    state = PlatformState.objects.blocked().filter(name=name).first()
    return Outage(state.opened_at, state.retry_at) if state else None


def blocked_platforms() -> set[str]:
    return set(PlatformState.objects.blocked().values_list("name", flat=True))


def claimable() -> Q:
    """Return which jobs may be claimed now: those of blocked platforms are left alone, and so use
    up nothing.
    """
    blocked = blocked_platforms()
    return ~Q(platform__in=blocked) if blocked else Q()


def note_success(name: str, latency: timedelta) -> None:
    """Take notice of a job that went well: it ends a row of failures, and the incident once staff
    know of it.
    """
    now = timezone.now()
    changes = {
        "failures": 0,
        "last_ok_at": now,
        "latency_ms": milliseconds(latency),
        "updated_at": now,
    }
    closed = PlatformState.objects.filter(name=name, state=CLOSED)
    if not closed.filter(alert_pending=False).update(**changes, incident=""):
        closed.update(**changes)


def note_failure(name: str, error: LmsError) -> LmsError:
    """Take notice of a failed call, and return the error the job shall be settled with.

    A failure that belongs to an outage is returned as LmsDown, which uses up none of the job's
    attempts.
    """
    if isinstance(error, LmsMisconfigured):
        _block(PlatformState.objects.in_state(name, [CLOSED, OPEN]), PARKED, error)
    elif isinstance(error, LmsUnavailable) and error.outage:
        return _count(name, error)
    else:
        PlatformState.objects.filter(name=name, state=CLOSED, failures__gt=0).update(failures=0)
    return error


def note_misconfiguration(name: str, error: LmsMisconfigured) -> LmsError:
    """Probe at once whether a job's answer is true of every job, and return the error the job shall
    be settled with.

    A red probe parks the platform. After a green one only this step is refused, such as making a
    user: staff are told, the other jobs go on, and this one is returned as LmsDenied, which uses up
    its attempts and so ends as a dead letter.
    """
    try:
        ping(name)
    except LmsError:
        return note_failure(name, error)
    now = timezone.now()
    closed = PlatformState.objects.filter(name=name, state=CLOSED)
    closed.filter(failures__gt=0).update(failures=0)
    changes = {"last_error": error.explanation[:MAX_ERROR], "updated_at": now}
    closed.exclude(incident=MISCONFIGURED).update(
        **changes, incident=MISCONFIGURED, alert_pending=True
    )
    return LmsDenied(error.reason, **error.details)


def _count(name: str, error: LmsUnavailable) -> LmsError:
    closed = PlatformState.objects.filter(name=name, state=CLOSED)
    counted = closed.update(
        failures=F("failures") + 1,
        last_error=error.explanation[:MAX_ERROR],
        updated_at=timezone.now(),
    )
    opened = _block(closed.filter(failures__gte=settings.LMS_BREAKER_FAILURES), OPEN, error)
    return LmsDown(error.reason, **error.details) if opened or not counted else error


def _block(rows: PlatformStateQuerySet, state: str, error: LmsError) -> bool:
    """Open or park, and ask for one alert an incident: an incident lasts until a job succeeds, not
    until a probe does.
    """
    now = timezone.now()
    kind = MISCONFIGURED if state == PARKED else UNAVAILABLE
    changes: dict[str, Any] = {
        "state": state,
        "retry_at": now + pause(error),
        "probe_token": "",
        "updated_at": now,
    }
    changes["last_error"] = error.explanation[:MAX_ERROR]
    rows.filter(opened_at=None).update(opened_at=now)
    announced = (
        rows.exclude(incident=kind).update(**changes, incident=kind, alert_pending=True) == 1
    )
    return announced or rows.update(**changes) == 1


def pause(error: LmsError) -> timedelta:
    """Return how long to wait before the next probe."""
    if isinstance(error, LmsThrottled):
        return error.retry_after or timedelta(0)
    return timedelta(seconds=settings.LMS_BREAKER_OPEN_SECONDS)


def probe_due(now: datetime | None = None) -> int:
    """Probe each blocked platform whose time has come, once over all processes; return how many
    answer again.
    """
    now = now or timezone.now()
    due = PlatformState.objects.to_be_probed(now)
    return sum(_probe(name, due) for name in list(due.values_list("name", flat=True)))


def probe_now(name: str) -> bool:
    """Probe at once, blocked or not, and return whether the platform answers. For staff."""
    if state_of(name).is_blocked:
        return _probe(name, PlatformState.objects.in_state(name, [OPEN, PARKED]))
    return _look(name)


def watch(now: datetime | None = None) -> int:
    """Ask each platform nothing was heard of for a minute whether it still answers, so that an
    outage is noticed before a learner meets it (requirement R113); once over all processes. Return
    how many were asked.
    """
    now = now or timezone.now()
    quiet = PlatformState.objects.quiet(now)
    names = [
        name
        for name in quiet.values_list("name", flat=True)
        if quiet.filter(name=name).update(retry_at=now + WATCH_EVERY)
    ]
    for name in names:
        _look(name)
    return len(names)


def _look(name: str) -> bool:
    """Ping a platform that is thought to answer, and count it when it does not."""
    try:
        latency = ping(name)
    except LmsError as error:
        note_failure(name, error)
        return False
    PlatformState.objects.filter(name=name).update(
        last_ok_at=timezone.now(), latency_ms=milliseconds(latency), failures=0
    )
    return True


def _probe(name: str, claimable_rows: PlatformStateQuerySet) -> bool:
    token = uuid.uuid4().hex
    lease = settings.LMS_TIMEOUT_INTERACTIVE * (CALLS_IN_BUDGET + 1)
    claim = {"state": HALF_OPEN, "probe_token": token, "retry_at": timezone.now() + lease}
    if claimable_rows.filter(name=name).update(**claim) != 1:
        return False
    mine = PlatformState.objects.filter(name=name, state=HALF_OPEN, probe_token=token)
    try:
        latency = ping(name)
    except LmsError as error:
        _block(mine, PARKED if isinstance(error, LmsMisconfigured) else OPEN, error)
        return False
    return _close(mine, latency)


def _close(rows: PlatformStateQuerySet, latency: timedelta) -> bool:
    now = timezone.now()
    cleared = {
        "state": CLOSED,
        "failures": 0,
        "opened_at": None,
        "retry_at": None,
        "probe_token": "",
    }
    return (
        rows.update(**cleared, last_ok_at=now, latency_ms=milliseconds(latency), updated_at=now)
        == 1
    )


def ping(name: str, *, timeout: timedelta | None = None) -> timedelta:
    """Return how long the platform took to say who we are; raises LmsError. Changes nothing."""
    started = time.monotonic()
    platform_for(name, timeout=timeout or settings.LMS_TIMEOUT_INTERACTIVE).ping()
    return timedelta(seconds=time.monotonic() - started)


def pending_alerts() -> list[PlatformState]:
    return list(PlatformState.objects.filter(alert_pending=True))


def clear_alert(state: PlatformState) -> bool:
    """Take the alert of an incident, and return whether this call did: whoever gets True tells
    staff, as `state` is now.

    Once an hour at most for each kind: what comes sooner waits for its hour, and is dropped if the
    platform answers by then.
    """
    state.refresh_from_db()
    pending = PlatformState.objects.filter(pk=state.pk, alert_pending=True, incident=state.incident)
    if state.incident and _take_alert(pending, f"{state.incident}_told_at"):
        return True
    pending.filter(state=CLOSED).update(alert_pending=False, incident="")
    return False


def _take_alert(pending: PlatformStateQuerySet, told_at: str) -> bool:
    now = timezone.now()
    in_its_hour = Q(**{told_at: None}) | Q(**{f"{told_at}__lte": now - ALERT_EVERY})
    return pending.filter(in_its_hour).update(**{told_at: now}, alert_pending=False) == 1


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
