from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from maaledu.db import new_id
from payments.models.payment import Payment

# Stripe sets no date: a refund saves the dispute and its fee only if it is there first.
DECIDE_WITHIN = timedelta(days=2)


class FraudWarningQuerySet(models.QuerySet["EarlyFraudWarning"]):
    def open(self) -> "FraudWarningQuerySet":
        return self.filter(is_actionable=True, closed_at=None)


class EarlyFraudWarning(models.Model):
    """The issuer of a card takes a payment for fraud, often before its holder disputes it.

    It is actionable as long as the payment is neither disputed nor refunded in full, and open until
    then, or until staff close it. Its payment is null as long as the event of the sale itself has
    not arrived.
    """

    OPEN, SETTLED, CLOSED = "open", "settled", "closed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="fraud_warnings"
    )
    payment_intent_id = models.CharField(max_length=255, db_index=True)
    stripe_warning_id = models.CharField(max_length=255, unique=True)
    fraud_type = models.CharField(max_length=40, blank=True)
    is_actionable = models.BooleanField("actionable")
    warned_at = models.DateTimeField(help_text="When the issuer warned, as Stripe says.")
    reported_at = models.DateTimeField(
        null=True, blank=True, help_text="When Stripe reported whether it is actionable."
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=140, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FraudWarningQuerySet.as_manager()

    class Meta:
        verbose_name = "early fraud warning"
        indexes = [
            models.Index(fields=["is_actionable", "closed_at"]),
            models.Index(fields=["-warned_at"]),
            models.Index(fields=["updated_at"]),
        ]
        permissions = (("close_earlyfraudwarning", "Can close early fraud warnings"),)

    def __str__(self) -> str:
        return f"{self.fraud_type.replace('_', ' ')} ({self.status})"

    @property
    def status(self) -> str:
        if not self.is_actionable:
            return self.SETTLED
        return self.CLOSED if self.closed_at else self.OPEN

    @property
    def decide_by(self) -> datetime:
        return self.warned_at + DECIDE_WITHIN
