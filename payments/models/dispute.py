from django.db import models
from django.db.models import Q
from django.utils import timezone

from enrollments.models import choices_of
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money
from payments.models.payment import Payment


class DisputeQuerySet(models.QuerySet["Dispute"]):
    def waiting_for_answer(self) -> "DisputeQuerySet":
        """Keep those that Stripe takes our evidence for; an appeal follows a first decision."""
        undecided = Q(status__in=[Dispute.WARNING, Dispute.OPEN])
        asked = undecided & Q(stripe_status__endswith="needs_response")
        return self.filter(asked | Q(stripe_status="appeal_needs_response"))


class Dispute(models.Model):
    """A buyer's bank asks for the money back.

    A lost dispute is like a full refund. A `warning` is every status of Stripe's that decides
    nothing: an inquiry, a prevented dispute, one that is not known here; its money may be withdrawn
    all the same. Its payment is null as long as the event of the sale itself has not arrived.
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
    reported_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When Stripe reported its status and the date of the evidence.",
    )
    movements = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often Stripe moved its money, as far as we know."
    )
    is_withdrawn = models.BooleanField(
        "money withdrawn", default=False, db_default=False, help_text="The bank has the money."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DisputeQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["payment", "status"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["updated_at"]),
            models.Index(fields=["evidence_due_by"]),
        ]
        permissions = (("decide_dispute", "Can count disputes as lost"),)

    def __str__(self) -> str:
        return f"{Money(self.amount, self.currency)} ({self.status})"

    @property
    def is_undecided(self) -> bool:
        """Whether the sale is in doubt: the bank decides, or has the money without a decision."""
        return self.status == self.OPEN or (self.is_withdrawn and self.status != self.LOST)
