"""The review list: what the shop noticed about the affiliates' sales, and what a person made of
it.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from accounts.models import User
from affiliates import fraud
from affiliates.models import FraudSignal
from enrollments import fraud_review
from office import confirming
from office.affiliate_forms import NoteForm
from office.base import ReadOnlyAdmin
from office.confirming import Step
from office.office_decisions import DecidedAlready, decide_many, decide_one
from office.refunds import LINK

STATE_COLORS = {
    FraudSignal.OPEN: "warning",
    FraudSignal.CLEARED: "success",
    FraudSignal.CONFIRMED: "danger",
}


def _decide(signal: FraudSignal, verdict: str, typed: dict[str, Any], by: User) -> str:
    if not fraud.decide(signal, verdict, by=by.get_username(), note=typed["note"]):
        raise DecidedAlready
    return f"{verdict}: {typed['note']}" if typed["note"] else verdict


def _clear(signal: FraudSignal, typed: dict[str, Any], by: User) -> str:
    return _decide(signal, FraudSignal.CLEARED, typed, by)


def _confirm(signal: FraudSignal, typed: dict[str, Any], by: User) -> str:
    return _decide(signal, FraudSignal.CONFIRMED, typed, by)


CLEAR = Step("Clear", "There is an innocent explanation. Nothing else changes.", _clear, NoteForm)
CONFIRM = Step(
    "Confirm",
    "It is what it looks like. Nothing else changes by itself: suspend the affiliate if need be.",
    _confirm,
    NoteForm,
)


@admin.register(FraudSignal)
class FraudSignalAdmin(ReadOnlyAdmin):
    """Newest first. A signal refuses nothing; suspending the affiliate, which holds what is unpaid,
    is one click further.
    """

    list_display = ("created_at", "kind", "state", "affiliate", "detail", "reviewed_by")
    list_filter = ("status", "kind")
    search_fields = ("affiliate__code", "affiliate__email", "affiliate__name", "detail")
    id_fields = ("pk", "affiliate_id", "enrollment_id")
    ordering = ("-created_at",)
    list_select_related = ("affiliate",)
    exclude = ("dedupe_key", "enrollment_id")
    readonly_fields = ("sale", "suspension")
    actions = ("clear_selected", "confirm_selected")
    actions_list = ("look_now",)
    actions_detail = ["clear", "confirm"]

    @display(description="status", ordering="status", label=STATE_COLORS)
    def state(self, signal: FraudSignal) -> str:
        return signal.status

    @admin.display(description="sale")
    def sale(self, signal: FraudSignal) -> str:
        if signal.enrollment_id is None:
            return ""
        url = reverse("admin:enrollments_enrollment_change", args=[signal.enrollment_id])
        return format_html('<a class="{}" href="{}">{}</a>', LINK, url, signal.enrollment_id)

    @admin.display(description="what can be done")
    def suspension(self, signal: FraudSignal) -> str:
        if not signal.affiliate.is_active:
            return f"The affiliate is {signal.affiliate.status}."
        url = reverse("admin:affiliates_affiliate_suspend", args=[signal.affiliate_id])
        return format_html('<a class="{}" href="{}">Suspend {}</a>', LINK, url, signal.affiliate)

    def facts(self, signal: FraudSignal) -> list[tuple[str, str]]:
        reviewed = (
            f"{signal.status} by {signal.reviewed_by}: {signal.note}"
            if signal.reviewed_by
            else signal.status
        )
        return [
            ("Affiliate", str(signal.affiliate)),
            ("Detail", signal.detail),
            ("Status", reviewed),
        ]

    def has_review_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.may(request, "review")

    @admin.action(description="Clear …", permissions=["review"])
    def clear_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset, CLEAR)

    @admin.action(description="Confirm …", permissions=["review"])
    def confirm_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return decide_many(self, request, queryset, CONFIRM)

    @action(description="Clear", url_path="clear", permissions=["review"])
    def clear(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, CLEAR)

    @action(description="Confirm", url_path="confirm", permissions=["review"])
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return decide_one(self, request, object_id, CONFIRM)

    @action(description="Look for signals now", url_path="look", permissions=["review"])
    def look_now(self, request: HttpRequest) -> HttpResponse:
        return _look_now(self, request)


def _look_now(page: FraudSignalAdmin, request: HttpRequest) -> HttpResponse:
    """Ask first: only a POST looks, and writes down what it finds."""
    back = reverse("admin:affiliates_fraudsignal_changelist")
    if request.method != "POST":
        follows = (
            "The sales of the last months are gone through, as every night. It refuses nothing and"
            " changes no sale."
        )
        return confirming.show(
            page, request, forms.Form(), title="Look for signals now", follows=follows, back=back
        )
    number = fraud_review.review()
    messages.success(request, f"{number} new signals." if number != 1 else "1 new signal.")
    return redirect(back)
