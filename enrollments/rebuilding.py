"""What is known, after the restore of an older backup, of the time whose rows it has lost.

Purchases of that time are rebuilt from what Stripe proves (`payments.rebuild`). The outbox of that
time is lost as well, and nobody should get an e-mail a second time. So it goes by what can be
known:

- The LMS knows who had access: it is asked before it is asked to enroll anybody. Where it has an
  enrollment that was begun here before the last rebuild, access had been given and confirmed, and
  no confirmation is sent; where it has not, the enrollment is fulfilled like any other.
- What an event reported to the rows that are lost was mailed then; what Stripe could not deliver
  was not. Reconciliation applies undelivered events as events, with their e-mails. What it finds
  besides, in its first whole run after a rebuild, is recorded by ACTOR, without an e-mail.
- What the LMS has of such an enrollment is taken for made by us, unless it says that it came from
  elsewhere: a refund takes it back.
- That access is late is not mailed to anybody whose enrollment was begun before the last rebuild.
"""

from datetime import datetime

from enrollments.models import Enrollment

ACTOR = "rebuilt from Stripe"
CONFIRMED_BEFORE = "The LMS had it already: not confirmed by e-mail again."


def last_at() -> datetime | None:
    """Return when an enrollment was rebuilt last."""
    rebuilt = Enrollment.objects.filter(rebuilt_at__isnull=False).order_by("-rebuilt_at")
    return rebuilt.values_list("rebuilt_at", flat=True).first()


def may_have_access(enrollment: Enrollment) -> bool:
    """Whether the LMS may have this enrollment although our rows do not say so."""
    last = last_at()
    return last is not None and enrollment.created_at < last
