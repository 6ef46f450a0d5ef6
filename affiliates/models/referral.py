from django.db import models
from django.utils import timezone

from affiliates.models.affiliate import Affiliate
from maaledu.db import new_id


class ReferralVisit(models.Model):
    """One visitor of a link on one day, known only by a hash that is another one the next day."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, related_name="visits")
    course_slug = models.CharField(max_length=140, blank=True)
    day = models.DateField()
    visitor_key = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["affiliate", "day"]),
            models.Index(fields=["day"]),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.course_slug or 'catalogue'}"


class FunnelCounts(models.Model):
    """How far visitors came: visits under no currency, the others under that of the purchase."""

    currency = models.CharField(max_length=3, blank=True)
    visits = models.PositiveIntegerField(default=0)
    checkouts = models.PositiveIntegerField(default=0)
    purchases = models.PositiveIntegerField(default=0)
    earned = models.PositiveBigIntegerField(
        default=0, help_text="Minor units of commission accrued, before reversals."
    )

    class Meta:
        abstract = True


class ReferralDay(FunnelCounts):
    """One affiliate's funnel of one day and course, counted as it happens."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: the constraint's begins with affiliate and day. With an index of the
    # affiliate alone the planner would read the days of all years.
    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.PROTECT, related_name="days", db_index=False
    )
    day = models.DateField()
    course_slug = models.CharField(max_length=140, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["affiliate", "day", "course_slug", "currency"],
                name="one_row_per_affiliate_day_course",
            ),
        ]
        indexes = [models.Index(fields=["-day"])]

    def __str__(self) -> str:
        return f"{self.day} {self.course_slug}: {self.visits}/{self.checkouts}/{self.purchases}"


class ReferralLabelDay(FunnelCounts):
    """What the links with one label led to on one day: an affiliate's own way to tell them apart.

    Beside `ReferralDay` and not part of it: a label changes no other count.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.PROTECT, related_name="label_days", db_index=False
    )
    day = models.DateField()
    label = models.CharField(max_length=30)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["affiliate", "day", "label", "currency"],
                name="one_row_per_affiliate_day_label",
            ),
        ]
        indexes = [models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.day} {self.label}: {self.visits}/{self.checkouts}/{self.purchases}"
