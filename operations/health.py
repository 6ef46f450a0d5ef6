"""The addresses that monitors ask; only staff see more than the status and the version."""

from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from lms_sync.links import base_url
from lms_sync.models import PlatformState
from maaledu.http import only_read
from maaledu.limits import limit
from maaledu.version import VERSION
from operations import heartbeats, levels, monitors, readiness


@only_read
def live(request: HttpRequest) -> JsonResponse:
    """Answer that this process runs, without a query or a call."""
    return _status("ok", healthy=True)


@only_read
def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether this process can serve: 503 where a visitor would be better off elsewhere.

    The database takes writes and has every migration, and the style sheets are there.
    """
    problems = readiness.problems()
    details: dict[str, object] = {"version": VERSION}
    # Not for staff by their session: that would ask the database, which may be what is broken.
    if monitors.is_monitor(request):
        cache = "broken" if "cache" in problems else readiness.cache_state()
        details |= {"problems": problems, "cache": cache}
    return _status("unavailable" if problems else "ok", healthy=not problems, **details)


@only_read
@limit("status")
def work(request: HttpRequest) -> JsonResponse:
    """Answer whether work gets done: 503 while a worker, the scheduler or the mail stands still.

    The level and its reasons are for staff and monitors.
    """
    reasons = levels.assess()
    stopped = any(reason.stops_work for reason in reasons)
    details = _work_details(reasons) if monitors.may_see_details(request) else {}
    return _status("stopped" if stopped else "ok", healthy=not stopped, **details)


def _work_details(reasons: list[levels.Reason]) -> dict[str, object]:
    now = timezone.now()
    counts, oldest = levels.waiting(now)
    return {
        "level": levels.worst(reasons),
        "reasons": [
            {"cause": each.cause, "level": each.level, "text": each.text, "since": each.since}
            for each in reasons
        ],
        "due": counts,
        "oldestDueAt": oldest,
        "heartbeats": {name: seen.at for name, seen in heartbeats.last_seen().items()},
    }


@only_read
@limit("api")
def lms_health(request: HttpRequest, platform: str) -> JsonResponse:
    """Answer whether an LMS is up as its breaker knows it, without a call (requirement R113)."""
    state = PlatformState.objects.filter(name=platform).first() or PlatformState(name=platform)
    details = _platform_details(state) if monitors.may_see_details(request) else {}
    return _status(
        "down" if state.is_blocked else "healthy", healthy=not state.is_blocked, **details
    )


def _platform_details(state: PlatformState) -> dict[str, object]:
    return {
        "baseUrl": base_url(state.name),
        "state": state.state,
        "latencyMs": state.latency_ms,
        "lastOkAt": state.last_ok_at,
        "lastError": state.last_error,
        "downSince": state.opened_at,
        "retryAt": state.retry_at,
    }


def _status(status: str, *, healthy: bool, **details: object) -> JsonResponse:
    body = {"status": status, "timestamp": timezone.now().isoformat(), **details}
    return JsonResponse(body, status=200 if healthy else 503)
