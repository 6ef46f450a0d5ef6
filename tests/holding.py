"""Which invariants can have come to be broken: the others are not asked about after every one of
thousands of tests.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from operations import invariants
from tests.cleaning import filled_tables, tables

Check = Callable[[], list[str]]
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Question:
    """A statement of a check, with what it was given and when."""

    sql: str
    params: tuple[Any, ...]
    at: datetime

    def answer(self) -> list[Any]:
        """Return what the database answers now: a moment in it has moved on with the clock."""
        later = timezone.now() - self.at
        with connection.cursor() as cursor:
            cursor.execute(self.sql, [_moved(param, later) for param in self.params])
            return list(cursor.fetchall())


@dataclass(frozen=True)
class Reading:
    """What a check read, and what it found in that."""

    tables: frozenset[str]
    answers: list[tuple[Question, list[Any]]]
    found: list[str]

    def is_same(self) -> bool:
        """Whether the check would read the same again, and so find the same.

        The statements are asked as they are, which takes a tenth of having them made anew;
        MongoDB's are not known.
        """
        return bool(self.answers) and all(
            question.answer() == answer for question, answer in self.answers
        )


def reading_of(check: Check) -> Reading:
    questions: list[Question] = []

    def note(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        questions.append(Question(str(sql), tuple(params or ()), timezone.now()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        found = invariants.verify([check])
    read = frozenset[str]().union(*(tables_in(question.sql) for question in questions))
    return Reading(read, [(each, each.answer()) for each in questions], found)


@functools.cache
def tables_in(statement: str) -> frozenset[str]:
    return frozenset(tables()).intersection(re.findall(r"\w+", statement))


@functools.cache
def read_when_empty() -> dict[Check, Reading]:
    """Return what each check reads of an empty database, in which it finds nothing."""
    assert filled_tables() == [], "ask before the first test writes anything"
    of_one = reading_in_mongodb if connection.vendor == "mongodb" else reading_of
    reads = {check: of_one(check) for check in invariants.CHECKS}
    assert [reading.found for reading in reads.values() if reading.found] == []
    return reads


def reading_in_mongodb(check: Check) -> Reading:
    with CaptureQueriesContext(connection) as captured:
        found = invariants.verify([check])
    read = frozenset[str]().union(*(tables_in(query["sql"]) for query in captured))
    return Reading(read, [], found)


def _moved(param: Any, later: timedelta) -> Any:
    """SQLite is given moments as text."""
    if isinstance(param, datetime):
        return param + later
    if isinstance(param, str) and MOMENT.match(param):
        return str(datetime.fromisoformat(param) + later)
    return param


def worth_asking() -> list[Check]:
    """Return the checks that do not read the same as of an empty database, and those of which no
    table is known.
    """
    filled = set(filled_tables())
    return [
        check
        for check, reading in read_when_empty().items()
        if not reading.tables or (reading.tables & filled and not reading.is_same())
    ]
