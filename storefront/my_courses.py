"""The courses of a person: purchases are found by the addresses that they have verified."""

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q

from accounts.models import User
from enrollments.models import Enrollment
from maaledu import paging
from notifications import bounces
from payments import learner_refunds
from payments.models import Payment
from payments.outcomes import outcomes_of
from storefront import mail_words
from storefront.status import describe

MOST_ENDED = 50  # nobody has that many; what is read stays bounded all the same
HIDDEN = [Enrollment.CANCELLED, Enrollment.EXPIRED, Enrollment.FAILED]


def is_of(user: User | AnonymousUser, enrollment: Enrollment) -> bool:
    """Whether an enrollment is this person's: its address is one that they have verified."""
    return isinstance(user, User) and enrollment.email in user.verified_emails()


def owned(user: User | AnonymousUser, slug: str) -> Enrollment | None:
    """Return the latest paid enrollment of a signed-in person in a course, if any."""
    if not isinstance(user, User):
        return None
    mine = Enrollment.objects.paid().filter(email__in=user.verified_emails(), course_slug=slug)
    return mine.order_by("-created_at").first()


def _ended_with_money(emails: list[str]) -> list[UUID]:
    """Return the latest enrollments that ended though money was received, or is on its way."""
    received = Payment.objects.filter(
        status__in=[Payment.PAID, Payment.PROCESSING],
        enrollment__email__in=emails,
        enrollment__status__in=HIDDEN,
    )
    latest = received.order_by("-created_at").values_list("enrollment_id", flat=True)
    return list(latest[:MOST_ENDED])


def courses_of(user: User, *, cursor: str) -> dict[str, Any]:
    """Return one page of a person's enrollments, each with its status, and the total they spent."""
    emails = user.verified_emails()
    mine = Enrollment.objects.filter(email__in=emails)
    shown = ~Q(status__in=HIDDEN) | Q(pk__in=_ended_with_money(emails))
    page = paging.paginate(mine.filter(shown), cursor=cursor)
    outcomes, asked = outcomes_of(page.rows), learner_refunds.asked_for(page.rows)
    whys = bounces.whys_undeliverable({*emails, user.email})
    for enrollment in page.rows:
        mail_problem = mail_words.with_help(whys.get(enrollment.email, ""))
        enrollment.view = describe(enrollment, outcomes[enrollment.pk], mail_problem)
        enrollment.refund_asked = asked.get(enrollment.pk, "")
        may_ask = learner_refunds.may_be_asked_until(enrollment) is not None
        enrollment.may_ask_refund = may_ask and not enrollment.refund_asked
    return {
        "enrollments": page.rows,
        "next_cursor": page.next_cursor,
        "has_more": page.has_more,
        "email_verified": bool(emails),
        "mail_problems": list(whys.values()),
        "total_spent": mine.totals_spent(),
    }
