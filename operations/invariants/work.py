"""What must hold of the three queues: leases, attempts, dead letters and dead events."""

from collections import Counter
from datetime import timedelta

from django.db.models import F, Model
from django.utils import timezone

from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.items import DEAD, DONE, RUNNING
from notifications.models import Email
from operations.invariants.reading import GRACE
from payments.models import StripeEvent

LONGEST_WAIT = timedelta(days=3)


def check_queues() -> list[str]:
    """I13: no claim outlives its lease by more than the grace, and none is kept without one."""
    limit_at = timezone.now() - GRACE
    return [
        f"{_name(model)} {pk} is held since its lease ended"
        for model in (StripeEvent, SyncJob, Email)
        for pk in model.objects.lapsed(limit_at).values_list("pk", flat=True)
    ] + [
        f"{_name(model)} {pk} is running without a lease"
        for model in (StripeEvent, SyncJob, Email)
        for pk in model.objects.filter(status=RUNNING, lease_until=None).values_list(
            "pk", flat=True
        )
    ]


def check_dead_letters() -> list[str]:
    """I14, R135: staff were alerted of every dead LMS job, and no letter is open of another job."""
    dead = list(SyncJob.objects.filter(status=DEAD).values_list("pk", "finished_at"))
    alerted = {
        job: last
        for job, last, at in DeadLetter.objects.values_list(
            "job_id", "last_attempt_at", "notification_sent_at"
        )
        if at
    }
    # A job may die again after a replay: the letter must be about the last time.
    silent = [
        pk for pk, died_at in dead if pk not in alerted or (died_at and alerted[pk] < died_at)
    ]
    stale = [
        letter
        for letter in DeadLetter.objects.open().select_related("job")
        if letter.job.status != DEAD
    ]
    return [
        f"dead job {pk} has no dead letter, or no alert was sent when it died" for pk in silent
    ] + [f"dead letter {letter.pk} is open and its job is {letter.job.status}" for letter in stale]


def check_dead_events() -> list[str]:
    """R135: no event of Stripe's is left dead: its cause must be fixed, and it must be replayed."""
    dead = StripeEvent.objects.filter(status=DEAD).values_list("event_id", "type", "last_error")
    return [
        f"event {event_id} ({kind}) is dead and was not applied: {error}"
        for event_id, kind, error in dead
    ]


def check_events_are_applied() -> list[str]:
    """R129: no event of Stripe's waits for three days, after which Stripe sends it no more."""
    limit_at = timezone.now() - LONGEST_WAIT
    waiting = StripeEvent.objects.unfinished().filter(created_at__lt=limit_at)
    return [
        f"event {event_id} ({kind}) waits since {created_at:%Y-%m-%d %H:%M}: {error}"
        for event_id, kind, created_at, error in waiting.values_list(
            "event_id", "type", "created_at", "last_error"
        )
    ]


def check_events_once() -> list[str]:
    """I4: each Stripe event id is stored once, and none is done without an outcome."""
    ids = Counter(StripeEvent.objects.values_list("event_id", flat=True))
    blank = StripeEvent.objects.filter(status=DONE, outcome="").values_list("event_id", flat=True)
    return [f"event {key} is stored {n} times" for key, n in ids.items() if n > 1] + [
        f"event {key} is done without outcome" for key in blank
    ]


def check_attempts() -> list[str]:
    """I13: no item has used more attempts than claims."""
    return [
        f"{_name(model)} {pk} used more attempts than it had claims"
        for model in (SyncJob, Email)
        for pk in model.objects.filter(attempts__gt=F("fence")).values_list("pk", flat=True)
    ]


def _name(model: type[Model]) -> str:
    return str(model._meta.verbose_name)
