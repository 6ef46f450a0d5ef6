"""Which queues there are, and what a sweep does besides running them. Wiring: imports the apps, imported by none."""

import logging
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from affiliates import ledger, visits
from enrollments import disputes, granting, outages, reconcile, refunds
from enrollments.provisioning import LMS_JOBS
from enrollments.webhooks import EVENTS
from grants import redemption
from lms_sync import breaker, locks
from maaledu import work
from maaledu.work import Queue
from notifications.queue import EMAILS

logger = logging.getLogger(__name__)

STUCK_NAMED = 20

QUEUES: dict[str, Queue] = {queue.name: queue for queue in (EVENTS, LMS_JOBS, EMAILS)}
CHORES: tuple[Callable[[], object], ...] = (
    breaker.watch,
    outages.announce,
    reconcile.end_overdue,
    reconcile.ask_about_processing,
    reconcile.repair_jobs,
    redemption.expire_overdue,
    granting.send_reminders,
    refunds.attach_waiting,
    disputes.attach_waiting,
    refunds.resume_requested,
    ledger.mature,
)


def sweep() -> dict[str, int]:
    """Put back what lost workers held, do the chores, run everything due once; return how many items ran per queue."""
    reap()
    run_chores()
    return {name: work.drain(queue) for name, queue in QUEUES.items()}


def reap() -> int:
    return sum(work.reap(queue) for queue in QUEUES.values())


def run_chores() -> None:
    """Run each chore; one that fails is logged and does not keep the others from running."""
    for chore in CHORES:
        try:
            chore()
        except DatabaseError:
            logger.exception("chore failed", extra={"chore": chore.__name__})


def stuck() -> list[str]:
    """Say what nobody has finished for a day, the oldest of each queue first (requirement R129)."""
    now = timezone.now()
    return [line for queue in QUEUES.values() for line in _stuck(queue, now)]


def _stuck(queue: Queue, now: datetime) -> list[str]:
    oldest = queue.model.objects.stuck(now).order_by("created_at")[:STUCK_NAMED]
    return [f"{queue.name}: {item} ({item.pk}) waits since {item.created_at:%Y-%m-%d %H:%M} UTC. {item.last_error}" for item in oldest]


def clean_up() -> int:
    """Delete the finished items that are past their retention, and return how many (decisions: 90 days).

    The locks that lost workers left behind go too, and the visits whose day is long counted.
    """
    locks.forget_lapsed()
    visits.forget_old()
    limit_at = timezone.now() - settings.WORK_KEEP_FINISHED
    return sum(_clean_up(queue, limit_at) for queue in QUEUES.values())


def _clean_up(queue: Queue, limit_at: datetime) -> int:
    _, by_model = queue.model.objects.filter(status=work.DONE, finished_at__lt=limit_at).delete()
    return by_model.get(queue.model._meta.label, 0)
