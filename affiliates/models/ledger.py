from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

from affiliates.errors import LedgerIsAppendOnly
from affiliates.models.affiliate import Affiliate
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, format_money


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    """Insert and read. What an entry got wrong, another entry puts right."""

    def update(self, **changes: Any) -> NoReturn:
        raise LedgerIsAppendOnly

    def delete(self) -> NoReturn:
        raise LedgerIsAppendOnly

    def bulk_update(self, *args: Any, **options: Any) -> NoReturn:
        raise LedgerIsAppendOnly

    def of(self, affiliate_id: Any, currency: str) -> "LedgerQuerySet":
        return self.filter(affiliate_id=affiliate_id, currency=currency)

    def earnings(self) -> "LedgerQuerySet":
        return self.filter(kind__in=LedgerEntry.EARNINGS)

    def movements_of_money(self) -> "LedgerQuerySet":
        return self.filter(kind__in=LedgerEntry.PAYMENTS)


class LedgerEntry(models.Model):
    """One line of an affiliate's account, in signed minor units: plus is owed to the affiliate.
    Insert only.

    `source_key` names the cause and is unique, so that no cause is booked twice. An earning counts
    as payable from `available_at` on. The database itself refuses UPDATE and DELETE where it can
    (`affiliates.immutability`).
    """

    COMMISSION, REVERSAL, ADJUSTMENT = "commission", "reversal", "adjustment"
    PAYOUT, PAYOUT_CANCELLED = "payout", "payout_cancelled"
    EARNINGS = [COMMISSION, REVERSAL, ADJUSTMENT]
    PAYMENTS = [PAYOUT, PAYOUT_CANCELLED]
    KINDS = [
        (COMMISSION, "Commission"),
        (REVERSAL, "Reversal"),
        (ADJUSTMENT, "Adjustment"),
        (PAYOUT, "Payout"),
        (PAYOUT_CANCELLED, "Payout cancelled"),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: those below begin with it, and one more would only cost each entry
    # another write.
    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    kind = models.CharField(max_length=16, choices=KINDS)
    amount = models.BigIntegerField(help_text="Minor units; plus is owed to the affiliate.")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    base = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Minor units that the rate was applied to."
    )
    rate_basis_points = models.PositiveIntegerField(null=True, blank=True)
    enrollment_id = models.UUIDField(null=True, blank=True, db_index=True)
    payout_id = models.UUIDField(null=True, blank=True, db_index=True)
    source_key = models.CharField(max_length=120, unique=True)
    available_at = models.DateTimeField()
    created_by = models.CharField(max_length=140)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(fields=["affiliate", "-created_at", "-id"]),
            models.Index(fields=["affiliate", "currency", "available_at"]),
            # Few among very many: without an index of their own the planner looks for them in the
            # whole history.
            models.Index(
                fields=["affiliate", "currency", "-created_at", "-id"],
                condition=models.Q(kind__in=["payout", "payout_cancelled"]),
                name="payouts_in_the_ledger",
            ),
            models.Index(fields=["-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount_display}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise LedgerIsAppendOnly
        super().save(force_insert=True, using=options.get("using"))

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise LedgerIsAppendOnly

    @property
    def amount_display(self) -> str:
        return format_money(self.amount, self.currency)

    @property
    def base_display(self) -> str:
        return format_money(self.base, self.currency) if self.base is not None else ""


class Balance(models.Model):
    """What the entries of one affiliate and currency add up to, moved in the same transaction as
    each entry.

    `pending + payable` is the sum of all entries and `-paid` that of the payouts; `held` is counted
    in the first two and on hold: sales in doubt that no booked payout has taken
    (`affiliates.holds`). Entries up to `matured_through` stand in `payable`. Every change raises
    `version`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, related_name="balances")
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    pending = models.BigIntegerField(default=0)
    payable = models.BigIntegerField(default=0)
    paid = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    matured_through = models.DateTimeField(default=timezone.now)
    matures_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When the next pending entry becomes payable.",
    )
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["affiliate", "currency"], name="one_balance_per_affiliate_and_currency"
            ),
        ]
        indexes = [models.Index(fields=["currency", "payable"])]

    def __str__(self) -> str:
        return (
            f"{self.pending_display} pending, {self.payable_display} payable, {self.paid_display}"
            " paid"
        )

    @property
    def pending_display(self) -> str:
        return format_money(self.pending, self.currency)

    @property
    def payable_display(self) -> str:
        return format_money(self.payable, self.currency)

    @property
    def paid_display(self) -> str:
        return format_money(self.paid, self.currency)

    @property
    def held_display(self) -> str:
        return format_money(self.held, self.currency)


class Commission(models.Model):
    """What one sale earned and how much of it was taken back: one row per enrollment, beside its
    ledger entries.

    Reversals are a target: `reversed` says how much is taken back in all, and an entry is written
    for each step there.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrollment_id = models.UUIDField(unique=True)
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, related_name="commissions")
    course_slug = models.CharField(max_length=140)
    course_title = models.CharField(max_length=200)
    base = models.PositiveBigIntegerField(
        help_text="Minor units: the list price before any discount."
    )
    rate_basis_points = models.PositiveIntegerField()
    amount = models.PositiveBigIntegerField(help_text="Minor units.")
    reversed = models.PositiveBigIntegerField(
        default=0, help_text="Minor units, at most the amount."
    )
    currency = models.CharField(max_length=3, choices=CURRENCY_CHOICES)
    steps = models.PositiveIntegerField(default=0, help_text="How many reversal entries there are.")
    is_disputed = models.BooleanField(default=False)
    is_under_review = models.BooleanField(default=False)
    review_note = models.CharField(max_length=300, blank=True)
    available_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["affiliate", "-created_at"]),
            models.Index(fields=["affiliate", "is_disputed"]),
            models.Index(fields=["affiliate", "is_under_review"]),
            models.Index(fields=["-created_at"]),
        ]
        permissions = (("review_commission", "Can hold and release commissions"),)

    def __str__(self) -> str:
        return f"{format_money(self.net, self.currency)} for {self.course_title}"

    @property
    def net(self) -> int:
        return self.amount - self.reversed

    @property
    def is_held(self) -> bool:
        return self.is_disputed or self.is_under_review
