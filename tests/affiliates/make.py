"""Affiliates, sales and payouts that tests start from, made by the product's own functions and
events.
"""

import itertools
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.models import User
from affiliates import memberships
from affiliates.memberships import Joining
from affiliates.models import Affiliate
from affiliates.payout_details import PayoutDetails
from courses.models import Course
from enrollments.models import Enrollment
from notifications.models import Email
from payments.models import Payment
from tests.factories import completed, deliver, make_course, make_pending

IBAN = "DE89370400440532013000"
_numbers = itertools.count(1)


def make_user(email: str = "", **fields: Any) -> User:
    email = email or f"person{next(_numbers)}@example.com"
    user = User.objects.create_user(email, "a-sentence-nobody-guesses-7", **fields)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def make_staff(**fields: Any) -> User:
    return make_user(is_staff=True, is_superuser=True, **fields)


def make_affiliate(
    email: str = "",
    *,
    rate: int = 1000,
    name: str = "Ada's club",
    details: PayoutDetails | None = None,
) -> Affiliate:
    bank = details or PayoutDetails(Affiliate.BANK, "Ada Partner", IBAN)
    affiliate = memberships.join(make_user(email), Joining(name, "DE", bank))
    # the welcome has tests of its own
    Email.objects.filter(dedupe_key__contains=str(affiliate.pk)).delete()
    memberships.change_rate(affiliate, rate, by="tests")
    affiliate.refresh_from_db()
    return affiliate


def make_referred(
    affiliate: Affiliate, course: Course | None = None, **fields: Any
) -> tuple[Enrollment, Payment]:
    """Return a pending enrollment that this affiliate is credited with, as checkout leaves one
    behind.
    """
    course = course or make_course()
    referred = {
        "affiliate_id": affiliate.pk,
        "referral_code": affiliate.code,
        "referral_outcome": "credited",
        "commission_base": course.price,
        "commission_rate": affiliate.rate_basis_points,
    }
    return make_pending(course, **{**referred, **fields})


def sell(
    client: Client, affiliate: Affiliate, course: Course | None = None, **fields: Any
) -> tuple[Enrollment, Payment]:
    """Have a referred purchase paid, by Stripe's event, and return it as it is then."""
    enrollment, payment = make_referred(affiliate, course, **fields)
    assert deliver(client, completed(payment)).status_code == 200
    enrollment.refresh_from_db()
    payment.refresh_from_db()
    return enrollment, payment


def tomorrow() -> Any:
    return (timezone.now() + timedelta(days=1)).date()
