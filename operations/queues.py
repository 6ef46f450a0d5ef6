"""Which queues there are, and what a sweep does besides running them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from affiliates import ledger
from enrollments import late_access, lms_jobs, progress
from enrollments.batches import BATCHES
from enrollments.provisioning import LMS_JOBS
from grants import off_sale, redemption, refusals, reminders
from lms_sync import awaiting, breaker, course_facts, locks
from lms_sync.errors import LmsBusy
from maaledu.work.queue import Queue, drain, reap
from notifications.queue import ALERTS, EMAILS
from operations import day_figures, outages, steps
from payments import overdue, refund_requests, waiting_reversals
from payments.webhooks import EVENTS

MOST_STUCK_NAMED = 20
LMS_CHORES_LEASE = timedelta(minutes=4)  # longer than a round, whatever the LMS does
RUNNING = "running the queue {}"

QUEUES: dict[str, Queue] = {
    queue.name: queue for queue in (EVENTS, BATCHES, LMS_JOBS, EMAILS, ALERTS)
}
# As staff read them, and as the office calls their lists.
NAMES = {
    EVENTS.name: "Stripe events",
    BATCHES.name: "Rows of lists",
    LMS_JOBS.name: "LMS jobs",
    EMAILS.name: "E-mails",
    ALERTS.name: "Notices of alerts",
}
# The names are what staff read when one of them fails.
CHORES: dict[str, Callable[[], object]] = {
    "announcing outages": outages.announce,
    "ending overdue payments": overdue.end_overdue,
    "ending enrollments without a payment": overdue.end_orphans,
    "asking about delayed payments": overdue.ask_about_processing,
    "giving paid enrollments their jobs": lms_jobs.repair_jobs,
    "mailing buyers without access": late_access.mail_buyers_without_access,
    "expiring coupons": redemption.expire_overdue,
    "reminding holders of coupons": reminders.send_reminders,
    "mailing holders of coupons for courses off sale": off_sale.mail_holders,
    "deleting surplus refused codes": refusals.forget_surplus,
    "joining refunds to their sales": waiting_reversals.attach_refunds,
    "joining disputes to their sales": waiting_reversals.attach_disputes,
    "joining fraud warnings to their sales": waiting_reversals.attach_warnings,
    "resuming refunds": refund_requests.resume_requested,
    "maturing commissions": ledger.mature,
    "summing up days": day_figures.keep,
}
# Apart from the rest, which must not wait while an LMS hangs.
LMS_CHORES: dict[str, Callable[[], object]] = {
    "watching the learning platform": breaker.watch,
    "looking for accounts that learners make": awaiting.look_for_accounts,
    "asking how far learners are": progress.fetch_due,
    "asking the learning platforms about courses": course_facts.fetch_due,
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
    failed += run_lms_chores()
    return Swept({name: results.get(RUNNING.format(name), 0) for name in QUEUES}, failed)


def reclaim() -> int:
    """Make the items due again whose worker was lost, and return how many there were."""
    return sum(map(reap, QUEUES.values()))


def run_chores() -> list[str]:
    """Reclaim what lost workers held, run each chore, and return which chores failed."""
    reclaim()
    return steps.run_all(CHORES)


def run_lms_chores() -> list[str]:
    """Ask each LMS what is to be asked beside the jobs, and return which chores failed.

    In one process at a time: while an LMS hangs, the rounds of others would take up every worker.
    """
    try:
        with locks.held("lms chores", lease=LMS_CHORES_LEASE):
            return steps.run_all(LMS_CHORES)
    except LmsBusy:
        return []


def stuck() -> list[str]:
    """Say what nobody has finished for a day, the oldest of each queue first (requirement R129)."""
    now = timezone.now()
    return [line for queue in QUEUES.values() for line in _stuck(queue, now)]


def _stuck(queue: Queue, now: datetime) -> list[str]:
    oldest = queue.model.objects.stuck(now).order_by("created_at")[:MOST_STUCK_NAMED]
    return [
        f"{NAMES[queue.name]}: {item} ({item.pk}) waits since {item.created_at:%Y-%m-%d %H:%M} UTC."
        f" {item.last_error}"
        for item in oldest
    ]
