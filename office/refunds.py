"""Refunds and disputes in the office: what staff requested, and what Stripe said of them."""

from django.contrib import admin
from unfold.decorators import display

from maaledu.money import Money
from office.base import ReadOnlyAdmin, ReadOnlyInline
from office.cells import link, url_of
from payments.models import Dispute, Refund

REFUND_COLORS = {
    Refund.REQUESTED: "warning",
    Refund.PENDING: "info",
    Refund.SUCCEEDED: "success",
    Refund.FAILED: "danger",
}
DISPUTE_COLORS = {
    Dispute.WARNING: "info",
    Dispute.OPEN: "warning",
    Dispute.WON: "success",
    Dispute.LOST: "danger",
}
IN_STRIPE = "in Stripe"


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = (
        "created_at",
        "money",
        "state",
        "requested_by",
        "stripe_refund_id",
        "failure_reason",
    )
    readonly_fields = fields
    ordering = ("created_at",)

    @display(description="status", label=REFUND_COLORS)
    def state(self, refund: Refund) -> str:
        return refund.status

    @admin.display(description="amount")
    def money(self, refund: Refund) -> Money:
        return Money(refund.amount, refund.currency)


class DisputeInline(ReadOnlyInline):
    model = Dispute
    fields = (
        "created_at",
        "money",
        "state",
        "stripe_status",
        "reason",
        "evidence_due_by",
        "stripe_dispute_id",
    )
    readonly_fields = fields
    ordering = ("created_at",)

    @display(description="status", label=DISPUTE_COLORS)
    def state(self, dispute: Dispute) -> str:
        return dispute.status

    @admin.display(description="amount")
    def money(self, dispute: Dispute) -> Money:
        return Money(dispute.amount, dispute.currency)


class ReversalAdmin(ReadOnlyAdmin):
    """What a refund and a dispute have in common: an amount of one payment, and its enrollment."""

    id_fields = ("pk", "payment_id", "payment__enrollment_id")
    list_select_related = ("payment__enrollment",)
    readonly_fields = ("money", "enrollment")
    exclude = ("amount",)
    ordering = ("-created_at",)

    @admin.display(description="amount", ordering="amount")
    def money(self, reversal: Refund | Dispute) -> Money:
        return Money(reversal.amount, reversal.currency)

    @admin.display(description="enrollment")
    def enrollment(self, reversal: Refund | Dispute) -> str:
        payment = reversal.payment
        return link(url_of(payment.enrollment), payment.enrollment) if payment else ""


@admin.register(Refund)
class RefundAdmin(ReversalAdmin):
    list_display = ("created_at", "state", "money", "enrollment", "requester", "stripe_refund_id")
    list_filter = ("status", "source", "reason", "currency")
    search_fields = (
        "stripe_refund_id",
        "payment_intent_id",
        "idempotency_key",
        "requested_by",
        "payment__enrollment__email",
    )

    @display(description="status", ordering="status", label=REFUND_COLORS)
    def state(self, refund: Refund) -> str:
        return refund.status

    @admin.display(description="requested by", ordering="requested_by")
    def requester(self, refund: Refund) -> str:
        return refund.requested_by or IN_STRIPE


@admin.register(Dispute)
class DisputeAdmin(ReversalAdmin):
    list_display = (
        "created_at",
        "state",
        "money",
        "enrollment",
        "stripe_status",
        "reason",
        "evidence_due_by",
        "stripe_dispute_id",
    )
    list_filter = ("status", "reason", "currency")
    search_fields = ("stripe_dispute_id", "payment_intent_id", "payment__enrollment__email")

    @display(description="status", ordering="status", label=DISPUTE_COLORS)
    def state(self, dispute: Dispute) -> str:
        return dispute.status
