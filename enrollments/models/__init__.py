from enrollments.models.enrollment import Enrollment, EnrollmentEvent, new_token
from enrollments.models.payment import Payment
from enrollments.models.refund import Dispute, Refund
from enrollments.models.stripe_event import StripeEvent

__all__ = ["Dispute", "Enrollment", "EnrollmentEvent", "Payment", "Refund", "StripeEvent", "new_token"]
