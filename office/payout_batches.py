"""The payout desk: batches with their lines, each step of one on a page that asks, and the files
for the bank and PayPal.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.dateformat import format as format_date
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from accounts.models import User
from affiliates import payees, payout_drafts, payout_files, payouts
from affiliates.errors import OwnAccount, PayoutRefused, SamePerson
from affiliates.models import Affiliate, Payout, PayoutBatch
from affiliates.own_account import refuse_own
from affiliates.payouts import sum_of
from maaledu.csv import csv_response
from maaledu.errors import AppError
from maaledu.money import format_money
from office import confirming
from office.base import ReadOnlyAdmin, note
from office.confirming import Step, url_of
from office.ledger import STATE_COLORS
from office.payout_forms import DraftForm, NotSentForm, ReasonForm, ReferenceForm, ReleaseForm

# The steps that the page of a batch offers, by its status.
OFFERED = {
    PayoutBatch.DRAFT: {"release", "cancel"},
    PayoutBatch.RELEASED: {"export", "paid", "cancel"},
    PayoutBatch.PAID: {"export"},
    PayoutBatch.CANCELLED: set(),
}
WHO = ("drafted_by", "released_by", "exported_by", "paid_by", "cancelled_by")
RECIPIENTS = {Affiliate.BANK: "the bank", Affiliate.PAYPAL: "PayPal"}


# --- the steps ------------------------------------------------------------------------------------
def _release(batch: PayoutBatch, typed: dict[str, Any], by: User) -> str:
    if typed["seen"] != _seen(batch):
        raise PayoutRefused(
            "This batch has changed since its page was opened. Please look at it again."
        )
    released = payouts.release(batch, by=by)
    stopped = (
        f"; not covered any more and cancelled: {sum_of(released.cancelled, batch)}"
        if released.cancelled
        else ""
    )
    return f"released: {sum_of(released.payouts, batch)}{stopped}"


def _mark_paid(batch: PayoutBatch, typed: dict[str, Any], by: User) -> str:
    return (
        "marked paid:"
        f" {sum_of(payouts.mark_paid(batch, by=by, reference=typed['reference']), batch)}"
    )


def _cancel(batch: PayoutBatch, typed: dict[str, Any], by: User) -> str:
    cancelled = payouts.cancel_batch(
        batch, by=by, reason=typed["reason"], not_sent=typed.get("not_sent", False)
    )
    return f"cancelled: {sum_of(cancelled, batch)}"


RELEASE = Step(
    "Release",
    "The payouts are booked on the affiliates' accounts. Then the file can be downloaded and paid.",
    _release,
    ReleaseForm,
)
PAID = Step(
    "Mark paid",
    "Each affiliate is told by e-mail that their money is on its way.",
    _mark_paid,
    ReferenceForm,
)
CANCEL = Step(
    "Cancel batch",
    "Nothing of it is paid, and its entries are free for the next draft.",
    _cancel,
    ReasonForm,
)
CANCEL_WITH_FILE = Step(
    "Cancel batch",
    "Its file was downloaded. If it is at the bank or at PayPal already, everybody in it would be"
    " paid twice: mark it paid instead.",
    _cancel,
    NotSentForm,
)


# --- batches --------------------------------------------------------------------------------------
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
    list_select_related = ("drafted_by", "released_by")
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
    actions_list = ["draft"]
    actions_detail = ["release_batch", "export", "mark_paid", "cancel_batch"]
    change_form_outer_before_template = "admin/affiliates/payout_lines.html"

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, batch: PayoutBatch) -> str:
        return batch.status

    @admin.display(description="minimum")
    def least(self, batch: PayoutBatch) -> str:
        return format_money(batch.minimum, batch.currency)

    @admin.display(description="payouts")
    def lines(self, batch: PayoutBatch) -> int:
        return _totals_of(batch)[0]

    @admin.display(description="total")
    def total(self, batch: PayoutBatch) -> str:
        return format_money(_totals_of(batch)[1], batch.currency)

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
        totals = _totals(changelist.result_list)
        for batch in changelist.result_list:
            batch.totals = totals[batch.pk]
        return changelist

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        batch = _batch(object_id)
        lines = list(batch.payouts.select_related("affiliate").order_by("created_at", "pk"))
        shown = {
            "sum": sum_of([payout for payout in lines if payout.status != Payout.CANCELLED], batch),
            "lines": [(payout, STATE_COLORS[payout.status]) for payout in lines],
            "waiting": payees.words_about([payout for payout in lines if payees.waits(payout)]),
            "is_own_draft": (
                batch.status == PayoutBatch.DRAFT and batch.drafted_by_id == request.user.pk
            ),
            "may_cancel": request.user.has_perm("affiliates.settle_payoutbatch"),
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        offered = OFFERED[_batch(object_id).status]
        return [
            each for each in super().get_actions_detail(request, object_id) if each.path in offered
        ]

    def has_draft_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "draft")

    def has_release_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "release")

    def has_settle_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "settle")

    def has_export_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "export")

    @action(description="Draft payouts", url_path="draft", permissions=["draft"])
    def draft(self, request: HttpRequest) -> HttpResponse:
        return _draft(self, request)

    @action(description="Release", url_path="release", permissions=["release"])
    def release_batch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        batch = _batch(object_id)
        shown = {
            "initial": {"seen": _seen(batch)},
            "refusal": _why_not_release(batch, cast("User", request.user)),
        }
        return confirming.ask(self, request, batch, RELEASE, facts=_facts(batch), **shown)

    @action(description="Mark paid", url_path="paid", permissions=["settle"])
    def mark_paid(self, request: HttpRequest, object_id: str) -> HttpResponse:
        batch = _batch(object_id)
        return confirming.ask(
            self, request, batch, PAID, facts=_facts(batch), refusal=_waiting(batch)
        )

    @action(description="Cancel batch", url_path="cancel", permissions=["settle"])
    def cancel_batch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        batch = _batch(object_id)
        return confirming.ask(
            self,
            request,
            batch,
            CANCEL_WITH_FILE if batch.exported_at else CANCEL,
            facts=_facts(batch),
        )

    @action(description="Download the file", url_path="export", permissions=["export"])
    def export(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return _export(self, request, _batch(object_id))


def _batch(object_id: str) -> PayoutBatch:
    try:
        return PayoutBatch.objects.select_related(*WHO).get(pk=UUID(str(object_id)))
    except (ValueError, PayoutBatch.DoesNotExist) as error:
        raise Http404 from error


def _totals(batches: Iterable[PayoutBatch]) -> dict[UUID, tuple[int, int]]:
    """Return how many payouts each batch has, without the cancelled ones, and what they come to in
    minor units.
    """
    rows = Payout.objects.filter(batch_id__in=[batch.pk for batch in batches]).exclude(
        status=Payout.CANCELLED
    )
    sums = rows.order_by().values("batch_id").annotate(count=Count("pk"), amount=Sum("amount"))
    found = {row["batch_id"]: (row["count"], row["amount"]) for row in sums}
    return {batch.pk: found.get(batch.pk, (0, 0)) for batch in batches}


def _totals_of(batch: PayoutBatch) -> tuple[int, int]:
    return getattr(batch, "totals", None) or _totals([batch])[batch.pk]


def _seen(batch: PayoutBatch) -> str:
    count, amount = _totals([batch])[batch.pk]
    return f"{count}:{amount}"


def _who_and_when(who: User | None, when: datetime | None) -> str:
    return f"{who}, {format_date(when, 'F j, Y, H:i')} UTC" if who and when else ""


def _facts(batch: PayoutBatch) -> list[tuple[str, str]]:
    count, amount = _totals([batch])[batch.pk]
    facts = [
        (
            "Batch",
            f"{batch.get_method_display()}, payable on {format_date(batch.payable_on, 'F j, Y')}",
        ),
        ("Status", batch.status),
        ("Payouts", str(count)),
        ("Total", format_money(amount, batch.currency)),
        ("Drafted", _who_and_when(batch.drafted_by, batch.created_at)),
        ("Released", _who_and_when(batch.released_by, batch.released_at)),
        ("File downloaded", _who_and_when(batch.exported_by, batch.exported_at)),
    ]
    return [(label, value) for label, value in facts if value]


def _why_not_release(batch: PayoutBatch, by: User) -> str:
    """Return why this person cannot release the batch, "" where they can: `payouts.release` refuses
    by the same rules.
    """
    if batch.drafted_by_id == by.pk:
        return SamePerson.message
    try:
        refuse_own(
            (payout.affiliate for payout in batch.payouts.select_related("affiliate")),
            by=by.get_username(),
        )
    except OwnAccount as error:
        return error.message
    return ""


def _waiting(batch: PayoutBatch) -> str:
    return payees.words_about(payees.waiting(batch))


def _draft(page: PayoutBatchAdmin, request: HttpRequest) -> HttpResponse:
    form = DraftForm(request.POST if request.method == "POST" else None)
    batch = _drafted(request, form) if form.is_valid() else None
    if batch:
        return redirect(url_of(batch))
    follows = "Nothing is paid yet: a colleague looks at the draft and releases it."
    back = reverse("admin:affiliates_payoutbatch_changelist")
    return confirming.show(page, request, form, title="Draft payouts", follows=follows, back=back)


def _drafted(request: HttpRequest, form: DraftForm) -> PayoutBatch | None:
    try:
        batch = payout_drafts.draft(form.run(), by=cast("User", request.user))
    except AppError as error:
        form.add_error(None, error.message)
        return None
    note(request, batch, "drafted")
    messages.success(request, f"Drafted: {sum_of(batch.payouts.all(), batch)}.")
    return batch


def _export(page: PayoutBatchAdmin, request: HttpRequest, batch: PayoutBatch) -> HttpResponseBase:
    """Ask, then hand out the accounts in the clear: by POST, so that each time leaves its note in
    the history.
    """
    form = forms.Form(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            file = payout_files.make_file(batch, by=cast("User", request.user))
        except AppError as error:
            form.add_error(None, error.message)
        else:
            note(request, batch, f"downloaded {file.name}")
            answer = csv_response(file.name, file.rows)
            answer["Cache-Control"] = "no-store"
            return answer
    title = f"Download the file for {RECIPIENTS[batch.method]}"
    follows = (
        "It has the accounts of the payees in full. Hand it to nobody else, and delete it when it"
        " is paid."
    )
    shown = {"facts": _facts(batch), "refusal": _waiting(batch)}
    return confirming.show(
        page, request, form, title=title, follows=follows, back=url_of(batch), **shown
    )
