"""The report of a run, as JSON, text and HTML: every source row with its one outcome, and sums.

It holds nothing that differs between a dry run and the run that writes, so that both are the same
to the byte; and no password, token or address of a database.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from legacy.commissions import Accounts, accounts_of
from legacy.facts import (
    DECISION,
    CourseFact,
    Fact,
    GrantFact,
    JobFact,
    PartnerFact,
    PersonFact,
    SaleFact,
)
from legacy.judged import Judged, is_stuck
from legacy.report_sums import course_row, summary_of

MONEY_CAME = ("paid", "refunded")
CURRENCY = "usd"
Sums = dict[str, dict[str, int]]


@dataclass
class Report:
    """The rows as lines of JSON, in one order for every source, and what they add up to."""

    lines: list[str]
    summary: dict[str, Any]
    judged: Judged

    @property
    def hash(self) -> str:
        whole = hashlib.sha256()
        for line in (*self.lines, json.dumps(self.summary, sort_keys=True)):
            whole.update(line.encode() + b"\n")
        return whole.hexdigest()

    @property
    def open_decisions(self) -> int:
        return sum(fact.outcome == DECISION for fact in self.judged.book.all())


def report_of(judged: Judged) -> Report:
    """Write down every row and every sum."""
    accounts = accounts_of(judged)
    facts = in_order(judged)
    dues = {due.sale.key: due for due in accounts.dues}
    lines = [
        json.dumps({**about(fact), **_details(fact, judged, accounts, dues)}, ensure_ascii=False)
        for fact in facts
    ]
    return Report(lines, summary_of(judged, accounts), judged)


def in_order(judged: Judged) -> list[Fact]:
    return sorted(judged.book.all(), key=lambda fact: (fact.collection, fact.key))


def about(fact: Fact) -> dict[str, Any]:
    found: dict[str, Any] = {
        "collection": fact.collection,
        "_id": fact.key,
        "outcome": fact.outcome,
        "reason": fact.reason,
        "notes": sorted(fact.notes),
    }
    return {**found, "into": fact.into} if fact.into else found


# --- one row --------------------------------------------------------------------------------------
def _details(
    fact: Fact, judged: Judged, accounts: Accounts, dues: dict[str, Any]
) -> dict[str, Any]:
    match fact:
        case SaleFact():
            row = _of_sale(fact, judged, dues)
        case PersonFact():
            row = _of_person(fact)
        case GrantFact():
            row = _of_grant(fact)
        case PartnerFact():
            row = _of_partner(fact, judged, accounts)
        case CourseFact():
            row = course_row(fact, judged)
        case JobFact():
            row = {"enrollment": fact.sale}
        case _:
            row = {}
    return row


def _of_person(fact: PersonFact) -> dict[str, Any]:
    return {
        "email": fact.email or fact.written_email,
        "is_verified": fact.is_verified,
        "can_sign_in": bool(fact.password),
    }


def _of_sale(fact: SaleFact, judged: Judged, dues: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"source_status": fact.old_status, "source_amount": fact.amount}
    if not fact.is_imported:
        return row
    row |= {
        "status": fact.becomes,
        "kind": fact.kind,
        "amount": fact.amount,
        "list_price": fact.list_price,
        "email": fact.email,
        "course": judged.courses[fact.course_id].slug,
    }
    if fact.becomes == "paid":
        person = judged.people.get(fact.email or "")
        row |= {
            "lms": "stuck" if is_stuck(fact) else "success",
            "lms_reason": fact.lms_reason,
            "lms_enrollment_id": fact.lms_id,
            "progress": (person.progress.get(fact.course_id, 0) if person else 0),
        }
    due = dues.get(fact.key)
    if due:
        is_known = fact.partner in judged.partners
        row |= {
            "affiliate": fact.partner if is_known else "",
            "commission_booked": due.booked,
            "proposal": due.problem,
        }
        row |= {"proposed_difference": due.difference} if due.problem else {}
    return row


def _of_grant(fact: GrantFact) -> dict[str, Any]:
    row: dict[str, Any] = {"email": fact.email or ""}
    if fact.is_imported:
        row |= {"status": fact.becomes}
        row |= {"code": fact.code} if fact.code else {}
        row |= {"enrollment": fact.holder} if fact.holder else {}
    return row


def _of_partner(fact: PartnerFact, judged: Judged, accounts: Accounts) -> dict[str, Any]:
    row = {"email": fact.email or "", "stored_pending": fact.stored_pending}
    if not fact.is_imported or fact.email is None:
        return {**row, "paid": fact.paid}
    balance = accounts.balance(fact.email)
    row |= {
        "paid": accounts.paid.get(fact.email, 0),
        "earned": accounts.earned[fact.email],
        "opening_balance": balance,
        "status": fact.old_status if fact.old_status in ("active", "pending") else "suspended",
    }
    return {**row, "proposal": "paid_more_than_earned"} if balance < 0 else row
