from django.db import models

from maaledu.db import new_id

# How many calls were answered within so many milliseconds; the rest took longer.
WITHIN_MS = (100, 300, 1000, 3000, 10000)
COUNTED = ("calls", "failed", "refused", "total_ms", *(f"within_{most}" for most in WITHIN_MS))


class CallFigure(models.Model):
    """How often a platform was called in one step and period, how long that took, and how it ended.

    Of fixed size, however many calls there were. Written by `call_counts`, thinned by
    `call_history`.
    """

    HOUR, DAY = "hour", "day"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    platform = models.CharField(max_length=20)
    step = models.CharField(max_length=40)
    span = models.CharField(max_length=4, choices=[(HOUR, "hour"), (DAY, "day")])
    starts_at = models.DateTimeField()
    calls = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(
        default=0, help_text="Without an answer of the LMS's own, or with one of its breakdowns."
    )
    refused = models.PositiveBigIntegerField(default=0, help_text="Answered by a refusal.")
    total_ms = models.PositiveBigIntegerField("total time in ms", default=0)
    within_100 = models.PositiveBigIntegerField(default=0)
    within_300 = models.PositiveBigIntegerField(default=0)
    within_1000 = models.PositiveBigIntegerField(default=0)
    within_3000 = models.PositiveBigIntegerField(default=0)
    within_10000 = models.PositiveBigIntegerField(default=0)

    passed_at = models.DateTimeField(
        null=True, blank=True, help_text="When a call was last answered, also by a refusal."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "step", "span", "starts_at"], name="one_figure_per_step"
            )
        ]
        indexes = [models.Index(fields=["span", "starts_at"])]

    def __str__(self) -> str:
        return f"{self.platform}: {self.step}, {self.starts_at:%Y-%m-%d %H:%M}"
