"""The decision to refund a payment: what was paid, what will follow, and what Stripe answers."""

from operator import attrgetter
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.dateformat import format as format_date

from maaledu.db import new_id
from maaledu.errors import AppError
from maaledu.money import Money
from office.cells import url_of
from office.decisions import ONE_ROW, Decision, Outcome
from office.refund_consequences import consequences_of
from office.refund_forms import RefundForm
from office.refunds import REFUND_COLORS
from payments import refund_requests
from payments.errors import RefundAskedBefore, RefundTooLarge
from payments.models import Dispute, Payment, Refund

PERMISSION = "payments.refund_payment"
MESSAGES = {
    Refund.REQUESTED: (
        messages.WARNING,
        "{amount} requested. Stripe did not answer; it will be confirmed by itself within minutes.",
    ),
    Refund.PENDING: (messages.SUCCESS, "{amount} accepted by Stripe, and on its way to the buyer."),
    Refund.SUCCEEDED: (messages.SUCCESS, "{amount} refunded."),
    Refund.FAILED: (messages.ERROR, "{amount} was not refunded: Stripe says that it failed."),
}


def refund_of_enrollment(
    page: admin.ModelAdmin, request: HttpRequest, object_id: str
) -> HttpResponse:
    """Redirect to the refund of the payment that paid for this enrollment.

    That page names the enrollment's other payments, such as a second one by mistake.
    """
    enrollment = page.get_object(request, object_id)
    if enrollment is None:
        raise Http404
    received = list(enrollment.payments.filter(status=Payment.PAID))
    received.sort(key=attrgetter("is_fulfilling"), reverse=True)
    if received:
        return redirect("admin:payments_payment_refund", object_id=received[0].pk)
    messages.warning(
        request, "No payment was received for this enrollment: there is nothing to refund."
    )
    return redirect("admin:enrollments_enrollment_change", object_id=enrollment.pk)


def _refund(payment: Payment, *, by: str, **typed: Any) -> Outcome:
    try:
        refund = refund_requests.request(payment, refund_requests.Request(by=by, **typed))
    except RefundAskedBefore as error:
        return Outcome("", error.message, messages.WARNING)
    level, sentence = MESSAGES[refund.status]
    amount = Money(refund.amount, refund.currency)
    entry = f"refund of {amount}: {refund.get_status_display()} ({refund.pk})"
    return Outcome(entry, sentence.format(amount=amount), level)


class RefundDecision(Decision):
    """Shows a payment and its refunds, and what the refund in the form will cause."""

    def make_form(self, rows: list[Payment], data: Any) -> RefundForm:
        return RefundForm(None if data is None else data.dict(), payment=rows[0])

    def add_refusal(self, form: RefundForm, error: AppError) -> None:
        form.add_error("amount" if isinstance(error, RefundTooLarge) else None, error.message)
        # The refused request keeps its key: with a new one, another try is another refund.
        form.data = {**form.data, "key": str(new_id())}

    def context(
        self, request: HttpRequest, rows: list[Payment], form: RefundForm
    ) -> dict[str, Any]:
        if "preview" in request.POST:
            form.mark_excess()
        rows[0].refresh_from_db()
        return _context(rows[0], form)

    def return_url(self, page: Any, request: HttpRequest, rows: list[Payment]) -> str:
        return url_of(rows[0] if page.has_view_permission(request) else rows[0].enrollment)


REFUND = RefundDecision(
    "Refund",
    run=_refund,
    permission=PERMISSION,
    done="refunded",
    form=RefundForm,
    scope=ONE_ROW,
    template="admin/payments/refund.html",
    preview_fields=("amount", "gives_coupon_back"),
    preview_label="Show what follows",
)


def _context(payment: Payment, form: RefundForm) -> dict[str, Any]:
    made = list(payment.refunds.order_by("created_at"))
    amount = form.amount_typed()
    others = Payment.objects.filter(
        enrollment_id=payment.enrollment_id, status=Payment.PAID
    ).exclude(pk=payment.pk)
    return {
        "payment": payment,
        "facts": _facts(payment, made),
        "refunds": [(refund, REFUND_COLORS[refund.status]) for refund in made],
        "disputes": [
            each
            for each in payment.disputes.all()
            if each.is_undecided or each.status == Dispute.LOST
        ],
        "warnings": payment.fraud_warnings.open(),
        "others": [(other, _money(other.amount_received or 0, other)) for other in others],
        "refusal": "" if payment.refundable > 0 or form.is_bound else "There is nothing to refund.",
        "consequences": consequences_of(payment, form),
        # The amount that the listed consequences are about, while another is being typed.
        "amount": "" if amount is None else Money(amount, form.currency),
    }


def _money(amount: int, payment: Payment) -> str:
    return str(Money(amount, payment.currency_received or payment.currency))


def _facts(payment: Payment, made: list[Refund]) -> list[tuple[str, str]]:
    refunded = sum(refund.amount for refund in made if refund.status == Refund.SUCCEEDED)
    return [
        ("Learner", payment.enrollment.email),
        ("Course", payment.enrollment.course_title),
        ("Paid", _paid(payment)),
        ("Refunded", _money(refunded, payment)),
        ("Requested, not yet confirmed", _money(payment.refund_committed - refunded, payment)),
        ("Left", _money(payment.refundable, payment)),
    ]


def _paid(payment: Payment) -> str:
    if payment.status != Payment.PAID:
        return f"Nothing: the payment is {payment.get_status_display()}"
    amount = _money(payment.amount_received or 0, payment)
    return f"{amount} on {format_date(payment.paid_at, 'F j, Y')}" if payment.paid_at else amount
