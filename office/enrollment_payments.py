"""The payments of an enrollment, read once for its page: its buttons, its outcome, their list."""

from django.contrib import admin
from unfold.decorators import display

from enrollments.models import Enrollment
from maaledu.money import Money
from office.base import ReadOnlyInline, showing
from office.cells import Coded, coded, once
from office.payments import OUTCOME_COLORS
from payments import outcomes
from payments.models import Payment
from payments.outcomes import PaymentOutcome


@once
def payments_of(enrollment: Enrollment) -> list[Payment]:
    return list(enrollment.payments.order_by("pk"))


@once
def outcomes_of(enrollment: Enrollment) -> list[PaymentOutcome]:
    """Return what came of its payments, the one to speak of first."""
    return outcomes.ranked(payments_of(enrollment))


class PaymentInline(ReadOnlyInline):
    formset = showing(payments_of)
    model = Payment
    fields = ("created_at", "attempt", "state", "price", "paid_at", "set_aside")
    readonly_fields = fields
    set_aside = coded("review_reason", "set aside as")

    @display(description="outcome", label=OUTCOME_COLORS)
    def state(self, payment: Payment) -> Coded:
        found = {each.payment.pk: each for each in outcomes_of(payment.enrollment)}
        outcome = found[payment.pk]
        return Coded((outcome.state, outcome.label))

    @admin.display(description="amount")
    def price(self, payment: Payment) -> Money:
        return Money(payment.amount, payment.currency)
