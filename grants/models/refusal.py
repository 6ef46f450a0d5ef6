from django.db import models
from django.utils import timezone

from grants.models.grant import Grant, choices_of
from maaledu.db import new_id
from maaledu.unions import BEGINS


class RefusalCount(models.Model):
    """How many coupons were refused on a day for one true reason, which no buyer ever reads."""

    UNKNOWN, FOREIGN, OTHER_COURSE, LOST_RACE = "unknown", "foreign", "other_course", "lost_race"
    TRUE_REASONS = [
        UNKNOWN,
        FOREIGN,
        OTHER_COURSE,
        Grant.RESERVED,
        Grant.REDEEMED,
        Grant.EXPIRED,
        Grant.REVOKED,
        LOST_RACE,
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    day = models.DateField()
    reason = models.CharField(max_length=20, choices=choices_of(*TRUE_REASONS))
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "reason"], name="one_count_a_day_and_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.reason} on {self.day}"


class Refusal(models.Model):
    """One refused code, for staff alone: when, why, and whose coupon it was. Insert only.

    `grants.refusals` says how many are kept.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    reason = models.CharField(max_length=20, choices=choices_of(*RefusalCount.TRUE_REASONS))
    # No constraint: only a known code would be checked, and the time that takes would reveal it.
    grant = models.ForeignKey(
        Grant, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="refusals"
    )
    course_slug = models.CharField(max_length=140)
    tried_by = models.CharField(
        max_length=150, help_text="The first letter and the domain of the address."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["reason", "-created_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["tried_by"], name="refusal_tried_by_begins", opclasses=BEGINS),
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.reason}, {self.tried_by}"
