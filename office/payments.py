"""Payments, Stripe's events, and how both agree with Stripe, as staff see them."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from unfold.decorators import action, display

from enrollments.models import Enrollment
from maaledu.logs import without_tokens
from maaledu.money import Money
from office import refund_decision, refunds
from office.base import QueueAdmin, ReadOnlyAdmin, ReadOnlyInline
from office.cells import Coded, link, url_of
from office.decisions import Decision
from office.fraud_warnings import FraudWarningInline
from office.papers import PapersAdmin
from payments import outcomes
from payments.models import EarlyFraudWarning, Payment, Reconciliation, StripeEvent, WebhookProblem

PAYMENT_COLORS = {
    Payment.PAID: "success",
    Payment.PENDING: "info",
    Payment.PROCESSING: "info",
    Payment.FAILED: "danger",
    Payment.EXPIRED: "warning",
    Payment.CANCELLED: "warning",
    Enrollment.REFUNDED: "warning",
}
OUTCOME_COLORS = {
    **PAYMENT_COLORS,
    outcomes.REFUNDED_PARTLY: "warning",
    outcomes.DISPUTED: "danger",
    outcomes.LOST: "danger",
    Payment.LATE: "warning",
    Payment.DUPLICATE: "danger",
    Payment.AMOUNT_MISMATCH: "danger",
}


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("created_at", "attempt", "state", "price", "stripe_session_id", "review_reason")
    readonly_fields = fields

    @display(description="outcome", label=OUTCOME_COLORS)
    def state(self, payment: Payment) -> Coded:
        outcome = outcomes.outcome_of(payment)
        return Coded((outcome.state, outcome.label))

    @admin.display(description="amount")
    def price(self, payment: Payment) -> Money:
        return Money(payment.amount, payment.currency)


@admin.register(Payment)
class PaymentAdmin(PapersAdmin):
    list_display = ("created_at", "state", "price", "learner", "course")
    list_select_related = ("enrollment",)
    list_filter = ("status", "review_reason", "currency")
    search_fields = (
        "stripe_session_id",
        "stripe_payment_intent_id",
        "idempotency_key",
        "enrollment__email",
    )
    id_fields = ("pk", "enrollment_id")
    ordering = ("-created_at",)
    exclude = ("amount", "amount_received", "checkout_url", "currency_received", "refund_committed")
    readonly_fields = ("outcome", "price", "received", "left", "papers")
    inlines = (refunds.RefundInline, refunds.DisputeInline, FraudWarningInline)
    decisions = {"refund": refund_decision.REFUND}

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Derive what came of the payments of this page at once, in three statements for all."""
        page = super().get_changelist_instance(request)
        shown = list(page.result_list)
        warned = EarlyFraudWarning.objects.open().filter(payment__in=shown)
        warned_ids = set(warned.values_list("payment_id", flat=True))
        for payment, outcome in zip(shown, outcomes.outcomes_in(shown), strict=True):
            payment.outcome, payment.is_warned = outcome, payment.pk in warned_ids
        return page

    @display(description="outcome", ordering="status", label=OUTCOME_COLORS)
    def state(self, payment: Any) -> Coded:
        if payment.is_warned:
            return Coded((outcomes.DISPUTED, f"{payment.outcome.label}, fraud warning"))
        return Coded((payment.outcome.state, payment.outcome.label))

    @admin.display(description="learner")
    def learner(self, payment: Payment) -> str:
        return link(url_of(payment.enrollment), payment.enrollment.email)

    @admin.display(description="course")
    def course(self, payment: Payment) -> str:
        return payment.enrollment.course_title

    @admin.display(description="amount", ordering="amount")
    def price(self, payment: Payment) -> Money:
        return Money(payment.amount, payment.currency)

    @admin.display(description="outcome")
    def outcome(self, payment: Payment) -> str:
        label = outcomes.outcome_of(payment).label
        return f"{label}, fraud warning" if payment.fraud_warnings.open().exists() else label

    @admin.display(description="received")
    def received(self, payment: Payment) -> Money:
        return Money(payment.amount_received or 0, payment.currency_received or payment.currency)

    @admin.display(description="left to refund")
    def left(self, payment: Payment) -> Money:
        return Money(payment.refundable, payment.currency_received or payment.currency)

    def is_offered(self, decision: Decision, row: Payment) -> bool:
        return row.refundable > 0


@admin.register(StripeEvent)
class StripeEventAdmin(QueueAdmin):
    list_display = (
        "created_at",
        "type",
        "event_id",
        "state",
        "outcome",
        "attempts",
        "deliveries",
        "last_error",
    )
    list_filter = ("status", "type", "outcome", "livemode", "is_fetched")
    search_fields = ("event_id", "session_id", "type", "request_id")
    exclude = ("claim_token", "payload")
    readonly_fields = ("sent",)

    @display(description="payload")
    def sent(self, event: StripeEvent) -> str:
        """Stripe sends our addresses back; a learner's own pages are not for staff to open."""
        text = without_tokens(json.dumps(event.payload, indent=1, ensure_ascii=False))
        return format_html('<pre class="whitespace-pre-wrap break-all">{}</pre>', text)


@admin.register(WebhookProblem)
class WebhookProblemAdmin(ReadOnlyAdmin):
    """Why events do not reach us, as their deliveries showed it; the latest is on top."""

    list_display = ("last_at", "kind", "detail", "explanation", "first_at")
    list_filter = ("kind",)
    search_fields = ("detail", "explanation")
    ordering = ("-last_at",)
    actions_list = ("check_stripe",)

    def has_check_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.check_webhookproblem")

    @action(description="Check Stripe", url_path="check", permissions=["check"])
    def check_stripe(self, request: HttpRequest) -> HttpResponse:
        return redirect("stripe_check")


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    """The last comparison of each kind of object with Stripe."""

    list_display = (
        "kind",
        "started_at",
        "finished_at",
        "looked_at",
        "agreed",
        "mended",
        "rebuilt",
        "unmended",
        "failure",
    )
    search_fields = ("kind",)
    ordering = ("-started_at",)
