from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

from lms_sync.call_figure import CallFigure
from lms_sync.letter import DeadLetter
from maaledu.db import new_id
from maaledu.unions import BEGINS
from maaledu.work.items import PENDING, WorkItem, WorkQuerySet

WATCH_EVERY = timedelta(minutes=1)
QUEUE = "lms"  # of the jobs
ALERT_EVERY = timedelta(hours=1)  # at most, for one platform and kind of incident
MADE, FOUND = "made", "found"
__all__ = ["CallFigure", "DeadLetter"]
ORIGINS = [(MADE, "made by us"), (FOUND, "found there")]


class SyncJobQuerySet(WorkQuerySet):
    def awaiting_account(self) -> "SyncJobQuerySet":
        return self.filter(status=PENDING, look_at__isnull=False)

    def stuck(self, now: datetime) -> WorkQuerySet:
        """Without those that wait for their learner's account: that may take weeks."""
        return super().stuck(now).filter(look_at=None)


class SyncJob(WorkItem):
    """One change to make in the LMS, with its cause in `dedupe_key`; amounts and ids are copies."""

    ENROLL, REVOKE = "enroll", "revoke"
    LOOK = "look"  # again, after a create whose answer was lost: it may be there twice
    REPAIR = "repair"  # what staff decided about a difference with the LMS
    LEAVE = "leave"  # the address that an enrollment was moved from

    dedupe_key = models.CharField(
        max_length=120,
        unique=True,
        help_text="One job for one cause, such as enroll:<enrollment id>.",
    )
    action = models.CharField(
        max_length=10,
        choices=[(each, each) for each in (ENROLL, REVOKE, LOOK, REPAIR, LEAVE)],
        default=ENROLL,
    )
    batch_id = models.UUIDField(
        null=True, blank=True, help_text="The batch of enrollments that this job is one of."
    )
    is_alone = models.BooleanField(
        default=False, db_default=False, help_text="A call for many left it out: asked by itself."
    )
    platform = models.CharField(max_length=20)
    email = models.EmailField(max_length=254)
    full_name = models.CharField(max_length=255, blank=True)
    course_id = models.CharField("LMS course", max_length=255)
    payload = models.JSONField(
        default=dict,
        blank=True,
        help_text="payment_id, amount in minor units, currency, referral_code.",
    )
    lms_origin = models.CharField(
        "made or found", max_length=5, choices=ORIGINS, blank=True, default="", db_default=""
    )
    creates_sent = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Requests that made an enrollment there, or may have."
    )
    lms_user_made = models.BooleanField(
        "LMS user is ours", default=False, db_default=False, help_text="We made the user there."
    )
    lms_enrollment_id = models.CharField("LMS enrollment", max_length=255, blank=True)
    needs_account = models.BooleanField(
        default=False, db_default=False, help_text="It waits while no new users are made there."
    )
    look_at = models.DateTimeField(
        "next look for an account",
        null=True,
        blank=True,
        help_text="Set while the learner has no account on the platform yet.",
    )

    objects = SyncJobQuerySet.as_manager()  # type: ignore[misc]

    class Meta(WorkItem.Meta):
        verbose_name = "sync job"
        indexes = [
            *WorkItem.Meta.indexes,
            # No look for what is due reads what a platform keeps back.
            models.Index(fields=["platform", "status", "next_attempt_at"]),
            models.Index(fields=["status", "needs_account", "next_attempt_at"]),
            models.Index(fields=["email"], name="sync_job_email_begins", opclasses=BEGINS),
            models.Index(fields=["request_id"]),
            models.Index(fields=["action", "-created_at"]),
            models.Index(fields=["look_at"]),
            models.Index(fields=["batch_id", "status"]),
        ]
        permissions = (("replay_syncjob", "Can retry and replay sync jobs"),)

    def __str__(self) -> str:
        return f"{self.action} {self.email} in {self.course_id}"


