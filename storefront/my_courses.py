"""What belongs to a person: purchases are found by the addresses they have proved to be theirs."""

from typing import Any

from allauth.account.models import EmailAddress

from accounts.models import User
from enrollments.models import Enrollment
from maaledu import paging
from payments.models import Payment
from storefront.status import describe

HIDDEN = [Enrollment.CANCELLED, Enrollment.EXPIRED, Enrollment.FAILED]


def verified_emails(user: User) -> list[str]:
    """Return the addresses this person has verified; an unverified one shows nothing (requirement
    R016).
    """
    addresses = EmailAddress.objects.filter(user=user, verified=True).values_list(
        "email", flat=True
    )
    return sorted({address.lower() for address in addresses})


def courses_of(user: User, *, cursor: str) -> dict[str, Any]:
    """Return one page of a person's enrollments with what to say about each, and what they have
    spent in all.
    """
    emails = verified_emails(user)
    mine = Enrollment.objects.filter(email__in=emails)
    page = paging.paginate(mine.exclude(status__in=HIDDEN), cursor=cursor)
    for enrollment in page.rows:
        enrollment.view = describe(enrollment, _open_payment(enrollment))
    return {
        "enrollments": page.rows,
        "next_cursor": page.next_cursor,
        "has_more": page.has_more,
        "email_verified": bool(emails),
        "total_spent": mine.totals_spent(),
    }


def _open_payment(enrollment: Enrollment) -> Payment | None:
    return (
        enrollment.payments.order_by("-attempt").first()
        if enrollment.status == Enrollment.PENDING
        else None
    )
