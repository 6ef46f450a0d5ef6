from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from affiliates.models.affiliate import Affiliate
from affiliates.models.ledger import LedgerEntry
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money

DRAFT, RELEASED, PAID, CANCELLED = "draft", "released", "paid", "cancelled"
STATUSES = [(status, status) for status in (DRAFT, RELEASED, PAID, CANCELLED)]


class PayoutBatch(models.Model):
    """Payouts in one currency by one method: drafted by one person, released by another, paid."""

    DRAFT, RELEASED, PAID, CANCELLED = DRAFT, RELEASED, PAID, CANCELLED
    TRANSITIONS = {
        DRAFT: [],
        RELEASED: [DRAFT],
        PAID: [RELEASED],
        CANCELLED: [DRAFT, RELEASED],
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    method = models.CharField(max_length=10, choices=Affiliate.PAYABLE_METHODS)
    payable_on = models.DateField(
        help_text="Entries that are available by the end of this day (UTC) are in it."
    )
    minimum = models.PositiveBigIntegerField(
        help_text="Minor units; less than this stays on the balance."
    )
    status = models.CharField(max_length=10, choices=STATUSES, default=DRAFT)
    drafted_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    released_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    released_at = models.DateTimeField(null=True, blank=True)
    paid_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    paid_at = models.DateTimeField(null=True, blank=True)
    reference = models.CharField(
        max_length=80, blank=True, help_text="What the bank or PayPal calls it."
    )
    exported_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    exported_at = models.DateTimeField(
        null=True, blank=True, help_text="When its file was last made: it may be at the bank."
    )
    cancelled_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    cancel_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "payout batch"
        verbose_name_plural = "payout batches"
        constraints = [
            # MongoDB does not enforce these two; the WHERE of `payouts.release` does so everywhere.
            models.CheckConstraint(
                condition=Q(released_by=None) | ~Q(released_by=F("drafted_by")),
                name="released_by_another_person",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[DRAFT, CANCELLED]) | ~Q(released_by=None),
                name="released_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["-created_at"]),
        ]
        permissions = (
            ("draft_payoutbatch", "Can draft payouts"),
            ("release_payoutbatch", "Can release payouts that somebody else drafted"),
            ("settle_payoutbatch", "Can mark payouts paid and cancel them"),
            ("export_payoutbatch", "Can download payout files with account details"),
        )

    def __str__(self) -> str:
        return (
            f"{self.get_method_display()} in {self.currency.upper()}, {self.payable_on:%Y-%m-%d}"
            f" ({self.status})"
        )


class Payout(models.Model):
    """What one affiliate gets in one batch: the sum of its items, to the account of the draft."""

    DRAFT, RELEASED, PAID, CANCELLED = DRAFT, RELEASED, PAID, CANCELLED
    TRANSITIONS = {
        DRAFT: [],
        RELEASED: [DRAFT],
        PAID: [RELEASED],
        CANCELLED: [DRAFT, RELEASED, PAID],  # from paid: the bank sent it back
    }
    LIVE = [DRAFT, RELEASED, PAID]
    BOOKED = [RELEASED, PAID]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, related_name="payouts")
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, related_name="payouts")
    amount = models.PositiveBigIntegerField(help_text="Minor units.")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    entry_count = models.PositiveIntegerField()
    payee_name = models.CharField(max_length=140)
    details_sealed = models.TextField()
    details_hint = models.CharField(max_length=80)
    status = models.CharField(max_length=10, choices=STATUSES, default=DRAFT)
    cancel_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "affiliate"], name="one_payout_per_affiliate_and_batch"
            ),
        ]
        indexes = [
            models.Index(fields=["affiliate", "-created_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["updated_at"]),
        ]

    def __str__(self) -> str:
        return f"{Money(self.amount, self.currency)} ({self.status})"


class PayoutItem(models.Model):
    """One ledger entry in one payout; a unique index allows it one row where `is_live`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="items")
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="payout_items")
    affiliate_id = models.UUIDField(db_index=True)
    amount = models.BigIntegerField(help_text="Minor units, the entry's.")
    is_live = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["entry"], condition=Q(is_live=True), name="one_live_payout_per_entry"
            ),
        ]

    def __str__(self) -> str:
        return str(Money(self.amount, self.payout.currency))
