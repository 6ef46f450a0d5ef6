"""What the status page says where our e-mails to a learner do not arrive."""

from django.conf import settings

from enrollments.models import Enrollment
from notifications import bounces
from notifications.models import UndeliverableAddress

SENT_DETAILS = " We have sent the details to that address."  # left out where it is not true
NOT_AFFECTED = (
    "Your enrollment is not affected: this page always shows its state. Write to us from another"
    " address, at {}, and we correct it."
)


def problem(enrollment: Enrollment) -> str:
    """Return why we cannot write to the learner, and what to do; empty where we can."""
    undeliverable = bounces.undeliverable(enrollment.email)
    if undeliverable is None:
        return ""
    is_spam = undeliverable.reason == UndeliverableAddress.Reason.COMPLAINED
    what = "were reported as spam" if is_spam else "come back"
    why = f"Our e-mails to {enrollment.email} {what}, so we cannot write to you there."
    return f"{why} {NOT_AFFECTED.format(settings.SUPPORT_EMAIL)}"
