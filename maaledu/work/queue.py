"""Claim what is due, run it, and settle it: done, again later, or dead."""

import itertools
import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from maaledu import metrics, tracing
from maaledu.db import atomic
from maaledu.errors import AppError
from maaledu.work.items import DEAD, DONE, PENDING, RUNNING, WorkItem, describe, summary

logger = logging.getLogger(__name__)

Finish = Callable[[], object]
AGAIN, LOST = "again", "lost"
_looks = itertools.count()


@dataclass(frozen=True)
class Queue:
    """One kind of work.

    `run` makes the outside call and returns what has to be called in the transaction that settles
    the item. `backoff` maps the number of used attempts to the pause before the next one, or None
    when they are used up. `prepare` runs once after what is due, and says whether more is due now;
    `claimable` narrows what may be claimed now, and `order` says which first: with `both_ends`,
    every other look takes the last first, so that what is new passes any backlog. `on_dead` runs in
    the transaction that makes an item dead.
    """

    name: str
    model: type[WorkItem]
    run: Callable[[Any], Finish | None]
    backoff: Callable[[int], timedelta | None]
    lease: timedelta
    threads: int = 1
    claimable: Callable[[], Q] = Q
    order: tuple[str, ...] = ("next_attempt_at",)
    both_ends: bool = False
    prepare: Callable[[], object] | None = None
    on_dead: Callable[[Any, AppError], None] | None = None


class WorkerLost(AppError):
    code = "WORKER_LOST"
    message = "Every worker that took this up was lost while running it."


class UnexpectedError(AppError):
    code = "UNEXPECTED_ERROR"
    retryable = True


# --- claim ----------------------------------------------------------------------------------------


def claim(queue: Queue, *, limit: int | None = None, only: Q | None = None) -> list[WorkItem]:
    """Take a lease on due items that `only` matches, in their order; return those that were won."""
    now = timezone.now()
    due = queue.model.objects.due(now).filter(queue.claimable(), only or Q())
    candidates = due.order_by(*queue.order)
    if queue.both_ends and next(_looks) % 2:
        candidates = candidates.reverse()
    ids = list(candidates.values_list("pk", flat=True)[: limit or settings.WORK_BATCH])
    return _take(queue, ids, now) if ids else []


def claim_one(queue: Queue, item: WorkItem) -> bool:
    """Take a lease on this one item if it is pending, due or not; return whether this call won."""
    now = timezone.now()
    queue.model.objects.filter(pk=item.pk, status=PENDING).update(next_attempt_at=now)
    won = bool(_take(queue, [item.pk], now))
    item.refresh_from_db()
    return won


def _take(queue: Queue, ids: list[Any], now: datetime) -> list[WorkItem]:
    # Another worker may have taken some of these since they were read: the token says which rows
    # this UPDATE won, on every engine, where RETURNING would not.
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
    if not won:
        return []
    return list(queue.model.objects.filter(claim_token=token).order_by(*queue.order))


def release(items: list[Any], *, pause: timedelta = timedelta(0)) -> None:
    """Give items of one claim back, as if they had not been claimed; due after the pause."""
    now = timezone.now()
    for item in items:
        _held(item).update(
            status=PENDING,
            next_attempt_at=now + pause,
            lease_until=None,
            claim_token="",
            updated_at=now,
        )


def reap(queue: Queue) -> int:
    """Make the items whose lease ran out due again, and return how many there were."""
    now = timezone.now()
    lapsed = queue.model.objects.lapsed(now)
    return lapsed.update(
        status=PENDING, lapses=F("lapses") + 1, next_attempt_at=now, claim_token="", updated_at=now
    )


# --- run ------------------------------------------------------------------------------------------


def drain(queue: Queue, *, budget: timedelta | None = None, limit: int | None = None) -> int:
    """Run what is due until nothing is left or limit or budget are used up; return how many ran."""
    budget = settings.WORK_DRAIN_BUDGET if budget is None else budget
    deadline = time.monotonic() + budget.total_seconds()
    ran = _run_due(queue, deadline, limit)
    # Afterwards: what is due waits for no probe of a platform that hangs.
    if queue.prepare and queue.prepare():
        ran += _run_due(queue, deadline, None if limit is None else limit - ran)
    return ran


def _run_due(queue: Queue, deadline: float, limit: int | None) -> int:
    ran = 0
    while time.monotonic() < deadline and (limit is None or ran < limit):
        items = claim(queue, limit=_batch_size(queue, limit, ran))
        for item in items:
            run_item(queue, item)
        ran += len(items)
        if not items:
            break
    return ran


