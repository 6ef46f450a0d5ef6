import re

from django.db import models
from django.utils import timezone

from maaledu.db import new_id
from maaledu.unions import BEGINS
from maaledu.work.items import MAX_ERROR_LENGTH, WorkItem


class Email(WorkItem):
    """A message that must reach somebody: the outbox.

    `dedupe_key` names what caused it, so that a cause has one message however often it is staged.
    It is rendered when it is sent, so that an account message can be forgotten afterwards and a
    template repaired before a replay.
    """

    URGENT, NORMAL = 0, 1
    PRIORITIES = [(URGENT, "sign-in codes"), (NORMAL, "all others")]

    dedupe_key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=40)
    priority = models.PositiveSmallIntegerField(
        choices=PRIORITIES, default=NORMAL, db_default=NORMAL
    )
    to = models.EmailField(max_length=254)
    context = models.JSONField(default=dict, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    is_suspected = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It stopped the queue, and another message was taken since.",
    )

    class Meta(WorkItem.Meta):
        verbose_name = "e-mail"
        permissions = (("replay_email", "Can retry and replay e-mails"),)
        indexes = [
            *WorkItem.Meta.indexes,
            models.Index(fields=["status", "priority", "next_attempt_at"]),
            models.Index(fields=["to"], name="email_to_begins", opclasses=BEGINS),
            models.Index(fields=["request_id"]),
            models.Index(fields=["kind", "-created_at"]),
            models.Index(fields=["sent_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.subject or self.kind.replace('_', ' ')} to {self.to}"


class MailState(models.Model):
    """Whether the mail server takes mail; each change is one guarded UPDATE in `mail_state`."""

    class State(models.TextChoices):
        ANSWERING = "answering", "Takes mail"
        UNAVAILABLE = "unavailable", "Unavailable"
        REFUSING = "refusing", "Refuses what we send"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=20, unique=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.ANSWERING)
    since = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField("next try", null=True, blank=True)
    trying = models.UUIDField(null=True, blank=True, help_text="The message that is tried.")
    suspect = models.UUIDField(null=True, blank=True, help_text="The message refused last.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row; each doubles the pause.")
    alerted = models.CharField(max_length=12, choices=State.choices, blank=True)
    last_error = models.CharField(max_length=MAX_ERROR_LENGTH, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "mail server"
        permissions = (("try_mailstate", "Can have the mail server tried"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.get_state_display()}"


class UndeliverableAddress(models.Model):
    """An address whose messages came back: later ones are held until staff release it.

    Of one that the mail server refused they are not: the next that it takes releases it.
    """

    class Reason(models.TextChoices):
        BOUNCED = "bounced", "Came back"
        DROPPED = "dropped", "Not sent by the mail service"
        COMPLAINED = "complained", "Reported as spam"
        REFUSED = "refused", "Refused by the mail server"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    reason = models.CharField(max_length=12, choices=Reason.choices)
    sentence = models.CharField(
        max_length=500, blank=True, help_text="What the recipient's server or the service said."
    )
    event_id = models.CharField(max_length=200, blank=True)
    reported_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "undeliverable address"
        verbose_name_plural = "undeliverable addresses"
        permissions = (("release_undeliverableaddress", "Can release undeliverable addresses"),)
        indexes = [models.Index(fields=["-reported_at"])]

    def __str__(self) -> str:
        return self.email


LEVEL_AT_START = re.compile(r"Now (?:red|yellow): ")


class Alert(models.Model):
    """Something that staff were alerted of, once for each key."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=120, help_text="The first word of the key.")
    subject = models.CharField(max_length=300)
    lines = models.JSONField(default=list)
    since = models.DateTimeField(default=timezone.now)
    not_by = models.CharField(
        max_length=20, blank=True, help_text="The channel that it is about, and not sent by."
    )
    is_muted = models.BooleanField(
        default=False, help_text="One of too many of its kind: only listed here."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    recovered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["kind", "-created_at"]),
            models.Index(fields=["kind", "recovered_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["subject"], name="alert_subject_begins", opclasses=BEGINS),
        ]

    def __str__(self) -> str:
        return self.subject

    @property
    def subject_when_over(self) -> str:
        """Without the level that it had: that is over."""
        return f"Recovered: {LEVEL_AT_START.sub('', self.subject)}"


class AlertNotice(WorkItem):
    """An alert, or its end, on the way to one channel other than e-mail."""

    TRIGGER, RESOLVE = "trigger", "resolve"

    dedupe_key = models.CharField(max_length=120, unique=True)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=20)
    action = models.CharField(max_length=10, choices=[(a, a) for a in (TRIGGER, RESOLVE)])

    class Meta(WorkItem.Meta):
        verbose_name = "alert notice"
        indexes = [
            *WorkItem.Meta.indexes,
            models.Index(fields=["channel", "-created_at"]),
            models.Index(fields=["action", "-created_at"]),
        ]
        permissions = (("replay_alertnotice", "Can retry and replay alert notices"),)

    def __str__(self) -> str:
        return f"{self.action} by {self.channel}"
