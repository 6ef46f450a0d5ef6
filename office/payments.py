"""Payments, Stripe's events, and how both agree with Stripe, as staff see them."""

from django.contrib import admin
from unfold.decorators import display

from enrollments.models import Enrollment
from maaledu.money import Money
from office import refund_decision, refunds
from office.base import QueueAdmin, ReadOnlyAdmin, ReadOnlyInline
from office.decisions import Decision
from office.papers import PapersAdmin
from payments.models import Payment, Reconciliation, StripeEvent, WebhookProblem
from payments.outcomes import outcome_of

PAYMENT_COLORS = {
    Payment.PAID: "success",
    Payment.PENDING: "info",
    Payment.PROCESSING: "info",
    Payment.FAILED: "danger",
    Payment.EXPIRED: "warning",
    Payment.CANCELLED: "warning",
    Enrollment.REFUNDED: "warning",
}


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("created_at", "attempt", "status", "price", "stripe_session_id", "review_reason")
    readonly_fields = fields

    @admin.display(description="amount")
    def price(self, payment: Payment) -> Money:
        return Money(payment.amount, payment.currency)


@admin.register(Payment)
class PaymentAdmin(PapersAdmin):
    list_display = (
        "created_at",
        "state",
        "price",
        "attempt",
        "review_reason",
        "stripe_session_id",
        "paid_at",
    )
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
    inlines = (refunds.RefundInline, refunds.DisputeInline)
    decisions = {"refund": refund_decision.REFUND}

    @display(description="status", ordering="status", label=PAYMENT_COLORS)
    def state(self, payment: Payment) -> str:
        return payment.status

    @admin.display(description="amount", ordering="amount")
    def price(self, payment: Payment) -> Money:
        return Money(payment.amount, payment.currency)

    @admin.display(description="what came of it")
    def outcome(self, payment: Payment) -> str:
        return outcome_of(payment).label

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
    list_display = ("created_at", "type", "event_id", "state", "outcome", "attempts", "last_error")
    list_filter = ("status", "type", "outcome", "livemode", "is_fetched")
    search_fields = ("event_id", "session_id", "type")
    exclude = ("claim_token",)


@admin.register(WebhookProblem)
class WebhookProblemAdmin(ReadOnlyAdmin):
    """Why events do not reach us, as their deliveries showed it; the latest is on top."""

    list_display = ("last_at", "kind", "detail", "explanation", "first_at")
    list_filter = ("kind",)
    search_fields = ("detail", "explanation")
    ordering = ("-last_at",)


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
        "unmended",
        "failure",
    )
    search_fields = ("kind",)
    ordering = ("-started_at",)
