"""What the status page says where our e-mails to a learner do not arrive."""

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from enrollments.models import Enrollment
from notifications import bounces

SENT_DETAILS = _("We have sent the details to that address.")  # left out where it is not true
NOT_AFFECTED = _(
    "Your enrollment is not affected: this page always shows its state. Write to us from another"
    " address, at {support}, and we correct it."
)


def problem(enrollment: Enrollment) -> str:
    """Return why we cannot write to the learner, and what to do; empty where we can."""
    return with_help(bounces.why_undeliverable(enrollment.email))


def with_help(why: str) -> str:
    """Return why we cannot write to a learner with what to do; empty where we can."""
    return f"{why} {NOT_AFFECTED.format(support=settings.SUPPORT_EMAIL)}" if why else ""
