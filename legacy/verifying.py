"""Compare what was imported with the source, row by row and sum by sum."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Sum

from enrollments.models import Enrollment
from legacy.facts import Fact
from legacy.models import ImportedRow
from legacy.planning import read_named, watched_of
from legacy.reports import Report
from legacy.targets import target_hash
from legacy.vocabulary import AFFILIATES, COURSES, GRANTS, SALES, USERS
from maaledu.money import Money

BATCH = 200
WRITTEN = (USERS, COURSES, AFFILIATES, GRANTS, SALES)
CURRENCY = "usd"


def verify(report: Report) -> Iterator[str]:
    """Yield what differs: rows that were changed in the source or here or are gone there, and sums
    that do not add up.
    """
    for collection, facts in sorted(report.judged.book.facts.items()):
        keys = sorted(facts)
        for start in range(0, len(keys), BATCH):
            part = {key: facts[key] for key in keys[start : start + BATCH]}
            yield from _of_rows(collection, part)
    for collection in WRITTEN:
        yield from _gone(collection, report.judged.book.of(collection))
    yield from _of_sums(report)


def _of_rows(collection: str, facts: dict[str, Fact]) -> Iterator[str]:
    rows = ImportedRow.objects.filter(
        collection=collection, source_id__in=list(facts), role=ImportedRow.ROW
    ).defer("document")
    known = {row.source_id: row for row in rows}
    held = read_named(name for row in known.values() for name in row.targets)
    for key, fact in facts.items():
        row = known.get(key)
        if row is None:
            yield f"{collection} {key}: not imported yet"
            continue
        if row.source_hash != fact.digest:
            yield f"{collection} {key}: changed in the source since it was imported"
        if (row.outcome, row.reason) != (fact.outcome, fact.reason):
            was = f"{row.outcome}:{row.reason}".rstrip(":")
            now = f"{fact.outcome}:{fact.reason}".rstrip(":")
            yield f"{collection} {key}: was {was}, is {now} now"
        watched = [(t, held.get((t.label, str(t.pk)), {})) for t in watched_of(row)]
        if row.targets and target_hash(watched) != row.target_hash:
            yield f"{collection} {key}: changed here since it was imported ({row.target})"


def _gone(collection: str, facts: dict[str, Fact]) -> Iterator[str]:
    """Name what the source has no more. Jobs are not asked for: the old shop deleted its own."""
    rows = ImportedRow.objects.filter(collection=collection, role=ImportedRow.ROW)
    written = rows.exclude(target="").order_by("source_id")
    for key in written.values_list("source_id", flat=True).iterator(BATCH):
        if key not in facts:
            yield f"{collection} {key}: gone in the source; what it became stays here"


def _of_sums(report: Report) -> Iterator[str]:
    """Compare the sums of what was written with those of the report."""
    written = _sums_written()
    expected = {
        status: (each["count"], each["amount"])
        for status, each in report.summary["enrollments_after_by_status"].items()
    }
    for status in sorted({*written, *expected}):
        if written.get(status, (0, 0)) != expected.get(status, (0, 0)):
            yield (
                f"{status}: {_told(written.get(status))} here,"
                f" {_told(expected.get(status))} by the source"
            )


def _told(sums: tuple[int, int] | None) -> str:
    count, amount = sums or (0, 0)
    return f"{count} of {Money(amount, CURRENCY)}"


def _sums_written() -> dict[str, tuple[int, int]]:
    found: dict[str, list[int]] = {}
    rows = ImportedRow.objects.filter(
        collection=SALES, role=ImportedRow.ROW, outcome="imported"
    ).order_by("pk")
    keys: list[Any] = []
    for name in rows.values_list("targets", flat=True).iterator(BATCH):
        keys += [key for label, key in name if label == "enrollments.Enrollment"]
    for start in range(0, len(keys), BATCH):
        part = Enrollment.objects.filter(pk__in=keys[start : start + BATCH]).order_by()
        for row in part.values("status").annotate(n=Count("pk"), total=Sum("amount")):
            sums = found.setdefault(row["status"], [0, 0])
            sums[0] += row["n"]
            sums[1] += row["total"] or 0
    return {status: (n, total) for status, (n, total) in found.items()}
