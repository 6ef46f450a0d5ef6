from django.db import models
from django.utils import timezone

from affiliates.models.affiliate import Affiliate
from maaledu.db import new_id


class FraudSignal(models.Model):
    """Something about an affiliate's sales for a person to review; it refuses nothing by itself."""

    SAME_ADDRESS, SAME_DEVICE, ALIAS_EMAIL = "same_address", "same_device", "alias_email"
    ONE_ADDRESS, REFUND_RATE, GRANTS_ONLY, SHARED_ACCOUNT = (
        "one_address",
        "refund_rate",
        "grants_only",
        "shared_account",
    )
    KINDS = [
        (SAME_ADDRESS, "A purchase from the affiliate's own address"),
        (SAME_DEVICE, "A purchase on the affiliate's own device"),
        (ALIAS_EMAIL, "A purchase with a variant of the affiliate's e-mail"),
        (ONE_ADDRESS, "Many purchases from one address"),
        (REFUND_RATE, "Many sales refunded"),
        (GRANTS_ONLY, "Used only with grants of 90 % and more"),
        (SHARED_ACCOUNT, "Paid to the same account as another affiliate"),
    ]
    OPEN, CLEARED, CONFIRMED = "open", "cleared", "confirmed"
    TRANSITIONS = {
        OPEN: [],
        CLEARED: [OPEN, CONFIRMED],
        CONFIRMED: [OPEN, CLEARED],
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, related_name="signals")
    kind = models.CharField(max_length=16, choices=KINDS)
    dedupe_key = models.CharField(max_length=120, unique=True)
    enrollment_id = models.UUIDField(null=True, blank=True)
    detail = models.CharField(max_length=300)
    status = models.CharField(max_length=10, choices=[(s, s) for s in TRANSITIONS], default=OPEN)
    reviewed_by = models.CharField(max_length=140, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "fraud signal"
        indexes = [
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["affiliate", "status"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["enrollment_id"]),
        ]
        permissions = (("review_fraudsignal", "Can review fraud signals"),)

    def __str__(self) -> str:
        return self.get_kind_display()
