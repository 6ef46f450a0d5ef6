"""How well work gets done, as the office's first page shows it: read in one statement, asking
nobody outside.

The level is what `watch` found at its last look; that it looks is seen by its heartbeat.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import CharField, F, IntegerField, QuerySet, Value
from django.db.models.functions import Coalesce
from django.template.defaultfilters import pluralize
from django.utils.formats import date_format
from django.utils.timesince import timesince

from courses.models import Course
from enrollments.models import AccessComparison
from lms_sync.models import PlatformState, SyncJob
from notifications.models import Email, MailState
from operations import day_figures, heartbeats
from operations.heartbeats import SILENT_AFTER
from operations.home.parts import first_rows, joined
from operations.home.waiting import list_url
from operations.levels import TITLES
from operations.models import GREEN, LEVELS, RED, Heartbeat, Trouble
from payments.models import StripeEvent

MOST_PARKED, MOST_MAILS, MOST_TROUBLES = 1000, 100, 50
HEARTBEAT, TROUBLE, PLATFORM, MAIL = "heartbeat", "trouble", "platform", "mail"
EVENT, DUE_JOB, DUE_MAIL, COMPARED = "event", "due job", "due mail", "compared"
NOTHING, NONE = Value("", output_field=CharField()), Value(0, output_field=IntegerField())
# What `levels` calls a part, and what people do.
PARTS = {
    heartbeats.WORKER: "Worker",
    heartbeats.SCHEDULER: "Scheduler",
    heartbeats.NIGHTLY: "Nightly checks",
    heartbeats.BACKUP: "Backup",
}
LOOKED_BY = (heartbeats.WATCH, heartbeats.WEB_WATCH)


class Fact(NamedTuple):
    """One row of the statement; what its columns hold is said by its kind."""

    kind: str
    name: str
    state: str
    text: str
    since: datetime | None
    at: datetime | None
    number: int


@dataclass(frozen=True)
class Line:
    """What one thing is about, its level, its state in words, more about it, and the page of its
    list, such as "notifications.email".
    """

    name: str
    level: str
    state: str
    details: list[str]
    page: str = ""

    @property
    def url(self) -> str:
        return list_url(self.page) if self.page else ""


@dataclass(frozen=True)
class Health:
    level: str
    reasons: list[str]
    lines: list[Line]
    figures_at: datetime | None  # when the days were summed up last


def assess(now: datetime) -> Health:
    """Return the level with its reasons, and how each part is."""
    facts: dict[str, list[Fact]] = {}
    for row in joined(_parts(now)):
        facts.setdefault(row[0], []).append(Fact(*row))
    troubles = {fact.name: fact for fact in facts.get(TROUBLE, [])}
    beats = {fact.name: fact for fact in facts.get(HEARTBEAT, [])}
    reasons = [_reason(fact) for fact in troubles.values()]
    level = max((fact.state for fact in troubles.values()), key=LEVELS.index, default=GREEN)
    if unseen := _unseen(beats, now):
        level = RED
        reasons.insert(0, unseen)
    lines = [
        *(_platform(fact, facts, now) for fact in facts.get(PLATFORM, [])),
        *(_part(name, beats.get(name), troubles, now) for name in PARTS if _is_shown(name, beats)),
        _stripe(facts.get(EVENT, []), troubles, now),
        _mail(facts, troubles, now),
    ]
    figures = beats.get(day_figures.NAME)
    return Health(level, reasons, lines, figures.at if figures else None)


def _unseen(beats: dict[str, Fact], now: datetime) -> str:
    """Say that nobody looks; a scheduler that was just started for the first time is given time."""
    looks = [at for name in LOOKED_BY if name in beats and (at := beats[name].at)]
    began = beats[heartbeats.SCHEDULER].since if heartbeats.SCHEDULER in beats else None
    known = max(looks, default=began)
    if known is not None and now - known <= SILENT_AFTER:
        return ""
    return f"Nobody looks whether work gets done: last {_moment(max(looks, default=None))}."


# --- the statement --------------------------------------------------------------------------------
def _parts(now: datetime) -> list[QuerySet[Any]]:
    due = SyncJob.objects.due(now).order_by("next_attempt_at")
    jobs = [
        _facts(DUE_JOB, first_rows(due.filter(platform=name), MOST_PARKED + 1), F("platform"))
        for name in Course.Platform.values
    ]
    mails = first_rows(Email.objects.due(now).order_by("next_attempt_at"), MOST_MAILS + 1)
    troubles = first_rows(Trouble.objects.open().order_by("began_at"), MOST_TROUBLES)
    latest = first_rows(StripeEvent.objects.order_by("-created_at"), 1)
    return [
        _facts(HEARTBEAT, Heartbeat.objects.all(), F("name"), since="first_at", at="at"),
        _facts(
            TROUBLE, troubles, F("cause"), F("level"), F("text"), since="began_at", at="seen_at"
        ),
        *_outside(),
        _facts(EVENT, latest, F("type")),
        _facts(DUE_MAIL, mails, F("kind")),
        *jobs,
    ]


def _outside() -> list[QuerySet[Any]]:
    """Return what is known of each LMS, and of the mail server."""
    state = (F("name"), F("state"), F("last_error"))
    return [
        _facts(
            PLATFORM,
            PlatformState.objects.all(),
            *state,
            since="opened_at",
            at="last_ok_at",
            number=Coalesce("latency_ms", 0),
        ),
        _facts(MAIL, MailState.objects.all(), *state, since="since", at="retry_at"),
        _facts(
            COMPARED,
            AccessComparison.objects.all(),
            F("platform"),
            NOTHING,
            F("failure"),
            since=Coalesce("finished_at", "finished_before_at"),
            at="started_at",
        ),
    ]


def _facts(kind: str, rows: QuerySet[Any], *texts: Any, **columns: Any) -> QuerySet[Any]:
    name, state, text = (*texts, NOTHING, NOTHING)[:3]
    return rows.annotate(
        fact_kind=Value(kind, output_field=CharField()),
        fact_name=name,
        fact_state=state,
        fact_text=text,
        fact_since=_column(columns.get("since", "next_attempt_at")),
        fact_at=_column(columns.get("at", "created_at")),
        fact_number=columns.get("number", NONE),
    ).values_list(
        "fact_kind",
        "fact_name",
        "fact_state",
        "fact_text",
        "fact_since",
        "fact_at",
        "fact_number",
    )


def _column(column: Any) -> Any:
    return F(column) if isinstance(column, str) else column


# --- in words -------------------------------------------------------------------------------------
def _reason(fact: Fact) -> str:
    title = TITLES.get(fact.name, fact.name)
    return f"{title[:1].upper()}{title[1:]}, since {_moment(fact.since)}. {fact.text}"


def _platform(fact: Fact, facts: dict[str, list[Fact]], now: datetime) -> Line:
    is_blocked = fact.state in PlatformState.BLOCKED
    due = [each for each in facts.get(DUE_JOB, []) if each.name == fact.name]
    details = [f"since {_moment(fact.since)}"] if is_blocked else []
    details += [f"last answer {_ago(fact.at, now)}" if fact.at else "no answer yet"]
    details += [f"{fact.number} ms"] if fact.number and not is_blocked else []
    if due:
        oldest = min(each.since for each in due if each.since)
        word = "parked" if is_blocked else "due"
        number = f"{_most(len(due), MOST_PARKED)} job{pluralize(len(due))}"
        details.append(f"{number} {word}, the oldest {_ago(oldest, now)}")
    details += [fact.text] if is_blocked and fact.text else []
    details += [_compared(each, now) for each in facts.get(COMPARED, []) if each.name == fact.name]
    return Line(
        str(Course.Platform(fact.name).label),
        RED if is_blocked else GREEN,
        str(PlatformState.State(fact.state).label),
        details,
        "lms_sync.platformstate",
    )


def _compared(fact: Fact, now: datetime) -> str:
    ended = f"compared with ours {_ago(fact.since, now)}"
    return f"{ended}, then not: {fact.text}" if fact.text else ended


def _is_shown(name: str, beats: dict[str, Fact]) -> bool:
    """Whether there is such a part: a shop need not take backups by us, and is young at first."""
    return name in beats or name in (heartbeats.WORKER, heartbeats.SCHEDULER)


def _part(name: str, beat: Fact | None, troubles: dict[str, Fact], now: datetime) -> Line:
    is_daily = name in (heartbeats.NIGHTLY, heartbeats.BACKUP)
    is_silent = beat is None or beat.at is None or (not is_daily and now - beat.at > SILENT_AFTER)
    level = troubles[name].state if name in troubles else GREEN
    words = "Done" if is_daily else "Works"
    return Line(
        PARTS[name],
        RED if is_silent else level,
        "Silent" if is_silent or name in troubles else words,
        [f"last seen {_ago(beat.at, now)}" if beat else "never seen"],
    )


def _stripe(events: list[Fact], troubles: dict[str, Fact], now: datetime) -> Line:
    found = [troubles[cause] for cause in ("stripe", "webhook") if cause in troubles]
    last = f"last event {_ago(events[0].at, now)}" if events else "no event yet"
    return Line(
        "Stripe",
        max((fact.state for fact in found), key=LEVELS.index, default=GREEN),
        "In trouble" if found else "Works",
        [last, *(fact.text for fact in found)],
        "payments.webhookproblem",
    )


def _mail(facts: dict[str, list[Fact]], troubles: dict[str, Fact], now: datetime) -> Line:
    state = next(iter(facts.get(MAIL, [])), None)
    is_down = state is not None and state.state != MailState.State.ANSWERING
    due = len(facts.get(DUE_MAIL, []))
    details = [f"{_most(due, MOST_MAILS)} waiting"]
    details += [f"since {_moment(state.since)}", state.text] if is_down and state else []
    return Line(
        "E-mail",
        RED if is_down or "mail" in troubles else GREEN,
        str(MailState.State(state.state).label) if state else "Takes mail",
        details,
        "notifications.email",
    )


def _most(number: int, most: int) -> str:
    return f"over {most:,}" if number > most else f"{number:,}"


def _moment(at: datetime | None) -> str:
    return date_format(at, "DATETIME_FORMAT") if at else "never"


def _ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago something was, or, within a minute, that it was just now."""
    if at is None:
        return "never"
    return "just now" if (now - at).total_seconds() < 60 else f"{timesince(at, now)} ago"
