"""Say how well work gets done: green, yellow or red, and why.

The limits are those of decisions, "alert levels", and requirement R183. What is wrong is named by
cause; `watch` keeps since when, and alerts.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q, QuerySet
from django.template.defaultfilters import pluralize
from django.utils import timezone

from enrollments.batches import BATCHES
from enrollments.provisioning import LMS_JOBS
from lms_sync.breaker import blocked_platforms
from lms_sync.delivery import DONE as DELIVERED
from lms_sync.errors import LmsAwaitingAccount
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.items import DEAD, PENDING
from notifications import mail_state
from notifications.models import Email, MailState
from notifications.queue import EMAILS
from operations import heartbeats
from operations.models import GREEN, LEVELS, RED, YELLOW, Heartbeat
from operations.queues import NAMES, QUEUES
from payments.models import StripeEvent, WebhookProblem
from payments.webhook_problems import last_delivered

DUE_YELLOW, DUE_RED = 10, 100  # yellow from the first on, red over the second
FAILED_MOST = 10
REPEATED, REPEATED_FOR = 2, timedelta(minutes=3)  # failed attempts of one item, of that age
PERIOD = timedelta(hours=1)
DIED_LATELY = timedelta(days=1)
NIGHT_SILENT_AFTER = timedelta(hours=26)
WAITS_MOST = timedelta(minutes=5)
MAIL_WAITS_MOST = timedelta(minutes=2)
MEBIBYTE = 1024 * 1024
DISK_YELLOW, DISK_RED = 1024 * MEBIBYTE, 256 * MEBIBYTE
LMS = "lms_"

# What each cause is called in alerts. Of those that stop work, a red one makes /health/work fail.
TITLES = {
    "worker": "the worker is silent",
    "scheduler": "the scheduler is silent",
    "nightly": "the nightly checks have not run",
    "backup": "no backup was taken for a day",
    "queues": "work is waiting",
    "failures": "many enrollments failed within an hour",
    "repeats": "the same work keeps failing",
    "dead": "work has failed for good and waits for staff",
    "mail": "no e-mail leaves",
    "webhook": "Stripe's events do not arrive",
    "stripe": "Stripe does not answer as it should",
    "disk": "the disk is nearly full",
    "lms_frappe": "the learning platform Frappe LMS is blocked",
    "lms_openedx": "the learning platform Open edX is blocked",
}
STOPS_WORK = frozenset({"worker", "scheduler", "queues", "mail", "disk"})


@dataclass(frozen=True)
class Reason:
    """Why the level is not green; `text` is for staff, and names no learner."""

    cause: str
    level: str
    text: str
    since: datetime | None = None

    @property
    def stops_work(self) -> bool:
        return self.level == RED and self.cause in STOPS_WORK


def assess() -> list[Reason]:
    """Return everything that keeps the level from green, by the database and this machine's disk.

    No call is made to anybody. While the worker is silent, that its queues wait is no cause of its
    own.
    """
    now = timezone.now()
    reasons = [reason for look in LOOKS for reason in look(now)]
    causes = {reason.cause for reason in reasons}
    return [each for each in reasons if each.cause != "queues" or "worker" not in causes]


def worst(reasons: list[Reason]) -> str:
    """Return the level of the whole: that of the worst of its reasons."""
    return max((reason.level for reason in reasons), key=LEVELS.index, default=GREEN)


# --- what goes on ---------------------------------------------------------------------------------
def _heartbeats(now: datetime) -> Iterator[Reason]:
    seen = heartbeats.last_seen()
    for name in (heartbeats.WORKER, heartbeats.SCHEDULER):
        last = seen.get(name)
        if last is None or now - last.at > heartbeats.SILENT_AFTER:
            yield Reason(name, RED, _silent(last), last.at if last else None)
    night, scheduler = seen.get(heartbeats.NIGHTLY), seen.get(heartbeats.SCHEDULER)
    # Before its first night, a shop that was just installed is given as long.
    last = night or scheduler
    if last and now - (night.at if night else last.first_at) > NIGHT_SILENT_AFTER:
        yield Reason(heartbeats.NIGHTLY, RED, _silent(night), night.at if night else None)
    backup = seen.get(heartbeats.BACKUP)
    last = backup or scheduler
    if settings.BACKUP_DIR and last:
        began = backup.at if backup else last.first_at
        if now - began > NIGHT_SILENT_AFTER:
            yield Reason(heartbeats.BACKUP, YELLOW, _silent(backup), backup.at if backup else None)


def _silent(last: Heartbeat | None) -> str:
    return f"Last seen {last.at:%Y-%m-%d %H:%M:%S} UTC." if last else "Never seen."


# --- what waits, and what has failed --------------------------------------------------------------
def _queues(now: datetime) -> Iterator[Reason]:
    """What waits, and the platforms that some of it waits for."""
    blocked = list(PlatformState.objects.blocked())
    for state in blocked:
        yield Reason(f"{LMS}{state.name}", RED, state.last_error[:300], state.opened_at)
    counts, oldest = waiting(now, blocked={state.name for state in blocked})
    due = sum(counts.values())
    said = ", ".join(f"{NAMES[name]}: {count_text(number)}" for name, number in counts.items())
    said = f"{said} due."
    late = min(oldest.values(), default=now)
    if due > DUE_RED or now - late > WAITS_MOST:
        yield Reason("queues", RED, f"{said} The oldest since {late:%Y-%m-%d %H:%M:%S} UTC.", late)
    elif due >= DUE_YELLOW:
        yield Reason("queues", YELLOW, said, late)


def waiting(
    now: datetime, *, blocked: set[str] | None = None
) -> tuple[dict[str, int], dict[str, datetime]]:
    """Return how many items of each queue are due, counted to one more than what is red, and since
    when the oldest is.

    Rows of a list that wait for their turn are not due. What waits for a platform that is blocked,
    or for a mail server that takes nothing, is counted and is not late: that is a cause of its own.
    """
    counts, oldest = {}, {}
    blocked = blocked_platforms() if blocked is None else blocked
    for name, queue in QUEUES.items():
        due = queue.model.objects.due(now).order_by("next_attempt_at")
        moments = list(due.values_list("next_attempt_at", flat=True)[: DUE_RED + 1])
        if moments and queue is BATCHES:
            due = due.filter(BATCHES.claimable())
            moments = list(due.values_list("next_attempt_at", flat=True)[: DUE_RED + 1])
        counts[name] = len(moments)
        if moments and (late := _oldest_on_its_own(name, due, moments[0], blocked)):
            oldest[name] = late
    return counts, oldest


def _oldest_on_its_own(
    name: str, due: QuerySet, oldest: datetime, blocked: set[str]
) -> datetime | None:
    """Return since when the oldest is due of those that wait for nobody outside."""
    if name == EMAILS.name and mail_state.paused():
        return None
    if name == LMS_JOBS.name and blocked:
        others = due.exclude(platform__in=blocked)
        return others.values_list("next_attempt_at", flat=True).first()
    return oldest


def count_text(number: int) -> str:
    """Return one of the counts of `waiting`: above what is red, not how many."""
    return f"over {DUE_RED}" if number > DUE_RED else str(number)


def _failures(now: datetime) -> Iterator[Reason]:
    failed = SyncAttempt.objects.filter(started_at__gt=now - PERIOD).exclude(
        outcome__in=[DELIVERED, LmsAwaitingAccount.code]
    )
    if len(failed.values_list("pk", flat=True)[: FAILED_MOST + 1]) > FAILED_MOST:
        yield Reason("failures", RED, f"More than {FAILED_MOST} attempts failed within an hour.")
    # What fails again and again is dead in an hour or two; until then its learner waits.
    repeated = Q(attempts__gte=REPEATED, created_at__lte=now - REPEATED_FOR, status=PENDING)
    first = SyncJob.objects.filter(repeated).order_by("created_at").first()
    if first:
        code = first.last_error.partition(":")[0]
        text = f"Job {first.pk} failed {first.attempts} times and is tried again: {code}."
        yield Reason("repeats", YELLOW, text, first.created_at)


def _dead(now: datetime) -> Iterator[Reason]:
    letters = DeadLetter.objects.open().count()
    repeated = Q(attempts__gte=REPEATED, created_at__lte=now - REPEATED_FOR, status=PENDING)
    failed = StripeEvent.objects.filter(Q(status=DEAD) | repeated)
    events = Counter(failed.values_list("status", flat=True))
    emails = Email.objects.filter(status=DEAD, finished_at__gt=now - DIED_LATELY).count()
    if events[PENDING]:
        number = events[PENDING]
        text = f"{number} Stripe event{pluralize(number)} failed again and again."
        yield Reason("repeats", YELLOW, text)
    if letters or events[DEAD] or emails:
        level = RED if letters or events[DEAD] else YELLOW
        numbers = {"dead letter": letters, "Stripe event": events[DEAD], "e-mail": emails}
        counted = (f"{number} {noun}{pluralize(number)}" for noun, number in numbers.items())
        yield Reason("dead", level, f"{', '.join(counted)} of a day.")


def _mail(now: datetime) -> Iterator[Reason]:
    """The mail server takes nothing from us, or has not answered for a while."""
    state = mail_state.paused()
    if state is None or state.since is None:
        return
    if state.state == MailState.State.REFUSING or state.since <= now - MAIL_WAITS_MOST:
        yield Reason("mail", RED, f"Last answer: {state.last_error}"[:300], state.since)


def _webhook(now: datetime) -> Iterator[Reason]:
    problem = (
        WebhookProblem.objects.filter(
            kind__in=[WebhookProblem.SECRET, WebhookProblem.CLOCK], last_at__gt=now - PERIOD
        )
        .order_by("-last_at")
        .first()
    )
    if problem is None:
        return
    last = last_delivered()
    if last is None or last.created_at < problem.last_at:
        yield Reason("webhook", RED, problem.explanation, problem.last_at)


def disk(now: datetime) -> Iterator[Reason]:
    """Yield a reason where little room is left for what grows on this machine."""
    free = shutil.disk_usage(_data_folder()).free
    if free < DISK_YELLOW:
        level = RED if free < DISK_RED else YELLOW
        yield Reason("disk", level, f"{free // MEBIBYTE} MiB are left in {_data_folder()}.")


def _data_folder() -> Path:
    """Return where this machine's data grows: beside an SQLite file, or where the code runs."""
    database = settings.DATABASES["default"]
    is_file = database["ENGINE"].endswith("sqlite3")
    folder = Path(database["NAME"]).parent if is_file else settings.BASE_DIR
    return folder if folder.is_dir() else settings.BASE_DIR


LOOKS: tuple[Callable[[datetime], Iterator[Reason]], ...] = (
    _heartbeats,
    _queues,
    _failures,
    _dead,
    _mail,
    _webhook,
    disk,
)
