"""The past of the demo's affiliate: four months of referred sales, what came of them, and one
payout.

Written with the moments at which it would have happened, so that the pages have something to show.
The seed is fixed, so every demo tells the same.
"""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from affiliates import ledger, memberships, visits
from affiliates.memberships import Joining
from affiliates.models import (
    Affiliate,
    Commission,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
    ReferralDay,
)
from affiliates.payout_details import PayoutDetails
from courses.models import Course
from demo import sales
from demo.sales import Past
from maaledu.db import atomic

EMAIL, NAME = "partner@maaledu.example", "The Open Reading Room"
CURRENCY = "usd"
RELEASED_AFTER = timedelta(hours=3)
PAID_AFTER = timedelta(days=2)
JOINED, FIRST_SALE, SALES, DAYS_BETWEEN, FUNNEL_DAYS = 124, 117, 25, 5, 90
DRAFTED = 36  # days ago, like the others; sales before 66 were payable by then
SHELF = (
    "data-analysis-foundations",
    "sql-for-everyday-questions",
    "reading-financial-statements",
    "ux-writing",
    "writing-policy-that-works",
    "teaching-adults-online",
    "project-finance-essentials",
    "brand-identity-design",
)


def shelf() -> list[Course]:
    """Return the courses that the affiliate recommends, as far as they are on sale."""
    return list(
        Course.objects.on_sale()
        .filter(slug__in=SHELF, currency=CURRENCY, price__gt=0)
        .order_by("slug")
    )


@atomic
def write(courses: Sequence[Course], password: str, *, staff: Sequence[User]) -> bool:
    """Write the affiliate and their past, unless the account is there; return whether this call
    did.

    The payout was drafted by the first of the two persons and released by the second.
    """
    if User.objects.filter(email=EMAIL).exists():
        return False
    now, chance = timezone.now().replace(microsecond=0), random.Random(EMAIL)
    affiliate = _join(password, now)
    pasts = [_past(number, courses, now, chance=chance) for number in range(SALES)]
    for past in pasts:
        sales.write(affiliate, past, by=staff[1])
    _pay_out(affiliate, now - timedelta(days=DRAFTED), staff=staff)
    _write_funnel(affiliate, pasts, courses, chance=chance)
    return True


def _join(password: str, now: datetime) -> Affiliate:
    joined_at = now - timedelta(days=JOINED)
    user = User.objects.create_user(EMAIL, password, name=NAME, date_joined=joined_at)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    affiliate = memberships.join(
        user, Joining(NAME, "IE", PayoutDetails(Affiliate.PAYPAL, NAME, EMAIL))
    )
    memberships.approve(affiliate, by="demo")
    memberships.change_rate(affiliate, sales.RATE, by="demo")
    since = {
        "created_at": joined_at,
        "updated_at": joined_at,
        "terms_accepted_at": joined_at,
        "activated_at": joined_at,
    }
    Affiliate.objects.filter(pk=affiliate.pk).update(**since)
    affiliate.refresh_from_db()
    return affiliate


def _past(number: int, courses: Sequence[Course], now: datetime, *, chance: random.Random) -> Past:
    days = FIRST_SALE - number * DAYS_BETWEEN + chance.randrange(4)
    at = (now - timedelta(days=max(days, 1))).replace(
        hour=chance.randrange(7, 22), minute=chance.randrange(60)
    )
    return Past(number, chance.choice(courses), at)


