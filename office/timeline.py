"""All that happened to one learner, newest first: rows of many tables as one list.

One statement reads them, however many tables there are: a union in which each branch is looked up
by an index of its own table. A page is bounded, and the next one begins where it ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.core import signing

from enrollments.models import Enrollment
from maaledu.paging import BadCursor
from office.timeline_sources import (
    ADDRESS,
    BEHIND,
    GRANTS,
    IDS,
    JOBS,
    PAYMENTS,
    SESSIONS,
    TEXTS,
    Source,
)

ROWS_A_PAGE = 50
MOST_ENROLLMENTS = 100  # of one address, the newest: nobody has that many courses
MOST_BEHIND = 300  # payments, jobs, mails and grants, the newest, whose own rows are looked up
LONGEST_CURSOR = 200
SALT = "office.timeline"
# What staff decide about these is in rows of its own, as it is about an enrollment: changes of it,
# refunds. Their entries in the history would say it twice.
WITH_TRAIL = ("payment", "grant")
KINDS = {PAYMENTS: "payment", JOBS: "job", GRANTS: "grant"}


@dataclass(frozen=True)
class Row:
    """One thing that happened, as its source shows it."""

    kind: str
    at: datetime
    key: str
    amount: int | None
    title: str = ""
    state: str = ""
    actor: str = ""
    note: str = ""
    ref: str = ""
    more: str = ""
    of: str = ""
    currency: str = ""

    @property
    def pk(self) -> str:
        """Return its key with dashes, which SQLite and MongoDB leave out."""
        return str(UUID(self.key))


@dataclass
class Learner:
    """Who an address is: what was found by it, and the keys by which the rest is found."""

    email: str
    enrollments: list[Enrollment]
    behind: list[Row] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.behind if row.kind == kind]

    @property
    def is_known(self) -> bool:
        return bool(self.enrollments or self.behind)

    @property
    def is_cut(self) -> bool:
        """Whether there is so much of it that the oldest is left out."""
        return len(self.enrollments) >= MOST_ENROLLMENTS or len(self.behind) >= MOST_BEHIND

    def keys(self, found_by: str) -> list[Any]:
        if found_by == ADDRESS:
            return [self.email]
        if found_by == SESSIONS:
            return [row.ref for row in self.of_kind("payment") if row.ref]
        if found_by in KINDS:
            return [UUID(row.key) for row in self.of_kind(KINDS[found_by])]
        if found_by == IDS:
            return [row.pk for row in self.behind if row.kind not in WITH_TRAIL]
        return [enrollment.pk for enrollment in self.enrollments]


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    next_cursor: str


def find(email: str, may_see: Iterable[Source]) -> Learner:
    """Return what is known of an address, in two statements."""
    rows = Enrollment.objects.filter(email=email).order_by("-created_at")[:MOST_ENROLLMENTS]
    learner = Learner(email, list(rows))
    behind = [source for source in BEHIND if source in set(may_see)]
    learner.behind = _read(learner, behind, None, MOST_BEHIND)
    return learner


def read(learner: Learner, may_see: Iterable[Source], cursor: str) -> Page:
    """Return one page of the timeline, in one statement. Raises BadCursor.

    A cursor is a moment, and how many rows of that moment were shown already: the keys of different
    tables cannot be compared.
    """
    until, before = _decode(cursor)
    end = before + ROWS_A_PAGE
    rows = _read(learner, may_see, until, end + 1)
    return Page(rows[before:end], _encode(rows[:end]) if len(rows) > end else "")


def _read(
    learner: Learner, sources: Iterable[Source], until: datetime | None, most: int
) -> list[Row]:
    found = [(source, learner.keys(source.found_by)) for source in sources]
    branches = [source.rows(keys, until, most) for source, keys in found if keys]
    if not branches:
        return []
    if len(branches) == 1:
        return sorted(map(_row, branches[0]), key=attrgetter("at"), reverse=True)
    together = branches[0].union(*branches[1:], all=True)
    return [_row(values) for values in together.order_by("-t_at", "t_kind", "t_key")[:most]]


def _row(values: tuple[Any, ...]) -> Row:
    kind, at, key, amount, *texts = values
    shown = ["" if text is None else str(text) for text in texts]
    return Row(kind, at, str(key), amount, **dict(zip(TEXTS, shown, strict=True)))


def _encode(rows: list[Row]) -> str:
    last = rows[-1].at
    return signing.dumps([last.isoformat(), sum(row.at == last for row in rows)], salt=SALT)


def _decode(cursor: str) -> tuple[datetime | None, int]:
    if not cursor:
        return None, 0
    try:
        moment, shown = signing.loads(cursor[:LONGEST_CURSOR], salt=SALT)
        return datetime.fromisoformat(moment), int(shown)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadCursor from error
