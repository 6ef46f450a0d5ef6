from django.db import models
from django.utils import timezone

from enrollments.models import choices_of
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money
from payments.models.payment import LOST, Payment


class RefundQuerySet(models.QuerySet["Refund"]):
    def not_made_good(self) -> "RefundQuerySet":
        """Keep those that failed, where their payment still has money left to refund.

        A lost dispute has given it back.
        """
        left = models.Q(payment__refund_committed__lt=models.F("payment__amount_received"))
        failed = self.filter(left, status=Refund.FAILED)
        return failed.exclude(payment__disputes__status=LOST)


class Refund(models.Model):
    """Money on its way back to a buyer, asked for by staff here or made in Stripe's dashboard.

    One row for each of Stripe's refund ids. "Requested" is not "succeeded", and a succeeded one may
    fail weeks later. Its payment is null as long as the event of the sale itself has not arrived.
    """

    REQUESTED, PENDING, SUCCEEDED, FAILED = "requested", "pending", "succeeded", "failed"
    TRANSITIONS = {
        REQUESTED: [],
        PENDING: [REQUESTED],
        SUCCEEDED: [REQUESTED, PENDING],
        FAILED: [REQUESTED, PENDING, SUCCEEDED],
    }
    STAFF, STRIPE = "staff", "stripe"
    REASONS = [
        ("requested_by_customer", "The learner asked for it"),
        ("duplicate", "Paid twice"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="refunds"
    )
    payment_intent_id = models.CharField(max_length=255, db_index=True)
    stripe_refund_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    idempotency_key = models.CharField(max_length=80, unique=True)
    amount = models.PositiveBigIntegerField(help_text="Minor units.")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    status = models.CharField(max_length=10, choices=choices_of(*TRANSITIONS), default=REQUESTED)
    reason = models.CharField(max_length=40, blank=True)
    source = models.CharField(max_length=10, choices=choices_of(STAFF, STRIPE))
    requested_by = models.CharField(max_length=140, blank=True)
    note = models.CharField(max_length=300, blank=True)
    gives_coupon_back = models.BooleanField(
        default=False, help_text="A full refund reinstates the grant's coupon."
    )
    failure_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RefundQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["status", "updated_at"]),
            models.Index(fields=["payment", "status"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["updated_at"]),
        ]

    def __str__(self) -> str:
        return f"{Money(self.amount, self.currency)} ({self.status})"
