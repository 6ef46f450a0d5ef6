"""Early fraud warnings in the office: what an issuer reported, and by when staff decide."""

from django.contrib import admin
from django.urls import reverse
from django.utils.formats import date_format
from unfold.decorators import display

from office.base import ReadOnlyAdmin, ReadOnlyInline
from office.cells import coded, link, url_of
from office.decisions import Decision
from office.fields import ReasonForm
from office.filters import DaysFilter, fixed
from payments import fraud_warnings
from payments.models import EarlyFraudWarning
from payments.unknown_words import FRAUD_TYPES

WARNING_COLORS = {
    EarlyFraudWarning.OPEN: "danger",
    EarlyFraudWarning.SETTLED: "success",
    EarlyFraudWarning.CLOSED: "info",
}
CLOSE = Decision(
    "Close: the purchase is genuine",
    run=fraud_warnings.close,
    permission="close",
    done="closed",
    form=ReasonForm,
    entry_field="reason",
    is_run_told_why=False,
    statuses=(EarlyFraudWarning.OPEN,),
    consequence=(
        "The commission is released, unless a dispute or a review holds it. Nothing is said to"
        " Stripe, and the card's holder may dispute the payment all the same."
    ),
)


def _due(warning: EarlyFraudWarning) -> str:
    if warning.status != EarlyFraudWarning.OPEN:
        return ""
    return date_format(warning.decide_by, "DATETIME_FORMAT")


class FraudWarningInline(ReadOnlyInline):
    model = EarlyFraudWarning
    fields = ("warned_at", "state", "type_of", "due", "closed_by", "stripe_warning_id")
    readonly_fields = fields
    ordering = ("warned_at",)
    type_of = coded("fraud_type", "fraud type")

    @display(description="status", label=WARNING_COLORS)
    def state(self, warning: EarlyFraudWarning) -> str:
        return warning.status

    @admin.display(description="decide by")
    def due(self, warning: EarlyFraudWarning) -> str:
        return _due(warning)


@admin.register(EarlyFraudWarning)
class EarlyFraudWarningAdmin(ReadOnlyAdmin):
    """Newest first. An open one holds the commission until it is refunded, disputed or closed."""

    list_display = ("warned_at", "state", "due", "enrollment", "type_of", "closed_by")
    list_filter = (
        ("warned_at", DaysFilter),
        "is_actionable",
        ("closed_at", admin.EmptyFieldListFilter),
        fixed("fraud_type", FRAUD_TYPES),
    )
    sortable_by = ("warned_at",)
    views = (("To decide", {"is_actionable__exact": "1", "closed_at__isempty": "1"}),)
    search_fields = ("stripe_warning_id", "payment_intent_id", "payment__enrollment__email")
    id_fields = ("pk", "payment_id", "payment__enrollment_id")
    list_select_related = ("payment__enrollment",)
    fields = (
        "state",
        "due",
        "refund",
        "enrollment",
        "payment",
        "type_of",
        "warned_at",
        "is_actionable",
        "reported_at",
        "closed_at",
        "closed_by",
        "payment_intent_id",
        "stripe_warning_id",
    )
    readonly_fields = ("state", "due", "refund", "enrollment", "type_of")
    ordering = ("-warned_at",)
    type_of = coded("fraud_type", "fraud type")
    decisions = {"close": CLOSE}

    @display(description="status", label=WARNING_COLORS)
    def state(self, warning: EarlyFraudWarning) -> str:
        return warning.status

    @admin.display(description="decide by", ordering="warned_at")
    def due(self, warning: EarlyFraudWarning) -> str:
        return _due(warning)

    @admin.display(description="enrollment")
    def enrollment(self, warning: EarlyFraudWarning) -> str:
        payment = warning.payment
        return link(url_of(payment.enrollment), payment.enrollment) if payment else ""

    @admin.display(description="what can be done")
    def refund(self, warning: EarlyFraudWarning) -> str:
        if warning.payment is None or not warning.payment.refundable:
            return "Nothing is left to refund."
        url = reverse("admin:payments_payment_refund", args=[warning.payment.pk])
        return link(url, "Refund the payment")

    def facts(self, warning: EarlyFraudWarning) -> list[tuple[str, str]]:
        payment = warning.payment
        return [
            ("Enrollment", str(payment.enrollment) if payment else "not here yet"),
            ("The issuer says", self.type_of(warning)),
            ("Decide by", _due(warning)),
        ]
