"""An affiliate's account as staff read it: ledger and balances, which nobody edits."""

from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import display

from affiliates.models import Affiliate, Balance, LedgerEntry, Payout, PayoutItem
from maaledu.money import Money, rate_text
from maaledu.unions import starting_with
from office.base import ReadOnlyAdmin
from office.cells import day, enrollment_link, link, once, url_of
from office.filters import DaysFilter

KIND_COLORS = {
    LedgerEntry.COMMISSION: "success",
    LedgerEntry.REVERSAL: "danger",
    LedgerEntry.ADJUSTMENT: "warning",
    LedgerEntry.PAYOUT: "info",
    LedgerEntry.PAYOUT_CANCELLED: "warning",
}
# By the label: the page of an entry shows a pair of kind and label as that pair.
LABEL_COLORS = {label: KIND_COLORS[kind] for kind, label in LedgerEntry.KINDS}
STATE_COLORS = {
    Payout.DRAFT: "info",
    Payout.RELEASED: "warning",
    Payout.PAID: "success",
    Payout.CANCELLED: "danger",
}
MOST_FOUND = 100


class AccountAdmin(ReadOnlyAdmin):
    """What belongs to an affiliate, found by the affiliate's code or address.

    The affiliates are looked up first, so that a search does not join and scan a million rows.
    """

    search_fields = ("affiliate__code", "affiliate__email")
    search_help_text = "Code or e-mail address of an affiliate, or a whole id"
    ordering = ("-created_at",)
    list_select_related: tuple[str, ...] = ("affiliate",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        begins = starting_with("email", text.lower())
        affiliates = Affiliate.objects.filter(Q(code=text.lower()) | begins)
        owners = list(affiliates.values_list("pk", flat=True)[:MOST_FOUND])
        return queryset.filter(self.named_by(text) | Q(affiliate_id__in=owners)), False

    def named_by(self, text: str) -> Q:
        """Return which rows a whole id names."""
        try:
            wanted = UUID(text)
        except ValueError:
            return Q(pk__in=[])
        return Q.create([(field, wanted) for field in self.id_fields], connector=Q.OR)


# --- the ledger and its sums ----------------------------------------------------------------------
@admin.register(LedgerEntry)
class LedgerEntryAdmin(AccountAdmin):
    list_display = ("created_at", "affiliate", "what", "money", "available_from", "note")
    list_filter = (("created_at", DaysFilter), "kind", "currency")
    sortable_by = ("created_at",)
    summed = "amount"
    views = tuple((label, {"kind__exact": kind}) for kind, label in LedgerEntry.KINDS)
    csv_columns = {
        "Booked": "created_at",
        "Affiliate": "affiliate.name",
        "Code": "affiliate.code",
        "Kind": "kind",
        "Amount": "amount",
        "Currency": "currency",
        "Available from": "available_at",
        "Note": "note",
        "Booked by": "created_by",
        "Sale": "enrollment_id",
        "Payout": "payout_id",
        "Cause": "source_key",
    }
    search_help_text = (
        "Code or e-mail address of an affiliate, source key, or a whole id of a sale, a payout or"
        " an entry"
    )
    id_fields = ("pk", "enrollment_id", "payout_id")
    readonly_fields = ("what", "money", "arithmetic", "sale", "payout", "paid_in")
    fields = (
        "created_at",
        "what",
        "affiliate",
        "money",
        "arithmetic",
        "available_at",
        "paid_in",
        "sale",
        "payout",
        "source_key",
        "created_by",
        "note",
    )

    def named_by(self, text: str) -> Q:
        return super().named_by(text) | Q(source_key=text)

    @display(description="kind", ordering="kind", label=LABEL_COLORS)
    def what(self, entry: LedgerEntry) -> str:
        return entry.get_kind_display()

    @admin.display(description="amount", ordering="amount")
    def money(self, entry: LedgerEntry) -> Money:
        return Money(entry.amount, entry.currency)

    @admin.display(description="available from", ordering="available_at")
    def available_from(self, entry: LedgerEntry) -> str:
        return day(entry.available_at)

    @admin.display(description="base x rate")
    def arithmetic(self, entry: LedgerEntry) -> str:
        if entry.base is None or entry.rate_basis_points is None:
            return ""
        base = Money(entry.base, entry.currency)
        return f"{base} x {rate_text(entry.rate_basis_points)}"

    @admin.display(description="sale")
    def sale(self, entry: LedgerEntry) -> str:
        return enrollment_link(entry.enrollment_id)

    @admin.display(description="payout")
    @once
    def payout(self, entry: LedgerEntry) -> str:
        if not entry.payout_id:
            return ""
        return payout_link(Payout.objects.filter(pk=entry.payout_id).first())

    @admin.display(description="paid in")
    @once
    def paid_in(self, entry: LedgerEntry) -> str:
        return payout_link(live_payout_of(entry))


def live_payout_of(entry: LedgerEntry) -> Payout | None:
    """Return the payout that an entry is in, drafted, released or paid."""
    item = PayoutItem.objects.filter(entry=entry, is_live=True).select_related("payout").first()
    return item.payout if item else None


def payout_link(payout: Payout | None) -> str:
    return link(url_of(payout), payout) if payout else ""


@admin.register(Balance)
class BalanceAdmin(AccountAdmin):
    list_display = (
        "affiliate",
        "pending_money",
        "payable_money",
        "paid_money",
        "held_money",
        "explained",
    )
    list_filter = ("currency",)
    ordering = ("-payable",)
    summed = "payable"
    csv_columns = {
        "Affiliate": "affiliate.name",
        "Code": "affiliate.code",
        "E-mail": "affiliate.email",
        "Pending": "pending",
        "Payable": "payable",
        "Paid": "paid",
        "On hold": "held",
        "Currency": "currency",
    }
    id_fields = ("pk", "affiliate_id")
    readonly_fields = ("pending_money", "payable_money", "paid_money", "held_money", "explained")
    fields = (
        "affiliate",
        "pending_money",
        "payable_money",
        "paid_money",
        "held_money",
        "matured_through",
        "matures_at",
        "explained",
    )

    @admin.display(description="pending", ordering="pending")
    def pending_money(self, balance: Balance) -> Money:
        return Money(balance.pending, balance.currency)

    @admin.display(description="payable", ordering="payable")
    def payable_money(self, balance: Balance) -> Money:
        return Money(balance.payable, balance.currency)

    @admin.display(description="paid", ordering="paid")
    def paid_money(self, balance: Balance) -> Money:
        return Money(balance.paid, balance.currency)

    @admin.display(description="on hold", ordering="held")
    def held_money(self, balance: Balance) -> Money:
        return Money(balance.held, balance.currency)

    @admin.display(description="made of")
    def explained(self, balance: Balance) -> str:
        filters = {
            "affiliate__id__exact": balance.affiliate_id,
            "currency__exact": balance.currency,
        }
        return link(reverse("admin:affiliates_ledgerentry_changelist", query=filters), "Entries")
