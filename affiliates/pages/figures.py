"""What an affiliate's dashboard shows, in at most four statements, which cost the same however long
the history is.

The balances are read as they stand, never added up here: requirements R081 and R197 allow figures
five minutes old, these are exact. The funnel is counted by the day as it happens
(`affiliates.visits`).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.conf import settings

from affiliates import visits
from affiliates.models import Affiliate, Balance, LedgerEntry, ReferralDay
from courses.models import Course
from maaledu.money import format_money, percent
from maaledu.paging import NEWEST_FIRST

FUNNEL_DAYS = 90
COURSES_AT_ONCE = 12
ANY_PAGE = "Courses page and others"


@dataclass(frozen=True)
class Account:
    """An affiliate with their running balances, one for each currency they have earned in."""

    affiliate: Affiliate
    balances: list[Balance]

    def balance(self, currency: str) -> Balance | None:
        return next((balance for balance in self.balances if balance.currency == currency), None)

    def is_pending(self, entry: LedgerEntry) -> bool:
        """Whether the entry stands in `pending`, by the rule of `affiliates.ledger`: the balance
        itself decides.
        """
        balance = self.balance(entry.currency)
        is_earning = entry.kind in LedgerEntry.EARNINGS
        return is_earning and (balance is None or entry.available_at > balance.matured_through)


def account_of(user_id: UUID) -> Account | None:
    """Return the account of this user, in one statement once something was earned and in two
    before; None without one.
    """
    balances = list(
        Balance.objects.filter(affiliate__user_id=user_id)
        .select_related("affiliate")
        .order_by("currency")
    )
    affiliate = (
        balances[0].affiliate if balances else Affiliate.objects.filter(user_id=user_id).first()
    )
    return Account(affiliate, balances) if affiliate else None


def earned(balance: Balance) -> int:
    """Return everything earned less what was taken back, in minor units: payouts only move it from
    payable to paid.
    """
    return balance.pending + balance.payable + balance.paid


def payout_minimum(currency: str) -> str:
    return format_money(settings.PAYOUT_MINIMUM, currency)


# --- the funnel -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Steps:
    """How far visitors came: a click, a checkout, a purchase."""

    visits: int = 0
    checkouts: int = 0
    purchases: int = 0

    def __add__(self, other: "Steps") -> "Steps":
        return Steps(
            self.visits + other.visits,
            self.checkouts + other.checkouts,
            self.purchases + other.purchases,
        )

    @property
    def checkout_rate(self) -> str:
        return percent(self.checkouts, self.visits)

    @property
    def completion_rate(self) -> str:
        return percent(self.purchases, self.checkouts)

    @property
    def rate(self) -> str:
        """Return the click-to-purchase rate (requirement R083)."""
        return percent(self.purchases, self.visits)


@dataclass(frozen=True)
class CourseSteps:
    title: str
    steps: Steps


@dataclass(frozen=True)
class Funnel:
    """The last FUNNEL_DAYS days: in all, of each course (the best first), and of every day (the
    oldest first).
    """

    total: Steps
    courses: list[CourseSteps]
    days: list[tuple[date, Steps]]


def funnel_of(affiliate_id: UUID) -> Funnel:
    """Return the funnel in two statements. What it reads is bounded by the days and the courses,
    not by the history.
    """
    today = visits.today()
    first = today - timedelta(days=FUNNEL_DAYS - 1)
    rows = ReferralDay.objects.filter(affiliate_id=affiliate_id, day__gte=first)
    by_day: defaultdict[date, Steps] = defaultdict(Steps)
    by_course: defaultdict[str, Steps] = defaultdict(Steps)
    for day, slug, *counts in rows.values_list(
        "day", "course_slug", "visits", "checkouts", "purchases"
    ):
        by_day[day] += Steps(*counts)
        by_course[slug] += Steps(*counts)
    days = [first + timedelta(days=number) for number in range(FUNNEL_DAYS)]
    return Funnel(
        sum(by_day.values(), Steps()), _named(by_course), [(day, by_day[day]) for day in days]
    )


def _named(by_course: dict[str, Steps]) -> list[CourseSteps]:
    slugs = [slug for slug in by_course if slug]
    titles = (
        dict(Course.objects.filter(slug__in=slugs).values_list("slug", "title")) if slugs else {}
    )
    found = [
        CourseSteps(titles.get(slug, slug) or ANY_PAGE, steps) for slug, steps in by_course.items()
    ]
    return sorted(
        found, key=lambda course: (-course.steps.purchases, -course.steps.visits, course.title)
    )


# --- the dashboard --------------------------------------------------------------------------------
@dataclass(frozen=True)
class Dashboard:
    account: Account
    funnel: Funnel
    latest: list[LedgerEntry]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has happened yet: no entry ever, no visit lately."""
        return not self.account.balances and self.funnel.total == Steps()


def dashboard_of(account: Account) -> Dashboard:
    """Return what the dashboard shows besides the account, in three statements; without a balance
    there are no entries.
    """
    entries = LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk).order_by(*NEWEST_FIRST)
    latest = list(entries[: settings.PAGE_SIZE]) if account.balances else []
    return Dashboard(account, funnel_of(account.affiliate.pk), latest)
