"""An affiliate's account as staff read it: the ledger, the balances, the payouts. Nothing here is added, edited or deleted."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.dateformat import format as format_date
from django.utils.html import format_html
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from accounts.models import User
from affiliates import payout_files, payouts
from affiliates.errors import PayoutRefused
from affiliates.lines import rate_text
from affiliates.models import Affiliate, Balance, LedgerEntry, Payout, PayoutItem
from enrollments import confirming
from enrollments.confirming import Step, url_of
from enrollments.payout_forms import NotPaidForm, ReasonForm
from maaledu.admin import ReadOnlyAdmin, ReadOnlyInline
from maaledu.money import format_money

KIND_COLORS = {
    LedgerEntry.COMMISSION: "success",
    LedgerEntry.REVERSAL: "danger",
    LedgerEntry.ADJUSTMENT: "warning",
    LedgerEntry.PAYOUT: "info",
    LedgerEntry.PAYOUT_CANCELLED: "warning",
}
STATE_COLORS = {Payout.DRAFT: "info", Payout.RELEASED: "warning", Payout.PAID: "success", Payout.CANCELLED: "danger"}
MOST_FOUND = 100


def link(url: str, text: Any) -> str:
    return format_html('<a class="text-primary-600 underline dark:text-primary-400" href="{}">{}</a>', url, text)


def enrollment_link(enrollment_id: UUID | None, text: str = "") -> str:
    if enrollment_id is None:
        return text
    return link(reverse("admin:enrollments_enrollment_change", args=[enrollment_id]), text or enrollment_id)


def day(moment: datetime) -> str:
    return format_date(moment, "M j, Y")


class AccountAdmin(ReadOnlyAdmin):
    """What belongs to an affiliate, found by the affiliate's code or address.

    The affiliates are looked up first: a million rows are not joined and scanned to find one of them.
    """

    search_fields: ClassVar[tuple[str, ...]] = ("affiliate__code", "affiliate__email")
    search_help_text = "Code or e-mail address of an affiliate, or a whole id"
    ordering = ("-created_at",)
    list_select_related: ClassVar[tuple[str, ...]] = ("affiliate",)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        owners = Affiliate.objects.filter(Q(code__iexact=text) | Q(email__icontains=text)).values_list("pk", flat=True)[:MOST_FOUND]
        return queryset.filter(self.named_by(text) | Q(affiliate_id__in=list(owners))), False

    def named_by(self, text: str) -> Q:
        """Return which rows a whole id names."""
        try:
            wanted = UUID(text)
        except ValueError:
            return Q(pk__in=[])
        return Q.create([(field, wanted) for field in self.id_fields], connector=Q.OR)


# --- the ledger and its sums -----------------------------------------------------------------------------------------
@admin.register(LedgerEntry)
class LedgerEntryAdmin(AccountAdmin):
    list_display = ("created_at", "affiliate", "what", "amount_display", "available_from", "note")
    list_filter = ("kind", "currency")
    search_help_text = "Code or e-mail address of an affiliate, source key, or a whole id of a sale, a payout or an entry"
    id_fields = ("pk", "enrollment_id", "payout_id")
    readonly_fields = ("what", "amount_display", "arithmetic", "sale", "payout", "paid_in")
    fields = (
        *("created_at", "what", "affiliate", "amount_display", "arithmetic", "available_at", "paid_in", "sale", "payout"),
        *("source_key", "created_by", "note"),
    )

    def named_by(self, text: str) -> Q:
        return super().named_by(text) | Q(source_key=text)

    @display(description="kind", ordering="kind", label=KIND_COLORS)
    def what(self, entry: LedgerEntry) -> tuple[str, str]:
        return entry.kind, entry.get_kind_display()

    @admin.display(description="amount", ordering="amount")
    def amount_display(self, entry: LedgerEntry) -> str:
        return entry.amount_display

    @admin.display(description="available from", ordering="available_at")
    def available_from(self, entry: LedgerEntry) -> str:
        return day(entry.available_at)

    @admin.display(description="base x rate")
    def arithmetic(self, entry: LedgerEntry) -> str:
        return f"{entry.base_display} x {rate_text(entry.rate_basis_points)}" if entry.rate_basis_points is not None else ""

    @admin.display(description="sale")
    def sale(self, entry: LedgerEntry) -> str:
        return enrollment_link(entry.enrollment_id)

    @admin.display(description="payout")
    def payout(self, entry: LedgerEntry) -> str:
        return payout_link(Payout.objects.filter(pk=entry.payout_id).first()) if entry.payout_id else ""

    @admin.display(description="paid in")
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
    list_display = ("affiliate", "pending_sum", "payable_sum", "paid_sum", "held_sum", "explained")
    list_filter = ("currency",)
    ordering = ("-payable",)
    id_fields = ("pk", "affiliate_id")
    readonly_fields = ("pending_sum", "payable_sum", "paid_sum", "held_sum", "explained")
    fields = ("affiliate", "pending_sum", "payable_sum", "paid_sum", "held_sum", "matured_through", "matures_at", "explained")

    @admin.display(description="pending", ordering="pending")
    def pending_sum(self, balance: Balance) -> str:
        return balance.pending_display

    @admin.display(description="payable", ordering="payable")
    def payable_sum(self, balance: Balance) -> str:
        return balance.payable_display

    @admin.display(description="paid", ordering="paid")
    def paid_sum(self, balance: Balance) -> str:
        return balance.paid_display

    @admin.display(description="on hold", ordering="held")
    def held_sum(self, balance: Balance) -> str:
        return balance.held_display

    @admin.display(description="made of")
    def explained(self, balance: Balance) -> str:
        filters = {"affiliate__id__exact": balance.affiliate_id, "currency__exact": balance.currency}
        return link(reverse("admin:affiliates_ledgerentry_changelist", query=filters), "Entries")


# --- payouts ---------------------------------------------------------------------------------------------------------
def _cancel(payout: Payout, typed: dict[str, Any], by: User) -> str:
    if not payouts.cancel(payout, by=by, reason=typed["reason"], not_sent=typed.get("not_sent", False)):
        raise PayoutRefused("This payout is cancelled already.")
    return f"cancelled: {payout.amount_display} to {payout.payee_name or payout.details_hint}: {typed['reason']}"


CANCEL = Step(
    "Cancel payout", "The amount is back on the affiliate's account, and its entries are free for the next draft.", _cancel, ReasonForm
)
CANCEL_WITH_FILE = Step(
    "Cancel payout",
    "The file of its batch was downloaded. If the bank or PayPal pays this payout all the same, the affiliate is paid twice.",
    _cancel,
    NotPaidForm,
)


class ItemInline(ReadOnlyInline):
    """What a payout is made of, entry by entry."""

    model = PayoutItem
    verbose_name_plural = "entries"
    fields = ("sale", "entry_link", "booked", "amount_display")
    readonly_fields = fields
    show_change_link = False
    hide_title = True
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("entry").order_by("pk")

    @admin.display(description="entry")
    def entry_link(self, item: PayoutItem) -> str:
        return link(url_of(item.entry), item.entry.get_kind_display())

    @admin.display(description="booked")
    def booked(self, item: PayoutItem) -> str:
        return day(item.entry.created_at)

    @admin.display(description="sale")
    def sale(self, item: PayoutItem) -> str:
        return enrollment_link(item.entry.enrollment_id, item.entry.note)

    @admin.display(description="amount")
    def amount_display(self, item: PayoutItem) -> str:
        return format_money(item.amount, item.entry.currency)


@admin.register(Payout)
class PayoutAdmin(AccountAdmin):
    """One line of a batch; also found by the id that the bank and PayPal know it by."""

    list_display = ("created_at", "affiliate", "amount_sum", "state", "batch", "details_hint")
    list_filter = ("status", "currency")
    search_help_text = "Code or e-mail address of an affiliate, the id in the file, or a whole id"
    id_fields = ("pk", "batch_id", "affiliate_id")
    list_select_related = ("affiliate", "batch")
    readonly_fields = ("amount_sum", "state", "payment_id")
    fields = ("state", "amount_sum", "affiliate", "payee_name", "details_hint", "batch", "payment_id", "created_at", "cancel_reason")
    inlines = (ItemInline,)
    actions_detail: ClassVar[list[str]] = ["cancel_one"]

    def named_by(self, text: str) -> Q:
        return super().named_by(text) | Q(pk=payout_files.payout_of(text))

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, payout: Payout) -> str:
        return payout.status

    @admin.display(description="amount", ordering="amount")
    def amount_sum(self, payout: Payout) -> str:
        return payout.amount_display

    @admin.display(description="id in the file")
    def payment_id(self, payout: Payout) -> str:
        return payout_files.payment_id(payout.pk)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        payout = self.get_object(request, object_id)
        is_live = payout is not None and payout.status in Payout.LIVE
        return super().get_actions_detail(request, object_id) if is_live else []

    def has_settle_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("affiliates.settle_payoutbatch")

    @action(description="Cancel payout", url_path="cancel", permissions=["settle"])
    def cancel_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payout = self.get_object(request, object_id)
        if payout is None:
            raise Http404
        facts = [
            ("Affiliate", str(payout.affiliate)),
            ("Amount", f"{payout.amount_display}, {payout.entry_count} entries"),
            ("Account", f"{payout.payee_name} {payout.details_hint}"),
            ("Batch", str(payout.batch)),
            ("Status", payout.status),
        ]
        return confirming.ask(self, request, payout, CANCEL_WITH_FILE if payout.batch.exported_at else CANCEL, facts=facts)
