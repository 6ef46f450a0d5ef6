"""The rows of a queue: their states, what was kept of their last error, and what staff may do with
one.
"""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone

from maaledu.db import new_id
from maaledu.errors import AppError
from maaledu.traced import Traced

PENDING, RUNNING, DONE, DEAD = "pending", "running", "done", "dead"
MAX_ERROR_LENGTH = 1000


class WorkQuerySet(models.QuerySet):
    def due(self, now: datetime) -> "WorkQuerySet":
        return self.filter(status=PENDING, next_attempt_at__lte=now)

    def lapsed(self, now: datetime) -> "WorkQuerySet":
        return self.filter(status=RUNNING, lease_until__lt=now)

    def unfinished(self) -> "WorkQuerySet":
        return self.filter(status__in=[PENDING, RUNNING])

    def stuck(self, now: datetime) -> "WorkQuerySet":
        return self.unfinished().filter(created_at__lt=now - settings.WORK_STUCK_AFTER)


class WorkItem(Traced):
    """Something that must be done at least once and whose effect is idempotent."""

    STATUSES = [(s, s) for s in (PENDING, RUNNING, DONE, DEAD)]
    TRANSITIONS = {
        PENDING: [RUNNING, DEAD],
        RUNNING: [PENDING],
        DONE: [RUNNING],
        DEAD: [RUNNING],
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    status = models.CharField(max_length=10, choices=STATUSES, default=PENDING)
    attempts = models.PositiveIntegerField(
        default=0, help_text="Answers about this item itself; an outage uses none up."
    )
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.CharField(max_length=32, blank=True)
    fence = models.PositiveIntegerField(
        default=0, help_text="Number of claims; a settle must carry its own."
    )
    lapses = models.PositiveIntegerField(
        default=0, help_text="Leases that ran out: workers lost while running this."
    )
    last_error = models.CharField(max_length=MAX_ERROR_LENGTH, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = WorkQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["status", "next_attempt_at"]),
            models.Index(fields=["claim_token"]),
            models.Index(fields=["-created_at"]),
            # What is past its retention, and what was finished lately.
            models.Index(
                fields=["finished_at"], condition=models.Q(status=DONE), name="%(class)s_done"
            ),
        ]

    @property
    def was_never_run(self) -> bool:
        """Whether nothing of an earlier claim can be there: this is the first one."""
        return self.fence == 1


def replay(item: WorkItem) -> bool:
    """Make a dead item due with all its attempts, and return whether this call did."""
    now = timezone.now()
    dead = type(item).objects.filter(pk=item.pk, status=DEAD)
    return bool(
        dead.update(
            status=PENDING,
            attempts=0,
            lapses=0,
            next_attempt_at=now,
            finished_at=None,
            updated_at=now,
        )
    )


def retry_now(item: WorkItem) -> bool:
    """Make a waiting item due at once, and return whether it was waiting."""
    now = timezone.now()
    waiting = type(item).objects.filter(pk=item.pk, status=PENDING)
    return bool(waiting.update(next_attempt_at=now, updated_at=now))


def describe(error: AppError) -> str:
    return f"{error.code}: {error}"[:MAX_ERROR_LENGTH]


def summary(error: Exception) -> str:
    """Return what went wrong in one line.

    PostgreSQL and MongoDB add the values of the row to their messages: those are left out, because
    they may be a learner's.
    """
    if isinstance(error, AppError):
        return describe(error)
    line = str(error).partition("\n")[0].partition(" dup key:")[0]
    return f"{type(error).__name__}: {line}"