# --- the payout and the funnel --------------------------------------------------------------------
def _pay_out(affiliate: Affiliate, drafted_at: datetime, *, staff: Sequence[User]) -> None:
    """Pay what had become payable. Not by `payouts.draft`: that pays every affiliate, also those
    whom a visitor made.
    """
    entries = list(LedgerEntry.objects.filter(affiliate=affiliate, available_at__lte=drafted_at))
    released_at, paid_at = drafted_at + RELEASED_AFTER, drafted_at + PAID_AFTER
    batch = PayoutBatch(
        currency=CURRENCY,
        method=affiliate.payout_method,
        payable_on=drafted_at.date(),
        minimum=settings.PAYOUT_MINIMUM,
        status=PayoutBatch.PAID,
        drafted_by=staff[0],
        released_by=staff[1],
        released_at=released_at,
        paid_by=staff[1],
        paid_at=paid_at,
        reference="PayPal 7K2-DEMO",
        created_at=drafted_at,
        updated_at=paid_at,
    )
    batch.save(force_insert=True)
    payout = _payout(batch, affiliate, entries)
    ledger.write(
        LedgerEntry(
            affiliate=affiliate,
            kind=LedgerEntry.PAYOUT,
            amount=-payout.amount,
            currency=CURRENCY,
            payout_id=payout.pk,
            source_key=f"{LedgerEntry.PAYOUT}:{payout.pk}",
            available_at=released_at,
            created_by=staff[1].get_username(),
            note=f"{payout.details_hint} ({payout.entry_count} entries)",
            created_at=released_at,
        )
    )


def _payout(batch: PayoutBatch, affiliate: Affiliate, entries: Sequence[LedgerEntry]) -> Payout:
    payout = Payout(
        batch=batch,
        affiliate=affiliate,
        amount=sum(entry.amount for entry in entries),
        currency=batch.currency,
        entry_count=len(entries),
        payee_name=affiliate.payee_name,
        details_sealed=affiliate.payout_sealed,
        details_hint=affiliate.payout_hint,
        status=Payout.PAID,
        created_at=batch.created_at,
        updated_at=batch.updated_at,
    )
    payout.save(force_insert=True)
    items = [
        PayoutItem(payout=payout, entry=entry, affiliate_id=affiliate.pk, amount=entry.amount)
        for entry in entries
    ]
    PayoutItem.objects.bulk_create(items)
    return payout


def _write_funnel(
    affiliate: Affiliate, sales: Sequence[Past], courses: Sequence[Course], *, chance: random.Random
) -> None:
    """Write visits for every day and the checkouts that some of them led to, with each purchase on
    the day of its sale.
    """
    seen: Counter[tuple[date, str]] = Counter()
    begun: Counter[tuple[date, str]] = Counter(
        (past.paid_at.date(), past.course.slug) for past in sales
    )
    for number in range(FUNNEL_DAYS):
        day, slugs = (
            visits.today() - timedelta(days=number),
            ["", *(course.slug for course in chance.sample(courses, min(3, len(courses))))],
        )
        for slug in slugs:
            seen[day, slug] += chance.randrange(1, 7) + (FUNNEL_DAYS - number) // 30
        begun[day, slugs[-1]] += number % 4 == 1 and slugs[-1] != ""
    for (day, slug), count in begun.items():
        seen[day, slug] += 2 * count
    _save_funnel(affiliate, sales, seen, begun=begun)


def _save_funnel(
    affiliate: Affiliate,
    sales: Sequence[Past],
    seen: Counter[tuple[date, str]],
    *,
    begun: Counter[tuple[date, str]],
) -> None:
    bought: Counter[tuple[date, str]] = Counter(
        (past.paid_at.date(), past.course.slug) for past in sales
    )
    earned: Counter[tuple[date, str]] = Counter()
    for commission in Commission.objects.filter(affiliate=affiliate):
        earned[commission.created_at.date(), commission.course_slug] += commission.amount
    rows = [
        ReferralDay(affiliate=affiliate, day=day, course_slug=slug, visits=count)
        for (day, slug), count in seen.items()
    ]
    rows += [
        ReferralDay(
            affiliate=affiliate,
            day=day,
            course_slug=slug,
            currency=CURRENCY,
            checkouts=count,
            purchases=bought[day, slug],
            earned=earned[day, slug],
        )
        for (day, slug), count in begun.items()
        if count
    ]
    ReferralDay.objects.bulk_create(rows)
