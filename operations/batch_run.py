"""Run the queues that a batch needs, from a command, until each of its learners is settled."""

import threading
from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from enrollments.batch_file import Line
from enrollments.batches import BATCHES, Counts, counts_of
from enrollments.models import BatchRow, EnrollmentBatch
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import SyncJob
from maaledu.work.queue import drain, reap
from notifications.queue import EMAILS

LOOK_EVERY = timedelta(seconds=1)
QUEUES = (BATCHES, LMS_JOBS, EMAILS)
SOON = timedelta(minutes=2)


def follow(batch: EnrollmentBatch, stop: threading.Event) -> Iterator[Counts]:
    """Work beside the workers, if any run, and yield how far the batch is after each round.

    Ends with the batch, when all that is left waits for a later attempt, which is the workers', or
    when `stop` is set.
    """
    while not stop.is_set():
        ran = _round()
        counts = counts_of(batch)
        yield counts
        if counts.is_finished or (not counts.waiting and not _is_due_soon(batch)):
            return
        if not ran:
            stop.wait(LOOK_EVERY.total_seconds())


def _round() -> int:
    for queue in QUEUES:
        reap(queue)
    return sum(drain(queue, budget=LOOK_EVERY) for queue in QUEUES)


def _is_due_soon(batch: EnrollmentBatch) -> bool:
    jobs = SyncJob.objects.unfinished().filter(batch_id=batch.pk)
    return jobs.filter(next_attempt_at__lte=timezone.now() + SOON).exists()


def lines_of(batch: EnrollmentBatch) -> list[Line]:
    """Return the lines of a started batch, each that was not enrolled with its problem."""
    rows = BatchRow.objects.filter(batch=batch).order_by("number")
    return [Line(row.number, row.address, row.name, row.problem) for row in rows]
