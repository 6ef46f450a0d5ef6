"""Addresses that a scheduler calls with the cron secret: by POST, or, where it can only GET, by
`GET ?run=1`. A GET without that changes nothing and says how things are.
"""

import time
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from enrollments.provisioning import LMS_JOBS
from grants import redemption
from grants.models import Grant
from lms_sync.models import DeadLetter, SyncJob
from maaledu.limits import limit
from maaledu.work.items import DONE
from maaledu.work.queue import claim, reap, run_item
from operations import levels, monitors
from operations.errors import CronRefused

JOBS_OF_A_RUN = 10


@csrf_exempt  # called by a scheduler with the cron secret, never by a browser
@require_http_methods(["GET", "HEAD", "POST"])
def retry_lms_jobs(request: HttpRequest) -> HttpResponseBase:
    """Work on at most ten due jobs, or say how the queue is (requirement R154)."""
    return _answer(request, run=_run_jobs, health=_health_of_jobs)


@csrf_exempt  # as above
@require_http_methods(["GET", "HEAD", "POST"])
def expire_grants(request: HttpRequest) -> HttpResponseBase:
    """Expire overdue coupons and return how many there were, or say how many there are (R064)."""
    return _answer(request, run=_expire, health=_health_of_coupons)


Facts = dict[str, object]


def _answer(
    request: HttpRequest, *, run: Callable[[], Facts], health: Callable[[], tuple[bool, Facts]]
) -> HttpResponseBase:
    now = timezone.now().isoformat()
    if request.method == "POST" or (request.method == "GET" and request.GET.get("run") == "1"):
        if not _has_secret(request):
            raise CronRefused
        return JsonResponse({"success": True, **run(), "timestamp": now})
    return _say_health(request, health=health, now=now)


@limit("api")
def _say_health(
    request: HttpRequest, *, health: Callable[[], tuple[bool, Facts]], now: str
) -> JsonResponse:
    """Answer well or not to everybody, and the numbers to the scheduler, staff and monitors."""
    is_well, facts = health()
    shown = facts if _has_secret(request) or monitors.may_see_details(request) else {}
    status = "healthy" if is_well else "degraded"
    body = {"status": status, **shown, "timestamp": now}
    return JsonResponse(body, status=200 if is_well else 503)


def _has_secret(request: HttpRequest) -> bool:
    sent, secret = request.headers.get("Authorization", ""), settings.CRON_SECRET
    return bool(secret) and constant_time_compare(sent, f"Bearer {secret}")


def _run_jobs() -> Facts:
    """Run due jobs one by one: a call that is cut off leaves at most one under its lease."""
    deadline = time.monotonic() + settings.CRON_RUN_BUDGET.total_seconds()
    reap(LMS_JOBS)
    if LMS_JOBS.prepare:
        LMS_JOBS.prepare()
    ran: list[UUID] = []
    while len(ran) < JOBS_OF_A_RUN and time.monotonic() < deadline:
        # A job that failed just now may be due again in this run: it is another call's.
        claimed = claim(LMS_JOBS, limit=1, only=~Q(pk__in=ran))
        if not claimed:
            break
        run_item(LMS_JOBS, claimed[0])
        ran.append(claimed[0].pk)
    succeeded = SyncJob.objects.filter(pk__in=ran, status=DONE).count()
    return _counts(len(ran), succeeded, remaining=_due_jobs())


def _due_jobs() -> int:
    return SyncJob.objects.due(timezone.now()).count()


def _health_of_jobs() -> tuple[bool, Facts]:
    due, dead = _due_jobs(), DeadLetter.objects.open().count()
    facts: Facts = {"due": due, "waiting": SyncJob.objects.unfinished().count(), "dead": dead}
    return due <= levels.DUE_RED and not dead, facts


def _expire() -> Facts:
    expired = redemption.expire_overdue()
    return {"expired": expired, **_counts(expired, expired, remaining=_overdue_coupons())}


def _overdue_coupons() -> int:
    return Grant.objects.overdue(timezone.now()).count()


def _health_of_coupons() -> tuple[bool, Facts]:
    overdue = _overdue_coupons()
    return overdue <= redemption.MOST_AT_ONCE, {"overdue": overdue}


def _counts(processed: int, succeeded: int, *, remaining: int) -> Facts:
    failed = processed - succeeded
    return {
        "processed": processed,
        "succeeded": succeeded,
        "failed": failed,
        "remaining": remaining,
    }
