from django.db import models
from django.utils import timezone

from maaledu.db import new_id


class DeadLetterQuerySet(models.QuerySet["DeadLetter"]):
    def open(self) -> "DeadLetterQuerySet":
        return self.filter(status=DeadLetter.Status.OPEN)

    def unannounced(self) -> "DeadLetterQuerySet":
        return self.open().filter(notification_sent_at=None)


def in_words(reason: str) -> str:
    return reason.removeprefix("LMS_").replace("_", " ").capitalize()


class DeadLetter(models.Model):
    """A job that has no attempts left, until staff replay or settle it: one for each job."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"
        DISMISSED = "dismissed", "Settled"

    TRANSITIONS = {
        # From each of them: the job was replayed, and is dead again.
        Status.OPEN: [Status.OPEN, Status.REPLAYED, Status.DISMISSED],
        Status.REPLAYED: [Status.OPEN, Status.DISMISSED],
        Status.DISMISSED: [Status.OPEN],
    }

    REFUNDED, BY_HAND, WITHDREW, DUPLICATE = "refunded", "by_hand", "withdrew", "duplicate"
    SETTLED = [
        (REFUNDED, "The learner has the money back"),
        (BY_HAND, "Put right in the LMS by hand"),
        (WITHDREW, "The learner withdrew"),
        (DUPLICATE, "The learner has it by another enrollment"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    job = models.OneToOneField(
        "lms_sync.SyncJob", on_delete=models.CASCADE, related_name="dead_letter"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    reason = models.CharField(max_length=40, help_text="The code of the last error.")
    last_error = models.TextField(blank=True)
    last_http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    first_attempt_at = models.DateTimeField()
    last_attempt_at = models.DateTimeField()
    requires_manual_review = models.BooleanField(default=True)
    notification_sent_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=254, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    settled_how = models.CharField(
        max_length=10, choices=SETTLED, blank=True, default="", db_default=""
    )
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        verbose_name = "dead letter"
        indexes = [
            models.Index(fields=["status", "notification_sent_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["last_attempt_at"]),
        ]
        permissions = (
            ("replay_deadletter", "Can replay dead letters"),
            ("dismiss_deadletter", "Can dismiss dead letters"),
        )

    def __str__(self) -> str:
        return f"{self.cause} ({self.status})"

    @property
    def cause(self) -> str:
        """Return the reason, which is an error's code, in words."""
        return in_words(self.reason)
