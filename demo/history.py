"""The history of the demo's affiliate: four months of referred sales, and one payout.

The rows carry the moments at which it would have happened, so that the pages have something to
show. The random numbers have a fixed seed: every demo shows the same.
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
    ReferralLabelDay,
)
from affiliates.payout_details import PayoutDetails
from courses.models import Course
from demo import sales
from demo.sales import DemoSale
from maaledu.db import atomic
from maaledu.money import share
from notifications.models import Email

EMAIL, NAME = "partner@maaledu.example", "The Open Reading Room"
CURRENCY = "usd"
RELEASED_AFTER = timedelta(hours=3)
PAID_AFTER = timedelta(days=2)
JOINED, FIRST_SALE, SALES, DAYS_BETWEEN, FUNNEL_DAYS = 124, 117, 25, 5, 90
DRAFTED = 36  # days ago, like the others; sales before 66 were payable by then
LABELS = ("newsletter", "podcast", "reading-list")
RECOMMENDED = (
    "data-analysis-foundations",
    "sql-for-everyday-questions",
    "reading-financial-statements",
    "ux-writing",
    "writing-policy-that-works",
    "teaching-adults-online",
    "project-finance-essentials",
    "brand-identity-design",
)


def recommended_courses() -> list[Course]:
    """Return the courses that the affiliate recommends, as far as they are on sale."""
    return list(
        Course.objects.on_sale()
        .filter(slug__in=RECOMMENDED, currency=CURRENCY, price__gt=0)
        .order_by("slug")
    )


@atomic
def write(courses: Sequence[Course], password: str, *, staff: Sequence[User]) -> bool:
    """Write the affiliate and their history, unless the account exists; return whether this did.

    The payout was drafted by the first of the two persons and released by the second.
    """
    if User.objects.filter(email=EMAIL).exists():
        return False
    now, chance = timezone.now().replace(microsecond=0), random.Random(EMAIL)
    affiliate = _join(password, now)
    demo_sales = [_demo_sale(number, courses, now, chance=chance) for number in range(SALES)]
    for sale in demo_sales:
        sales.write(affiliate, sale, by=staff[1])
    _pay_out(affiliate, now - timedelta(days=DRAFTED), staff=staff)
    _write_funnel(affiliate, demo_sales, courses, chance=chance)
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
    for email in Email.objects.filter(to=EMAIL):
        sales.settle(email, joined_at, sent_at=joined_at)
    affiliate.refresh_from_db()
    return affiliate


def _demo_sale(
    number: int, courses: Sequence[Course], now: datetime, *, chance: random.Random
) -> DemoSale:
    days = FIRST_SALE - number * DAYS_BETWEEN + chance.randrange(4)
    at = (now - timedelta(days=max(days, 1))).replace(
        hour=chance.randrange(7, 22), minute=chance.randrange(60)
    )
    return DemoSale(number, chance.choice(courses), at)


# --- the payout and the funnel --------------------------------------------------------------------
def _pay_out(affiliate: Affiliate, drafted_at: datetime, *, staff: Sequence[User]) -> None:
    """Write the payout of what had become payable by then."""
    # Not by `payout_drafts.draft`: that drafts for every affiliate, those that a visitor of the
    # demo made included.
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
    affiliate: Affiliate,
    demo_sales: Sequence[DemoSale],
    courses: Sequence[Course],
    *,
    chance: random.Random,
) -> None:
    """Write the visits of each day, and the checkouts and purchases that some of them led to."""
    seen: Counter[tuple[date, str]] = Counter()
    begun: Counter[tuple[date, str]] = Counter(
        (sale.paid_at.date(), sale.course.slug) for sale in demo_sales
    )
    for number in range(FUNNEL_DAYS):
        day = visits.today() - timedelta(days=number)
        seen_courses = chance.sample(courses, min(3, len(courses)))
        slugs = ["", *(course.slug for course in seen_courses)]
        for slug in slugs:
            seen[day, slug] += chance.randrange(1, 7) + (FUNNEL_DAYS - number) // 30
        begun[day, slugs[-1]] += number % 4 == 1 and slugs[-1] != ""
    for (day, slug), count in begun.items():
        seen[day, slug] += 2 * count
    _save_funnel(affiliate, demo_sales, seen, begun=begun)


def _save_funnel(
    affiliate: Affiliate,
    demo_sales: Sequence[DemoSale],
    seen: Counter[tuple[date, str]],
    *,
    begun: Counter[tuple[date, str]],
) -> None:
    bought: Counter[tuple[date, str]] = Counter(
        (sale.paid_at.date(), sale.course.slug) for sale in demo_sales
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
    ReferralLabelDay.objects.bulk_create(_labelled(affiliate, demo_sales, seen))


def _labelled(
    affiliate: Affiliate, demo_sales: Sequence[DemoSale], seen: Counter[tuple[date, str]]
) -> list[ReferralLabelDay]:
    """Return the part of the funnel that came by links with labels: each third day and sale."""
    visited: Counter[tuple[date, str]] = Counter()
    for (day, slug), count in seen.items():
        if day.toordinal() % 3 and slug:
            visited[day, LABELS[day.toordinal() // 3 % len(LABELS)]] += count
    rows = [
        ReferralLabelDay(affiliate=affiliate, day=day, label=label, visits=count)
        for (day, label), count in visited.items()
    ]
    rows += [
        ReferralLabelDay(
            affiliate=affiliate,
            day=sale.paid_at.date(),
            label=LABELS[sale.number // 3 % len(LABELS)],
            currency=CURRENCY,
            checkouts=1,
            purchases=1,
            earned=share(sale.course.price, sales.RATE),
        )
        for sale in demo_sales[::3]
    ]
    return rows
