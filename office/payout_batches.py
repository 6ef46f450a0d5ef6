"""The batches of payouts, each with its payouts and the steps from a draft to a paid batch."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.dateformat import format as format_date
from unfold.decorators import display

from accounts.models import User
from affiliates import payees
from affiliates.models import Affiliate, Payout, PayoutBatch
from affiliates.payouts import sum_of
from maaledu.money import format_money
from office.base import ReadOnlyAdmin
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
RECIPIENTS = {Affiliate.BANK: "the bank", Affiliate.PAYPAL: "PayPal"}


@admin.register(PayoutBatch)
class PayoutBatchAdmin(ReadOnlyAdmin):
    """Drafted by one, released by another: the desk shows which of the steps is next, and `payouts`
    decides.
    """

    list_display = (
        "payable_on",
        "state",
        "method",
        "lines",
        "total",
        "drafted_by",
        "released_by",
        "reference",
    )
    list_filter = ("status", "method", "currency")
    search_fields = ("reference", "drafted_by__email", "released_by__email")
    ordering = ("-created_at",)
    readonly_fields = (
        "state",
        "least",
        "lines",
        "total",
        "drafted",
        "released",
        "exported",
        "paid",
        "cancelled",
    )
    fields = ("state", "method", "payable_on", "least", "lines", "total", "drafted")
    fields_once_done = ["released", "exported", "paid", "cancelled"]
    decisions = {
        "draft": DRAFT,
        "release": RELEASE,
        "export": EXPORT,
        "paid": PAID,
        "cancel": CANCEL,
    }
    change_form_outer_before_template = "admin/affiliates/payout_lines.html"

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, batch: PayoutBatch) -> str:
        return batch.status

    @admin.display(description="minimum")
    def least(self, batch: PayoutBatch) -> str:
        return format_money(batch.minimum, batch.currency)

    @admin.display(description="payouts")
    def lines(self, batch: PayoutBatch) -> int:
        return _totals(batch)[0]

    @admin.display(description="total")
    def total(self, batch: PayoutBatch) -> str:
        return format_money(_totals(batch)[1], batch.currency)

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
        return (
            f"{_who_and_when(batch.paid_by, batch.paid_at)}, reference {batch.reference}"
            if batch.paid_by
            else ""
        )

    @admin.display(description="cancelled")
    def cancelled(self, batch: PayoutBatch) -> str:
        return f"by {batch.cancelled_by}: {batch.cancel_reason}" if batch.cancelled_by else ""

    def get_fields(self, request: HttpRequest, obj: PayoutBatch | None = None) -> list[str]:
        return [
            *self.fields,
            *(name for name in self.fields_once_done if obj and getattr(self, name)(obj)),
        ]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """One query for the sums of a page of batches, not one for each."""
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
        batch = self.get_object(request, object_id)
        if batch is None:
            raise Http404
        return super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **_shown(batch, request.user)}
        )

    def variant(self, decision: Decision, row: PayoutBatch) -> Decision:
        if decision is CANCEL and row.exported_at:
            return CANCEL_WITH_FILE
        return (
            replace(EXPORT, label=f"{EXPORT.label} for {RECIPIENTS[row.method]}")
            if decision is EXPORT
            else decision
        )

    def facts(self, batch: PayoutBatch) -> list[tuple[str, str]]:
        count, amount = totals_of([batch])[batch.pk]
        facts = [
            (
                "Batch",
                (
                    f"{batch.get_method_display()}, payable on"
                    f" {format_date(batch.payable_on, 'F j, Y')}"
                ),
            ),
            ("Status", batch.status),
            ("Payouts", str(count)),
            ("Total", format_money(amount, batch.currency)),
            ("Drafted", _who_and_when(batch.drafted_by, batch.created_at)),
            ("Released", _who_and_when(batch.released_by, batch.released_at)),
            ("File downloaded", _who_and_when(batch.exported_by, batch.exported_at)),
        ]
        return [(label, value) for label, value in facts if value]


def _shown(batch: PayoutBatch, user: Any) -> dict[str, Any]:
    """Return what stands above the page of a batch."""
    lines = list(batch.payouts.select_related("affiliate").order_by("created_at", "pk"))
    return {
        "sum": sum_of([payout for payout in lines if payout.status != Payout.CANCELLED], batch),
        "lines": [(payout, STATE_COLORS[payout.status]) for payout in lines],
        "waiting": payees.words_about([payout for payout in lines if payees.waits(payout)]),
        "is_own_draft": batch.status == PayoutBatch.DRAFT and batch.drafted_by_id == user.pk,
        "may_cancel": user.has_perm("affiliates.settle_payoutbatch"),
    }


def _totals(batch: PayoutBatch) -> tuple[int, int]:
    return getattr(batch, "totals", None) or totals_of([batch])[batch.pk]


def _who_and_when(who: User | None, when: datetime | None) -> str:
    return f"{who}, {format_date(when, 'F j, Y, H:i')} UTC" if who and when else ""
