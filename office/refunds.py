"""Refunds and disputes in the office: what staff requested, and what Stripe said of them."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from maaledu.money import Money
from office.base import ReadOnlyAdmin
from office.cells import coded, link, url_of
from office.decisions import Decision
from office.fields import ReasonForm
from office.filters import DaysFilter, NamedFilter, fixed
from payments import disputes
from payments.models import Dispute, Refund
from payments.unknown_words import DISPUTE_REASONS, REFUND_REASONS

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
NO_SALE = "its sale is not here yet"
AT_BANK, WITH_US = "at the bank", "with us"
HOLDER_COLORS = {AT_BANK: "danger", WITH_US: "success"}
SOON = timedelta(days=7)
COUNT_AS_LOST = Decision(
    "Count as lost",
    run=disputes.count_as_lost,
    permission="decide",
    done="counted as lost",
    form=ReasonForm,
    entry_field="reason",
    is_run_told_why=False,
    statuses=(Dispute.WARNING, Dispute.WON),
    consequence=(
        "The bank keeps the money: the enrollment ends, access is revoked, the learner is mailed,"
        " and the commission is reversed. This cannot be undone."
    ),
)


def holder_of(dispute: Dispute) -> str:
    return AT_BANK if dispute.is_withdrawn else WITH_US


class ReversalAdmin(ReadOnlyAdmin):
    """What a refund and a dispute have in common: an amount of one payment, and its enrollment."""

    id_fields = ("pk", "payment_id", "payment__enrollment_id")
    list_select_related = ("payment__enrollment",)
    readonly_fields: tuple[str, ...] = ("money", "enrollment")
    exclude: tuple[str, ...] = ("amount", "reason")
    ordering = ("-created_at",)
    sortable_by: tuple[str, ...] = ("created_at",)

    @admin.display(description="learner")
    def learner(self, reversal: Refund | Dispute) -> str:
        payment = reversal.payment
        return link(url_of(payment.enrollment), payment.enrollment.email) if payment else NO_SALE

    @admin.display(description="course")
    def course(self, reversal: Refund | Dispute) -> str:
        return reversal.payment.enrollment.course_title if reversal.payment else ""

    @admin.display(description="amount", ordering="amount")
    def money(self, reversal: Refund | Dispute) -> Money:
        return Money(reversal.amount, reversal.currency)

    @admin.display(description="enrollment")
    def enrollment(self, reversal: Refund | Dispute) -> str:
        payment = reversal.payment
        return link(url_of(payment.enrollment), payment.enrollment) if payment else ""


class MoneyFilter(NamedFilter):
    title = "money"
    parameter_name = "money"
    question = ("not_made_good", "Refused, and not refunded otherwise")
    method = "not_made_good"


@admin.register(Refund)
class RefundAdmin(ReversalAdmin):
    list_display = ("created_at", "state", "learner", "course", "money", "requester", "why")
    list_filter = (
        ("created_at", DaysFilter),
        MoneyFilter,
        "status",
        "source",
        fixed("reason", REFUND_REASONS),
        "currency",
    )
    summed = "amount"
    views = (
        ("Refused", {"money": "not_made_good"}),
        ("On their way", {"status__exact": Refund.PENDING}),
    )
    csv_columns = {
        "Begun": "created_at",
        "Status": "status",
        "E-mail": "payment.enrollment.email",
        "Course": "payment.enrollment.course_title",
        "Amount": "amount",
        "Currency": "currency",
        "Reason": "reason",
        "From": "source",
        "Requested by": "requested_by",
        "Note": "note",
        "Why it failed": "failure_reason",
        "Stripe's id": "stripe_refund_id",
        "Payment intent": "payment_intent_id",
    }
    search_fields = (
        "stripe_refund_id",
        "payment_intent_id",
        "idempotency_key",
        "payment__enrollment__email",
    )

    readonly_fields = ("money", "why", "enrollment")

    @display(description="status", ordering="status", label=REFUND_COLORS)
    def state(self, refund: Refund) -> str:
        return refund.status

    @admin.display(description="reason")
    def why(self, refund: Refund) -> str:
        return refund.failure_reason or dict(Refund.REASONS).get(refund.reason, refund.reason)

    @admin.display(description="requested by")
    def requester(self, refund: Refund) -> str:
        return refund.requested_by or IN_STRIPE


class AnswerDueFilter(admin.SimpleListFilter):
    """The disputes that wait for our answer, by the date until which Stripe takes it."""

    title = "answer due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", "Waits for an answer"), ("soon", "Within 7 days"), ("past", "Past due")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Dispute]:
        if self.value() is None:
            return queryset
        now = timezone.now()
        within = {
            "soon": Q(evidence_due_by__gte=now, evidence_due_by__lt=now + SOON),
            "past": Q(evidence_due_by__lt=now),
        }
        dates = within.get(str(self.value()), Q())
        return queryset.waiting_for_answer().filter(dates)


@admin.register(Dispute)
class DisputeAdmin(ReversalAdmin):
    """Newest first; the answers that are due are a filter, and a column to sort by."""

    list_display = (
        "created_at",
        "state",
        "says",
        "evidence_due_by",
        "learner",
        "course",
        "money",
        "holder",
        "why",
    )
    sortable_by = ("created_at", "evidence_due_by")
    summed = "amount"
    views = (
        ("Wait for our answer", {"due": "any"}),
        ("Past due", {"due": "past"}),
        ("Lost", {"status__exact": Dispute.LOST}),
    )
    csv_columns = {
        "Begun": "created_at",
        "Status": "status",
        "Stripe says": "stripe_status",
        "Reason": "reason",
        "E-mail": "payment.enrollment.email",
        "Course": "payment.enrollment.course_title",
        "Amount": "amount",
        "Currency": "currency",
        "Money withdrawn": "is_withdrawn",
        "Evidence due by": "evidence_due_by",
        "Stripe's id": "stripe_dispute_id",
        "Payment intent": "payment_intent_id",
    }
    exclude = ("amount", "is_withdrawn", "movements", "stripe_status", "reason")
    readonly_fields = ("money", "holder", "says", "why", "enrollment")
    list_filter = (
        ("created_at", DaysFilter),
        AnswerDueFilter,
        "status",
        "is_withdrawn",
        fixed("reason", DISPUTE_REASONS),
        "currency",
    )
    decisions = {"count_as_lost": COUNT_AS_LOST}
    says, why = coded("stripe_status", "Stripe says"), coded("reason", "reason")
    search_fields = ("stripe_dispute_id", "payment_intent_id", "payment__enrollment__email")

    @display(description="status", ordering="status", label=DISPUTE_COLORS)
    def state(self, dispute: Dispute) -> str:
        return dispute.status

    @display(description="money is", ordering="is_withdrawn", label=HOLDER_COLORS)
    def holder(self, dispute: Dispute) -> str:
        return holder_of(dispute)

    def facts(self, dispute: Dispute) -> list[tuple[str, str]]:
        reason = self.why(dispute) if dispute.reason else "no reason given"
        return [
            ("Enrollment", str(dispute.payment.enrollment) if dispute.payment else "not here yet"),
            ("Stripe says", f"{self.says(dispute)}, {reason}"),
            ("Amount", f"{self.money(dispute)}, {holder_of(dispute)}"),
        ]

    def is_offered(self, decision: Decision, row: Dispute) -> bool:
        return super().is_offered(decision, row) and row.is_withdrawn and row.payment is not None
