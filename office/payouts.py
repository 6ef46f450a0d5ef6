"""Payouts, as staff see them."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from accounts.models import User
from affiliates import payout_files, payouts
from affiliates.errors import PayoutRefused
from affiliates.models import Payout, PayoutItem
from maaledu.money import format_money
from office import confirming
from office.base import ReadOnlyInline, day, enrollment_link, link
from office.confirming import Step, url_of
from office.ledger import STATE_COLORS, AccountAdmin
from office.payout_forms import NotPaidForm, ReasonForm


def _cancel(payout: Payout, typed: dict[str, Any], by: User) -> str:
    if not payouts.cancel(
        payout, by=by, reason=typed["reason"], not_sent=typed.get("not_sent", False)
    ):
        raise PayoutRefused("This payout is cancelled already.")
    return (
        f"cancelled: {payout.amount_display} to {payout.payee_name or payout.details_hint}:"
        f" {typed['reason']}"
    )


CANCEL = Step(
    "Cancel payout",
    "The amount is back on the affiliate's account, and its entries are free for the next draft.",
    _cancel,
    ReasonForm,
)


CANCEL_WITH_FILE = Step(
    "Cancel payout",
    "The file of its batch was downloaded. If the bank or PayPal pays this payout all the same, the"
    " affiliate is paid twice.",
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
    fields = (
        "state",
        "amount_sum",
        "affiliate",
        "payee_name",
        "details_hint",
        "batch",
        "payment_id",
        "created_at",
        "cancel_reason",
    )
    inlines = (ItemInline,)
    actions_detail = ["cancel_one"]

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
        return confirming.ask(
            self,
            request,
            payout,
            CANCEL_WITH_FILE if payout.batch.exported_at else CANCEL,
            facts=facts,
        )
