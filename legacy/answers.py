"""The decisions file: `collection,_id,reason,answer,value`, proposed by one run, read by the next.

A row whose answer is empty is still open. Every answer is checked before anything is written.
"""

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legacy import values
from legacy.errors import InvalidAnswers
from legacy.facts import DECISION, IGNORED, Fact, GrantFact
from maaledu.csv import safe_cell

if TYPE_CHECKING:
    from legacy.judged import Judged
    from legacy.reading import Book

HEADER = ["collection", "_id", "reason", "answer", "value"]
SKIP = "skip"
CONFLICT, OURS, THEIRS = "conflict", "ours", "theirs"
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "unknown_course": ("map",),
    "missing_amount": ("amount",),
    "unreadable_amount": ("amount",),
    "unknown_status": ("status",),
    "session_shared": ("import",),
    "used_without_enrollment": ("release", "revoke"),
    "used_by_unpaid": ("release", "revoke"),
    "approved_without_code": ("code",),
    "code_too_long": ("code",),
    "code_collision": ("code",),
    "percent_out_of_range": ("percent",),
    "two_open_grants": ("close",),
    CONFLICT: (OURS, THEIRS),
}
WITH_VALUE = {"map", "amount", "status", "code", "percent"}
LONGEST_CODE = 24


def allowed(reason: str) -> tuple[str, ...]:
    """Return what may be answered to a reason that waits for a decision."""
    return (*ALLOWED[reason], SKIP)


@dataclass
class Answers:
    """What the operator has decided, by the row and the reason."""

    given: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)

    def take(self, fact: Fact, reason: str, answer: str) -> bool:
        """Return whether this was the answer for the row."""
        return self.given.get((fact.collection, fact.key, reason), ("", ""))[0] == answer

    def value(self, fact: Fact, reason: str, answer: str) -> str:
        """Return the value that came with this answer, "" where it was not given."""
        found, value = self.given.get((fact.collection, fact.key, reason), ("", ""))
        return value if found == answer else ""

    def leave_open(self, fact: Fact, reason: str) -> None:
        """Withhold the row until it is decided, or leave it out where that was the decision."""
        if self.take(fact, reason, SKIP):
            fact.end(IGNORED, f"skipped_{reason}")
        else:
            fact.end(DECISION, reason)

    # --- what an answer stands in for -------------------------------------------------------------
    def amount(self, fact: Fact, reason: str) -> int | None:
        """Return the amount in minor units that was decided, None where none was."""
        text = self.value(fact, reason, "amount")
        if not text:
            return None
        found = values.minor_units(text, set())
        if found is None:
            raise _wrong(fact, f"“{text}” is no amount, such as 249.50")
        fact.notes.add("amount_decided")
        return found

    def course(self, fact: Any, courses: Collection[str]) -> bool:
        wanted = self.value(fact, "unknown_course", "map")
        if not wanted:
            return False
        if wanted not in courses:
            raise _wrong(fact, f"the old shop has no course “{wanted}”")
        fact.course_id = wanted
        fact.notes.add("course_decided")
        return True

    def status(self, fact: Any, known: Collection[str]) -> bool:
        wanted = self.value(fact, "unknown_status", "status")
        if wanted and wanted not in known:
            raise _wrong(fact, f"“{wanted}” is none of {', '.join(known)}")
        if wanted:
            fact.old_status = wanted
        return bool(wanted)

    def percent(self, grant: GrantFact) -> bool:
        text = self.value(grant, "percent_out_of_range", "percent")
        if not text:
            return False
        if not text.isdecimal() or not 10 <= int(text) <= 100:
            raise _wrong(grant, f"“{text}” is no percentage from 10 to 100")
        grant.percent, grant.has_good_percent = int(text), True
        return True

    def code(self, grant: GrantFact, found: "Judged") -> bool:
        """Give a grant the code that was decided for it."""
        for reason in ("approved_without_code", "code_too_long", "code_collision"):
            text = self.value(grant, reason, "code")
            code = values.coupon_code(text)
            if text and (not code or len(code) > LONGEST_CODE or code in found.grants):
                raise _wrong(grant, f"“{text}” is no code, too long, or taken")
            if code:
                grant.code = code
                return True
        return False

    def coupon_end(self, grant: GrantFact, reason: str) -> bool:
        """Release a coupon that was used for nothing, or revoke it."""
        if self.take(grant, reason, "revoke"):
            grant.becomes = "revoked"
            return True
        return self.take(grant, reason, "release")

    def refuse_unused(self, book: "Book") -> None:
        """Raise InvalidAnswers for an answer to a row that the source does not have."""
        for collection, key, _ in self.given:
            if key not in book.of(collection):
                raise InvalidAnswers(f"The source has no {collection} {key}, which is decided on.")


def _wrong(fact: Fact, why: str) -> InvalidAnswers:
    return InvalidAnswers(f"{fact.collection} {fact.key}: {why}.")


def read_answers(path: Path | None) -> Answers:
    """Read a file of decisions. Raises InvalidAnswers for whatever cannot be followed."""
    if path is None:
        return Answers()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise InvalidAnswers(f"{path} cannot be read: {type(error).__name__}.") from error
    rows = csv.reader(io.StringIO(text))
    if next(rows, None) != HEADER:
        raise InvalidAnswers(f"{path} must begin with the line {','.join(HEADER)}.")
    answers = Answers()
    for number, row in enumerate(rows, start=2):
        if row:
            _add(answers, row, f"{path}, line {number}")
    return answers


def _add(answers: Answers, row: list[str], where: str) -> None:
    if len(row) != len(HEADER):
        raise InvalidAnswers(f"{where}: {len(row)} columns instead of {len(HEADER)}.")
    collection, key, reason, answer, value = (cell.strip() for cell in row)
    if reason not in ALLOWED:
        raise InvalidAnswers(f"{where}: “{reason}” is no reason that waits for a decision.")
    if not answer:
        return
    if answer not in allowed(reason):
        known = ", ".join(allowed(reason))
        text = f"{where}: “{answer}” is no answer to {reason}. Allowed: {known}."
        raise InvalidAnswers(text)
    if (answer in WITH_VALUE) != bool(value):
        verb = "needs" if answer in WITH_VALUE else "takes no"
        raise InvalidAnswers(f"{where}: the answer {answer} {verb} value.")
    if (collection, key, reason) in answers.given:
        raise InvalidAnswers(f"{where}: {collection} {key} is decided on twice.")
    answers.given[collection, key, reason] = (answer, value)


def proposal_of(facts: list[Fact], answers: Answers) -> str:
    """Return the file with the answers that were given, and a row for each that is to be given.

    It may be written over the one that was read: nothing that the operator wrote is lost.
    """
    opened = [
        (fact.collection, fact.key, fact.reason) for fact in facts if fact.outcome == DECISION
    ]
    known = {**answers.given, **{each: ("", "") for each in opened if each not in answers.given}}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([*map(safe_cell, row), *answer] for row, answer in known.items())
    return file.getvalue()
