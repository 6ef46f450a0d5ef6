from django.db import models
from django.utils import timezone

from enrollments.models.enrollment import Enrollment
from maaledu.db import new_id


class EnrollmentEvent(models.Model):
    """One row for each change of an enrollment's status: from, to, by whom. Insert only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="events")
    from_status = models.CharField(max_length=20)
    to_status = models.CharField(max_length=20)
    actor = models.CharField(
        max_length=140,
        help_text="A Stripe event, the success page, the sweep, or a member of staff.",
    )
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at"]),
            models.Index(fields=["to_status", "-created_at"]),
        ]
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status} by {self.actor}"
