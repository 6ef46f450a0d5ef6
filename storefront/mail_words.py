"""What the status page says where our e-mails to a learner do not arrive."""

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from enrollments.models import Enrollment
from notifications import bounces
from notifications.models import UndeliverableAddress

SENT_DETAILS = _("We have sent the details to that address.")  # left out where it is not true
NOT_AFFECTED = _(
    "Your enrollment is not affected: this page always shows its state. Write to us from another"
    " address, at {support}, and we correct it."
)

REPORTED = _("Our e-mails to {email} were reported as spam, so we cannot write to you there.")
RETURNED = _("Our e-mails to {email} come back, so we cannot write to you there.")


def problem(enrollment: Enrollment) -> str:
    """Return why we cannot write to the learner, and what to do; empty where we can."""
    undeliverable = bounces.undeliverable(enrollment.email)
    if undeliverable is None:
        return ""
    is_spam = undeliverable.reason == UndeliverableAddress.Reason.COMPLAINED
    why = REPORTED if is_spam else RETURNED
    support = settings.SUPPORT_EMAIL
    return f"{why.format(email=enrollment.email)} {NOT_AFFECTED.format(support=support)}"
