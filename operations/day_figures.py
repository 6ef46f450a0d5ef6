"""What each day came to, summed up by the worker, so that the office's first page costs the same
however much was sold.

A day is counted anew when a row of it has been written since; `operations.invariants` counts it
once more and compares. A sale belongs to the day of its checkout; money, refunds and disputes to
the day on which each was begun. Days are UTC's.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
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


# --- counting -------------------------------------------------------------------------------------
def count(day: date) -> dict[str, Any]:
    """Return what the rows of a day come to, in the form in which it is kept."""
    return count_days(day, day)[day]


def count_days(first: date, last: date) -> dict[date, dict[str, Any]]:
    """Return what the rows of each of these days come to, in as many statements as of one day."""
    rows = partial(_of, first=first, last=last)
    begun = rows(Enrollment.objects.all())
    parts: dict[str, Mapping[date, Any]] = {
        "sales": _sales(begun),
        "access": _access(begun),
        "received": _received(rows(Payment.objects.filter(status=Payment.PAID))),
        "refunds": _sums(rows(Refund.objects.filter(status=Refund.SUCCEEDED))),
        "withdrawn": _sums(rows(Dispute.objects.filter(is_withdrawn=True))),
        "commissions": _sums(rows(Commission.objects.all())),
        "grants": _numbers(rows(GrantEvent.objects.filter(what__startswith="approved"))),
        SECOND: _second_attempts(rows(SyncAttempt.objects.filter(number=2), "started_at")),
    }
    days = [first + number * DAY for number in range((last - first).days + 1)]
    return {day: {name: part[day] for name, part in parts.items()} for day in days}


def _of(
    rows: QuerySet[Any], column: str = "created_at", *, first: date, last: date
) -> QuerySet[Any]:
    begins, ends = (datetime.combine(day, time.min, UTC) for day in (first, last + DAY))
    rows = rows.filter(**{f"{column}__gte": begins, f"{column}__lt": ends})
    return rows.order_by().annotate(on=TruncDay(column, tzinfo=UTC))


def _sales(begun: QuerySet[Any]) -> defaultdict[date, list[list[Any]]]:
    """Return kind, course, and how many checkouts there were, and of these how many were sold."""
    checkouts: Counter[tuple[date, str, str]] = Counter()
    sold: Counter[tuple[date, str, str]] = Counter()
    rows = begun.values("on", "kind", "course_title", "status")
    for row in rows.annotate(number=Count("pk")):
        key = (row["on"].date(), row["kind"], row["course_title"])
        checkouts[key] += row["number"]
        sold[key] += row["number"] * (row["status"] in SOLD)
    return _by_day([[*key, checkouts[key], sold[key]] for key in checkouts])


def _access(begun: QuerySet[Any]) -> defaultdict[date, dict[str, Any]]:
    """Return how many should have got access, and of those who did how long each waited."""
    found: defaultdict[date, dict[str, Any]] = defaultdict(
        lambda: {"due": 0, "within": [0] * (len(WITHIN_SECONDS) + 1)}
    )
    sold = begun.filter(status__in=SOLD).exclude(paid_at=None)
    rows = sold.values_list("on", "status", "paid_at", "lms_synced_at")
    for on, status, paid, given in rows.iterator(500):
        day = found[on.date()]
        day["due"] += status == Enrollment.PAID or given is not None
        if given is not None:
            seconds = max((given - paid) // timedelta(milliseconds=1), 0)
            day["within"][bisect_left([1000 * most for most in WITHIN_SECONDS], seconds)] += 1
    return found


def _received(payments: QuerySet[Any]) -> defaultdict[date, list[list[Any]]]:
    """Return kind, course, currency, and what was received."""
    fields = ("enrollment__kind", "enrollment__course_title", "currency_received")
    rows = payments.values("on", *fields).annotate(total=Sum("amount_received"))
    return _by_day(
        [row["on"].date(), *(row[field] for field in fields), row["total"] or 0] for row in rows
    )


def _sums(rows: QuerySet[Any]) -> defaultdict[date, list[list[Any]]]:
    found = rows.values("on", "currency").annotate(total=Sum("amount"))
    return _by_day([row["on"].date(), row["currency"], row["total"]] for row in found)


def _by_day(rows: Iterable[list[Any]]) -> defaultdict[date, list[list[Any]]]:
    """Return the rows of each day, which is the first value of each, in their order."""
    found: defaultdict[date, list[list[Any]]] = defaultdict(list)
    for day, *row in sorted(rows):
        found[day].append(row)
    return found


def _numbers(rows: QuerySet[Any]) -> defaultdict[date, int]:
    found = rows.values("on").annotate(number=Count("pk"))
    return defaultdict(int, {row["on"].date(): row["number"] for row in found})


def _second_attempts(attempts: QuerySet[Any]) -> defaultdict[date, list[int]]:
    """Return how many second attempts there were, and how many of these succeeded."""
    found: defaultdict[date, list[int]] = defaultdict(lambda: [0, 0])
    for row in attempts.values("on", "outcome").annotate(number=Count("pk")):
        day = found[row["on"].date()]
        day[0] += row["number"]
        day[1] += row["number"] * (row["outcome"] == DELIVERED)
    return found


# --- reading --------------------------------------------------------------------------------------
def last(days: int, today: date) -> Iterator[DayFigures]:
    """Yield what is kept of so many days up to today, the oldest first, in one statement."""
    return DayFigures.objects.filter(day__gt=today - days * DAY).order_by("day").iterator()
