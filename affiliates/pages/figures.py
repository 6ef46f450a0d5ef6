"""What an affiliate's dashboard shows, in at most five statements, however long the history is.

The balances are stored sums, so the figures are exact; requirements R081 and R197 would allow them
to be five minutes old. The funnel is counted by the day as it happens (`affiliates.visits`).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from affiliates import holds, visits
from affiliates.models import Affiliate, Balance, LedgerEntry, ReferralDay
from courses.models import Course
from maaledu.money import percent
from maaledu.paging import NEWEST_FIRST

FUNNEL_DAYS = 90
ANY_PAGE = _("Courses page and others")


# --- the account ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Account:
    """An affiliate with their balances, one for each currency they have earned in."""

    affiliate: Affiliate
    balances: list[Balance]

    def balance(self, currency: str) -> Balance | None:
        return next((balance for balance in self.balances if balance.currency == currency), None)

    def mark_pending(self, entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
        """Set `is_pending` on these entries, by the rule of `affiliates.ledger`; return them."""
        marked = list(entries)
        for entry in marked:
            balance = self.balance(entry.currency)
            is_mature = balance is not None and entry.available_at <= balance.matured_through
            entry.is_pending = entry.is_earning and not is_mature
        return marked


def account_of(user_id: UUID) -> Account | None:
    """Return the affiliate account of this user, None without one.

    It takes one statement once something was earned, and two before.
    """
    # The balances bring their affiliate along, which saves every page a statement.
    rows = Balance.objects.filter(affiliate__user_id=user_id).select_related("affiliate")
    balances = list(holds.with_pending(rows.order_by("currency")))
    if balances:
        return Account(balances[0].affiliate, balances)
    affiliate = Affiliate.objects.filter(user_id=user_id).first()
    return Account(affiliate, []) if affiliate else None


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
class Period:
    """Some days, both ends in it; `before` is as many days, up to its first."""

    first: date
    last: date

    @classmethod
    def latest(cls, days: int = FUNNEL_DAYS) -> "Period":
        today = visits.today()
        return cls(today - timedelta(days=days - 1), today)

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Period":
        return Period(self.first - timedelta(days=self.length), self.first - timedelta(days=1))

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range(self.length)]


def funnel_of(affiliate_id: UUID, period: Period | None = None) -> dict[str, Any]:
    """Return the funnel of a period, by default the last FUNNEL_DAYS days, in two statements.

    `total` is all of it, `before` that of as many days before, `courses` each course's title and
    part, the best first, and `days` each day and its part, the oldest first. The rows read grow
    with days and courses, not the history.
    """
    period = period or Period.latest()
    rows = ReferralDay.objects.filter(
        affiliate_id=affiliate_id, day__gte=period.before.first, day__lte=period.last
    )
    by_day: defaultdict[date, Steps] = defaultdict(Steps)
    by_course: defaultdict[str, Steps] = defaultdict(Steps)
    before = Steps()
    counts = rows.values_list("day", "course_slug", "visits", "checkouts", "purchases")
    for day, slug, visited, checked_out, purchased in counts:
        steps = Steps(visited, checked_out, purchased)
        if day < period.first:
            before += steps
            continue
        by_day[day] += steps
        by_course[slug] += steps
    return {
        "period": period,
        "total": sum(by_day.values(), Steps()),
        "before": before,
        "courses": _best_first(by_course),
        "days": [(day, by_day[day]) for day in period.days],
    }


def steps_of(affiliate_id: UUID) -> Steps:
    """Return the total of the last FUNNEL_DAYS days alone, in one statement."""
    period = Period.latest()
    rows = ReferralDay.objects.filter(
        affiliate_id=affiliate_id, day__gte=period.first, day__lte=period.last
    )
    counts = rows.values_list("visits", "checkouts", "purchases")
    return sum((Steps(*each) for each in counts), Steps())


def _best_first(by_course: dict[str, Steps]) -> list[tuple[str, Steps]]:
    slugs = [slug for slug in by_course if slug]
    rows = Course.objects.filter(slug__in=slugs).values_list("slug", "title") if slugs else ()
    titles = {"": gettext(ANY_PAGE), **dict(rows)}
    found = [(titles.get(slug, slug), steps) for slug, steps in by_course.items()]
    return sorted(found, key=_rank)


def _rank(course: tuple[str, Steps]) -> tuple[int, int, str]:
    title, steps = course
    return -steps.purchases, -steps.visits, title


# --- the dashboard --------------------------------------------------------------------------------
def dashboard_of(account: Account, period: Period | None = None) -> dict[str, Any]:
    """Return what the dashboard shows besides the account, in three statements.

    `is_empty`: there was no entry ever and no visit lately.
    """
    funnel = funnel_of(account.affiliate.pk, period)
    rows = LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk).order_by(*NEWEST_FIRST)
    latest = rows[: settings.PAGE_SIZE] if account.balances else []  # no balance, no entries
    return {
        "funnel": funnel,
        "entries": account.mark_pending(latest),
        "is_empty": not account.balances and funnel["total"] == funnel["before"] == Steps(),
    }