def _batch_size(queue: Queue, limit: int | None, ran: int) -> int:
    """Return how many to claim: few where several threads run the queue, so that each gets some."""
    size = settings.WORK_BATCH if queue.threads == 1 else 2
    return size if limit is None else min(size, limit - ran)


def run_item(queue: Queue, item: WorkItem) -> None:
    """Run one claimed item and settle it. Never raises for what the item did.

    Its id is on every log line written meanwhile, beside that of the request that caused it
    (requirement R176).
    """
    with tracing.working_on(str(item.pk), request_id=item.request_id):
        _run_and_settle(queue, item)


def _run_and_settle(queue: Queue, item: WorkItem) -> None:
    began = time.perf_counter()
    outcome = _settled(queue, item)
    metrics.count_run(queue.name, item, outcome, seconds=time.perf_counter() - began)


def _settled(queue: Queue, item: WorkItem) -> str:
    """Run and settle, and return what became of it: DONE, AGAIN, DEAD or LOST."""
    try:
        if not _renew_lease(queue, item):
            return LOST
        _refuse_if_it_loses_workers(item)
        return DONE if settle_done(item, queue.run(item)) else LOST
    except AppError as error:
        return _fail(queue, item, error)
    except Exception as error:
        logger.exception(
            "work item failed unexpectedly", extra={"queue": queue.name, "item": str(item.pk)}
        )
        return _fail(queue, item, UnexpectedError(summary(error)))


def _refuse_if_it_loses_workers(item: WorkItem) -> None:
    # A lapse uses up no attempt: an item that ends its worker each time would be claimed for ever.
    if item.lapses > settings.WORK_MAX_LAPSES:
        raise WorkerLost


def _renew_lease(queue: Queue, item: WorkItem) -> bool:
    """Renew the lease of an item that waited long in its batch; False when another has it."""
    now = timezone.now()
    if item.lease_until and item.lease_until - now > queue.lease / 2:
        return True
    return _held(item).update(lease_until=now + queue.lease, updated_at=now) == 1


def _held(item: WorkItem) -> models.QuerySet:
    """The row as long as this claim holds: a worker whose lease ran out finds nothing here."""
    return type(item).objects.filter(pk=item.pk, status=RUNNING, fence=item.fence)


# --- settle ---------------------------------------------------------------------------------------


@atomic
def settle_done(item: WorkItem, finish: Finish | None = None) -> bool:
    """Mark the item done and write what follows from it, if the claim still holds.

    Both are one transaction, so that a crash leaves neither.
    """
    now = timezone.now()
    done = {"status": DONE, "finished_at": now, "lease_until": None, "last_error": ""}
    won = _held(item).update(**done, updated_at=now) == 1
    if won and finish:
        finish()
    return won


def settle_failed(queue: Queue, item: WorkItem, error: AppError) -> bool:
    """Make the item due later, or dead when it is refused for good or has no attempts left."""
    return _fail(queue, item, error) != LOST


def _fail(queue: Queue, item: WorkItem, error: AppError) -> str:
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
    if pause is None:
        won, outcome = _settle_dead(queue, item, attempts, error), DEAD
    else:
        won, outcome = _settle_retry(item, attempts, pause, error), AGAIN
    if won and error.consumes_attempt:
        metrics.ATTEMPTS.labels(queue.name).inc()
    return outcome if won else LOST


def _pause(queue: Queue, attempts: int, error: AppError) -> timedelta | None:
    """Return how long to wait, or None for never again.

    A `retry_after` changes the pause only: it gives no attempts beyond the last.
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
    return _held(item).update(**changes, updated_at=now, last_error=describe(error)) == 1


@atomic
def _settle_dead(queue: Queue, item: WorkItem, attempts: int, error: AppError) -> bool:
    now = timezone.now()
    changes = {"status": DEAD, "attempts": attempts, "finished_at": now, "lease_until": None}
    won = _held(item).update(**changes, updated_at=now, last_error=describe(error)) == 1
    if won and queue.on_dead:
        item.attempts, item.last_error = attempts, describe(error)
        queue.on_dead(item, error)
    return won


def jittered(pause: timedelta, *, share: float = 0.1) -> timedelta:
    """Return the pause ± `share`, so that jobs that failed together do not come back together."""
    return pause * random.uniform(1 - share, 1 + share)


def doubling_backoff(attempts: int) -> timedelta | None:
    """Return 1, 2, 4 ... 64 min ± 10 % after the first to seventh used attempt, then None."""
    return jittered(timedelta(minutes=2 ** (attempts - 1))) if attempts <= 7 else None
