from payments.models.dispute import Dispute
from payments.models.payment import Payment
from payments.models.refund import Refund
from payments.models.stripe_event import StripeEvent

__all__ = ["Dispute", "Payment", "Refund", "StripeEvent"]
