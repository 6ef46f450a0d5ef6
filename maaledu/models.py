"""The tables below all apps: attempts that count without a cache, and answers to repeat."""

from django.db import models
from django.utils import timezone


class LimitCount(models.Model):
    """Attempts against one limit in one of its periods; `key` is a hash of limit, client and
    period.
    """

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class IdempotentAnswer(models.Model):
    """What one request under an Idempotency-Key was answered, to be answered again.

    `key` is a hash of who asked and of their key. Without `http_status` the request is still being
    answered, until `held_until` at most; `fence` counts who took it up.
    """

    key = models.CharField(max_length=64, primary_key=True)
    request = models.CharField(max_length=64, help_text="A hash of address and body.")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.TextField(blank=True)
    held_until = models.DateTimeField()
    fence = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    def __str__(self) -> str:
        return self.key
