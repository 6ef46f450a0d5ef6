"""The refunds and disputes of a payment, read once for its page: they are listed, and make its
outcome.
"""

from django.contrib import admin
from unfold.decorators import display

from maaledu.money import Money
from office.base import ReadOnlyInline, showing
from office.cells import coded, once
from office.refunds import DISPUTE_COLORS, HOLDER_COLORS, REFUND_COLORS, holder_of
from payments import outcomes
from payments.models import Dispute, Payment, Refund
from payments.outcomes import PaymentOutcome


@once
def refunds_of(payment: Payment) -> list[Refund]:
    return list(payment.refunds.order_by("created_at"))


@once
def disputes_of(payment: Payment) -> list[Dispute]:
    return list(payment.disputes.order_by("created_at"))


def outcome_of(payment: Payment) -> PaymentOutcome:
    return outcomes.derived(payment, refunds_of(payment), disputes_of(payment))


class RefundInline(ReadOnlyInline):
    formset = showing(refunds_of)
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

    @display(description="status", label=REFUND_COLORS)
    def state(self, refund: Refund) -> str:
        return refund.status

    @admin.display(description="amount")
    def money(self, refund: Refund) -> Money:
        return Money(refund.amount, refund.currency)


class DisputeInline(ReadOnlyInline):
    formset = showing(disputes_of)
    model = Dispute
    fields = (
        "created_at",
        "money",
        "state",
        "says",
        "why",
        "holder",
        "evidence_due_by",
        "stripe_dispute_id",
    )
    readonly_fields = fields

    says, why = coded("stripe_status", "Stripe says"), coded("reason", "reason")

    @display(description="money is", label=HOLDER_COLORS)
    def holder(self, dispute: Dispute) -> str:
        return holder_of(dispute)

    @display(description="status", label=DISPUTE_COLORS)
    def state(self, dispute: Dispute) -> str:
        return dispute.status

    @admin.display(description="amount")
    def money(self, dispute: Dispute) -> Money:
        return Money(dispute.amount, dispute.currency)
