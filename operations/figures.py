"""What the database says for /metrics: the same for every process, and right to the unit.

Summed up anew every METRICS_FIGURES_FOR at most, by whichever process is asked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Case, Count, F, Model, Q, QuerySet, Value, When
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from affiliates.models import Commission
from enrollments.models import AccessComparison, AccessDifference, Enrollment
from lms_sync import accounts, call_history, pace, seats
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from maaledu.money import BASIS_POINTS
from maaledu.work.items import DONE
from operations import heartbeats, levels, tallies
from operations.commission_accuracy import HALF
from operations.models import LEVELS
from operations.queues import QUEUES
from operations.tallies import Tally
from payments.models import Payment, Refund

CACHE_KEY = "metrics-figures"
LESS, MORE = "less", "more"  # rate times list price, than the commission
Row = tuple[Sequence[str], float]
Figure = tuple[str, Sequence[str], Sequence[Row]]

# Name, what it says, and the names of its labels.
HELP = {
    "maaledu_level": "How well work gets done: 0 green, 1 yellow, 2 red.",
    "maaledu_trouble": "What keeps it from green, by cause: 1 yellow, 2 red.",
    "maaledu_heartbeat_age_seconds": "How long a part has been silent.",
    "maaledu_queue_items": "Items that are not done, by queue and status (KPI 2).",
    "maaledu_queue_due": "Items that are due now, counted to 101.",
    "maaledu_queue_oldest_seconds": "How long the oldest due item has been due.",
    "maaledu_queue_last_attempt": "LMS jobs that have one attempt left.",
    "maaledu_queue_stuck": "Items that nobody has finished for a day.",
    "maaledu_dead_letters": "Dead letters that wait for staff.",
    "maaledu_lms_blocked": "1 while the breaker of a platform keeps calls back.",
    "maaledu_lms_calls_per_second": "How often a platform is called now at most.",
    "maaledu_lms_calls_at_once": "For how many jobs a platform is called at once at most.",
    "maaledu_lms_seats_in_use": "For how many jobs a platform is called at the moment.",
    "maaledu_lms_no_new_users": "1 while a platform makes no new users.",
    "maaledu_lms_failed_ratio": "Failed calls of all, by platform and step, in the last two hours.",
    "maaledu_lms_mean_seconds": "Time of a call, by platform and step, in the last two hours.",
    "maaledu_payments": "Payments by status.",
    "maaledu_revenue_minor_units": "What was received, in minor units by currency.",
    "maaledu_refunds_minor_units": "Refunds by status, in minor units by currency.",
    "maaledu_enrollments": "Enrollments by kind and status.",
    "maaledu_access": "Paid enrollments by access; success over all is KPI 1.",
    "maaledu_access_differences": "Open differences of access with an LMS, by platform and kind.",
    "maaledu_access_compared_age_seconds": "How long ago an LMS was last compared to the end.",
    "maaledu_commissions": "Commissions, and those that are not rate times list price (KPI 3).",
}


class Figures(Collector):
    """The figures as Prometheus asks for them."""

    def collect(self) -> Iterator[Metric]:
        for name, labels, rows in current():
            family = GaugeMetricFamily(name, HELP[name], labels=labels)
            for values, value in rows:
                family.add_metric(values, value)
            yield family


def current() -> list[Figure]:
    """Return the figures, from the cache where they are fresh."""
    lifetime = settings.METRICS_FIGURES_FOR.total_seconds()
    if not lifetime:
        return _sum_up()
    return cache.get_or_set(CACHE_KEY, _sum_up, lifetime) or []


def _sum_up() -> list[Figure]:
    now = timezone.now()
    return [figure for part in PARTS for figure in part(now)]


def _levels(now: datetime) -> Iterator[Figure]:
    reasons = levels.assess()
    yield "maaledu_level", (), [((), LEVELS.index(levels.worst(reasons)))]
    yield (
        "maaledu_trouble",
        ("cause",),
        [((each.cause,), LEVELS.index(each.level)) for each in reasons],
    )
    ages = [((name,), (now - seen.at).total_seconds()) for name, seen in _seen().items()]
    yield "maaledu_heartbeat_age_seconds", ("part",), ages


def _seen() -> Mapping[str, Any]:
    parts = (heartbeats.WORKER, heartbeats.SCHEDULER, heartbeats.NIGHTLY)
    return {name: seen for name, seen in heartbeats.last_seen().items() if name in parts}


def _queues(now: datetime) -> Iterator[Figure]:
    counts, oldest = levels.waiting(now)
    yield "maaledu_queue_items", ("queue", "status"), unfinished_items()
    yield "maaledu_queue_due", ("queue",), [((name,), count) for name, count in counts.items()]
    ages = [((name,), (now - at).total_seconds()) for name, at in oldest.items()]
    yield "maaledu_queue_oldest_seconds", ("queue",), ages
    last = SyncJob.objects.unfinished().filter(attempts__gte=settings.LMS_BACKGROUND_ATTEMPTS + 1)
    yield "maaledu_queue_last_attempt", (), [((), last.count())]
    stuck = [((name,), queue.model.objects.stuck(now).count()) for name, queue in QUEUES.items()]
    yield "maaledu_queue_stuck", ("queue",), stuck


def unfinished_items() -> list[Row]:
    """Return how many items are not done, by queue and status."""
    unfinished = Q(status__in=[status for status, _ in SyncJob.STATUSES if status != DONE])
    return [
        ((name, *status), number)
        for name, queue in QUEUES.items()
        for status, number in _counted(queue.model, unfinished, "status")
    ]


def _platforms(now: datetime) -> Iterator[Figure]:
    yield "maaledu_dead_letters", (), [((), DeadLetter.objects.open().count())]
    states = list(PlatformState.objects.all())
    blocked = [((state.name,), int(state.is_blocked)) for state in states]
    yield "maaledu_lms_blocked", ("platform",), blocked
    yield from _limits(states, now)
    steps = [
        ((state.name, each.name), each)
        for state in states
        for each in call_history.by_step(call_history.read(state.name, now - timedelta(hours=2)))
    ]
    labels = ("platform", "step")
    failed = [(names, each.failed / each.calls) for names, each in steps]
    yield "maaledu_lms_failed_ratio", labels, failed
    yield "maaledu_lms_mean_seconds", labels, [(n, each.mean_ms / 1000) for n, each in steps]


def _limits(states: list[PlatformState], now: datetime) -> Iterator[Figure]:
    by_platform = ("platform",)
    rates = [((state.name,), pace.rate_at(now, state)) for state in states]
    yield "maaledu_lms_calls_per_second", by_platform, rates
    most = [((state.name,), settings.LMS_CALLS_AT_ONCE) for state in states]
    yield "maaledu_lms_calls_at_once", by_platform, most
    in_use = [((state.name,), seats.in_use(state.name)) for state in states]
    yield "maaledu_lms_seats_in_use", by_platform, in_use
    closed = [((state.name,), int(accounts.is_closed(state, now))) for state in states]
    yield "maaledu_lms_no_new_users", by_platform, closed


def _money(now: datetime) -> Iterator[Figure]:
    payments, refunds = PAYMENTS.current(now), REFUNDS.current(now)
    yield "maaledu_payments", ("status",), tallies.counted(payments, by=lambda each: each[:1])
    received = tallies.summed(
        payments, by=lambda each: each[1:] if each[0] == Payment.PAID else None
    )
    yield "maaledu_revenue_minor_units", ("currency",), received
    amounts = tallies.summed(refunds, by=lambda each: each)
    yield "maaledu_refunds_minor_units", ("status", "currency"), amounts


def _learners(now: datetime) -> Iterator[Figure]:
    enrollments = ENROLLMENTS.current(now)
    kinds = tallies.counted(enrollments, by=lambda each: each[:2])
    yield "maaledu_enrollments", ("kind", "status"), kinds
    access = tallies.counted(
        enrollments, by=lambda each: each[2:] if each[1] == Enrollment.PAID else None
    )
    yield "maaledu_access", ("lms_status",), access
    yield "maaledu_access_differences", ("platform", "kind"), open_differences()
    ages = [
        ((each.platform,), (now - each.compared_at).total_seconds())
        for each in AccessComparison.objects.all()
        if each.compared_at
    ]
    yield "maaledu_access_compared_age_seconds", ("platform",), ages


def open_differences() -> list[Row]:
    """Return how many differences of access are open, by platform and kind."""
    return _counted(AccessDifference, Q(status=AccessDifference.OPEN), "platform", "kind")


def _commissions(now: datetime) -> Iterator[Figure]:
    kept = COMMISSIONS.current(now)
    wrong = [LESS] if settings.COMMISSION_CAP != "none" else [LESS, MORE]
    numbers = dict(tallies.counted(kept, by=lambda each: each))
    rows: list[Row] = [
        (("all",), sum(numbers.values())),
        (("wrong",), sum(numbers.get((how,), 0) for how in wrong)),
    ]
    yield "maaledu_commissions", ("which",), rows


def _earned() -> QuerySet[Commission]:
    """Return the commissions, and whether rate times list price is less or more than each.

    It is more than one that was capped; of a sale for nothing, none is earned.
    """
    off = F("base") * F("rate_basis_points") - F("amount") * BASIS_POINTS
    how = Case(
        When(off__gte=HALF, then=Value(MORE)),
        When(off__lt=-HALF, then=Value(LESS)),
        default=Value(""),
    )
    return Commission.objects.filter(amount__gt=0).annotate(off=off).annotate(differs=how)


PAYMENTS = Tally(Payment.objects.all, ("status", "currency_received"), "amount_received")
REFUNDS = Tally(Refund.objects.all, ("status", "currency"), "amount")
ENROLLMENTS = Tally(Enrollment.objects.all, ("kind", "status", "lms_status"))
COMMISSIONS = Tally(_earned, ("differs",))


def _counted(model: type[Model], which: Q, *fields: str) -> list[Row]:
    """Return how many rows there are for each value that the fields have together."""
    rows = model._default_manager.filter(which).order_by().values(*fields)
    counted = rows.annotate(number=Count("pk"))
    return [(tuple(row[field] for field in fields), row["number"]) for row in counted]


PARTS: tuple[Callable[[datetime], Iterator[Figure]], ...] = (
    _levels,
    _queues,
    _platforms,
    _money,
    _learners,
    _commissions,
)
