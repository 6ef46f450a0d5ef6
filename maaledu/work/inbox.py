"""Accept what arrives from outside: stored with its effects, or alone for a later attempt."""

import logging
from datetime import timedelta

from django.db import IntegrityError
from django.utils import timezone

from maaledu import notify
from maaledu.db import atomic
from maaledu.work.items import DONE, MAX_ERROR_LENGTH, PENDING, WorkItem, summary
from maaledu.work.queue import Queue

logger = logging.getLogger(__name__)


def accept(queue: Queue, item: WorkItem, *, key: str) -> WorkItem | None:
    """Store a new item together with its effects as one transaction.

    Return the item that is known already, or None for a new one. The item is created done. If its
    effects fail it is stored by itself, due for a later attempt, and that counts as accepted. `key`
    names the unique field by which an item is known. Raises DatabaseError when nothing could be
    stored.
    """
    try:
        _store_done(queue, item)
    # Whatever the effects did, the item itself must be kept.
    except Exception as error:  # noqa: BLE001
        return _known(item, key) or _store_for_later(queue, item, key, error)
    return None


def keep(queue: Queue, item: WorkItem, *, key: str) -> WorkItem:
    """Store a new item by itself, due now, and return it, or the one that is known already.

    This is for items whose effects need an outside call first, which no transaction may be open
    for: run the item next. Raises DatabaseError when nothing could be stored.
    """
    item.status, item.next_attempt_at = PENDING, timezone.now()
    return _store(queue, item, key) or item


def _known(item: WorkItem, key: str) -> WorkItem | None:
    return type(item).objects.filter(**{key: getattr(item, key)}).first()


@atomic
def _store_done(queue: Queue, item: WorkItem) -> None:
    item.fence, item.finished_at = 1, timezone.now()
    # A new row has no status to move from, and a claim of it would be two more statements.
    item.status = DONE
    # Stored before its effects: of two deliveries at once the second fails here on the unique key.
    item.save(force_insert=True)
    finish = queue.run(item)
    if finish:
        finish()


def _store_for_later(queue: Queue, item: WorkItem, key: str, error: Exception) -> WorkItem | None:
    logger.error("work item accepted, effects failed", extra={"queue": queue.name}, exc_info=error)
    item.status, item.attempts, item.finished_at = PENDING, 1, None
    item.next_attempt_at = timezone.now() + (queue.backoff(1) or timedelta())
    item.last_error = summary(error)[:MAX_ERROR_LENGTH]
    return _store(queue, item, key)


def _store(queue: Queue, item: WorkItem, key: str) -> WorkItem | None:
    """Insert the item for a worker, or return the one that another delivery stored first."""
    try:
        item.save(force_insert=True)
    except IntegrityError:
        known = _known(item, key)
        if known is None:
            raise
        return known
    notify.notify_workers_on_commit(queue.name)
    return None
