from datetime import timedelta

from django.utils.translation import gettext_noop as _

from maaledu.errors import AppError
from payments.refusal_table import BUYER, FOR_BUYER, PASSING, SETUP
from payments.refusals import Refusal


class InvalidCheckout(AppError):
    code = "INVALID_CHECKOUT"
    message = _("Please check what you entered.")
    http_status = 400


class AlreadyEnrolled(AppError):
    code = "ALREADY_ENROLLED"
    message = _(
        "This e-mail address is already enrolled in this course. Your confirmation e-mail has the"
        " link to it."
    )
    http_status = 409


class PaymentInProgress(AppError):
    code = "PAYMENT_IN_PROGRESS"
    message = _(
        "A payment for this course is on its way from your bank. We will e-mail you as soon as it"
        " arrives."
    )
    http_status = 409


class PriceChanged(AppError):
    """The page showed another price than the one that would be charged."""

    code = "PRICE_CHANGED"
    message = _(
        "The price has changed since you opened this page. Nothing was charged: please check the"
        " price below before you continue."
    )
    http_status = 409


class CheckoutClosed(AppError):
    code = "CHECKOUT_CLOSED"
    message = _(
        "Enrollment opens again soon: we are moving to this new shop. Your courses, coupons and"
        " grants come along, and nothing is lost. Please come back tomorrow."
    )
    http_status = 503


class CheckoutUnavailable(AppError):
    code = "CHECKOUT_UNAVAILABLE"
    message = FOR_BUYER[PASSING]
    http_status = 503
    retryable = True
    retry_after = timedelta(seconds=10)


class PaymentsUnavailable(AppError):
    """Nobody can pay until staff, who have been alerted, have changed our set-up."""

    code = "PAYMENTS_UNAVAILABLE"
    message = FOR_BUYER[SETUP]
    http_status = 503


class StripeUnavailable(AppError):
    """Stripe did not answer, or answered that it cannot now; what it did is unknown."""

    code = "STRIPE_UNAVAILABLE"
    message = _("The payment service is unavailable.")
    http_status = 503
    retryable = True
    consumes_attempt = False


class StripeRefused(AppError):
    """Stripe refused our request: nothing was done. `refusal` says whose fault it is."""

    code = "STRIPE_REFUSED"
    message = _("The payment service refused the request.")
    http_status = 503

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(**refusal.facts)
        self.refusal = refusal

    def __str__(self) -> str:
        return str(self.refusal)  # for staff: the buyer reads `message`


class StripeKeyRefused(StripeRefused):
    """Stripe refuses our key or account, and so whatever else is asked, until staff have acted."""

    code = "STRIPE_KEY_REFUSED"
    retryable = True
    consumes_attempt = False


# With these, the next row of a sweep will not fare better than this one.
OUTAGE = (StripeUnavailable, StripeKeyRefused)


class StripeSessionUnknown(StripeRefused):
    """Stripe has no such session: nobody can pay it."""

    code = "STRIPE_SESSION_UNKNOWN"


class EmailRefused(StripeRefused):
    """Stripe does not take the buyer's e-mail address; this is said to the buyer at its field."""

    code = "EMAIL_REFUSED"
    message = FOR_BUYER[BUYER]
    http_status = 400

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.public_details = {"fields": {"email": [self.message]}}


class PaperNotFound(AppError):
    code = "PAPER_NOT_FOUND"
    message = _("The payment service has no such paper of this payment.")
    http_status = 404


class RefundTooLarge(AppError):
    code = "REFUND_TOO_LARGE"
    message = "That is more than is left of this payment."
    http_status = 409


class RefundNotPossible(AppError):
    code = "REFUND_NOT_POSSIBLE"
    message = "This payment cannot be refunded: it was not received, or the amount is not positive."
    http_status = 409


class RefundAskedBefore(AppError):
    code = "REFUND_ASKED_BEFORE"
    message = (
        "This form was sent before: its refund is listed with the payment. Open the form anew for"
        " another one."
    )
    http_status = 409


class RefundNotOffered(AppError):
    code = "REFUND_NOT_OFFERED"
    message = _(
        "A refund cannot be asked for here: the time for it is over, the course is completed, or"
        " nothing was paid for it. Please write to us."
    )
    http_status = 409


class RefundAskedAlready(AppError):
    code = "REFUND_ASKED_ALREADY"
    message = _("You have asked for this refund already. We answer by e-mail.")
    http_status = 409


class InvalidSignature(AppError):
    code = "INVALID_SIGNATURE"
    message = "The signature of this request is not valid."
    http_status = 400


class InvalidEvent(AppError):
    code = "INVALID_EVENT"
    message = "This is not an event that Stripe would send."
    http_status = 400


class ReconciliationIncomplete(AppError):
    code = "RECONCILIATION_INCOMPLETE"
    message = "Stripe was not asked about everything."


class CannotRebuild(AppError):
    """A payment that is missing here cannot be made again from its session; `message` says why."""

    code = "CANNOT_REBUILD"
    http_status = 409
