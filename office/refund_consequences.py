"""What a refund will cause once Stripe confirms it, for the page that asks for it.

The rules are those of `payments.reversals` and `affiliates.commissions`.
"""

from django.conf import settings

from affiliates import commissions
from affiliates.models import Commission
from enrollments.models import Enrollment
from maaledu.money import Money
from office.refund_forms import RefundForm
from payments.models import Payment


def consequences_of(payment: Payment, form: RefundForm) -> list[str]:
    """Return what a refund of the amount in the form causes; nothing where that is not possible."""
    amount = form.amount_typed()
    if amount is None or not 0 < amount <= payment.refundable:
        return []
    enrollment = payment.enrollment
    mail = f"{enrollment.email} gets an e-mail as soon as Stripe confirms it."
    if not payment.is_fulfilling:
        no_effect = "This payment was set aside: no enrollment and no commission depends on it."
        return [no_effect, mail]
    return [
        _of_enrollment(enrollment, is_whole=amount == payment.refundable),
        *_of_commission(payment, amount),
        *_of_coupon(enrollment, form),
        mail,
    ]


def _of_enrollment(enrollment: Enrollment, *, is_whole: bool) -> str:
    if enrollment.status == Enrollment.REFUNDED:
        return "The enrollment has ended already."
    if not is_whole:
        return "The enrollment stays."
    if settings.REVOKE_ON_REFUND:
        return "The enrollment ends, and access is revoked."
    return "The enrollment ends, and access to the learning platform stays as it is."


def _of_commission(payment: Payment, amount: int) -> list[str]:
    of_sale = Commission.objects.filter(enrollment_id=payment.enrollment_id)
    commission = of_sale.select_related("affiliate").first()
    if commission is None:
        return []
    step = _commission_step(commission, payment, amount)
    if not step:
        return []
    currency = commission.currency
    of = f"{Money(commission.amount, currency)} for {commission.affiliate}"
    return [f"{Money(step, currency)} of the commission of {of} is reversed."]


def _commission_step(commission: Commission, payment: Payment, amount: int) -> int:
    """Return by how much (minor units) this refund reverses the commission, after those under way.

    The steps are differences of the proportion so far: rounding each by itself would add up to
    another sum than the whole commission.
    """
    paid, committed = payment.amount_received or 0, payment.refund_committed
    before = commissions.reversed_part(commission.amount, refunded=committed, paid=paid)
    after = commissions.reversed_part(commission.amount, refunded=committed + amount, paid=paid)
    return max(after - max(before, commission.reversed), 0)


def _of_coupon(enrollment: Enrollment, form: RefundForm) -> list[str]:
    if not enrollment.grant_id:
        return []
    if "gives_coupon_back" in form.fields and form["gives_coupon_back"].value():
        return ["The coupon can be used again."]
    return ["The coupon stays used."]
