from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from enrollments.models import Enrollment, choices_of
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money

LOST = "lost"  # of a dispute, whose model needs this one


class PaymentQuerySet(models.QuerySet):
    def set_aside(self) -> "PaymentQuerySet":
        """Keep those that were received for nothing, and that the buyer does not have back yet.

        By a refund in full, or by a lost dispute, after which nothing can be refunded.
        """
        # What was received is paid. If asked for that too, SQLite would look through all paid ones.
        kept = Q(review_reason__in=Payment.UNFULFILLED, refund_committed__lt=F("amount_received"))
        return self.filter(kept).exclude(disputes__status=LOST)


class Payment(models.Model):
    """One attempt to pay for an enrollment: one Stripe Checkout Session."""

    PENDING, PROCESSING, PAID = "pending", "processing", "paid"
    FAILED, EXPIRED, CANCELLED = "failed", "expired", "cancelled"
    OPEN = [PENDING, PROCESSING]
    TRANSITIONS = {
        PENDING: [],
        # A delayed method (bank debit): Stripe reports later whether it was paid.
        PROCESSING: [PENDING],
        # Of the ends that Stripe reports, the one further up here holds, in whichever order they
        # arrive.
        PAID: [PENDING, PROCESSING, FAILED, EXPIRED, CANCELLED],
        FAILED: [PENDING, PROCESSING, EXPIRED],
        EXPIRED: [PENDING, PROCESSING],
        CANCELLED: [PENDING, EXPIRED],
    }
    LATE, DUPLICATE, AMOUNT_MISMATCH = "late", "duplicate", "amount_mismatch"
    UNFULFILLED = [DUPLICATE, AMOUNT_MISMATCH]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="payments")
    status = models.CharField(max_length=20, choices=choices_of(*TRANSITIONS), default=PENDING)
    attempt = models.PositiveSmallIntegerField(default=1)
    amount = models.PositiveBigIntegerField(
        help_text="Minor units, what Stripe was asked to collect."
    )
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    amount_received = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units, what Stripe says it got."
    )
    currency_received = models.CharField(max_length=3, blank=True)
    refund_committed = models.PositiveBigIntegerField(
        default=0, help_text="Minor units of all its refunds that have not failed."
    )
    idempotency_key = models.CharField(max_length=80, unique=True)
    stripe_session_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    stripe_payment_intent_id = models.CharField(max_length=255, blank=True, db_index=True)
    checkout_url = models.TextField(blank=True)
    expires_at = models.DateTimeField(
        help_text="End of the Checkout Session, sent to Stripe in whole seconds."
    )
    review_reason = models.CharField(
        max_length=20,
        blank=True,
        choices=choices_of(LATE, DUPLICATE, AMOUNT_MISMATCH),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["enrollment"],
                condition=Q(status__in=["pending", "processing"]),
                name="one_open_payment",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "expires_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["currency", "-created_at"]),
            models.Index(fields=["updated_at"]),
            models.Index(fields=["review_reason", "status"]),
            models.Index(fields=["status", "-created_at"]),
        ]
        permissions = (("refund_payment", "Can refund payments"),)

    def __str__(self) -> str:
        return f"{Money(self.amount, self.currency)} ({self.status})"

    @property
    def refundable(self) -> int:
        """What may still be refunded, in minor units of the currency received."""
        if self.status != self.PAID:
            return 0
        return max((self.amount_received or 0) - self.refund_committed, 0)

    @property
    def money_received(self) -> Money | None:
        """What Stripe says it got, in the currency that it came in; None before it did."""
        amount = self.amount_received
        return None if amount is None else Money(amount, self.currency_received or self.currency)

    @property
    def money_committed(self) -> Money:
        return Money(self.refund_committed, self.currency_received or self.currency)

    @property
    def is_fulfilling(self) -> bool:
        """Whether this payment pays for its enrollment, and was not set aside for review."""
        return self.status == self.PAID and self.review_reason not in self.UNFULFILLED
