"""The work machine: one queue in the database for Stripe events, LMS jobs and e-mails alike.

The table is the queue; a notice to the workers (by Celery, or an event inside the embedded worker)
only says "look now". A claim takes a lease and raises the fence; a settle counts only with the fence of its own
claim; a lease that ran out is claimed again. Source: architecture, "Work that must not be lost".
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models
from django.db.models import F, Q
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from maaledu import notify
from maaledu.db import atomic, new_id
from maaledu.errors import AppError

logger = logging.getLogger(__name__)

PENDING, RUNNING, DONE, DEAD = "pending", "running", "done", "dead"
Finish = Callable[[], object]  # what it returns is ignored
MAX_ERROR_LENGTH = 1000


class WorkQuerySet(models.QuerySet):
    def due(self, now: datetime) -> "WorkQuerySet":
        return self.filter(status=PENDING, next_attempt_at__lte=now)

    def lapsed(self, now: datetime) -> "WorkQuerySet":
        return self.filter(status=RUNNING, lease_until__lt=now)

    def unfinished(self) -> "WorkQuerySet":
        return self.filter(status__in=[PENDING, RUNNING])

    def stuck(self, now: datetime) -> "WorkQuerySet":
        return self.unfinished().filter(created_at__lt=now - settings.WORK_STUCK_AFTER)


class WorkItem(models.Model):
    """Something that must be done at least once and whose effect is idempotent."""

    STATUSES = [(s, s) for s in (PENDING, RUNNING, DONE, DEAD)]
    TRANSITIONS = {
        PENDING: [RUNNING, DEAD],
        RUNNING: [PENDING],
        DONE: [RUNNING],
        DEAD: [RUNNING],
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    status = models.CharField(max_length=10, choices=STATUSES, default=PENDING)
    attempts = models.PositiveIntegerField(
        default=0, help_text="Answers about this item itself; an outage uses none up."
    )
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.CharField(max_length=32, blank=True)
    fence = models.PositiveIntegerField(
        default=0, help_text="Number of claims; a settle must carry its own."
    )
    lapses = models.PositiveIntegerField(
        default=0, help_text="Leases that ran out: workers lost while running this."
    )
    last_error = models.CharField(max_length=MAX_ERROR_LENGTH, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = WorkQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["status", "next_attempt_at"]),
            models.Index(fields=["claim_token"]),
            models.Index(fields=["-created_at"]),
        ]


def _everything() -> Q:
    return Q()


def _unprepared() -> None:
    """Most queues need nothing done before they are looked into."""


def _nothing(item: Any, error: AppError) -> None:
    """Most queues have nothing of their own to do about a dead item."""


@dataclass(frozen=True)
class Queue:
    """One kind of work.

    `run` makes the outside call and returns what has to be written in the transaction that settles
    the item. `backoff` maps the number of used attempts to the pause before the next one, or None
    when they are used up. `prepare` runs once before a look into the queue; `claimable` narrows
    what may be claimed now; `on_dead` runs in the transaction that buries an item.
    """

    name: str
    model: type[WorkItem]
    run: Callable[[Any], Finish | None]
    backoff: Callable[[int], timedelta | None]
    lease: timedelta
    threads: int = 1
    claimable: Callable[[], Q] = field(default=_everything)
    prepare: Callable[[], object] = field(default=_unprepared)
    on_dead: Callable[[Any, AppError], None] = field(default=_nothing)


class WorkerLost(AppError):
    code = "WORKER_LOST"
    message = "Every worker that took this up was lost while running it."


class UnexpectedError(AppError):
    code = "UNEXPECTED_ERROR"
    retryable = True


def claim(queue: Queue, *, limit: int | None = None) -> list[WorkItem]:
    """Take a lease on due items, oldest first, and return those that this call won."""
    now = timezone.now()
    candidates = queue.model.objects.due(now).filter(queue.claimable()).order_by("next_attempt_at")
    ids = list(candidates.values_list("pk", flat=True)[: limit or settings.WORK_BATCH])
    return _take(queue, ids, now) if ids else []


def claim_one(queue: Queue, item: WorkItem) -> bool:
    """Take a lease on this one item if it is pending, due or not, and return whether this call
    won.
    """
    now = timezone.now()
    queue.model.objects.filter(pk=item.pk, status=PENDING).update(next_attempt_at=now)
    won = bool(_take(queue, [item.pk], now))
    item.refresh_from_db()
    return won


def _take(queue: Queue, ids: list[Any], now: datetime) -> list[WorkItem]:
    token = uuid.uuid4().hex
    won = (
        queue.model.objects.due(now)
        .filter(pk__in=ids)
        .update(
            status=RUNNING,
            claim_token=token,
            lease_until=now + queue.lease,
            fence=F("fence") + 1,
            updated_at=now,
        )
    )
    return (
        list(queue.model.objects.filter(claim_token=token).order_by("next_attempt_at"))
        if won
        else []
    )


def reap(queue: Queue) -> int:
    """Put back the items whose lease ran out, and return how many there were."""
    now = timezone.now()
    lapsed = queue.model.objects.lapsed(now)
    return lapsed.update(
        status=PENDING, lapses=F("lapses") + 1, next_attempt_at=now, claim_token="", updated_at=now
    )


def run_item(queue: Queue, item: WorkItem) -> None:
    """Run one claimed item and settle it: done, again later, or dead. Never raises for what the
    item did.

    Its id is on every log line written meanwhile, as a request's id is on that request's
    (requirement R176).
    """
    with bound_contextvars(work_item=str(item.pk)):
        _run_and_settle(queue, item)


def _run_and_settle(queue: Queue, item: WorkItem) -> None:
    try:
        if not _hold(queue, item):
            return
        _refuse_if_it_loses_workers(item)
        settle_done(item, queue.run(item))
    except AppError as error:
        settle_failed(queue, item, error)
    except Exception as error:
        logger.exception(
            "work item failed unexpectedly", extra={"queue": queue.name, "item": str(item.pk)}
        )
        settle_failed(queue, item, UnexpectedError(summary(error)))


def _refuse_if_it_loses_workers(item: WorkItem) -> None:
    if item.lapses > settings.WORK_MAX_LAPSES:
        raise WorkerLost


def _hold(queue: Queue, item: WorkItem) -> bool:
    """Renew the lease of an item that waited for its turn in a batch; False when it has been lost
    to another worker.
    """
    now = timezone.now()
    if item.lease_until and item.lease_until - now > queue.lease / 2:
        return True
    return _mine(item).update(lease_until=now + queue.lease, updated_at=now) == 1


def _mine(item: WorkItem) -> models.QuerySet:
    return type(item).objects.filter(pk=item.pk, status=RUNNING, fence=item.fence)


@atomic
def settle_done(item: WorkItem, finish: Finish | None = None) -> bool:
    """Mark the item done and write what follows from it, in one transaction, if the claim still
    holds.
    """
    now = timezone.now()
    won = (
        _mine(item).update(
            status=DONE, finished_at=now, updated_at=now, lease_until=None, last_error=""
        )
        == 1
    )
    if won and finish:
        finish()
    return won


def settle_failed(queue: Queue, item: WorkItem, error: AppError) -> bool:
    """Give the item back for a later attempt, or bury it when it is refused for good or its
    attempts are used up.
    """
    attempts = item.attempts + (1 if error.consumes_attempt else 0)
    pause = _pause(queue, attempts, error)
    logger.warning(
        "work item not done",
        extra={
            "queue": queue.name,
            "item": str(item.pk),
            "code": error.code,
            "attempts": attempts,
            "again": bool(pause),
        },
    )
    return (
        _settle_dead(queue, item, attempts, error)
        if pause is None
        else _settle_retry(item, attempts, pause, error)
    )


def _pause(queue: Queue, attempts: int, error: AppError) -> timedelta | None:
    """How long to wait, or None for never again: being told when to come back gives no attempts
    beyond the last.
    """
    if not error.retryable:
        return None
    usual = queue.backoff(max(attempts, 1))
    if usual is None and error.consumes_attempt:
        return None
    return error.retry_after or usual


def _settle_retry(item: WorkItem, attempts: int, pause: timedelta, error: AppError) -> bool:
    now = timezone.now()
    changes = {
        "status": PENDING,
        "attempts": attempts,
        "next_attempt_at": now + pause,
        "lease_until": None,
    }
    return _mine(item).update(**changes, updated_at=now, last_error=describe(error)) == 1


@atomic
def _settle_dead(queue: Queue, item: WorkItem, attempts: int, error: AppError) -> bool:
    now = timezone.now()
    changes = {"status": DEAD, "attempts": attempts, "finished_at": now, "lease_until": None}
    won = _mine(item).update(**changes, updated_at=now, last_error=describe(error)) == 1
    if won:
        item.attempts, item.last_error = attempts, describe(error)
        queue.on_dead(item, error)
    return won


def summary(error: Exception) -> str:
    """Return what went wrong in one line, without the values of the row that PostgreSQL and MongoDB
    tell besides.
    """
    if isinstance(error, AppError):
        return describe(error)
    line = str(error).partition("\n")[0].partition(" dup key:")[0]
    return f"{type(error).__name__}: {line}"


def describe(error: AppError) -> str:
    return f"{error.code}: {error.message}"[:MAX_ERROR_LENGTH]


def accept(queue: Queue, item: WorkItem, *, key: str) -> WorkItem | None:
    """Store a new item together with its effects as one transaction; return None then, or the item
    known already.

    The item is born done. If its effects fail it is stored by itself, due for a later attempt, and
    that counts as accepted. `key` names the unique field by which an item is known. Raises
    DatabaseError when nothing could be stored.
    """
    try:
        _born_done(queue, item)
    except Exception as error:  # noqa: BLE001 whatever the effects did, the item itself must be kept
        return _known(item, key) or _store_for_later(queue, item, key, error)
    return None


def _known(item: WorkItem, key: str) -> WorkItem | None:
    return type(item).objects.filter(**{key: getattr(item, key)}).first()


@atomic
def _born_done(queue: Queue, item: WorkItem) -> None:
    item.fence, item.finished_at = 1, timezone.now()
    setattr(item, "status", DONE)  # noqa: B010 a new row has no status to move from
    item.save(force_insert=True)
    finish = queue.run(item)
    if finish:
        finish()


def _store_for_later(queue: Queue, item: WorkItem, key: str, error: Exception) -> WorkItem | None:
    logger.error("work item accepted, effects failed", extra={"queue": queue.name}, exc_info=error)
    pause = queue.backoff(1) or timedelta()
    fresh = {
        "status": PENDING,
        "attempts": 1,
        "finished_at": None,
        "next_attempt_at": timezone.now() + pause,
    }
    for name, value in {**fresh, "last_error": summary(error)[:MAX_ERROR_LENGTH]}.items():
        setattr(item, name, value)
    try:
        item.save(force_insert=True)
    except IntegrityError:
        # another delivery failed in the same way and was quicker to store it
        known = _known(item, key)
        if known is None:
            raise
        return known
    notify.notify_workers_on_commit(queue.name)
    return None


def replay(item: WorkItem) -> bool:
    """Give a dead item a new life with all its attempts, and return whether this call did."""
    now = timezone.now()
    dead = type(item).objects.filter(pk=item.pk, status=DEAD)
    fresh = {
        "status": PENDING,
        "attempts": 0,
        "lapses": 0,
        "next_attempt_at": now,
        "finished_at": None,
    }
    return dead.update(**fresh, updated_at=now) == 1


def retry_now(item: WorkItem) -> bool:
    """Make a waiting item due at once, and return whether it was waiting."""
    now = timezone.now()
    return (
        type(item)
        .objects.filter(pk=item.pk, status=PENDING)
        .update(next_attempt_at=now, updated_at=now)
        == 1
    )


def drain(queue: Queue, *, budget: timedelta | None = None, limit: int | None = None) -> int:
    """Run what is due until nothing is left, `limit` items are done or the budget is used up;
    return how many ran.
    """
    budget = settings.WORK_DRAIN_BUDGET if budget is None else budget
    deadline = time.monotonic() + budget.total_seconds()
    ran = 0
    queue.prepare()
    while time.monotonic() < deadline and (limit is None or ran < limit):
        items = claim(queue, limit=batch_size(queue, limit, ran))
        for item in items:
            run_item(queue, item)
        ran += len(items)
        if not items:
            break
    return ran


def batch_size(queue: Queue, limit: int | None, ran: int) -> int:
    """A queue that is run by several threads is claimed in small batches, so that each thread gets
    its share.
    """
    size = settings.WORK_BATCH if queue.threads == 1 else 2
    return size if limit is None else min(size, limit - ran)


def jittered(pause: timedelta, *, share: float = 0.1) -> timedelta:
    """Return the pause ± `share`, so that jobs that failed together do not come back together."""
    return pause * random.uniform(1 - share, 1 + share)


def doubling_backoff(attempts: int) -> timedelta | None:
    """Return 1, 2, 4 ... 64 min ± 10 % after the first to seventh used attempt, then None."""
    return jittered(timedelta(minutes=2 ** (attempts - 1))) if attempts <= 7 else None
