from django.db import models
from django.utils import timezone

from enrollments.models import choices_of
from maaledu.db import new_id
from payments.models.payment import Payment


class RefundRequestQuerySet(models.QuerySet["RefundRequest"]):
    def undecided(self) -> "RefundRequestQuerySet":
        return self.filter(status=RefundRequest.OPEN)


class RefundRequest(models.Model):
    """A learner asks for their money back: once for a payment, and staff decide."""

    OPEN, REFUNDED, DECLINED = "open", "refunded", "declined"
    TRANSITIONS = {OPEN: [], REFUNDED: [OPEN], DECLINED: [OPEN]}

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, related_name="refund_request")
    status = models.CharField(max_length=10, choices=choices_of(*TRANSITIONS), default=OPEN)
    reason = models.TextField(blank=True, help_text="The learner's own words, if any.")
    note = models.TextField(blank=True, help_text="What the learner reads, where it is declined.")
    decided_by = models.CharField(max_length=140, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RefundRequestQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["-created_at"]),
        ]
        permissions = (("decide_refundrequest", "Can decide about learners' refund requests"),)

    def __str__(self) -> str:
        return f"refund request of {self.created_at:%Y-%m-%d} ({self.status})"
