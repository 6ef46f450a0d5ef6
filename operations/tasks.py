"""Celery's three tasks. Each reads its work from the tables: a lost message loses nothing."""

from celery import shared_task
from django.core.management import call_command

from maaledu.work import queue
from operations import queues


@shared_task(name="operations.drain")
def drain(queue_name: str) -> int:
    """Run what is due in one queue, for a few seconds at most."""
    return queue.drain(queues.QUEUES[queue_name])


@shared_task(name="operations.sweep")
def sweep() -> None:
    """Reclaim what lost workers held, and do the chores."""
    queues.run_chores()


@shared_task(name="operations.nightly")
def nightly() -> None:
    """Reconcile with Stripe and the LMS, check the invariants, and delete what is past its
    retention.
    """
    call_command("nightly")
