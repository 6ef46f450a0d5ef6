"""The addresses that monitors ask; only staff see more than the status and the version."""

import logging

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from lms_sync.connection import FRAPPE
from lms_sync.models import PlatformState
from maaledu.limits import limit
from maaledu.version import VERSION

logger = logging.getLogger(__name__)

_migrated: set[str] = set()


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer that this process runs, without a query or a call."""
    return _status("ok", healthy=True)


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether this process can serve: the database answers and has every migration."""
    try:
        MigrationRecorder(connection).migration_qs.exists()
        ok = _is_migrated()
    except DatabaseError as error:
        logger.warning("not ready: the database does not answer", extra={"error": str(error)})
        ok = False
    return _status("ok" if ok else "unavailable", healthy=ok, version=VERSION)


def _is_migrated() -> bool:
    """Return whether every migration is applied; once true, this process asks no more."""
    if connection.alias not in _migrated:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            logger.warning("not ready: migrations are waiting", extra={"waiting": len(waiting)})
            return False
        _migrated.add(connection.alias)
    return True


@require_safe
@limit("api")
def frappe_health(request: HttpRequest) -> JsonResponse:
    """Answer whether the LMS is up as the breaker knows it, without a call (requirement R113)."""
    state = PlatformState.objects.filter(name=FRAPPE).first() or PlatformState(name=FRAPPE)
    details = (
        _platform_details(state) if request.user.is_authenticated and request.user.is_staff else {}
    )
    return _status(
        "down" if state.is_blocked else "healthy", healthy=not state.is_blocked, **details
    )


def _platform_details(state: PlatformState) -> dict[str, object]:
    return {
        "baseUrl": settings.FRAPPE_LMS_BASE_URL,
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
