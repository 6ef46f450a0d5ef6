"""What the reports say, section by section: each a few statements over indexed ranges, however much
there is. Times are UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count

from enrollments.models import AccessComparison, AccessDifference, Enrollment, EnrollmentEvent
from enrollments.provisioning import LMS_JOBS
from grants.figures import budget_left, budget_text
from grants.models import Program
from lms_sync.models import DeadLetter
from maaledu import metrics
from maaledu.money import Money, percent
from maaledu.work.items import DEAD, DONE, PENDING, RUNNING
from operations import commission_accuracy, figures, levels
from operations.invariants.reading import enrollment_key
from operations.queues import NAMES, QUEUES
from payments.models import Reconciliation

MOST_NAMED = 100
COUNTERS = {
    "KPI 4, requests over a limit": "maaledu_limits_hit_total",
    "KPI 5, repeats that were skipped": "maaledu_idempotency_skips_total",
}
NOT_COUNTED = "each process counts for itself: set PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True)
class Period:
    """From `since` on and before `until`, both midnight in UTC."""

    kind: str
    since: datetime
    until: datetime

    @property
    def last(self) -> datetime:
        return self.until - timedelta(days=1)

    @property
    def name(self) -> str:
        days = f"{self.since:%Y-%m-%d}"
        return days if self.last == self.since else f"{days} to {self.last:%Y-%m-%d}"

    def of(self, column: str) -> dict[str, datetime]:
        """Return the filter for what this column says is of the period."""
        return {f"{column}__gte": self.since, f"{column}__lt": self.until}


@dataclass(frozen=True)
class Section:
    """A heading, rows of label and value, and further lines, such as what is named."""

    heading: str
    rows: list[tuple[str, str]]
    lines: list[str] = field(default_factory=list)


# --- work -----------------------------------------------------------------------------------------
def queue(period: Period, now: datetime) -> Section:
    """Say what is due now, what waits, and what was done in the period."""
    due, oldest = levels.waiting(now)
    items = dict(figures.unfinished_items())
    rows = []
    for name, each in QUEUES.items():
        late = f", the oldest since {_moment(oldest[name])}" if name in oldest else ""
        waiting, running, dead = (
            int(items.get((name, status), 0)) for status in (PENDING, RUNNING, DEAD)
        )
        done = each.model.objects.filter(status=DONE, **period.of("finished_at")).count()
        said = f"{levels.count_text(due[name])} due{late}; {waiting} waiting, {running} running"
        rows.append((NAMES[name], f"{said}, {dead} dead; {done} done"))
    return Section("Queues now, and what was done", rows)


def failed_enrollments(period: Period, now: datetime) -> Section:
    """Say which enrollments failed in the period, the newest first, and their state now."""
    letters = DeadLetter.objects.filter(**period.of("last_attempt_at"))
    counted = letters.order_by().values("status").annotate(number=Count("pk"))
    numbers = {row["status"]: row["number"] for row in counted}
    refused = EnrollmentEvent.objects.filter(
        **period.of("created_at"), from_status=Enrollment.PENDING, to_status=Enrollment.FAILED
    )
    newest = list(letters.select_related("job").order_by("-last_attempt_at")[:MOST_NAMED])
    total = sum(numbers.values())
    rows = [
        ("Failed at the learning platform", str(total)),
        *(
            (f"Of these now {status.label.lower()}", str(numbers.get(status, 0)))
            for status in DeadLetter.Status
        ),
        ("Open dead letters in all", str(DeadLetter.objects.open().count())),
        ("Payments that failed", str(refused.count())),
    ]
    return Section("Failed enrollments", rows, [*_failures(newest), *_more(total)])


def _failures(letters: list[DeadLetter]) -> Iterator[str]:
    keys = {letter.pk: enrollment_key(letter.job.dedupe_key) for letter in letters}
    known = Enrollment.objects.in_bulk([key for key in keys.values() if key])
    for letter in letters:
        enrollment = known.get(keys[letter.pk])
        state = (
            f"{enrollment.get_status_display()}, access {enrollment.get_lms_status_display()}"
            if enrollment
            else "without an enrollment"
        )
        yield (
            f"{_moment(letter.last_attempt_at)}, {letter.job}: {letter.reason}."
            f" Now {state}; dead letter {letter.get_status_display().lower()}."
        )


# --- money ----------------------------------------------------------------------------------------
def commissions(period: Period, now: datetime) -> Section:
    """Say how many of the period's commissions are rate times list price, and name the others."""
    found = commission_accuracy.recompute(period.since, period.until)
    rows = [("KPI 3, commissions that are right", _accuracy(found))]
    for row in found.sums:
        earned, back = Money(row.amount, row.currency), Money(row.reversed, row.currency)
        counted = f"{row.number} commissions, {row.wrong} wrong, {row.capped} capped"
        rows.append((row.currency.upper(), f"{counted}; earned {earned}, reversed {back}"))
    wrong = commission_accuracy.wrong_ones(period.since, period.until, most=MOST_NAMED)
    return Section("Accuracy of commissions", rows, [*wrong, *_more(found.wrong)])


