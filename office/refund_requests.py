"""Learners who ask for their money back: staff refund the payment, or decline with a reason."""

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from maaledu.money import Money
from office.base import ReadOnlyAdmin
from office.cells import link, url_of
from office.decisions import ONE_ROW, Decision
from office.fields import StorableText
from payments import learner_refunds
from payments.models import RefundRequest

COLORS = {
    RefundRequest.OPEN: "warning",
    RefundRequest.REFUNDED: "success",
    RefundRequest.DECLINED: "danger",
}
MOST_WRITTEN = 1000


class DeclineForm(forms.Form):
    note = StorableText(
        label="Reason, for the learner",
        max_length=MOST_WRITTEN,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "dir": "auto"}),
        help_text="The learner reads it in our message.",
    )


REFUND = Decision(
    "Refund in full",
    run=learner_refunds.refund,
    permission="payments.refund_payment",
    done="refunded",
    statuses=(RefundRequest.OPEN,),
    consequence=(
        "What is left of the payment goes back to the learner. Access to the course ends, and an"
        " affiliate's commission is reversed. For a part of it, open the payment instead."
    ),
)
DECLINE = Decision(
    "Decline",
    run=learner_refunds.decline,
    permission="decide",
    done="declined",
    form=DeclineForm,
    entry_field="note",
    statuses=(RefundRequest.OPEN,),
    consequence="The learner keeps the course, and reads the reason in a message.",
    scope=ONE_ROW,
)


@admin.register(RefundRequest)
class RefundRequestAdmin(ReadOnlyAdmin):
    decisions = {"refund": REFUND, "decline": DECLINE}
    list_display = ("created_at", "learner", "course", "price", "state", "decided_by")
    list_filter = ("status",)
    search_fields = ("payment__enrollment__email",)
    csv_columns = {
        "Asked": "created_at",
        "Status": "status",
        "E-mail": "payment.enrollment.email",
        "Course": "payment.enrollment.course_title",
        "Paid": "payment.money_received",
        "Currency": "payment.currency_received",
        "Progress in %": "payment.enrollment.progress_percent",
        "Reason": "reason",
        "Decided by": "decided_by",
        "Decided": "decided_at",
        "What was answered": "note",
        "Payment": "payment_id",
    }
    ordering = ("-created_at",)
    fields = (
        "state",
        "learner",
        "course",
        "price",
        "paid_at",
        "progress",
        "reason",
        "created_at",
        "note",
        "decided_by",
        "decided_at",
        "payment_page",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[RefundRequest]:
        return super().get_queryset(request).select_related("payment__enrollment")

    def facts(self, row: RefundRequest) -> list[tuple[str, str]]:
        return [
            ("Learner", self.learner(row)),
            ("Course", self.course(row)),
            ("Paid", f"{self.price(row)}, {self.paid_at(row)}"),
            ("Progress", self.progress(row)),
            ("Reason", row.reason or "none given"),
        ]

    @display(description="status", ordering="status", label=COLORS)
    def state(self, row: RefundRequest) -> str:
        return row.status

    @admin.display(description="learner")
    def learner(self, row: RefundRequest) -> str:
        return row.payment.enrollment.email

    @admin.display(description="course")
    def course(self, row: RefundRequest) -> str:
        return row.payment.enrollment.course_title

    @admin.display(description="paid")
    def price(self, row: RefundRequest) -> Money | None:
        return row.payment.money_received

    @admin.display(description="paid at")
    def paid_at(self, row: RefundRequest) -> str:
        return date_format(row.payment.paid_at or row.payment.created_at, "DATETIME_FORMAT")

    @admin.display(description="progress")
    def progress(self, row: RefundRequest) -> str:
        percent = row.payment.enrollment.progress_percent
        return "not known" if percent is None else f"{percent} %"

    @admin.display(description="payment")
    def payment_page(self, row: RefundRequest) -> str:
        return link(url_of(row.payment), "Open the payment")
