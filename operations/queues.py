"""Which queues there are, and what a sweep does besides running them. Wiring: imports the apps,
imported by none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.conf import settings
from django.utils import timezone

from affiliates import ledger, visits
from enrollments import lms_jobs
from enrollments.provisioning import LMS_JOBS
from grants import redemption, refusals, reminders
from lms_sync import breaker, locks
from maaledu import work
from maaledu.work import Queue
from notifications.queue import EMAILS
from operations import outages, steps
from payments import disputes, reconcile, refunds
from payments.webhooks import EVENTS

STUCK_NAMED = 20

QUEUES: dict[str, Queue] = {queue.name: queue for queue in (EVENTS, LMS_JOBS, EMAILS)}
# Each by the words in which staff are told that it fails.
CHORES: dict[str, Callable[[], object]] = {
    "watching the learning platform": breaker.watch,
    "announcing outages": outages.announce,
    "ending overdue payments": reconcile.end_overdue,
    "ending places without a payment": reconcile.end_orphans,
    "asking about delayed payments": reconcile.ask_about_processing,
    "giving paid places their jobs": lms_jobs.repair_jobs,
    "expiring coupons": redemption.expire_overdue,
    "reminding holders of coupons": reminders.send_reminders,
    "forgetting refused codes": refusals.forget_surplus,
    "joining refunds to their sales": refunds.attach_waiting,
    "joining disputes to their sales": disputes.attach_waiting,
    "resuming refunds": refunds.resume_requested,
    "maturing commissions": ledger.mature,
}


@dataclass(frozen=True)
class Swept:
    """How many items ran, by queue, and which steps of the sweep failed."""

    ran: dict[str, int]
    failed: list[str]


def sweep() -> Swept:
    """Put back what lost workers held, do the chores, and run everything due once. What fails keeps
    nothing else from it.
    """
    ran = dict.fromkeys(QUEUES, 0)

    def drain(name: str) -> None:
        ran[name] = work.drain(QUEUES[name])

    drains = {f"running the queue {name}": partial(drain, name) for name in QUEUES}
    return Swept(
        ran, steps.failed({"putting back what lost workers held": reap, **CHORES, **drains})
    )


def reap() -> int:
    return sum(work.reap(queue) for queue in QUEUES.values())


def run_chores() -> list[str]:
    """Run each chore and return which failed: they are logged, staff are told, and the others run
    all the same.
    """
    return steps.failed(CHORES)


def stuck() -> list[str]:
    """Say what nobody has finished for a day, the oldest of each queue first (requirement R129)."""
    now = timezone.now()
    return [line for queue in QUEUES.values() for line in _stuck(queue, now)]


def _stuck(queue: Queue, now: datetime) -> list[str]:
    oldest = queue.model.objects.stuck(now).order_by("created_at")[:STUCK_NAMED]
    return [
        f"{queue.name}: {item} ({item.pk}) waits since {item.created_at:%Y-%m-%d %H:%M} UTC."
        f" {item.last_error}"
        for item in oldest
    ]


def clean_up() -> int:
    """Delete the finished items that are past their retention, and return how many (decisions: 90
    days).

    The locks that lost workers left behind go too, and the visits and refused codes whose day is
    long counted.
    """
    locks.forget_lapsed()
    visits.forget_old()
    refusals.forget_old()
    limit_at = timezone.now() - settings.WORK_KEEP_FINISHED
    return sum(_clean_up(queue, limit_at) for queue in QUEUES.values())


def _clean_up(queue: Queue, limit_at: datetime) -> int:
    _, by_model = queue.model.objects.filter(status=work.DONE, finished_at__lt=limit_at).delete()
    return by_model.get(queue.model._meta.label, 0)
