"""Payouts, as staff see them."""

from dataclasses import replace

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from accounts.models import User
from affiliates import payout_files, payouts
from affiliates.errors import PayoutRefused
from affiliates.models import Payout, PayoutItem
from maaledu.money import Money
from office.base import ReadOnlyInline
from office.cells import day, enrollment_link, link, url_of
from office.decisions import ONE_ROW, USER, Decision, Outcome
from office.fields import ReasonForm
from office.filters import DaysFilter
from office.ledger import STATE_COLORS, AccountAdmin
from office.payout_forms import NotPaidForm


def _cancel(payout: Payout, *, by: User, reason: str, not_sent: bool = False) -> Outcome:
    if not payouts.cancel(payout, by=by, reason=reason, not_sent=not_sent):
        raise PayoutRefused("This payout is cancelled already.")
    amount, payee = _money(payout), payout.payee_name or payout.details_hint
    return Outcome(f"cancelled: {amount} to {payee}: {reason}")


CANCEL = Decision(
    "Cancel payout",
    run=_cancel,
    permission="affiliates.settle_payoutbatch",
    done="cancelled",
    form=ReasonForm,
    consequence=(
        "The amount is back on the affiliate's account, and its entries are free for the next"
        " draft."
    ),
    statuses=tuple(Payout.LIVE),
    run_by=USER,
    scope=ONE_ROW,
)
CANCEL_WITH_FILE = replace(
    CANCEL,
    form=NotPaidForm,
    consequence=(
        "The file of its batch was downloaded. If the bank or PayPal pays this payout all the same,"
        " the affiliate is paid twice."
    ),
)


class ItemInline(ReadOnlyInline):
    """What a payout is made of, entry by entry."""

    model = PayoutItem
    verbose_name_plural = "entries"
    fields = ("sale", "entry_link", "booked", "money")
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
    def money(self, item: PayoutItem) -> Money:
        return Money(item.amount, item.entry.currency)


@admin.register(Payout)
class PayoutAdmin(AccountAdmin):
    """One payout of a batch; also found by the id that the bank and PayPal know it by."""

    list_display = ("created_at", "affiliate", "money", "state", "batch", "details_hint")
    list_filter = (("created_at", DaysFilter), "status", "currency")
    sortable_by = ("created_at",)
    summed = "amount"
    views = (
        ("Drafted", {"status__exact": Payout.DRAFT}),
        ("Released", {"status__exact": Payout.RELEASED}),
        ("Paid", {"status__exact": Payout.PAID}),
    )
    csv_columns = {
        "Drafted": "created_at",
        "Status": "status",
        "Affiliate": "affiliate.name",
        "Code": "affiliate.code",
        "Payee": "payee_name",
        "Account": "details_hint",
        "Amount": "amount",
        "Currency": "currency",
        "Paid": "batch.paid_at",
        "Reference": "batch.reference",
        "Why cancelled": "cancel_reason",
        "Batch": "batch_id",
        "Payout": "pk",
    }
    search_help_text = "Code or e-mail address of an affiliate, the id in the file, or a whole id"
    id_fields = ("pk", "batch_id", "affiliate_id")
    list_select_related = ("affiliate", "batch")
    readonly_fields = ("money", "state", "payment_id")
    fields = (
        "state",
        "money",
        "affiliate",
        "payee_name",
        "details_hint",
        "batch",
        "payment_id",
        "created_at",
        "cancel_reason",
    )
    inlines = (ItemInline,)
    decisions = {"cancel": CANCEL}

    def named_by(self, text: str) -> Q:
        return super().named_by(text) | Q(pk=payout_files.payout_of(text))

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, payout: Payout) -> str:
        return payout.status

    @admin.display(description="amount", ordering="amount")
    def money(self, payout: Payout) -> Money:
        return _money(payout)

    @admin.display(description="id in the file")
    def payment_id(self, payout: Payout) -> str:
        return payout_files.payment_id(payout.pk)

    def variant(self, decision: Decision, row: Payout) -> Decision:
        return CANCEL_WITH_FILE if row.batch.exported_at else decision

    def facts(self, payout: Payout) -> list[tuple[str, str]]:
        return [
            ("Affiliate", str(payout.affiliate)),
            ("Amount", f"{_money(payout)}, {payout.entry_count} entries"),
            ("Account", f"{payout.payee_name} {payout.details_hint}"),
            ("Batch", str(payout.batch)),
            ("Status", payout.status),
        ]


def _money(payout: Payout) -> Money:
    return Money(payout.amount, payout.currency)
