"""The receipt and the invoice of a payment: Stripe keeps them, and is asked where when wanted."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from enrollments.models import Enrollment
from payments import gateway
from payments.errors import PaperNotFound
from payments.models import Payment

RECEIPT, INVOICE = "receipt", "invoice"
EXPANDED = {RECEIPT: "payment_intent.latest_charge", INVOICE: "invoice"}
SCHEMES = ("https://",)


def kinds() -> list[str]:
    """Return the papers that a payment made now has."""
    return [RECEIPT, INVOICE] if settings.STRIPE_INVOICES else [RECEIPT]


def kinds_of(enrollment: Enrollment, payments: Iterable[Payment]) -> list[str]:
    """Return the papers to offer a learner, from the payments of the enrollment.

    None for what was free, is not paid yet, or was sold elsewhere: Stripe is asked by its session.
    """
    is_known = any(each.is_fulfilling and each.stripe_session_id for each in payments)
    return kinds() if enrollment.amount and enrollment.paid_at and is_known else []


def payment_of(enrollment: Enrollment) -> Payment:
    """Return the payment that paid for the enrollment. Raises PaperNotFound."""
    received = enrollment.payments.filter(status=Payment.PAID)
    payment = received.exclude(review_reason__in=Payment.UNFULFILLED).first()
    if payment is None:
        raise PaperNotFound(enrollment=str(enrollment.pk))
    return payment


def address_of(payment: Payment, kind: str) -> str:
    """Return where Stripe shows this paper now: Stripe is asked once and has a few seconds.

    The address is never stored, because Stripe lets it end. Raises PaperNotFound, StripeUnavailable
    and StripeRefused.
    """
    if kind not in EXPANDED or payment.status != Payment.PAID or not payment.stripe_session_id:
        raise PaperNotFound(payment=str(payment.pk))
    session = gateway.retrieve_session(
        payment.stripe_session_id, interactive=True, expand=EXPANDED[kind]
    )
    address = _receipt_in(session) if kind == RECEIPT else _invoice_in(session)
    if not address.startswith(SCHEMES if settings.PRODUCTION else (*SCHEMES, "http://")):
        raise PaperNotFound(payment=str(payment.pk))
    return address


def _receipt_in(session: dict[str, Any]) -> str:
    return _text(
        _object(_object(session.get("payment_intent")).get("latest_charge")), "receipt_url"
    )


def _invoice_in(session: dict[str, Any]) -> str:
    return _text(_object(session.get("invoice")), "hosted_invoice_url")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(paper: dict[str, Any], name: str) -> str:
    value = paper.get(name)
    return value if isinstance(value, str) else ""
