from payments.models.dispute import Dispute
from payments.models.fraud_warning import EarlyFraudWarning
from payments.models.payment import Payment
from payments.models.reconciliation import Reconciliation
from payments.models.refund import Refund
from payments.models.refund_request import RefundRequest
from payments.models.stripe_event import StripeEvent
from payments.models.webhook_problem import WebhookProblem

__all__ = [
    "Dispute",
    "EarlyFraudWarning",
    "Payment",
    "Reconciliation",
    "Refund",
    "RefundRequest",
    "StripeEvent",
    "WebhookProblem",
]
