"""The report of an import as files: JSON, text and HTML, the changes, and the open decisions."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string
from django.utils.dateformat import format as format_date

from legacy.answers import ALLOWED, Answers, allowed, proposal_of
from legacy.facts import DECISION, OUTCOMES, Fact
from legacy.reports import Report, about, in_order
from maaledu.money import Money

CURRENCY = "usd"
WORDS = {DECISION: "to decide"}


def write_files(
    report: Report, changes: list[tuple[str, Fact]], answers: Answers, folder: Path
) -> None:
    """Write rows.jsonl, report.json, report.txt, report.html, changes.jsonl and decisions.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{line}\n" for line in report.lines)
    whole = {"hash": report.hash, **report.summary}
    text = "".join(f"{line}\n" for line in text_lines(report.summary, report.hash))
    changed = sorted(changes, key=lambda each: (each[1].collection, each[1].key))
    files = {
        "rows.jsonl": rows,
        "report.json": json.dumps(whole, indent=1, ensure_ascii=False) + "\n",
        "report.txt": text + "".join(f"{line}\n" for line in _row_lines(report)),
        "report.html": render_to_string("legacy/report.html", _page(report)),
        "changes.jsonl": "".join(
            json.dumps({"change": what, **about(fact)}) + "\n" for what, fact in changed
        ),
        "decisions.csv": proposal_of(in_order(report.judged), answers),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def _page(report: Report) -> dict[str, Any]:
    rows = [
        {
            **about(fact),
            "key": fact.key,
            "outcome": in_words(fact.outcome),
            "reason": in_words(fact.reason),
            "notes": ", ".join(map(in_words, sorted(fact.notes))),
        }
        for fact in in_order(report.judged)
    ]
    return {"lines": list(text_lines(report.summary, report.hash)), "rows": rows}


def text_lines(summary: dict[str, Any], digest: str) -> Iterator[str]:
    """Yield the summary: for each collection the outcomes and that they add up, then the money.

    Lines that belong to the one before begin with a blank.
    """
    exported_at = datetime.fromisoformat(summary["exported_at"]).astimezone(UTC)
    yield f"Exported on {format_date(exported_at, 'F j, Y, H:i')} UTC"
    for name, count in summary["documents"].items():
        outcomes = summary["outcomes"][name]["outcome"]
        found = [(outcomes[each], in_words(each)) for each in OUTCOMES if outcomes.get(each)]
        parts = " + ".join(f"{number} {words}" for number, words in found)
        yield f"{name}: {parts} = {count} document{'' if count == 1 else 's'}"
        for reason, number in summary["outcomes"][name]["reason"].items():
            outcome, _, why = reason.partition(":")
            yield f"  {in_words(outcome)}, {in_words(why)}: {number}{_answers_to(reason)}"
    yield from _money_lines(summary)
    for name, count in summary["unknown_fields"].items():
        yield f"unknown field {name}: {count}"
    for name in summary["unknown_collections"]:
        yield f"unknown collection {name}"
    yield f"report {digest}"


def in_words(code: str) -> str:
    """Return an outcome, a reason or a note as people read it."""
    return WORDS.get(code, code).replace("_", " ")


def _answers_to(reason: str) -> str:
    outcome, _, name = reason.partition(":")
    is_open = outcome == DECISION and name in ALLOWED
    return f" (decide: {', '.join(allowed(name))})" if is_open else ""


def _money_lines(summary: dict[str, Any]) -> Iterator[str]:
    source = summary["enrollments_in_source_by_status"]
    after, held = summary["enrollments_after_by_status"], summary["enrollments_withheld_or_merged"]
    total = sum(each["amount_where_readable"] for each in source.values())
    kept = sum(each["amount"] for each in after.values())
    withheld = sum(each["amount_where_readable"] for each in held.values())
    yield f"money: {_money(kept)} kept + {_money(withheld)} withheld or merged = {_money(total)}"
    for status, each in after.items():
        yield f"  {status}: {each['count']}, {_money(each['amount'])}"
    payments, booked = summary["payments_after"], summary["commissions_booked"]
    yield f"payments: {payments['count']}, {_money(payments['amount'])}"
    yield f"commissions as paid: {booked['count']}, {_money(booked['amount'])}"
    for kind, each in summary["proposals_never_booked"].items():
        yield f"  proposal, {in_words(kind)}: {each['count']}, {_money(each['difference'])}"
    partners = summary["affiliates_after"]
    yield (
        f"affiliates: {partners['count']}, earned {_money(partners['earned'])}, paid"
        f" {_money(partners['paid'])}, opening balance {_money(partners['opening_balance'])}"
    )


def _money(amount: int) -> str:
    return str(Money(amount, CURRENCY))


def _row_lines(report: Report) -> Iterator[str]:
    for fact in in_order(report.judged):
        reason = f":{fact.reason}" if fact.reason else ""
        into = f" -> {fact.into}" if fact.into else ""
        notes = f" ({', '.join(sorted(fact.notes))})" if fact.notes else ""
        yield f"{fact.collection} {fact.key} {fact.outcome}{reason}{into}{notes}"
