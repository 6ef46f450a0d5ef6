"""/status/: what works, in a learner's words, and what did not in the last 90 days.

It shows the troubles that `watch` has noticed, and is kept in the cache until one begins or ends.
Of days before its first look nothing is known, and the page says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from maaledu.public_pages import public_page
from operations import heartbeats
from operations.models import RED, Trouble

UP, SLOW, DOWN = "up", "slow", "down"
UNKNOWN = "unknown"  # a day on which nobody looked yet
WORST_LAST = [UP, SLOW, DOWN]
ENROLLMENT, PAYMENT, MAIL = "enrollment", "payment", "mail"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# What a red cause means to learners. Those that are not here do not concern them.
MEANS: dict[str, dict[str, str]] = {
    "worker": {ENROLLMENT: DOWN, MAIL: DOWN},
    "scheduler": {ENROLLMENT: SLOW},
    "queues": {ENROLLMENT: SLOW},
    "failures": {ENROLLMENT: SLOW},
    "lms_frappe": {ENROLLMENT: DOWN},
    "lms_openedx": {ENROLLMENT: DOWN},
    "stripe": {PAYMENT: DOWN},
    "webhook": {PAYMENT: SLOW},
    "mail": {MAIL: DOWN},
}
NAMES = {ENROLLMENT: _("Getting into courses"), PAYMENT: _("Paying"), MAIL: _("E-mail")}
STATES = {UP: _("Works"), SLOW: _("Slower than usual"), DOWN: _("Does not work")}
WORDS = {
    (ENROLLMENT, UP): _("Whoever enrolls gets in, usually within a minute."),
    (ENROLLMENT, SLOW): _(
        "Access takes longer than usual. It comes by itself; there is nothing you have to do."
    ),
    (ENROLLMENT, DOWN): _(
        "The learning platform, or our way to it, is interrupted. You can still enroll: every"
        " enrollment is kept, and access follows by itself."
    ),
    (PAYMENT, UP): _("Payments go through as usual."),
    (PAYMENT, SLOW): _(
        "Payments work, and are confirmed later than usual. You will not be charged twice."
    ),
    (PAYMENT, DOWN): _(
        "The payment service cannot be reached, so paid courses cannot be bought now. Nothing is"
        " charged; please try again later. Free courses are not affected."
    ),
    (MAIL, UP): _("Our e-mails leave as usual."),
    (MAIL, DOWN): _(
        "Our e-mails are late, and none is lost. Your status page shows the same as they do; keep"
        " its address."
    ),
}


@dataclass(frozen=True)
class Incident:
    """A time in which one service was slow or down; `ended_at` is None while it is."""

    service: str
    state: str
    began_at: datetime
    ended_at: datetime | None

    @property
    def name(self) -> str:
        return str(NAMES[self.service])

    @property
    def is_slow(self) -> bool:
        return self.state == SLOW

    @property
    def duration(self) -> str:
        """How long it was, in words, a minute at least."""
        lasted = (self.ended_at or self.began_at) - self.began_at
        if lasted >= 2 * DAY:
            days = lasted // DAY
            return ngettext("%(days)d day", "%(days)d days", days) % {"days": days}
        if lasted >= 2 * HOUR:
            hours = lasted // HOUR
            return ngettext("%(hours)d hour", "%(hours)d hours", hours) % {"hours": hours}
        minutes = max(round(lasted / MINUTE), 1)
        words = ngettext("%(minutes)d minute", "%(minutes)d minutes", minutes)
        return words % {"minutes": minutes}


@dataclass(frozen=True)
class Day:
    on: date
    state: str


@dataclass(frozen=True)
class Service:
    """One thing that learners rely on: how it is now, and each of its last days, oldest first."""

    key: str
    state: str
    since: datetime | None
    days: list[Day]

    @property
    def name(self) -> str:
        return str(NAMES[self.key])

    @property
    def state_name(self) -> str:
        return str(STATES[self.state])

    @property
    def words(self) -> str:
        return str(WORDS[self.key, self.state])

    @property
    def known_days(self) -> int:
        return sum(day.state != UNKNOWN for day in self.days)

    @property
    def worse_days(self) -> int:
        return sum(day.state in (SLOW, DOWN) for day in self.days)


@require_safe
@public_page
def show(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    incidents = incidents_since(now - settings.TROUBLES_KEPT)
    watched_since = heartbeats.watched_since()
    services = [_service(key, incidents, watched_since, now) for key in NAMES]
    facts = {
        "services": services,
        "worst": max((service.state for service in services), key=WORST_LAST.index),
        "past": [incident for incident in incidents if incident.ended_at],
        "now": now,
        "days": settings.TROUBLES_KEPT.days,
    }
    return render(request, "pages/status.html", facts)


def incidents_since(moment: datetime) -> list[Incident]:
    """Return what learners may have noticed, the newest first; what overlaps is one incident."""
    found = [incident for trouble in Trouble.objects.since(moment) for incident in _read(trouble)]
    merged = [each for key in NAMES for each in _merged(i for i in found if i.service == key)]
    return sorted(merged, key=lambda incident: incident.began_at, reverse=True)


def _read(trouble: Trouble) -> Iterator[Incident]:
    if trouble.worst != RED:
        return
    # It ended when it was last seen, which is noticed a while later.
    ended_at = max(trouble.seen_at, trouble.began_at) if trouble.ended_at else None
    for service, state in MEANS.get(trouble.cause, {}).items():
        yield Incident(service, state, trouble.began_at, ended_at)


def _merged(incidents: Iterable[Incident]) -> list[Incident]:
    merged: list[Incident] = []
    for each in sorted(incidents, key=lambda incident: incident.began_at):
        last = merged[-1] if merged else None
        if last and (last.ended_at is None or each.began_at <= last.ended_at):
            merged[-1] = _joined(last, each)
        else:
            merged.append(each)
    return merged


def _joined(first: Incident, second: Incident) -> Incident:
    ends = (first.ended_at, second.ended_at)
    ended_at = None if None in ends else max(end for end in ends if end)
    state = max(first.state, second.state, key=WORST_LAST.index)
    return Incident(first.service, state, first.began_at, ended_at)


def _service(
    key: str, incidents: list[Incident], watched_since: datetime | None, now: datetime
) -> Service:
    own = [incident for incident in incidents if incident.service == key]
    open_ones = [incident for incident in own if incident.ended_at is None]
    state = open_ones[0].state if open_ones else UP
    since = open_ones[0].began_at if open_ones else None
    first = now.date() - settings.TROUBLES_KEPT + DAY
    dates = [first + number * DAY for number in range(settings.TROUBLES_KEPT.days)]
    known_from = (watched_since or now + DAY).date()
    days = [_day(on, own, UP if on >= known_from else UNKNOWN, now) for on in dates]
    return Service(key, state, since, days)


def _day(on: date, incidents: list[Incident], otherwise: str, now: datetime) -> Day:
    states = [
        incident.state
        for incident in incidents
        if incident.began_at.date() <= on <= (incident.ended_at or now).date()
    ]
    return Day(on, max(states, key=WORST_LAST.index, default=otherwise))
