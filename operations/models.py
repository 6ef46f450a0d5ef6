from datetime import datetime

from django.db import models
from django.utils import timezone

from maaledu.db import new_id

GREEN, YELLOW, RED = "green", "yellow", "red"
LEVELS = [GREEN, YELLOW, RED]  # from good to bad


class Heartbeat(models.Model):
    """When one part of the work was last seen to go on: the worker, the scheduler, the night."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=20, unique=True)
    at = models.DateTimeField()
    first_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M:%S}"


class TroubleQuerySet(models.QuerySet["Trouble"]):
    def open(self) -> "TroubleQuerySet":
        return self.filter(ended_at=None)

    def since(self, moment: datetime) -> "TroubleQuerySet":
        """Keep those that are open, or that ended after a moment; the newest first."""
        ended = models.Q(ended_at=None) | models.Q(ended_at__gte=moment)
        return self.filter(ended).order_by("-began_at")


class Trouble(models.Model):
    """One cause that keeps work from being done, from when it was noticed until it was over.

    `open_key` is the cause while it is open, so that of many processes that notice it one writes it
    down, and alerts.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    open_key = models.CharField(max_length=80, unique=True)
    cause = models.CharField(max_length=20)
    level = models.CharField(max_length=6, choices=[(each, each) for each in LEVELS[1:]])
    worst = models.CharField(max_length=6, choices=[(each, each) for each in LEVELS[1:]])
    text = models.CharField(max_length=300)
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, help_text="Last seen at this level.")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TroubleQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["ended_at", "-began_at"])]

    def __str__(self) -> str:
        return f"{self.cause}: {self.level}"


class DayFigures(models.Model):
    """What one day in UTC came to, as `day_figures` counted it last, and how long its queue was.

    `figures` is counted from the rows of the day, so that it can be counted again; `queue` has the
    most LMS jobs that were due at once, by the beginning of each ten minutes, as they were seen.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    day = models.DateField(unique=True)
    figures = models.JSONField(default=dict, blank=True)
    queue = models.JSONField(default=dict, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"