class SyncAttempt(models.Model):
    """One delivery of a job: what was asked and answered, without secrets. Insert only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    job = models.ForeignKey(SyncJob, on_delete=models.CASCADE, related_name="records")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    request = models.TextField(blank=True)
    response = models.TextField(blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=40, help_text="done, or the code of the error.")

    class Meta:
        verbose_name = "sync attempt"
        ordering = ["started_at"]
        indexes = [
            models.Index(fields=["job", "started_at"]),
            models.Index(fields=["-started_at"]),
            models.Index(fields=["outcome", "-started_at"]),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.outcome}"


class PlatformStateQuerySet(models.QuerySet["PlatformState"]):
    def blocked(self) -> "PlatformStateQuerySet":
        return self.filter(state__in=PlatformState.BLOCKED)

    def quiet(self, now: datetime) -> "PlatformStateQuerySet":
        """Those whose breaker is closed, without a call for a minute, that are due for a ping."""
        had_no_call = Q(last_ok_at=None) | Q(last_ok_at__lte=now - WATCH_EVERY)
        return self.filter(
            had_no_call, Q(retry_at=None) | Q(retry_at__lte=now), state=PlatformState.State.CLOSED
        )

    def to_be_probed(self, now: datetime) -> "PlatformStateQuerySet":
        return self.blocked().filter(retry_at__lte=now)

    def in_state(self, name: str, states: Iterable[str]) -> "PlatformStateQuerySet":
        return self.filter(name=name, state__in=list(states))


class PlatformState(models.Model):
    """The circuit breaker of one platform; each change is one guarded UPDATE in `breaker`."""

    class State(models.TextChoices):
        CLOSED = "closed", "Answering"
        OPEN = "open", "Unavailable"
        HALF_OPEN = "half_open", "Being probed"
        PARKED = "parked", "Misconfigured"

    class Incident(models.TextChoices):
        NONE = "", "None"
        UNAVAILABLE = "unavailable", "Unavailable"
        MISCONFIGURED = "misconfigured", "Misconfigured"

    BLOCKED = [State.OPEN, State.HALF_OPEN, State.PARKED]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=20, unique=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CLOSED)
    failures = models.PositiveIntegerField(
        default=0, help_text="Consecutive ones, while answering."
    )
    opened_at = models.DateTimeField(
        "unavailable since", null=True, blank=True, help_text="Since when it does not answer."
    )
    retry_at = models.DateTimeField(
        "next look",
        null=True,
        blank=True,
        help_text="When the next probe is due, or the next ping while it is closed.",
    )
    probe_token = models.CharField(max_length=32, blank=True)
    probe_asked_at = models.DateTimeField(
        "probe asked for", null=True, blank=True, help_text="By staff; the worker makes it."
    )
    next_call_at = models.DateTimeField(
        null=True, blank=True, help_text="The first moment at which nobody calls yet; see `pace`."
    )
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="Before then nobody calls, as it has asked."
    )
    recovered_at = models.DateTimeField(
        null=True, blank=True, help_text="End of the last outage: the rate rises from then on."
    )
    no_new_users_before = models.DateTimeField(
        null=True, blank=True, help_text="It makes no new users before then; who has one goes on."
    )
    incident = models.CharField(
        max_length=16, choices=Incident.choices, blank=True, help_text="Until a job succeeds."
    )
    alert_pending = models.BooleanField(
        default=False, help_text="Staff have not been alerted of the incident yet."
    )
    unavailable_alerted_at = models.DateTimeField(
        null=True, blank=True, help_text="When staff were last alerted that it is unavailable."
    )
    misconfigured_alerted_at = models.DateTimeField(
        null=True, blank=True, help_text="When staff were last alerted that it is misconfigured."
    )
    last_error = models.CharField(max_length=600, blank=True)
    last_ok_at = models.DateTimeField("last answer", null=True, blank=True)
    latency_ms = models.PositiveIntegerField("answer time in ms", null=True, blank=True)
    grant_fields_refused_at = models.DateTimeField(
        "grant fields refused",
        null=True,
        blank=True,
        help_text="When its own method last refused them as unknown: they are left out since.",
    )
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PlatformStateQuerySet.as_manager()

    class Meta:
        verbose_name = "platform"
        permissions = (("probe_platformstate", "Can probe platforms"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.get_state_display()}"

    @property
    def is_blocked(self) -> bool:
        return self.state in self.BLOCKED

    @property
    def is_denying(self) -> bool:
        """Whether it answers the probe and refuses a step of some jobs all the same."""
        return self.incident == self.Incident.MISCONFIGURED and not self.is_blocked


class SyncLock(models.Model):
    """A lease on something only one worker may do at a time; see `locks`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=64, unique=True)
    owner = models.CharField(max_length=32)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.key
