"""The decision to refund a payment: what was paid, what will follow, and what Stripe answers."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from affiliates import commissions
from affiliates.models import Commission
from enrollments.models import Enrollment
from maaledu.db import new_id
from maaledu.errors import AppError
from maaledu.money import format_money
from office.cells import url_of
from office.decisions import ONE_ROW, Decision, Outcome
from office.refund_forms import RefundForm
from office.refunds import REFUND_COLORS
from payments import refund_requests
from payments.errors import RefundAskedBefore, RefundTooLarge
from payments.models import Dispute, Payment, Refund

PERMISSION = "payments.refund_payment"
# Stripe's codes of what it refuses to refund, in words.
REFUSALS = {
    "charge_disputed": (
        "The buyer's bank disputes this payment, so Stripe refunds nothing: the dispute decides"
        " about the money."
    ),
    "charge_already_refunded": (
        "All of it has been refunded in Stripe already; that is recorded here when Stripe tells us"
        " of it."
    ),
    "charge_exceeds_source_limit": (
        "Stripe's limit for refunds is reached for today. Please try again tomorrow."
    ),
    "insufficient_funds": "The balance at Stripe does not cover this refund at the moment.",
}
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
    """Go on to the refund of the payment that stands for this place; one that was set aside is
    named there beside it.
    """
    enrollment = page.get_object(request, object_id)
    if enrollment is None:
        raise Http404
    received = sorted(
        enrollment.payments.filter(status=Payment.PAID),
        key=lambda payment: not payment.is_fulfilling,
    )
    if received:
        return redirect("admin:payments_payment_refund", object_id=received[0].pk)
    messages.warning(request, "No payment was received for this place: there is nothing to refund.")
    return redirect("admin:enrollments_enrollment_change", object_id=enrollment.pk)


def _refund(payment: Payment, *, by: str, **typed: Any) -> Outcome:
    try:
        refund = refund_requests.request(payment, refund_requests.Request(by=by, **typed))
    except RefundAskedBefore as error:
        return Outcome("", error.message, messages.WARNING)
    level, sentence = MESSAGES[refund.status]
    words = f"refund of {refund.amount_display}: {refund.get_status_display()} ({refund.pk})"
    return Outcome(words, sentence.format(amount=refund.amount_display), level)


class Refunding(Decision):
    """Shows one payment, and what a refund of the amount in the form will cause."""

    def make_form(self, rows: list[Payment], data: Any) -> RefundForm:
        return RefundForm(None if data is None else data.dict(), payment=rows[0])

    def add_refusal(self, form: RefundForm, error: AppError) -> None:
        form.add_error("amount" if isinstance(error, RefundTooLarge) else None, _sentence(error))
        # What was refused is kept under its key: another try is another refund.
        form.data = {**form.data, "key": str(new_id())}

    def context(
        self, request: HttpRequest, rows: list[Payment], form: RefundForm
    ) -> dict[str, Any]:
        if "preview" in request.POST:
            form.mark_excess()
        rows[0].refresh_from_db()
        return _shown(rows[0], form)

    def return_url(self, page: Any, request: HttpRequest, rows: list[Payment]) -> str:
        return url_of(rows[0] if page.has_view_permission(request) else rows[0].enrollment)


REFUND = Refunding(
    "Refund",
    run=_refund,
    permission=PERMISSION,
    done="refunded",
    form=RefundForm,
    scope=ONE_ROW,
    template="admin/payments/refund.html",
    preview_fields=("amount", "gives_coupon_back"),
)


def _sentence(error: AppError) -> str:
    return next(
        (sentence for code, sentence in REFUSALS.items() if f"({code})" in error.message),
        error.message,
    )


def _shown(payment: Payment, form: RefundForm) -> dict[str, Any]:
    history = list(payment.refunds.order_by("created_at"))
    others = Payment.objects.filter(
        enrollment_id=payment.enrollment_id, status=Payment.PAID
    ).exclude(pk=payment.pk)
    return {
        "payment": payment,
        "facts": _facts(payment, history),
        "history": [
            (refund, refund.amount_display, REFUND_COLORS[refund.status]) for refund in history
        ],
        "disputes": payment.disputes.filter(status__in=[Dispute.OPEN, Dispute.LOST]),
        "others": [
            (other, _money(other.amount_received or 0, other), other.get_review_reason_display())
            for other in others
        ],
        "refusal": "" if payment.refundable > 0 or form.is_bound else "There is nothing to refund.",
        "consequences": _consequences(payment, form),
        "amount": _amount_shown(form),
        "preview_label": "Show what follows",
    }


def _money(amount: int, payment: Payment) -> str:
    return format_money(amount, payment.currency_received or payment.currency)


def _facts(payment: Payment, history: list[Refund]) -> list[tuple[str, str]]:
    refunded = sum(refund.amount for refund in history if refund.status == Refund.SUCCEEDED)
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
    on = (
        f" on {payment.paid_at:%B} {payment.paid_at.day}, {payment.paid_at.year}"
        if payment.paid_at
        else ""
    )
    return f"{_money(payment.amount_received or 0, payment)}{on}"


def _amount_shown(form: RefundForm) -> str:
    """Return the amount whose consequences are listed: it stays the same while another is being
    typed.
    """
    amount = form.amount_typed()
    return "" if amount is None else format_money(amount, form.currency)


def _consequences(payment: Payment, form: RefundForm) -> list[str]:
    """Say what a refund of the amount in the form will cause, once Stripe confirms it (the rules
    are `undoing`'s).
    """
    amount = form.amount_typed()
    if amount is None or not 0 < amount <= payment.refundable:
        return []
    enrollment = payment.enrollment
    told = f"{enrollment.email} is told by e-mail as soon as Stripe confirms it."
    if not payment.is_fulfilling:
        return ["This payment was set aside: no place and no commission depends on it.", told]
    is_whole = amount == payment.refundable
    return [
        *_of_the_place(enrollment, is_whole=is_whole),
        *_of_the_commission(payment, amount),
        *_of_the_coupon(enrollment, form),
        told,
    ]


def _of_the_place(enrollment: Enrollment, *, is_whole: bool) -> list[str]:
    if enrollment.status == Enrollment.REFUNDED:
        return ["The place has ended already."]
    if not is_whole:
        return ["The place stays."]
    access = (
        "access is taken away"
        if settings.REVOKE_ON_REFUND
        else "access to the learning platform is left as it is"
    )
    return [f"The place ends, and {access}."]


def _of_the_commission(payment: Payment, amount: int) -> list[str]:
    commission = (
        Commission.objects.filter(enrollment_id=payment.enrollment_id)
        .select_related("affiliate")
        .first()
    )
    step = commission_step(commission, payment, amount) if commission else 0
    if commission is None or not step:
        return []
    of = f"{format_money(commission.amount, commission.currency)} for {commission.affiliate}"
    return [f"{format_money(step, commission.currency)} of the commission of {of} is reversed."]


def commission_step(commission: Commission, payment: Payment, amount: int) -> int:
    """Return by how much a refund of this amount reverses the commission, after those that are
    under way (minor units).
    """
    paid, committed = payment.amount_received or 0, payment.refund_committed
    before = commissions.taken_back(commission.amount, refunded=committed, paid=paid)
    after = commissions.taken_back(commission.amount, refunded=committed + amount, paid=paid)
    return max(after - max(before, commission.reversed), 0)


def _of_the_coupon(enrollment: Enrollment, form: RefundForm) -> list[str]:
    if not enrollment.grant_id:
        return []
    is_kept = (
        bool(form["gives_coupon_back"].value()) if "gives_coupon_back" in form.fields else False
    )
    return ["The coupon is good again."] if is_kept else ["The coupon stays used."]