def _accuracy(found: commission_accuracy.Accuracy) -> str:
    share = percent(found.number - found.wrong, found.number)
    return f"{share} ({found.number - found.wrong} of {found.number}; aim 100 %)"


def budgets(period: Period, now: datetime) -> Section:
    """Say what the grants of each active program take of its budget."""
    programs = list(Program.objects.filter(is_active=True).order_by("name")[:MOST_NAMED])
    rows = [(program.name, _budget(program)) for program in programs]
    overdrawn = [f"{each.name} is overdrawn." for each in programs if each.is_overdrawn]
    return Section("Grants against budgets", rows, overdrawn)


def _budget(program: Program) -> str:
    currency = program.currency
    budget = budget_text(program.budget_amount, program.budget_grants, currency)
    taken = budget_text(program.committed_amount, program.committed_grants, currency)
    return f"budget {budget}; committed {taken}; left {budget_left(program)}"


# --- others' books --------------------------------------------------------------------------------
def reconciliation(period: Period, now: datetime) -> Section:
    """Say what the last comparisons with Stripe and with each LMS found."""
    runs = list(Reconciliation.objects.order_by("kind"))
    rows = [
        *(
            (f"Stripe, {run.kind}", f"{_after(run, run.kind)}; {_ended(run.finished_at)}")
            for run in runs
        ),
        *(
            (each.platform, f"{_after(each, each.platform)}; {_ended(each.compared_at)}")
            for each in AccessComparison.objects.order_by("platform")
        ),
        *(
            (f"Open on {platform}, {kind}", f"{number:.0f}")
            for (platform, kind), number in figures.open_differences()
        ),
        (
            "New differences of access in the period",
            str(AccessDifference.objects.filter(**period.of("opened_at")).count()),
        ),
    ]
    problems = [f"{run.kind}: {line}" for run in runs for line in run.problems]
    return Section("Differences from Stripe and the learning platforms", rows, problems)


def _after(said: object, name: str) -> str:
    return str(said).removeprefix(f"{name}: ")


def _ended(at: datetime | None) -> str:
    return f"ended {_moment(at)}" if at else "not to its end yet"


# --- KPIs -----------------------------------------------------------------------------------------
def kpis(period: Period, now: datetime) -> Section:
    """Say KPIs 1 to 5: of what was begun in the period, or as it is counted now."""
    sold = Enrollment.objects.paid().filter(**period.of("created_at")).order_by()
    rows = sold.values("lms_status").annotate(number=Count("pk"))
    access = {row["lms_status"]: row["number"] for row in rows}
    got_in, paid = access.get(Enrollment.LMS_SUCCESS, 0), sum(access.values())
    due = levels.waiting(now)[0][LMS_JOBS.name]
    found = commission_accuracy.recompute(period.since, period.until)
    return Section(
        "KPIs",
        [
            (
                "KPI 1, paid enrollments with access",
                f"{percent(got_in, paid)} ({got_in} of {paid}; aim 95 %)",
            ),
            ("KPI 2, LMS jobs due now", f"{levels.count_text(due)} (aim: under 10)"),
            ("KPI 3, commissions that are right", _accuracy(found)),
            *counted(),
        ],
    )


def counted() -> Iterator[tuple[str, str]]:
    """Yield what the processes of this machine have counted since their counters were made."""
    if not settings.METRICS_DIR:
        yield from ((label, NOT_COUNTED) for label in COUNTERS)
        return
    samples = [s for family in metrics.registry().collect() for s in family.samples]
    for label, name in COUNTERS.items():
        total = sum(sample.value for sample in samples if sample.name == name)
        yield label, f"{total:.0f} on this machine, since its counters were made"


def _more(total: int) -> list[str]:
    return [f"The newest {MOST_NAMED} of {total} are named."] if total > MOST_NAMED else []


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
