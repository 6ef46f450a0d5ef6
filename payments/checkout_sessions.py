"""The Checkout Session of a payment at Stripe: created, asked about, closed.

No transaction is open while Stripe is asked. What a session's state means is in `settlement`.
"""

import logging
from fnmatch import fnmatchcase
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from enrollments.models import Enrollment
from maaledu import seller, tracing
from maaledu.errors import AppError
from maaledu.money import Money
from notifications.alerts import alert_staff
from payments import gateway, purchase_ids, rebuild, settlement
from payments.errors import (
    EmailRefused,
    StripeRefused,
    StripeSessionUnknown,
    StripeUnavailable,
)
from payments.models import Payment

logger = logging.getLogger(__name__)


def ensure_session(enrollment: Enrollment, payment: Payment, *, is_own: bool, actor: str) -> str:
    """Create the payment's session, or get the one made before, and return where it is paid.

    `is_own` says that this request wrote the payment. When Stripe fails, an own payment ends, so
    that nothing stays reserved. Another request's payment is left alone: that request may be asking
    Stripe right now, and its answer is used if it has arrived. Where Stripe does not take the
    buyer's address, no request will get another answer, and the payment ends as well. Raises
    StripeUnavailable, StripeRefused.
    """
    tracing.follow(enrollment.request_id)
    try:
        session = gateway.create_session(
            session_params(enrollment, payment),
            idempotency_key=payment.idempotency_key,
            about=f"a checkout of {enrollment.course_title}, enrollment {enrollment.pk}",
        )
    except (StripeUnavailable, StripeRefused) as error:
        _log_failure(enrollment, error)
        if not is_own:
            payment.refresh_from_db()
            if payment.checkout_url:
                return payment.checkout_url
        if is_own or isinstance(error, EmailRefused):
            settlement.fail(payment, code=error.code, actor=actor)
        raise
    if not _store_session(payment, session):
        _close_replaced(enrollment, session)
    alert_of_blocked_page(session["url"])
    return session["url"]


def _store_session(payment: Payment, session: dict) -> bool:
    """Store the session, and return whether its payment still waits for it, or has it already."""
    rows = Payment.objects.filter(pk=payment.pk)
    facts = {
        "stripe_session_id": session["id"],
        "checkout_url": session["url"],
        "updated_at": timezone.now(),
    }
    if rows.filter(status__in=[*Payment.OPEN, Payment.PAID]).update(**facts) == 1:
        return True
    rows.update(**facts)
    return False


def _close_replaced(enrollment: Enrollment, session: dict) -> NoReturn:
    """Close the session of a payment that ended while Stripe made it, and refuse the checkout.

    Another tab of the buyer replaced the checkout before the session's id was stored, so that tab
    could not close it. Its address is given to nobody.
    """
    gateway.close_session(session["id"])
    error = StripeUnavailable(error="replaced by another checkout of the buyer")
    _log_failure(enrollment, error)
    raise error


def alert_of_blocked_page(url: str) -> None:
    """Alert staff, once a day, of a payment page that browsers do not follow our form to.

    The button would do nothing, and no request of ours would fail: the redirect is blocked by the
    policy that our page itself came with (its form-action).
    """
    origin = blocked_origin(url)
    if not origin:
        return
    alert_staff(
        key=f"pay-page:{origin}:{timezone.now():%Y-%m-%d}",
        subject="Browsers do not lead buyers to the payment page",
        lines=[
            f"Stripe's payment page is at {origin}, which our pages do not allow.",
            "The button to pay does nothing there. Set STRIPE_CHECKOUT_HOST to this host.",
        ],
    )


def blocked_origin(url: str) -> str:
    """Return where this payment page is, or "" where browsers do follow our form to it."""
    page = urlsplit(url.lower())
    origin = f"{page.scheme}://{page.netloc}"
    is_allowed = any(fnmatchcase(origin, allowed) for allowed in settings.STRIPE_PAY_PAGES)
    return "" if is_allowed else origin


def session_params(enrollment: Enrollment, payment: Payment) -> dict:
    """Return what Stripe is asked for, as a function of the two rows and the settings alone.

    Stripe refuses an idempotency key that comes with other parameters than before, so a repeated
    request must be the same one.
    """
    ids = {
        "enrollment_id": str(enrollment.pk),
        "payment_id": str(payment.pk),
        "course": enrollment.course_slug,
    }
    if enrollment.request_id:
        ids[purchase_ids.NAME] = enrollment.request_id
    if enrollment.referral_code:
        ids["referral_code"] = enrollment.referral_code
    intent = {
        "description": enrollment.course_title,
        "metadata": ids,
        "receipt_email": enrollment.email,
    }
    return {
        **sale_params(enrollment.course_title, Money(payment.amount, payment.currency)),
        "customer_email": enrollment.email,
        "client_reference_id": str(enrollment.pk),
        "metadata": {**ids, **rebuild.metadata_of(enrollment, payment)},
        "payment_intent_data": intent,
        "success_url": f"{enrollment.status_link}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{settings.SITE_URL}/checkout/cancelled/{enrollment.token}/",
        "expires_at": int(payment.expires_at.timestamp()),
    }


def sale_params(title: str, price: Money) -> dict[str, Any]:
    """Return what is asked of Stripe for any sale at this price, with the papers of the settings.

    `stripe_check` asks for the same, so that it meets the refusals that a buyer would.
    """
    item = {
        "currency": price.currency,
        "unit_amount": price.amount,
        "product_data": {"name": title},
    }
    papers: dict[str, Any] = {}
    if settings.STRIPE_INVOICES:
        data = {"invoice_data": {"footer": imprint}} if (imprint := seller.imprint()) else {}
        papers = {
            "invoice_creation": {"enabled": True, **data},
            "tax_id_collection": {"enabled": True},
        }
    if settings.STRIPE_TAX:
        # Within the price: the amount asked for stays the one that our page showed.
        item["tax_behavior"] = "inclusive"
        papers["automatic_tax"] = {"enabled": True}
    return {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": item}],
        "adaptive_pricing": {"enabled": False},
        **papers,
    }


def _log_failure(enrollment: Enrollment, error: AppError) -> None:
    """Log whose checkout failed at Stripe and why (R038)."""
    facts = {"enrollment": str(enrollment.pk), "code": error.code, "details": error.details}
    logger.warning("Stripe gave no checkout session", extra=facts)


def ask_stripe(payment: Payment, *, actor: str, interactive: bool = False) -> bool:
    """Retrieve the payment's session and settle what it says; return whether anything was new.

    With `interactive`, because somebody waits, Stripe is asked once and has a few seconds. Raises
    StripeUnavailable, StripeRefused.
    """
    if not payment.stripe_session_id:
        return False
    session = gateway.retrieve_session(payment.stripe_session_id, interactive=interactive)
    return settlement.settle_session(payment, session, actor=actor)


def close(payment: Payment, *, unpaid: str, actor: str) -> bool:
    """End an open payment, at Stripe first: what was paid there by then is received here.

    `unpaid` is the reason of the end where it was not: nobody can pay a session that Stripe does
    not know. Raises StripeUnavailable, StripeRefused.
    """
    if not payment.stripe_session_id:
        return settlement.abandon(payment, unpaid=unpaid, actor=actor)
    try:
        session = gateway.close_session(payment.stripe_session_id)
    except StripeSessionUnknown:
        return settlement.abandon(payment, unpaid=unpaid, actor=actor)
    return settlement.settle_session(payment, session, actor=actor, unpaid=unpaid)
