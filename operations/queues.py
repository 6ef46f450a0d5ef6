"""Which queues there are, and what a sweep does besides running them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.utils import timezone

from affiliates import ledger, visits
from enrollments import late_access, lms_jobs
from enrollments.provisioning import LMS_JOBS
from grants import redemption, refusals, reminders
from lms_sync import breaker, locks
from maaledu.work.items import DONE
from maaledu.work.queue import Queue, drain, reap
from notifications.queue import EMAILS
from operations import outages, steps
from payments import overdue, refund_requests, waiting_reversals
from payments.webhooks import EVENTS

MOST_STUCK_NAMED = 20
RUNNING = "running the queue {}"

QUEUES: dict[str, Queue] = {queue.name: queue for queue in (EVENTS, LMS_JOBS, EMAILS)}
# The names are what staff read when one of them fails.
CHORES: dict[str, Callable[[], object]] = {
    "watching the learning platform": breaker.watch,
    "announcing outages": outages.announce,
    "ending overdue payments": overdue.end_overdue,
    "ending enrollments without a payment": overdue.end_orphans,
    "asking about delayed payments": overdue.ask_about_processing,
    "giving paid enrollments their jobs": lms_jobs.repair_jobs,
    "mailing buyers without access": late_access.mail_buyers_without_access,
    "expiring coupons": redemption.expire_overdue,
    "reminding holders of coupons": reminders.send_reminders,
    "deleting surplus refused codes": refusals.forget_surplus,
    "joining refunds to their sales": waiting_reversals.attach_refunds,
    "joining disputes to their sales": waiting_reversals.attach_disputes,
    "resuming refunds": refund_requests.resume_requested,
    "maturing commissions": ledger.mature,
}


@dataclass(frozen=True)
class Swept:
    """How many items ran, by queue, and which steps of the sweep failed."""

    ran: dict[str, int]
    failed: list[str]


def sweep() -> Swept:
    """Reclaim what lost workers held, do the chores, and run everything due once.

    A step that fails stops no other.
    """
    results: dict[str, Any] = {}
    drains = {RUNNING.format(name): partial(drain, queue) for name, queue in QUEUES.items()}
    failed = steps.run_all(
        {"reclaiming what lost workers held": reclaim, **CHORES, **drains},
        report=results.__setitem__,
    )
    return Swept({name: results.get(RUNNING.format(name), 0) for name in QUEUES}, failed)


def reclaim() -> int:
    """Make the items due again whose worker was lost, and return how many there were."""
    return sum(map(reap, QUEUES.values()))


def run_chores() -> list[str]:
    """Reclaim what lost workers held, run each chore, and return which chores failed."""
    reclaim()
    return steps.run_all(CHORES)


def stuck() -> list[str]:
    """Say what nobody has finished for a day, the oldest of each queue first (requirement R129)."""
    now = timezone.now()
    return [line for queue in QUEUES.values() for line in _stuck(queue, now)]


def _stuck(queue: Queue, now: datetime) -> list[str]:
    oldest = queue.model.objects.stuck(now).order_by("created_at")[:MOST_STUCK_NAMED]
    return [
        f"{queue.name}: {item} ({item.pk}) waits since {item.created_at:%Y-%m-%d %H:%M} UTC."
        f" {item.last_error}"
        for item in oldest
    ]


def clean_up() -> int:
    """Delete the finished items past their retention, and return how many (decisions: 90 days).

    The locks that lost workers left go too, and the visits and refused codes that are counted in a
    day's row by now.
    """
    locks.forget_lapsed()
    visits.forget_old()
    refusals.forget_old()
    limit_at = timezone.now() - settings.WORK_KEEP_FINISHED
    return sum(_clean_up(queue, limit_at) for queue in QUEUES.values())


def _clean_up(queue: Queue, limit_at: datetime) -> int:
    _, by_model = queue.model.objects.filter(status=DONE, finished_at__lt=limit_at).delete()
    return by_model.get(queue.model._meta.label, 0)
