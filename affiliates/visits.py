"""The funnel, counted as it happens: one visit for each visitor and day, checkouts, purchases.

A visitor is a keyed hash of address, browser and day, so it is another one tomorrow. The browser
distinguishes people of one household or office; one address is at most
MOST_VISITORS_OF_ONE_ADDRESS visitors, whatever it sends.
"""

from datetime import date, timedelta
from hashlib import blake2b
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from affiliates import labels
from affiliates.models import ReferralDay, ReferralVisit
from maaledu.db import atomic, is_duplicate
from maaledu.forgetting import forget

NO_CURRENCY = ""
MOST_VISITORS_OF_ONE_ADDRESS = 100


def today() -> date:
    return timezone.now().date()


def visitor_key(affiliate_id: UUID, day: date, network: str, user_agent: str) -> str:
    # A header may hold lone surrogates, which strict UTF-8 refuses.
    digest = blake2b(user_agent.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    browser = int.from_bytes(digest) % MOST_VISITORS_OF_ONE_ADDRESS
    text = f"{affiliate_id}|{day}|{network}|{browser}"
    return salted_hmac("affiliates.visit", text, algorithm="sha256").hexdigest()


def record(
    affiliate_id: UUID, course_slug: str, *, network: str, user_agent: str, label: str = ""
) -> bool:
    """Count this visitor, once a day for each affiliate; return whether this call did.

    `label` is the one of the link that they came by first on the day.
    """
    key = visitor_key(affiliate_id, today(), network, user_agent)
    # Most clicks are repeated ones: for these a read is cheaper than an INSERT that fails.
    if ReferralVisit.objects.filter(visitor_key=key).exists():
        return False
    try:
        return _record(affiliate_id, course_slug, key, label)
    except IntegrityError as error:  # the same visitor's other tab was quicker
        if not is_duplicate(error):
            raise
        return False


@atomic
def _record(affiliate_id: UUID, course_slug: str, key: str, label: str) -> bool:
    visit = ReferralVisit(
        affiliate_id=affiliate_id, course_slug=course_slug, day=today(), visitor_key=key
    )
    visit.save(force_insert=True)
    _count(affiliate_id, course_slug, NO_CURRENCY, visits=1)
    labels.count(affiliate_id, label, NO_CURRENCY, visits=1)
    return True


def count_checkout(affiliate_id: UUID, course_slug: str, currency: str, label: str = "") -> bool:
    """Count a checkout; return whether it is the day's first of this course and currency."""
    labels.count(affiliate_id, label, currency, checkouts=1)
    return _count(affiliate_id, course_slug, currency, checkouts=1)


def count_purchase(
    affiliate_id: UUID, course_slug: str, currency: str, *, earned: int, label: str = ""
) -> None:
    """Count a purchase and what it earned (minor units), within the caller's transaction."""
    labels.count(affiliate_id, label, currency, purchases=1, earned=earned)
    _count(affiliate_id, course_slug, currency, purchases=1, earned=earned)


def _count(affiliate_id: UUID, course_slug: str, currency: str, **more: int) -> bool:
    rows = ReferralDay.objects.filter(
        affiliate_id=affiliate_id, day=today(), course_slug=course_slug, currency=currency
    )
    # Added by the database, so that two requests at once lose no count; only the first of a day
    # finds no row.
    changes = {name: F(name) + number for name, number in more.items()}
    if rows.update(**changes):
        return False
    ReferralDay.objects.get_or_create(
        affiliate_id=affiliate_id, day=today(), course_slug=course_slug, currency=currency
    )
    rows.update(**changes)
    return True


def forget_old() -> int:
    """Delete the visits past their retention and return how many; the counts of the day stay."""
    limit: date = today() - timedelta(days=settings.REFERRAL_VISITS_KEPT.days)
    return forget(ReferralVisit.objects.filter(day__lt=limit), by="day")
