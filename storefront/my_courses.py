"""The courses of a person: purchases are found by the addresses that they have verified."""

from typing import Any

from allauth.account.models import EmailAddress

from accounts.models import User
from enrollments.models import Enrollment
from maaledu import paging
from storefront.status import describe, latest_payment

HIDDEN = [Enrollment.CANCELLED, Enrollment.EXPIRED, Enrollment.FAILED]


def verified_emails(user: User) -> list[str]:
    """Return the addresses this person has verified; purchases of others are not shown (R016)."""
    addresses = EmailAddress.objects.filter(user=user, verified=True).values_list(
        "email", flat=True
    )
    return sorted({address.lower() for address in addresses})


def courses_of(user: User, *, cursor: str) -> dict[str, Any]:
    """Return one page of a person's enrollments, each with its status, and the total they spent."""
    emails = verified_emails(user)
    mine = Enrollment.objects.filter(email__in=emails)
    page = paging.paginate(mine.exclude(status__in=HIDDEN), cursor=cursor)
    for enrollment in page.rows:
        enrollment.view = describe(enrollment, latest_payment(enrollment))
    return {
        "enrollments": page.rows,
        "next_cursor": page.next_cursor,
        "has_more": page.has_more,
        "email_verified": bool(emails),
        "total_spent": mine.totals_spent(),
    }
