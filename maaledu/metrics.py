"""What each process counts for /metrics: requests, calls to others, work, limits, the cache.

Where PROMETHEUS_MULTIPROC_DIR names a folder, all processes of a machine count into files there,
and any web process answers with the sums. A process writes into files of a number that it holds
while it lives, and the next that gets this number goes on counting in them: so there are as many
files as processes at once, however many come and go.

Labels have few values, which do not come from visitors.
"""

import fcntl
import itertools
import os
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, multiprocess, values

if TYPE_CHECKING:
    from maaledu.work.items import WorkItem

LONGEST_WAIT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WORK_AGES = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


class _Number:
    """The number that this process holds, by a lock that the kernel gives back when it ends."""

    pid = 0
    text = ""
    lock: TextIOWrapper | None = None


def _number() -> str:
    if os.getpid() != _Number.pid:  # the first time, and in the child of a fork
        _take_number()
    return _Number.text


def _take_number() -> None:
    folder = Path(settings.METRICS_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        lock = (folder / f"{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _Number.pid, _Number.text, _Number.lock = os.getpid(), str(number), lock
        return


# By our setting alone: the package takes an empty variable, as compose files leave them, for a
# folder.
values.ValueClass = values.MultiProcessValue(_number) if settings.METRICS_DIR else values.MutexValue

REQUESTS = Histogram(
    "maaledu_request_seconds",
    "Requests by endpoint, method and status, and how long they took.",
    ["endpoint", "method", "status"],
    buckets=LONGEST_WAIT,
)
LMS_CALLS = Histogram(
    "maaledu_lms_call_seconds",
    "Calls to an LMS by how it answered, 2xx to 5xx or none, and how long that took.",
    ["platform", "answer"],
    buckets=LONGEST_WAIT,
)
STRIPE_CALLS = Histogram(
    "maaledu_stripe_call_seconds",
    "Calls to Stripe: ok, refused or unavailable, and how long that took.",
    ["outcome"],
    buckets=LONGEST_WAIT,
)
WORK = Histogram(
    "maaledu_work_seconds",
    "Runs of queued items: done, again, dead or lost to another worker, and how long they took.",
    ["queue", "outcome"],
    buckets=LONGEST_WAIT,
)
WORK_AGE = Histogram(
    "maaledu_work_age_seconds",
    "How long an item took from being queued to being done, with all its attempts.",
    ["queue"],
    buckets=WORK_AGES,
)
ATTEMPTS = Counter("maaledu_work_attempts", "Attempts that were used up.", ["queue"])
FIRST_FAILURES = Counter(
    "maaledu_work_first_failures", "Items that the first attempt did not get done.", ["queue"]
)
HEALED = Counter(
    "maaledu_work_healed", "Items that the second attempt got done (requirement R189).", ["queue"]
)
LIMITS = Counter("maaledu_limits_hit", "Requests over a rate limit (KPI 4).", ["limit"])
SKIPS = Counter(
    "maaledu_idempotency_skips",
    "What came again and was done already: events, e-mails, enrollments (KPI 5).",
    ["what"],
)
CACHE_MISSES = Counter(
    "maaledu_cache_misses", "Public pages that had to be rendered; hits are requests of “cached”."
)
CACHED = "cached"

Key = tuple[str, str, int]
_requests: dict[Key, Histogram] = {}


def count_request(request: HttpRequest, status: int, seconds: float) -> None:
    """Count one request, whose endpoint is the name of its address: there are as many as views."""
    match = request.resolver_match
    endpoint = match.view_name if match else request.META.get(CACHED, "")
    key = (endpoint, str(request.method), status)
    child = _requests.get(key) or _remember(key)
    child.observe(seconds)


def note_cached(request: HttpRequest) -> None:
    """Say that the answer comes from the cache: it is counted as such, with the request."""
    request.META[CACHED] = CACHED


def _remember(key: Key) -> Histogram:
    endpoint, method, status = key
    # Without one: an unknown address, or a static file or redirect.
    name = endpoint or ("unknown" if status >= 400 else "file")
    known = method if method in ("GET", "HEAD", "POST") else "other"
    # Not kept for methods that visitors make up.
    child = REQUESTS.labels(name, known, str(status))
    if known == method:
        _requests[key] = child
    return child


def count_run(queue: str, item: "WorkItem", outcome: str, *, seconds: float) -> None:
    """Count one run of an item, and what its first and its second came to."""
    WORK.labels(queue, outcome).observe(seconds)
    if outcome == "done":
        age = (timezone.now() - item.created_at).total_seconds()
        WORK_AGE.labels(queue).observe(max(age, 0))
    if item.fence == 1 and outcome == "again":
        FIRST_FAILURES.labels(queue).inc()
    if item.fence == 2 and outcome == "done":
        HEALED.labels(queue).inc()


def registry() -> CollectorRegistry:
    """Return what to read: the sums over this machine's processes, or what this one counted."""
    if not settings.METRICS_DIR:
        return REGISTRY
    summed = CollectorRegistry()
    multiprocess.MultiProcessCollector(summed, path=settings.METRICS_DIR)
    return summed
