"""Celery's tasks. Each reads its work from the tables: a lost message loses nothing."""

from celery import shared_task
from django.core.management import call_command

from maaledu.work import queue
from operations import heartbeats, queues, watch


@shared_task(name="operations.drain")
def drain(queue_name: str) -> int:
    """Run what is due in one queue, for a few seconds at most."""
    heartbeats.beat(heartbeats.WORKER)
    return queue.drain(queues.QUEUES[queue_name])


@shared_task(name="operations.sweep")
def sweep() -> None:
    """Reclaim what lost workers held, and do the chores."""
    heartbeats.beat(heartbeats.WORKER)
    queues.run_chores()


@shared_task(name="operations.lms_chores")
def lms_chores() -> None:
    """Ask each LMS whether it answers, and how far learners are."""
    queues.run_lms_chores()


@shared_task(name="operations.watch")
def look() -> None:
    """Look whether work gets done, and alert staff of what has changed."""
    # Only the scheduler sends this, and a worker runs it: both are seen here.
    heartbeats.beat(heartbeats.WORKER)
    heartbeats.beat(heartbeats.SCHEDULER)
    watch.look(by_scheduler=True)


@shared_task(name="operations.nightly")
def nightly() -> None:
    """Reconcile with Stripe and the LMS, check the invariants, and delete what is past its
    retention.
    """
    call_command("nightly")
