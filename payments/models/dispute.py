from django.db import models
from django.utils import timezone

from enrollments.models import choices_of
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, format_money
from payments.models.payment import Payment


class Dispute(models.Model):
    """A buyer's bank asks for the money back. An inquiry (`warning`) takes nothing; a lost one is
    like a full refund.
    """

    WARNING, OPEN, WON, LOST = "warning", "open", "won", "lost"
    TRANSITIONS = {
        WARNING: [],
        OPEN: [WARNING],
        WON: [WARNING, OPEN],
        LOST: [WARNING, OPEN, WON],
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="disputes"
    )
    payment_intent_id = models.CharField(max_length=255, db_index=True)
    stripe_dispute_id = models.CharField(max_length=255, unique=True)
    amount = models.PositiveBigIntegerField(help_text="Minor units.")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    status = models.CharField(max_length=10, choices=choices_of(*TRANSITIONS), default=WARNING)
    stripe_status = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    evidence_due_by = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When Stripe said so: its status and the date of the evidence.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["payment", "status"]),
            models.Index(fields=["-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{format_money(self.amount, self.currency)} ({self.status})"
