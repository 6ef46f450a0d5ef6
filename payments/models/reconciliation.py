from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from maaledu.db import new_id

RESUMABLE_FOR = timedelta(days=2)
MOST_NAMED = 20
LONGEST_LINE = 300  # characters


class Reconciliation(models.Model):
    """The last comparison of one kind of object with Stripe: how far it came, and what it found.

    A run that was cut off is without `finished_at`, and the next one goes on after `after`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=40, unique=True)
    since = models.DateTimeField(help_text="What was made at Stripe before is not looked at.")
    after = models.CharField(
        max_length=255, blank=True, help_text="The last object of the last page that was done."
    )
    looked_at = models.PositiveIntegerField(default=0)
    agreed = models.PositiveIntegerField(default=0)
    mended = models.PositiveIntegerField(default=0)
    unmended = models.PositiveIntegerField(default=0)
    problems = models.JSONField(
        default=list, blank=True, help_text="The first of those that cannot be mended."
    )
    rebuilt = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="Of those mended: purchases that were not here, and are again.",
    )
    rebuilt_names = models.TextField(
        blank=True, default="", db_default="", help_text="The first of them, one a line."
    )
    failure = models.CharField(max_length=600, blank=True, help_text="What cut the run off.")
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)
    finished_before_at = models.DateTimeField(
        null=True, blank=True, help_text="When the run before this one was finished."
    )

    class Meta:
        indexes = [models.Index(fields=["-started_at"])]

    def __str__(self) -> str:
        rebuilt = f" ({self.rebuilt} rebuilt)" if self.rebuilt else ""
        return (
            f"{self.kind}: {self.looked_at} looked at, {self.agreed} agreed, {self.mended} mended"
            f"{rebuilt}, {self.unmended} cannot be mended"
        )

    def may_resume(self, now: datetime) -> bool:
        """Whether this run was cut off between two pages, and not too long ago to go on with."""
        is_cut_off = self.finished_at is None and self.after != ""
        return is_cut_off and self.updated_at > now - RESUMABLE_FOR

    def add_rebuilt(self, line: str) -> None:
        """Name one more purchase that was rebuilt, as far as there is room."""
        self.rebuilt += 1
        if self.rebuilt <= MOST_NAMED:
            self.rebuilt_names += f"{line[:LONGEST_LINE]}\n"

    def add_problem(self, line: str) -> None:
        """Name one more object that cannot be mended, as far as there is room."""
        self.unmended += 1
        if len(self.problems) < MOST_NAMED:
            self.problems.append(line[:LONGEST_LINE])
