"""The circuit breaker of each platform: a row, which all processes of all machines share.

Three consecutive failures to answer open it for a minute; then the one process that wins a guarded
UPDATE probes. A probe that succeeds closes it, one that fails opens it again. An answer that means
a misconfiguration is checked by a probe at once: if that fails, the platform is parked until a
probe succeeds, else only this job is refused. What the LMS says about one job (4xx) never counts.
Source: decisions, "circuit breaker".
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from lms_sync import accounts, pace, refused_fields, states
from lms_sync.connection import CALLS_IN_BUDGET
from lms_sync.errors import (
    LmsDenied,
    LmsDown,
    LmsError,
    LmsMisconfigured,
    LmsNoNewUsers,
    LmsPaced,
    LmsThrottled,
    LmsUnavailable,
)
from lms_sync.models import WATCH_EVERY, PlatformState, PlatformStateQuerySet, SyncJob
from lms_sync.pings import needs_depth, ping
from maaledu.work.items import RUNNING

CLOSED, OPEN = PlatformState.State.CLOSED, PlatformState.State.OPEN
HALF_OPEN, PARKED = PlatformState.State.HALF_OPEN, PlatformState.State.PARKED
UNAVAILABLE, MISCONFIGURED = (
    PlatformState.Incident.UNAVAILABLE,
    PlatformState.Incident.MISCONFIGURED,
)
MAX_ERROR = 600
TO_BE_SHOWN_WITHIN = timedelta(minutes=5)


def state_of(name: str) -> PlatformState:
    return PlatformState.objects.get_or_create(name=name)[0]


@dataclass(frozen=True)
class Outage:
    since: datetime | None
    next_try_at: datetime | None


def is_blocked_for(job: SyncJob) -> bool:
    """Whether a job is to wait; of one that was just claimed, what its claim has read says so."""
    state = states.just_read(job.platform) if job.status == RUNNING else None
    return (state or state_of(job.platform)).is_blocked


def outage(name: str) -> Outage | None:
    """Return since when a platform does not answer and when it is probed; None while it answers."""
    state = PlatformState.objects.blocked().filter(name=name).first()
    return Outage(state.opened_at, state.retry_at) if state else None


def blocked_platforms() -> set[str]:
    return set(PlatformState.objects.blocked().values_list("name", flat=True))


def working_platforms() -> list[str]:
    """Return the platforms that answer, refuse no step of their jobs, and get them done.

    After an outage a probe is not enough while there are jobs that could show it.
    """
    states = PlatformState.objects.all()
    working = [state for state in states if not (state.is_blocked or state.is_denying)]
    soon = timezone.now() + TO_BE_SHOWN_WITHIN
    waiting = SyncJob.objects.unfinished().filter(next_attempt_at__lte=soon)
    return [
        state.name
        for state in working
        if not (state.incident and waiting.filter(platform=state.name).exists())
    ]


def note_success(name: str, latency: timedelta) -> None:
    """Count a job that succeeded: it ends a series of failures.

    It ends the incident as well, unless staff must still be alerted of it.
    """
    if states.is_known_well(name):
        return
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
    """Count a failed call, and return the error that the job is to be settled with.

    A failure that belongs to an outage is returned as LmsDown, which uses up none of the job's
    attempts.
    """
    if isinstance(error, LmsPaced):
        return error
    states.forget(name)
    if isinstance(error, LmsNoNewUsers) or (error.about_accounts and error.consumes_attempt):
        accounts.close(name, until=timezone.now() + pause(error))
        return error
    if isinstance(error, LmsThrottled):
        pace.hold(name, timezone.now() + pause(error))
    if isinstance(error, LmsMisconfigured):
        _block(PlatformState.objects.in_state(name, [CLOSED, OPEN]), PARKED, error)
    elif isinstance(error, LmsUnavailable) and error.outage:
        return _count(name, error)
    else:
        PlatformState.objects.filter(name=name, state=CLOSED, failures__gt=0).update(failures=0)
    return error


def note_misconfiguration(name: str, error: LmsMisconfigured) -> LmsError:
    """Probe whether a misconfiguration concerns every job, and return the error to settle with.

    A probe that fails parks the platform. If it succeeds, only this step is refused, such as
    creating a user: staff are alerted, the other jobs go on, and this one is returned as LmsDenied,
    which uses up its attempts and so ends as a dead letter.
    """
    try:
        ping(name, deep=True)
    except LmsError:
        return note_failure(name, error)
    states.forget(name)
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
    if counted and not opened:
        return error
    down = LmsDown(error.reason, **error.details)
    # A create whose answer was lost is not asked for again as soon as the platform answers.
    down.retry_after = max(LmsDown.retry_after, error.retry_after or LmsDown.retry_after)
    return down


def _block(rows: PlatformStateQuerySet, state: str, error: LmsError) -> bool:
    """Open or park, and request one alert an incident; return whether this call did.

    An incident lasts until a job succeeds: while an LMS answers probes and fails jobs, the breaker
    closes and opens again and again, and staff get one alert.
    """
    now = timezone.now()
    kind = MISCONFIGURED if state == PARKED else UNAVAILABLE
    changes: dict[str, Any] = {
        "state": state,
        "retry_at": now + pause(error),
        "probe_token": "",
        "last_error": error.explanation[:MAX_ERROR],
        "updated_at": now,
    }
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
    """Probe each blocked platform that is due, and each that staff ask about.

    Once over all processes. Return how many answer.
    """
    now = now or timezone.now()
    due = PlatformState.objects.to_be_probed(now)
    asked = PlatformState.objects.exclude(probe_asked_at=None)
    return sum(
        _probe_as_asked(state) if state.probe_asked_at else _probe(state.name, due)
        for state in list(due | asked)
    )


def ask_probe(name: str) -> bool:
    """Have the worker probe at its next look, blocked or not; False where it is to do so anyway."""
    rows = PlatformState.objects.filter(name=name, probe_asked_at=None)
    return rows.update(probe_asked_at=timezone.now()) == 1


def _probe_as_asked(state: PlatformState) -> bool:
    asked = PlatformState.objects.filter(pk=state.pk, probe_asked_at=state.probe_asked_at)
    return asked.update(probe_asked_at=None) == 1 and probe_now(state.name)


def probe_now(name: str) -> bool:
    """Probe at once, blocked or not, and return whether the platform answers."""
    refused_fields.forget(name)
    if state_of(name).is_blocked:
        return _probe(name, PlatformState.objects.in_state(name, [OPEN, PARKED]))
    return _ping_and_count(name, deep=True)


def watch(now: datetime | None = None) -> int:
    """Ping each platform that had no call for a minute, once over all processes.

    So an outage is noticed before a learner meets it (requirement R113). Return how many were
    asked.
    """
    now = now or timezone.now()
    quiet = PlatformState.objects.quiet(now)
    names = [
        name
        for name in quiet.values_list("name", flat=True)
        if quiet.filter(name=name).update(retry_at=now + WATCH_EVERY)
    ]
    for name in names:
        _ping_and_count(name)
    return len(names)


def _ping_and_count(name: str, *, deep: bool = False) -> bool:
    """Ping a platform whose breaker is closed, and return whether it answers."""
    try:
        latency = ping(name, deep=deep)
    except LmsError as error:
        note_failure(name, error)
        answered = PlatformState.objects.filter(name=name)
        answered.update(last_error=error.explanation[:MAX_ERROR])
        return False
    PlatformState.objects.filter(name=name).update(
        last_ok_at=timezone.now(), latency_ms=milliseconds(latency), failures=0
    )
    return True


def _probe(name: str, claimable_rows: PlatformStateQuerySet) -> bool:
    # The token says that the row is still this probe's when it ends: another process may probe
    # again once the lease has run out.
    token, deep = uuid.uuid4().hex, needs_depth(state_of(name))
    lease = settings.LMS_TIMEOUT_INTERACTIVE * (CALLS_IN_BUDGET + 1)
    claim = {"state": HALF_OPEN, "probe_token": token, "retry_at": timezone.now() + lease}
    if claimable_rows.filter(name=name).update(**claim) != 1:
        return False
    mine = PlatformState.objects.filter(name=name, state=HALF_OPEN, probe_token=token)
    try:
        latency = ping(name, deep=deep)
    except LmsError as error:
        _block(mine, PARKED if isinstance(error, LmsMisconfigured) else OPEN, error)
        return False
    pace.forget(name)
    return _close(mine, latency)


def _close(rows: PlatformStateQuerySet, latency: timedelta) -> bool:
    now = timezone.now()
    cleared = {
        "state": CLOSED,
        # A probe shows less than a job does: the first job that fails opens it again.
        "failures": settings.LMS_BREAKER_FAILURES - 1,
        "opened_at": None,
        "retry_at": None,
        "probe_token": "",
        "recovered_at": pace.whole(now),
    }
    cleared |= {"last_ok_at": now, "latency_ms": milliseconds(latency), "updated_at": now}
    return rows.update(**cleared) == 1


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
