"""Rows that can be followed: each keeps the id of the request that began it."""

from django.db import models

from maaledu import tracing


class Traced(models.Model):
    request_id = models.CharField(
        "request id",
        max_length=tracing.LONGEST_ID,
        blank=True,
        default=tracing.current,
        db_default="",
        help_text="Of the request that began it, as in the log, in e-mails and at the LMS.",
    )

    class Meta:
        abstract = True
