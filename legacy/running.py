"""A run over the whole source: read, judge, compare, and with a run row to write to, write."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from courses.models import Course
from enrollments.models import Enrollment
from grants.models import Grant
from legacy.answers import CONFLICT, OURS, Answers
from legacy.commissions import note_drift
from legacy.facts import IGNORED, MERGED, Fact, GrantFact, SaleFact
from legacy.judged import Judged
from legacy.judging import judge
from legacy.models import ImportRun
from legacy.planning import NEW, Plan, plan_chunk, users_of
from legacy.reading import Book, Progress, read_all
from legacy.sale_targets import of_sale
from legacy.sources import Document, Source
from legacy.targets import (
    Here,
    Target,
    of_course,
    of_grant,
    of_partner,
    of_person,
)
from legacy.values import key_of
from legacy.vocabulary import (
    AFFILIATES,
    COURSES,
    FAILED_JOBS,
    GRANTS,
    RETRY_JOBS,
    SALES,
    USERS,
    Names,
)
from legacy.writing import write_chunk

CHUNK = 200
BUILDERS: dict[str, Callable[[Any, Here], list[Target]]] = {
    USERS: of_person,
    COURSES: of_course,
    AFFILIATES: of_partner,
    GRANTS: of_grant,
    SALES: of_sale,
}
STAGES = (0, 1, 2)
LIVE = {*Enrollment.LIVE, *Grant.OPEN}
ORDER = (USERS, COURSES, AFFILIATES, GRANTS, SALES, RETRY_JOBS, FAILED_JOBS)


@dataclass
class Order:
    """What was asked for: the source, the customer's names, the decisions, the moment."""

    source: Source
    names: Names = field(default_factory=Names)
    answers: Answers = field(default_factory=Answers)
    exported_at: datetime | None = None
    is_final: bool = False
    is_booked: bool = False
    progress: Progress = lambda name, count: None


@dataclass
class Result:
    """What came of it: everything that was judged, and what is new or changed, by collection."""

    judged: Judged
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: list[tuple[str, Fact]] = field(default_factory=list)

    def number(self, what: str) -> int:
        return sum(count for (_, each), count in self.counts.items() if each == what)


def prepare(order: Order) -> Judged:
    """Read and judge everything. Raises SourceUnreadable, InvalidAnswers: nothing is written."""
    book = read_all(
        order.source, order.names, exported_at=order.exported_at, progress=order.progress
    )
    judged = judge(book, order.answers, is_final=order.is_final)
    note_drift(judged)
    return judged


def carry_out(order: Order, judged: Judged, run: ImportRun | None) -> Result:
    """Compare every row with what was written for it, and write the difference where `run` is.

    Without one nothing is written, and the result says what would be.
    """
    result, here = Result(judged), _here(judged)
    book = judged.book
    for collection in (*ORDER, *sorted(book.facts.keys() - set(ORDER))):
        for stage in STAGES:
            for pairs in _chunks(order, book, collection, stage=stage):
                _do(order, pairs, here, result=result, run=run)
    return result


def _here(judged: Judged) -> Here:
    """Look up what is here already and not made by the import."""
    emails = {*judged.people, *judged.partners}
    users: dict[str, Any] = {}
    for part in _parts(iter(sorted(emails)), CHUNK):
        users |= users_of(part)
    foreign = {email: pk for email, pk in users.items() if pk != key_of("person", email)}
    slugs = {fact.slug for fact in judged.courses.values()}
    courses = Course.objects.filter(slug__in=sorted(slugs))
    own = {slug: key_of(COURSES, slug) for slug in slugs}
    known = {course.slug: course for course in courses if course.pk != own[course.slug]}
    return Here(foreign, known, judged)


def _parts(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while part := list(islice(items, size)):
        yield part


def _chunks(
    order: Order, book: Book, collection: str, *, stage: int
) -> Iterator[list[tuple[Fact, Document]]]:
    """Yield the facts of one stage with their documents, a chunk at a time."""
    facts = book.of(collection)
    if not any(_stage(fact) == stage for fact in facts.values()):
        return
    documents = (
        order.names.renamed(collection, document)
        for document in order.source.read(order.names.collection(collection))
    )
    rows = (
        (facts[str(document["_id"])], document)
        for document in documents
        if str(document["_id"]) in facts
    )
    due = (row for row in rows if _stage(row[0]) == stage)
    for number, part in enumerate(_parts(due, CHUNK), start=1):
        yield part
        order.progress(f"{collection}, compared", number * CHUNK)


def _stage(fact: Fact) -> int:
    """Return when a row is written: what ends first, then what is live, then second payments.

    There may be one live row of a buyer and course: the one that ended must not be in its way.
    """
    if isinstance(fact, SaleFact | GrantFact) and fact.is_imported:
        return int(fact.becomes in LIVE)
    return STAGES[-1] if isinstance(fact, SaleFact) and fact.outcome == MERGED else 0


def _do(
    order: Order,
    pairs: list[tuple[Fact, Document]],
    here: Here,
    *,
    result: Result,
    run: ImportRun | None,
) -> None:
    for fact, _ in pairs:
        _withhold_second(fact, here, order.answers)
    planned = plan_chunk(
        [(fact, _targets(fact, here)) for fact, _ in pairs],
        order.answers,
        is_booked=order.is_booked,
    )
    for plan in planned:
        result.counts[plan.fact.collection, plan.what] += 1
        if plan.what in (NEW, "changed", "kept", "noted"):
            result.changes.append((plan.what, plan.fact))
    if run is not None and any(_has_something(plan) for plan in planned):
        write_chunk(planned, {fact.key: document for fact, document in pairs}, run)


def _withhold_second(fact: Fact, here: Here, answers: Answers) -> None:
    """Withhold a second payment whose first sale is withheld: it would belong to nothing.

    Such a sale collides with another one that is here, which may be this one, brought before.
    """
    first = here.judged.sale(fact.into) if here.judged and isinstance(fact, SaleFact) else None
    if fact.outcome != MERGED or first is None or (first.is_imported and not first.is_kept_out):
        return
    if answers.take(fact, CONFLICT, OURS):
        fact.end(IGNORED, f"skipped_{CONFLICT}")
    else:
        answers.leave_open(fact, CONFLICT)


def _has_something(plan: Plan) -> bool:
    return plan.what != "same"


def _targets(fact: Fact, here: Here) -> list[Target]:
    if fact.collection == SALES:
        return of_sale(fact, here)  # type: ignore[arg-type]
    builder = BUILDERS.get(fact.collection)
    return builder(fact, here) if builder and fact.is_imported else []
