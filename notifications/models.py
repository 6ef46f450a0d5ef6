from django.db import models

from maaledu.work.items import WorkItem


class Email(WorkItem):
    """A message that must reach somebody: the outbox.

    `dedupe_key` names what caused it, so that a cause has one message however often it is staged.
    It is rendered when it is sent, so that an account message can be forgotten afterwards and a
    template repaired before a replay.
    """

    dedupe_key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=40)
    to = models.EmailField(max_length=254)
    context = models.JSONField(default=dict, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta(WorkItem.Meta):
        verbose_name = "e-mail"
        permissions = (("replay_email", "Can retry and replay e-mails"),)
        indexes = [
            *WorkItem.Meta.indexes,
            models.Index(fields=["to"]),
            models.Index(fields=["kind", "-created_at"]),
            models.Index(fields=["sent_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"
