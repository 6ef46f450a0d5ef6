"""The batches of payouts, each with its payouts and the steps from a draft to a paid batch."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.dateformat import format as format_date
from unfold.decorators import display

from accounts.models import User
from affiliates import payees
from affiliates.models import Affiliate, Payout, PayoutBatch
from affiliates.payouts import sum_of
from maaledu.money import Money
from office.base import ReadOnlyAdmin
from office.cells import once
from office.decisions import Decision
from office.ledger import STATE_COLORS
from office.payout_steps import (
    CANCEL,
    CANCEL_WITH_FILE,
    DRAFT,
    EXPORT,
    PAID,
    RELEASE,
    totals_of,
)

WHO = ("drafted_by", "released_by", "exported_by", "paid_by", "cancelled_by")
MOST_SHOWN = 50  # payouts on a batch's page; all of them are a list
RECIPIENTS = {Affiliate.BANK: "the bank", Affiliate.PAYPAL: "PayPal"}


@admin.register(PayoutBatch)
class PayoutBatchAdmin(ReadOnlyAdmin):
    """Drafted by one, released by another: a batch offers the steps that are possible next."""

    list_display = (
        "payable_on",
        "state",
        "method",
        "count",
        "total",
        "drafted_by",
        "released_by",
        "reference",
    )
    list_filter = ("status", "method", "currency")
    search_fields = ("reference", "drafted_by__email", "released_by__email")
    is_small = True
    ordering = ("-created_at",)
    readonly_fields = (
        "state",
        "minimum_money",
        "count",
        "total",
        "drafted",
        "released",
        "exported",
        "paid",
        "cancelled",
    )
    fields = ("state", "method", "payable_on", "minimum_money", "count", "total", "drafted")
    fields_once_done = ("released", "exported", "paid", "cancelled")
    decisions = {
        "draft": DRAFT,
        "release": RELEASE,
        "export": EXPORT,
        "paid": PAID,
        "cancel": CANCEL,
    }
    change_form_outer_before_template = "admin/affiliates/batch_payouts.html"

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, batch: PayoutBatch) -> str:
        return batch.status

    @admin.display(description="minimum")
    def minimum_money(self, batch: PayoutBatch) -> Money:
        return Money(batch.minimum, batch.currency)

    @admin.display(description="payouts")
    def count(self, batch: PayoutBatch) -> int:
        return _totals(batch)[0]

    @admin.display(description="total")
    def total(self, batch: PayoutBatch) -> Money:
        return Money(_totals(batch)[1], batch.currency)

    @admin.display(description="drafted")
    def drafted(self, batch: PayoutBatch) -> str:
        return _who_and_when(batch.drafted_by, batch.created_at)

    @admin.display(description="released")
    def released(self, batch: PayoutBatch) -> str:
        return _who_and_when(batch.released_by, batch.released_at)

    @admin.display(description="file downloaded")
    def exported(self, batch: PayoutBatch) -> str:
        return _who_and_when(batch.exported_by, batch.exported_at)

    @admin.display(description="paid")
    def paid(self, batch: PayoutBatch) -> str:
        if not batch.paid_by:
            return ""
        return f"{_who_and_when(batch.paid_by, batch.paid_at)}, reference {batch.reference}"

    @admin.display(description="cancelled")
    def cancelled(self, batch: PayoutBatch) -> str:
        return f"by {batch.cancelled_by}: {batch.cancel_reason}" if batch.cancelled_by else ""

    def get_fields(self, request: HttpRequest, obj: PayoutBatch | None = None) -> list[str]:
        done = [name for name in self.fields_once_done if obj and getattr(self, name)(obj)]
        return [*self.fields, *done]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Read the sums of a page of batches by one query, not by one for each."""
        changelist = super().get_changelist_instance(request)
        totals = totals_of(changelist.result_list)
        for batch in changelist.result_list:
            batch.totals = totals[batch.pk]
        return changelist

    def get_queryset(self, request: HttpRequest) -> QuerySet[PayoutBatch]:
        return super().get_queryset(request).select_related(*WHO)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        batch = self.get_object(request, object_id)
        if batch is None:
            raise Http404
        context = {**(extra_context or {}), **_context(batch, request.user)}
        return super().change_view(request, object_id, form_url, context)

    def variant(self, decision: Decision, row: PayoutBatch) -> Decision:
        if decision is CANCEL and row.exported_at:
            return CANCEL_WITH_FILE
        if decision is EXPORT:
            return replace(EXPORT, label=f"{EXPORT.label} for {RECIPIENTS[row.method]}")
        return decision

    def facts(self, batch: PayoutBatch) -> list[tuple[str, str]]:
        count, amount = totals_of([batch])[batch.pk]
        payable_on = format_date(batch.payable_on, "F j, Y")
        facts = [
            ("Batch", f"{batch.get_method_display()}, payable on {payable_on}"),
            ("Status", batch.status),
            ("Payouts", str(count)),
            ("Total", str(Money(amount, batch.currency))),
            ("Drafted", _who_and_when(batch.drafted_by, batch.created_at)),
            ("Released", _who_and_when(batch.released_by, batch.released_at)),
            ("File downloaded", _who_and_when(batch.exported_by, batch.exported_at)),
        ]
        return [(label, value) for label, value in facts if value]


def _context(batch: PayoutBatch, user: Any) -> dict[str, Any]:
    """Return what is shown above the fields of a batch: its payouts, and who must wait."""
    payouts = batch.payouts.select_related("affiliate").order_by("created_at", "pk")
    found = list(payouts[: MOST_SHOWN + 1])
    live = [each for each in found if each.status != Payout.CANCELLED]
    all_of_it = f"{reverse('admin:affiliates_payout_changelist')}?{urlencode({'q': batch.pk})}"
    return {
        "sum": sum_of(live, batch),
        "all_url": all_of_it if len(found) > MOST_SHOWN else "",
        "payouts": [(each, STATE_COLORS[each.status]) for each in found[:MOST_SHOWN]],
        "waiting": payees.describe_waiting(payees.waiting(batch)),
        "is_own_draft": batch.status == PayoutBatch.DRAFT and batch.drafted_by_id == user.pk,
        "may_cancel": user.has_perm("affiliates.settle_payoutbatch"),
    }


@once
def _totals(batch: PayoutBatch) -> tuple[int, int]:
    return getattr(batch, "totals", None) or totals_of([batch])[batch.pk]


def _who_and_when(who: User | None, when: datetime | None) -> str:
    return f"{who}, {format_date(when, 'F j, Y, H:i')} UTC" if who and when else ""
