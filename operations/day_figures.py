"""What each day came to, summed up by the worker, so that the office's first page costs the same
however much was sold.

A day is counted anew when a row of it has been written since; `operations.invariants` counts it
once more and compares. A sale belongs to the day of its checkout; money, refunds and disputes to
the day on which each was begun. Days are UTC's.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, QuerySet, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from affiliates.models import Commission
from enrollments.models import SOLD, Enrollment
from grants.models import GrantEvent
from lms_sync.delivery import DONE as DELIVERED
from lms_sync.models import SyncAttempt, SyncJob
from operations import heartbeats
from operations.models import DayFigures
from payments.models import Dispute, Payment, Refund

NAME = "day figures"
SECOND = "second"
DAY = timedelta(days=1)
COUNTED_BACK = 200 * DAY  # what is written of a day before that is counted no more
MOST_AT_ONCE = 30
# A transaction that was open at the last look may have written since, as of a moment before it.
OVERLAP = timedelta(minutes=5)
MOST_DUE = 1000
QUEUE_STEP_MINUTES = 10
# Seconds from payment to access within which it came; the last count is of what took longer.
WITHIN_SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)
# Of each model: what says on which day a row belongs, and when it was written last.
SOURCES: tuple[tuple[Any, str, str], ...] = (
    (Enrollment, "created_at", "updated_at"),
    (Payment, "created_at", "updated_at"),
    (Refund, "created_at", "updated_at"),
    (Dispute, "created_at", "updated_at"),
    (Commission, "created_at", "updated_at"),
    (GrantEvent, "created_at", "created_at"),
    (SyncAttempt, "started_at", "started_at"),
)


def keep(now: datetime | None = None) -> int:
    """Count the days anew of which something was written, and note the queue; return how many.

    So many at once at most, the newest first: the others with the next calls.
    """
    at = now or timezone.now()
    note_queue(at)
    looked = heartbeats.last_seen().get(NAME)
    due = due_days(at, since=looked.at - OVERLAP if looked else None)
    for day in due[:MOST_AT_ONCE]:
        _store(day, at)
    if len(due) <= MOST_AT_ONCE:
        heartbeats.note(NAME, at=at)
    return len(due[:MOST_AT_ONCE])


def due_days(now: datetime, *, since: datetime | None) -> list[date]:
    """Return the days, newest first, of which a row was written that their figures may lack."""
    written = _written(now, since)
    known = DayFigures.objects.filter(day__in=list(written))
    counted = {row.day: row.counted_at for row in known if row.counted_at}
    return sorted(
        (day for day, at in written.items() if day not in counted or counted[day] - OVERLAP <= at),
        reverse=True,
    )


def _written(now: datetime, since: datetime | None) -> dict[date, datetime]:
    """Return of each day that was written to when that was last."""
    latest: dict[date, datetime] = {}
    for model, made, written in SOURCES:
        rows = model.objects.filter(**{f"{made}__gte": now - COUNTED_BACK})
        rows = rows.filter(**{f"{written}__gte": since}) if since else rows
        days = rows.order_by().annotate(on=TruncDay(made, tzinfo=UTC)).values("on")
        for row in days.annotate(latest=Max(written)):
            day = row["on"].date()
            latest[day] = max(row["latest"], latest.get(day, row["latest"]))
    return latest


def _store(day: date, at: datetime) -> None:
    found = count(day)
    if not is_whole(day, at):
        kept = DayFigures.objects.filter(day=day).first()
        found |= {SECOND: kept.figures.get(SECOND, found[SECOND])} if kept else {}
    fields = {"figures": found, "counted_at": at}
    if not DayFigures.objects.filter(day=day).update(**fields):
        DayFigures.objects.get_or_create(day=day, defaults=fields)


def is_whole(day: date, now: datetime) -> bool:
    """Return whether nothing of this day was deleted yet: attempts go with their jobs."""
    return day > (now - settings.WORK_KEEP_FINISHED + DAY).date()


def note_queue(now: datetime) -> None:
    """Note how many LMS jobs are due, where that is more than was seen in these ten minutes."""
    due = SyncJob.objects.due(now).values_list("pk", flat=True)[:MOST_DUE]
    number, today = len(due), now.astimezone(UTC)
    key = f"{today:%H}{today.minute // QUEUE_STEP_MINUTES * QUEUE_STEP_MINUTES:02d}"
    row, _ = DayFigures.objects.get_or_create(day=today.date())
    if number > row.queue.get(key, -1):
        DayFigures.objects.filter(pk=row.pk).update(queue={**row.queue, key: number})


# --- counting one day -----------------------------------------------------------------------------
def count(day: date) -> dict[str, Any]:
    """Return what the rows of a day come to, in the form in which it is kept."""
    begun = _of(Enrollment.objects.all(), day)
    return {
        "sales": _sales(begun),
        "access": _access(begun),
        "received": _received(_of(Payment.objects.filter(status=Payment.PAID), day)),
        "refunds": _sums(_of(Refund.objects.filter(status=Refund.SUCCEEDED), day)),
        "withdrawn": _sums(_of(Dispute.objects.filter(is_withdrawn=True), day)),
        "commissions": _sums(_of(Commission.objects.all(), day)),
        "grants": _of(GrantEvent.objects.filter(what__startswith="approved"), day).count(),
        SECOND: _second_attempts(_of(SyncAttempt.objects.filter(number=2), day, "started_at")),
    }


def _of(rows: QuerySet[Any], day: date, column: str = "created_at") -> QuerySet[Any]:
    midnight = datetime.combine(day, time.min, UTC)
    return rows.filter(**{f"{column}__gte": midnight, f"{column}__lt": midnight + DAY}).order_by()


def _sales(begun: QuerySet[Any]) -> list[list[Any]]:
    """Return kind, course, and how many checkouts there were, and of these how many were sold."""
    checkouts: Counter[tuple[str, str]] = Counter()
    sold: Counter[tuple[str, str]] = Counter()
    for row in begun.values("kind", "course_title", "status").annotate(number=Count("pk")):
        key = (row["kind"], row["course_title"])
        checkouts[key] += row["number"]
        sold[key] += row["number"] * (row["status"] in SOLD)
    return [[*key, checkouts[key], sold[key]] for key in sorted(checkouts)]


def _access(begun: QuerySet[Any]) -> dict[str, Any]:
    """Return how many should have got access, and of those who did how long each waited."""
    sold = begun.filter(status__in=SOLD).exclude(paid_at=None)
    within = [0] * (len(WITHIN_SECONDS) + 1)
    due = 0
    for status, paid, given in sold.values_list("status", "paid_at", "lms_synced_at").iterator(500):
        due += status == Enrollment.PAID or given is not None
        if given is not None:
            seconds = max((given - paid) // timedelta(milliseconds=1), 0)
            within[bisect_left([1000 * most for most in WITHIN_SECONDS], seconds)] += 1
    return {"due": due, "within": within}


def _received(payments: QuerySet[Any]) -> list[list[Any]]:
    """Return kind, course, currency, and what was received."""
    fields = ("enrollment__kind", "enrollment__course_title", "currency_received")
    rows = payments.values(*fields).annotate(total=Sum("amount_received"))
    return sorted([*(row[field] for field in fields), row["total"] or 0] for row in rows)


def _sums(rows: QuerySet[Any]) -> list[list[Any]]:
    found = rows.values("currency").annotate(total=Sum("amount"))
    return sorted([row["currency"], row["total"]] for row in found)


def _second_attempts(attempts: QuerySet[Any]) -> list[int]:
    """Return how many second attempts there were, and how many of these succeeded."""
    rows = attempts.values("outcome").annotate(number=Count("pk"))
    numbers = {row["outcome"]: row["number"] for row in rows}
    return [sum(numbers.values()), numbers.get(DELIVERED, 0)]


# --- reading --------------------------------------------------------------------------------------
def last(days: int, today: date) -> Iterator[DayFigures]:
    """Yield what is kept of so many days up to today, the oldest first, in one statement."""
    return DayFigures.objects.filter(day__gt=today - days * DAY).order_by("day").iterator()
