from typing import Any, NoReturn

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from affiliates.errors import LedgerIsAppendOnly
from affiliates.models.affiliate import Affiliate
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES, Money

# In the note of a reversal, between the course and the reason.
REASON_SEPARATOR = ": "


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    """Insert and read only: a mistake is corrected by another entry."""

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

    def payments(self) -> "LedgerQuerySet":
        return self.filter(kind__in=LedgerEntry.PAYMENTS)


class LedgerEntry(models.Model):
    """One entry of an affiliate's account, insert only.

    The amount is signed, in minor units; a positive one is owed to the affiliate. `source_key`
    names the cause and is unique, so that no cause is booked twice. An earning is payable from
    `available_at` on. SQLite and PostgreSQL refuse UPDATE and DELETE (`affiliates.immutability`).
    """

    COMMISSION, REVERSAL, ADJUSTMENT = "commission", "reversal", "adjustment"
    PAYOUT, PAYOUT_CANCELLED = "payout", "payout_cancelled"
    EARNINGS = [COMMISSION, REVERSAL, ADJUSTMENT]
    PAYMENTS = [PAYOUT, PAYOUT_CANCELLED]
    KINDS = [
        (COMMISSION, _("Commission")),
        (REVERSAL, _("Reversal")),
        (ADJUSTMENT, _("Adjustment")),
        (PAYOUT, _("Payout")),
        (PAYOUT_CANCELLED, _("Payout cancelled")),
    ]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: two of those below begin with it, and another one would slow every
    # insert.
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
    # Not a column: the affiliate's pages set it (`Account.mark_pending`).
    is_pending: bool

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(fields=["affiliate", "-created_at", "-id"]),
            models.Index(fields=["affiliate", "currency", "available_at"]),
            # Payouts are few among many entries: without this index PostgreSQL scans the whole
            # history to find them.
            models.Index(
                fields=["affiliate", "currency", "-created_at", "-id"],
                condition=models.Q(kind__in=["payout", "payout_cancelled"]),
                name="payouts_in_the_ledger",
            ),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["kind", "-created_at"]),
            models.Index(fields=["currency", "-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {Money(self.amount, self.currency)}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise LedgerIsAppendOnly
        super().save(force_insert=True, using=options.get("using"))

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise LedgerIsAppendOnly

    @property
    def is_earning(self) -> bool:
        return self.kind in self.EARNINGS

    @property
    def name(self) -> str:
        """Return the kind as affiliates read it; a positive reversal reinstates a commission."""
        is_reinstated = self.kind == self.REVERSAL and self.amount > 0
        return gettext("Reinstatement") if is_reinstated else self.get_kind_display()

    @property
    def subject(self) -> str:
        """Return the course of a sale, the reason of an adjustment or the account of a payout."""
        if self.kind != self.REVERSAL:
            return self.note
        course, separator, _reason = self.note.rpartition(REASON_SEPARATOR)
        return course if separator else self.note


class Balance(models.Model):
    """The sums of one affiliate's entries in one currency, changed in each entry's transaction.

    `pending + payable` is the sum of all entries and `-paid` that of the payouts. `held` is the
    part of them that is on hold (`affiliates.holds`). Entries available up to `matured_through`
    are counted in `payable`. Every change increments `version`.
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
        pending, payable, paid = (
            Money(amount, self.currency) for amount in (self.pending, self.payable, self.paid)
        )
        return f"{pending} pending, {payable} payable, {paid} paid"

    @property
    def earned(self) -> int:
        """Return everything earned less what was reversed, in minor units.

        A payout only moves an amount from payable to paid, so the three together are what was
        earned.
        """
        return self.pending + self.payable + self.paid


class Commission(models.Model):
    """What one sale earned and how much of that is reversed: one row for each enrollment.

    `reversed` is the total that its reversal entries in the ledger add up to.
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
    is_disputed = models.BooleanField(
        "sale in doubt",
        default=False,
        help_text="By a dispute, by money that the bank has, or by an open early fraud warning.",
    )
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
            models.Index(fields=["currency", "-created_at"]),
            models.Index(fields=["updated_at"]),
        ]
        permissions = (("review_commission", "Can hold and release commissions"),)

    def __str__(self) -> str:
        return f"{self.net_money} for {self.course_title}"

    @property
    def net(self) -> int:
        return self.amount - self.reversed

    @property
    def net_money(self) -> Money:
        return Money(self.net, self.currency)

    @property
    def is_held(self) -> bool:
        return self.is_disputed or self.is_under_review
