"""Counts the calls to each LMS in this process, and adds them to the rows every few seconds.

No call costs a statement: the counts of one step and hour become one UPDATE. A process that is
killed loses the counts of those seconds, which are figures and no books.
"""

import logging
import os
import threading
import time
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from lms_sync.call_figure import COUNTED, WITHIN_MS, CallFigure

logger = logging.getLogger(__name__)

FIND_USERS, CREATE_USERS = "find users", "create users"
FIND, CREATE, REMOVE = "find enrollments", "create enrollments", "remove enrollments"
COURSES, PAYMENTS, OTHER = "courses", "payments", "other"
# Not of one learner's job: that they are answered says nothing about its steps.
LISTS, ENTRIES = "lists", "create entries"
# Method, beginning of the path, step: the first row that fits. Every call has one, so that there
# are as many steps as are named here, whatever is asked.
STEPS = (
    ("GET", "/api/resource/User/", FIND_USERS),
    ("GET", "/api/resource/User", LISTS),
    ("POST", "/api/resource/User", CREATE_USERS),
    ("PUT", "/api/resource/User", "change users"),
    ("GET", "/api/resource/LMS%20Enrollment", FIND),
    ("POST", "/api/resource/LMS%20Enrollment", CREATE),
    ("DELETE", "/api/resource/LMS%20Enrollment", REMOVE),
    ("POST", "/api/method/frappe.client.insert_many", CREATE),
    ("POST", "/api/method/lms.lms.payment_confirmation", CREATE),
    ("POST", "/api/method/lms.lms.doctype.lms_enrollment", FIND_USERS),
    ("", "/api/resource/LMS%20Course", COURSES),
    ("", "/api/resource/LMS%20Payment", PAYMENTS),
    ("", "/api/resource/LMS%20Certificate", "certificates"),
    ("", "/oauth2/access_token", "sign in"),
    ("", "/api/user/v1/accounts/", LISTS),
    ("", "/api/user/v1/accounts", FIND_USERS),
    ("POST", "/api/enrollment/v1/enrollment_allowed", ENTRIES),
    ("GET", "/api/enrollment/v1/enrollment_allowed", FIND),
    ("DELETE", "/api/enrollment/v1/enrollment_allowed", REMOVE),
    ("GET", "/api/enrollment/v1/enrollments", LISTS),
    ("GET", "/api/enrollment/v1/enrollment", FIND),
    ("POST", "/api/enrollment/v1/enrollment", CREATE),
    ("", "/api/enrollment/v1/course", COURSES),
    ("", "/api/courses/v1/courses", COURSES),
    ("", "/api/course_home/progress", "progress"),
    ("", "/api/certificates", "certificates"),
)
MOST_KEPT = 200  # counters that wait while the database is away


class Key(NamedTuple):
    platform: str
    step: str
    starts_at: datetime


_lock = threading.Lock()
_counts: dict[Key, Counter[str]] = {}
_passed: dict[tuple[str, str], datetime] = {}  # when a call of this process was last answered
_last = {"flush": time.monotonic()}


def step_of(method: str, path: str) -> str:
    fitting = (
        step for verb, prefix, step in STEPS if verb in ("", method) and path.startswith(prefix)
    )
    return next(fitting, OTHER)


def note(
    platform: str, step: str, *, milliseconds: int, failed: bool = False, refused: bool = False
) -> None:
    """Count one call, and add to the rows what has been counted if it is time."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    key, one = Key(platform, step, hour), _one(milliseconds, failed=failed, refused=refused)
    with _lock:
        if not failed:
            _passed[platform, step] = timezone.now()
        if key in _counts or len(_counts) < MOST_KEPT:
            _counts.setdefault(key, Counter()).update(one)
    flush_if_due()


def has_passed(platform: str, step: str, *, since: datetime) -> bool:
    """Whether any call of the step was answered since then, as far as processes have said it."""
    mine = _passed.get((platform, step))
    if mine and mine > since:
        return True
    rows = CallFigure.objects.filter(platform=platform, step=step, span=CallFigure.HOUR)
    return rows.filter(passed_at__gt=since).exists()


def _one(milliseconds: int, *, failed: bool, refused: bool) -> dict[str, int]:
    within = next((f"within_{most}" for most in WITHIN_MS if milliseconds <= most), None)
    counted = {"calls": 1, "failed": int(failed), "refused": int(refused), "total_ms": milliseconds}
    return counted | ({within: 1} if within else {})


def flush_if_due() -> None:
    """Flush where something waits and the last flush is a few seconds ago: else, ask nothing."""
    is_due = time.monotonic() - _last["flush"] >= settings.LMS_FIGURES_EVERY.total_seconds()
    if is_due and _counts:
        flush()


def flush() -> None:
    """Add what was counted to the rows; while the database is away it is kept for the next time."""
    with _lock:
        waiting = dict(_counts)
        _counts.clear()
        _last["flush"] = time.monotonic()
    try:
        while waiting:
            key, counts = next(iter(waiting.items()))
            add(CallFigure.HOUR, key, counts)
            del waiting[key]
    except DatabaseError as error:
        logger.warning("figures of LMS calls wait", extra={"error": type(error).__name__})
        _put_back(waiting)


def _put_back(waiting: dict[Key, Counter[str]]) -> None:
    with _lock:
        for key, counts in waiting.items():
            _counts.setdefault(key, Counter()).update(counts)


def add(span: str, key: Key, counts: Counter[str]) -> None:
    """Add counts to the row of a step and period, which is made where there is none."""
    rows = CallFigure.objects.filter(**key._asdict(), span=span)
    more: dict[str, Any] = {name: F(name) + counts[name] for name in COUNTED if counts[name]}
    passed = {"passed_at": _passed.get(key[:2])}
    more |= passed if counts["calls"] > counts["failed"] else {}
    if rows.update(**more):
        return
    _, created = CallFigure.objects.get_or_create(
        **key._asdict(), span=span, defaults=dict(counts) | passed
    )
    if not created:
        rows.update(**more)


def _begin_anew() -> None:
    """In the child of a fork: what its parent has counted is the parent's to write."""
    _counts.clear()
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_begin_anew)
