"""Payments, Stripe's events, and how both agree with Stripe, as staff see them."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from unfold.decorators import action, display

from enrollments.models import Enrollment
from maaledu.logs import without_tokens
from maaledu.money import Money
from maaledu.work.items import DEAD
from office import refund_decision
from office.base import QueueAdmin, ReadOnlyAdmin
from office.cells import Coded, coded, link, url_of
from office.decisions import Decision
from office.filters import DaysFilter, NamedFilter, fixed
from office.fraud_warnings import FraudWarningInline
from office.papers import PapersAdmin
from office.payment_reversals import DisputeInline, RefundInline, outcome_of
from payments import outcomes, webhooks
from payments.models import EarlyFraudWarning, Payment, Reconciliation, StripeEvent, WebhookProblem

PAYMENT_COLORS = {
    Payment.PAID: "success",
    Payment.PENDING: "info",
    Payment.PROCESSING: "info",
    Payment.FAILED: "danger",
    Payment.EXPIRED: "warning",
    Payment.CANCELLED: "warning",
    Enrollment.REFUNDED: "warning",
    Enrollment.WITHDRAWN: "warning",
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


class MoneyFilter(NamedFilter):
    title = "money"
    parameter_name = "money"
    question = ("set_aside", "Received twice or in another amount, and kept")
    method = "set_aside"


@admin.register(Payment)
class PaymentAdmin(PapersAdmin):
    list_display = ("created_at", "state", "learner", "course", "price", "returned")
    list_select_related = ("enrollment",)
    list_filter = (
        ("created_at", DaysFilter),
        MoneyFilter,
        "status",
        "review_reason",
        "currency",
    )
    sortable_by = ("created_at",)
    summed, summed_in = "amount_received", "currency_received"
    views = (
        ("Paid", {"status__exact": Payment.PAID}),
        ("Received twice", {"money": "set_aside"}),
        ("At the bank", {"status__exact": Payment.PROCESSING}),
    )
    csv_columns = {
        "Begun": "created_at",
        "Paid": "paid_at",
        "Status": "status",
        "Set aside as": "review_reason",
        "E-mail": "enrollment.email",
        "Course": "enrollment.course_title",
        "Kind": "enrollment.kind",
        "Asked for": "amount",
        "Received": "money_received",
        "Refunded or being refunded": "money_committed",
        "Currency": "currency",
        "Received in": "currency_received",
        "Payment intent": "stripe_payment_intent_id",
        "Checkout session": "stripe_session_id",
        "Enrollment": "enrollment_id",
        "Payment": "pk",
    }
    search_fields = (
        "stripe_session_id",
        "stripe_payment_intent_id",
        "idempotency_key",
        "enrollment__email",
    )
    id_fields = ("pk", "enrollment_id")
    ordering = ("-created_at",)
    exclude = (
        "amount",
        "amount_received",
        "checkout_url",
        "currency_received",
        "refund_committed",
        "review_reason",
    )
    readonly_fields = ("outcome", "price", "received", "left", "set_aside", "papers")
    set_aside = coded("review_reason", "set aside as")
    inlines = (RefundInline, DisputeInline, FraudWarningInline)
    decisions = {"refund": refund_decision.REFUND}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payment]:
        warned = EarlyFraudWarning.objects.open().filter(payment=OuterRef("pk"))
        return super().get_queryset(request).annotate(is_warned=Exists(warned))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Derive what came of the payments of this page at once, in two statements for all."""
        page = super().get_changelist_instance(request)
        shown = list(page.result_list)
        for payment, outcome in zip(shown, outcomes.outcomes_in(shown), strict=True):
            payment.outcome = outcome
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

    @admin.display(description="refunded")
    def returned(self, payment: Any) -> Money | str:
        return payment.outcome.refunded_money if payment.outcome.refunded else ""

    @admin.display(description="outcome")
    def outcome(self, payment: Any) -> str:
        label = outcome_of(payment).label
        return f"{label}, fraud warning" if payment.is_warned else label

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
    list_filter = (
        ("created_at", DaysFilter),
        "status",
        fixed("type", sorted(webhooks.HANDLERS)),
        "is_fetched",
    )
    sortable_by = ("created_at",)
    views = (("Failed for good", {"status__exact": DEAD}),)
    search_fields = ("event_id", "session_id", "request_id")
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
    is_small = True
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
    is_small = True
    ordering = ("-started_at",)
