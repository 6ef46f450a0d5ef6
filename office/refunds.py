"""Refunds in the office: the page that asks for one, with what will follow from it, and what Stripe
said of refunds and disputes.
"""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from affiliates import commissions
from affiliates.models import Commission
from enrollments.models import Enrollment
from maaledu.db import new_id
from maaledu.errors import AppError
from maaledu.money import format_money
from office.base import ReadOnlyAdmin, ReadOnlyInline, note
from office.refund_forms import RefundForm
from payments import refunds
from payments.errors import RefundAskedBefore, RefundTooLarge
from payments.models import Dispute, Payment, Refund

PERMISSION = "payments.refund_payment"
LINK = "text-primary-600 underline dark:text-primary-400"
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
IN_STRIPE = "in Stripe"
TOLD = {
    Refund.REQUESTED: (
        messages.WARNING,
        "{amount} requested. Stripe did not answer; it will be confirmed by itself within minutes.",
    ),
    Refund.PENDING: (messages.SUCCESS, "{amount} accepted by Stripe, and on its way to the buyer."),
    Refund.SUCCEEDED: (messages.SUCCESS, "{amount} refunded."),
    Refund.FAILED: (messages.ERROR, "{amount} was not refunded: Stripe says that it failed."),
}


def enrollment_link(payment: Payment | None) -> str:
    if payment is None:
        return ""
    url = reverse("admin:enrollments_enrollment_change", args=[payment.enrollment_id])
    return format_html('<a class="{}" href="{}">{}</a>', LINK, url, payment.enrollment)


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = (
        "created_at",
        "amount_display",
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
    def amount_display(self, refund: Refund) -> str:
        return refund.amount_display


class DisputeInline(ReadOnlyInline):
    model = Dispute
    fields = (
        "created_at",
        "amount_display",
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
    def amount_display(self, dispute: Dispute) -> str:
        return format_money(dispute.amount, dispute.currency)


class ReversalAdmin(ReadOnlyAdmin):
    """What a refund and a dispute have in common: an amount of one payment, known by its enrollment
    and by Stripe's ids.
    """

    id_fields = ("pk", "payment_id", "payment__enrollment_id")
    list_select_related = ("payment__enrollment",)
    readonly_fields = ("price", "place")
    exclude = ("amount",)
    ordering = ("-created_at",)

    @admin.display(description="amount", ordering="amount")
    def price(self, reversal: Refund | Dispute) -> str:
        return format_money(reversal.amount, reversal.currency)

    @admin.display(description="enrollment")
    def place(self, reversal: Refund | Dispute) -> str:
        return enrollment_link(reversal.payment)


@admin.register(Refund)
class RefundAdmin(ReversalAdmin):
    list_display = ("created_at", "state", "price", "place", "asked_by", "stripe_refund_id")
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

    @admin.display(description="asked for by", ordering="requested_by")
    def asked_by(self, refund: Refund) -> str:
        return refund.requested_by or IN_STRIPE


@admin.register(Dispute)
class DisputeAdmin(ReversalAdmin):
    list_display = (
        "created_at",
        "state",
        "price",
        "place",
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


# --- the page -------------------------------------------------------------------------------------
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


def refund_payment(page: admin.ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show one payment with the form of a refund and what follows from it; ask for the refund on
    POST.
    """
    payment = page.get_object(request, object_id)
    if payment is None:
        raise Http404
    is_confirmed = "refund" in request.POST
    form = RefundForm(
        request.POST.dict() if is_confirmed or "preview" in request.POST else None, payment=payment
    )
    if is_confirmed and form.is_valid() and _requested(request, payment, form):
        return redirect(_back(request, payment))
    if form.is_bound and not is_confirmed:
        form.mark_excess()
    payment.refresh_from_db()
    return render(request, "admin/enrollments/refund.html", _context(page, request, payment, form))


def _requested(request: HttpRequest, payment: Payment, form: RefundForm) -> bool:
    """Ask for the refund, and tell what became of it; a form that was sent before is not asked for
    again.
    """
    try:
        refund = refunds.request(payment, form.request(by=request.user.get_username()))
    except RefundAskedBefore as error:
        messages.warning(request, error.message)
        return True
    except AppError as error:
        form.add_error("amount" if isinstance(error, RefundTooLarge) else None, _sentence(error))
        # What was refused is kept under its key: another try is another refund.
        form.data = {**form.data, "key": str(new_id())}
        return False
    note(
        request,
        payment,
        f"refund of {refund.amount_display}: {refund.get_status_display()} ({refund.pk})",
    )
    level, sentence = TOLD[refund.status]
    messages.add_message(request, level, sentence.format(amount=refund.amount_display))
    return True


def _sentence(error: AppError) -> str:
    return next(
        (sentence for code, sentence in REFUSALS.items() if f"({code})" in error.message),
        error.message,
    )


def _back(request: HttpRequest, payment: Payment) -> str:
    if request.user.has_perm("payments.view_payment"):
        return reverse("admin:payments_payment_change", args=[payment.pk])
    return reverse("admin:enrollments_enrollment_change", args=[payment.enrollment_id])


def _context(
    page: admin.ModelAdmin, request: HttpRequest, payment: Payment, form: RefundForm
) -> dict[str, Any]:
    history = list(payment.refunds.order_by("created_at"))
    others = Payment.objects.filter(
        enrollment_id=payment.enrollment_id, status=Payment.PAID
    ).exclude(pk=payment.pk)
    return {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": "Refund",
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
        "form": form,
        "is_open": payment.refundable > 0 or form.is_bound,
        "consequences": _consequences(payment, form),
        "amount": _amount_shown(form),
        "back": _back(request, payment),
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
