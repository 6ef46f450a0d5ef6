"""What must hold of the four queues: leases, attempts, dead letters and dead events."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Model, QuerySet
from django.utils import timezone

from enrollments.models import BatchRow
from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.items import DEAD, DONE, PENDING, RUNNING, WorkItem
from notifications.models import Email
from operations.invariants.enrollments import repeated
from operations.invariants.reading import ALL, GRACE, Scope, batches, in_batches, keys
from payments.models import StripeEvent

LONGEST_WAIT = timedelta(days=3)


def check_queues(scope: Scope = ALL) -> list[str]:
    """I13: no claim outlives its lease by more than the grace, and none is kept without one."""
    limit_at = timezone.now() - GRACE
    return [
        f"{_name(model)} {pk} is held since its lease ended"
        for model in (StripeEvent, BatchRow, SyncJob, Email)
        for pk in model.objects.lapsed(limit_at).values_list("pk", flat=True)
    ] + [
        f"{_name(model)} {pk} is running without a lease"
        for model in (StripeEvent, BatchRow, SyncJob, Email)
        for pk in model.objects.filter(status=RUNNING, lease_until=None).values_list(
            "pk", flat=True
        )
    ]


def check_dead_letters(scope: Scope = ALL) -> list[str]:
    """I14, R135: staff were alerted of every dead LMS job, and no letter is open of another job."""
    silent = [
        pk
        for batch in in_batches([SyncJob.objects.filter(status=DEAD)])
        for pk in _dead_in_silence(batch)
    ]
    stale = DeadLetter.objects.open().select_related("job").exclude(job__status=DEAD)
    return [
        f"dead job {pk} has no dead letter, or no alert was sent when it died" for pk in silent
    ] + [f"dead letter {letter.pk} is open and its job is {letter.job.status}" for letter in stale]


def _dead_in_silence(jobs: list[SyncJob]) -> list[UUID]:
    letters = DeadLetter.objects.filter(job__in=jobs).exclude(notification_sent_at=None)
    alerted = dict(letters.values_list("job_id", "last_attempt_at"))
    # A job may die again after a replay: the letter must be about the last time.
    return [
        job.pk
        for job in jobs
        if job.pk not in alerted or (job.finished_at and alerted[job.pk] < job.finished_at)
    ]


def check_dead_events(scope: Scope = ALL) -> list[str]:
    """R135: no event of Stripe's is left dead: its cause must be fixed, and it must be replayed."""
    dead = StripeEvent.objects.filter(status=DEAD).values_list("event_id", "type", "last_error")
    return [
        f"event {event_id} ({kind}) is dead and was not applied: {error}"
        for event_id, kind, error in dead
    ]


def check_events_are_applied(scope: Scope = ALL) -> list[str]:
    """R129: no event of Stripe's waits for three days, after which Stripe sends it no more."""
    limit_at = timezone.now() - LONGEST_WAIT
    waiting = StripeEvent.objects.unfinished().filter(created_at__lt=limit_at)
    return [
        f"event {event_id} ({kind}) waits since {created_at:%Y-%m-%d %H:%M}: {error}"
        for event_id, kind, created_at, error in waiting.values_list(
            "event_id", "type", "created_at", "last_error"
        )
    ]


def check_events_once(scope: Scope = ALL) -> list[str]:
    """I4: each Stripe event id is stored once, and none is done without an outcome."""
    events = StripeEvent.objects.all()
    blank = events.filter(status=DONE, outcome="")
    parts = [events]
    if scope.since:
        recent = keys([events.filter(created_at__gte=scope.since)], "event_id")
        parts = [events.filter(event_id__in=part) for part in batches(recent)]
        blank = blank.filter(finished_at__gte=scope.since)
    return [
        f"event {row['event_id']} is stored {row['rows']} times"
        for part in parts
        for row in repeated(part, "event_id")
    ] + [f"event {key} is done without outcome" for key in blank.values_list("event_id", flat=True)]


def check_attempts(scope: Scope = ALL) -> list[str]:
    """I13: no item has used more attempts than claims."""
    return [
        f"{_name(model)} {pk} used more attempts than it had claims"
        for model in (SyncJob, Email)
        for part in _worked_on(model, scope)
        for pk in part.filter(attempts__gt=F("fence")).values_list("pk", flat=True)
    ]


def _worked_on(model: type[WorkItem], scope: Scope) -> list[QuerySet[Any]]:
    """Return the items that are not done, and those that were done lately."""
    if scope.since is None:
        return [model.objects.all()]
    done_lately = model.objects.filter(status=DONE, finished_at__gte=scope.since)
    return [model.objects.filter(status__in=[PENDING, RUNNING, DEAD]), done_lately]


def _name(model: type[Model]) -> str:
    return str(model._meta.verbose_name)
