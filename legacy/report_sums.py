"""What the rows of an import add up to, by outcome, status and reason."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from legacy.commissions import Accounts
from legacy.facts import IMPORTED, MERGED, CourseFact
from legacy.judged import Judged
from legacy.vocabulary import COURSES, GRANTS, SALES

MONEY_CAME = ("paid", "refunded")
Sums = dict[str, dict[str, int]]


def summary_of(judged: Judged, accounts: Accounts) -> dict[str, Any]:
    book = judged.book
    return {
        "exported_at": book.exported_at.isoformat(),
        "documents": {name: len(facts) for name, facts in sorted(book.facts.items()) if facts},
        "outcomes": _outcomes(judged),
        **_sales(judged),
        "grants_after_by_status": _count(
            fact.becomes for fact in book.of(GRANTS).values() if fact.is_imported
        ),
        **_commissions(accounts),
        "courses": _drift(judged),
        "unknown_fields": {
            f"{collection}.{name}": count
            for (collection, name), count in sorted(book.unknown_fields.items())
        },
        "unknown_collections": sorted(book.unknown_collections),
        "emails_sent": 0,
        "lms_calls": 0,
    }


def _count(each: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(each).items()))


def _outcomes(judged: Judged) -> dict[str, Any]:
    found = {}
    for name, facts in sorted(judged.book.facts.items()):
        if facts:
            rows = facts.values()
            found[name] = {
                "outcome": _count(fact.outcome for fact in rows),
                "reason": _count(f"{f.outcome}:{f.reason}" for f in rows if f.reason),
                "notes": _count(note for fact in rows for note in fact.notes),
            }
    return found


def _sales(judged: Judged) -> dict[str, Any]:
    source: Sums = defaultdict(lambda: {"count": 0, "amount_where_readable": 0})
    after: Sums = defaultdict(lambda: {"count": 0, "amount": 0, "list_price": 0})
    held: Sums = defaultdict(lambda: {"count": 0, "amount_where_readable": 0})
    states: Counter[str] = Counter()
    money, events = {"count": 0, "amount": 0}, set()
    for sale in judged.book.of(SALES).values():
        amount = sale.amount or 0
        _add(source[sale.old_status], amount)
        events |= {key for key, _, _ in sale.events}
        if sale.is_imported:
            _add(after[sale.becomes], amount, sale.list_price or 0)
            if sale.becomes == "paid":
                states[sale.lms_reason or "success"] += 1
        else:
            _add(held[f"{sale.outcome}:{sale.reason}"], amount)
        came = sale.is_imported and sale.becomes in MONEY_CAME
        if amount and (came or sale.outcome == MERGED):
            _add(money, amount)
    return {
        "enrollments_in_source_by_status": dict(sorted(source.items())),
        "enrollments_after_by_status": dict(sorted(after.items())),
        "enrollments_withheld_or_merged": dict(sorted(held.items())),
        "payments_after": money,
        "paid_by_lms_state": dict(sorted(states.items())),
        "stripe_events_after": len(events),
    }


def _add(sums: dict[str, int], *amounts: int) -> None:
    for name, value in zip(sums, (1, *amounts), strict=True):
        sums[name] += value


def _commissions(accounts: Accounts) -> dict[str, Any]:
    proposed: Sums = defaultdict(lambda: {"count": 0, "difference": 0})
    for due in accounts.proposed:
        _add(proposed[due.problem], due.difference)
    booked = accounts.booked
    return {
        "commissions_booked": {"count": len(booked), "amount": sum(d.booked for d in booked)},
        "proposals_never_booked": dict(sorted(proposed.items())),
        "affiliates_after": {
            "count": len(accounts.paid),
            "earned": sum(accounts.earned[email] for email in accounts.paid),
            "paid": sum(accounts.paid.values()),
            "opening_balance": sum(accounts.balance(email) for email in accounts.paid),
            "paid_more_than_earned": len(accounts.overpaid),
        },
    }


def _drift(judged: Judged) -> dict[str, int]:
    rows = [course_row(course, judged) for course in judged.book.of(COURSES).values()]
    return {
        "embedded_only": sum(row["embedded_only"] for row in rows),
        "total_enrollments_drift": sum(row["stored_total"] != row["paid"] for row in rows),
    }


# --- one course ----------------------------------------------------------------------------------
def course_row(fact: CourseFact, judged: Judged) -> dict[str, Any]:
    known, paid = _enrolled(judged)
    lost = [raw for raw, email in fact.pushed if (fact.course_id, email) not in known]
    return {
        "slug": fact.slug,
        "price": fact.price,
        "embedded_only": len(lost),
        "embedded_repeated": fact.repeated,
        "paid": paid[fact.course_id],
        "stored_total": fact.stored_total,
        **({"embedded_addresses": lost} if lost else {}),
    }


def _enrolled(judged: Judged) -> tuple[set[tuple[str, str]], Counter[str]]:
    """Return who has a row in each course, and how many paid rows each course has."""
    if judged.enrolled is None:
        known, paid = set(), Counter[str]()
        for sale in judged.book.of(SALES).values():
            known.add((sale.course_id, sale.email or ""))
            paid[sale.course_id] += sale.old_status == "paid" and sale.outcome in (IMPORTED, MERGED)
        judged.enrolled = known, paid
    return judged.enrolled
