"""Celery's three tasks. Each only looks into the tables; losing one loses nothing."""

from celery import shared_task
from django.core.management import call_command

from maaledu import work
from operations import queues


@shared_task(name="operations.drain")
def drain(queue_name: str) -> int:
    """Run what is due in one queue, for a few seconds at most."""
    return work.drain(queues.QUEUES[queue_name])


@shared_task(name="operations.sweep")
def sweep() -> None:
    """Put back what lost workers held, and do the chores."""
    queues.reap()
    queues.run_chores()


@shared_task(name="operations.nightly")
def nightly() -> None:
    """Reconcile with Stripe and the LMS, check the invariants, and delete what is past its
    retention.
    """
    call_command("nightly")
