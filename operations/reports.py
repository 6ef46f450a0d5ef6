"""The daily, weekly and monthly report, each of the last such period that has ended (requirement
R162): a value that the command prints, the mail carries and a page of the office shows.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from notifications import outgoing
from notifications.alerts import short_key
from notifications.models import Email
from operations import report_sections
from operations.report_sections import Period, Section

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
SECTIONS: dict[str, tuple[Callable[[Period, datetime], Section], ...]] = {
    DAILY: (report_sections.queue, report_sections.kpis),
    WEEKLY: (
        report_sections.failed_enrollments,
        report_sections.queue,
        report_sections.reconciliation,
        report_sections.kpis,
    ),
    MONTHLY: (
        report_sections.commissions,
        report_sections.budgets,
        report_sections.reconciliation,
        report_sections.kpis,
    ),
}
KIND = "report"
# A night that failed is made up for; and an address that is new gets no report of long ago.
MAILED_WITHIN = timedelta(days=3)


@dataclass(frozen=True)
class Report:
    period: Period
    made_at: datetime
    sections: list[Section]

    @property
    def title(self) -> str:
        return f"{self.period.kind.capitalize()} report: {self.period.name}"

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.period.kind,
            "title": self.title,
            "since": self.period.since.isoformat(),
            "until": self.period.until.isoformat(),
            "made_at": self.made_at.isoformat(),
            "sections": [asdict(section) for section in self.sections],
        }

    def as_text(self) -> str:
        return "\n\n".join([f"{self.title} (UTC)", *map(_as_text, self.sections)])


def _as_text(section: Section) -> str:
    rows = [f"{label}: {value}" for label, value in section.rows]
    return "\n".join([section.heading, *rows, *(f"- {line}" for line in section.lines)])


def last_period(kind: str, now: datetime) -> Period:
    """Return the last day, week from Monday on, or month that has ended in UTC."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == DAILY:
        return Period(kind, today - timedelta(days=1), today)
    if kind == WEEKLY:
        monday = today - timedelta(days=today.weekday())
        return Period(kind, monday - timedelta(days=7), monday)
    first = today.replace(day=1)
    return Period(kind, (first - timedelta(days=1)).replace(day=1), first)


def make(period: Period) -> Report:
    """Return the report of a period; what waits and is open is as of now."""
    now = timezone.now()
    return Report(period, now, [section(period, now) for section in SECTIONS[period.kind]])


def mail_due(now: datetime | None = None) -> int:
    """Stage the reports of the periods that have ended to REPORT_EMAILS; return how many mails.

    Each report goes to each address once, however often this is called.
    """
    at = now or timezone.now()
    ended = [last_period(kind, at) for kind in SECTIONS if settings.REPORT_EMAILS]
    return sum(_mail(period) for period in ended if at - period.until <= MAILED_WITHIN)


def _mail(period: Period) -> int:
    cause = f"report:{period.kind}:{period.since:%Y%m%d}"
    addresses = {short_key(f"{cause}:{address}"): address for address in settings.REPORT_EMAILS}
    staged = Email.objects.filter(dedupe_key__in=list(addresses))
    missing = set(addresses) - set(staged.values_list("dedupe_key", flat=True))
    if not missing:
        return 0
    context = make(period).as_json()
    return sum(
        outgoing.stage(kind=KIND, to=addresses[key], dedupe_key=key, context=context)
        for key in sorted(missing)
    )
