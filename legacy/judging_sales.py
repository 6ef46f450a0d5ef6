"""The outcome of each sale: withheld, deferred, a second payment of the same, or imported."""

from collections.abc import Iterator

from enrollments.models import Enrollment
from legacy.answers import Answers
from legacy.facts import DEFERRED, MERGED, REFUSED, SaleFact
from legacy.judged import (
    INVALID_EMAIL,
    MISSING_AMOUNT,
    UNKNOWN_COURSE,
    UNKNOWN_STATUS,
    UNREADABLE_AMOUNT,
    YOUNG,
    Judged,
)
from legacy.vocabulary import SALES

SALE_STATUSES = ("pending", "paid", "failed", "refunded", "cancelled")


def judge_sales(found: Judged, answers: Answers) -> None:
    places: dict[tuple[str, str], SaleFact] = {}
    sessions: dict[str, SaleFact] = {}
    events: set[str] = set()
    for sale in sorted(found.book.of(SALES).values(), key=lambda s: s.order):
        shared = {key for key, _, _ in sale.events} & events
        sale.notes |= {"event_shared"} if shared else set()
        sale.own_events = tuple(key for key, _, _ in sale.events if key not in shared)
        events.update(sale.own_events)
        if not _may_be_kept(sale, found, answers) or _shares_session(sale, sessions, answers):
            continue
        place = (found.courses[sale.course_id].slug, sale.email or "")
        sessions |= {sale.session: sale} if sale.session else {}
        if sale.old_status == "paid" and place in places:
            sale.end(MERGED, "duplicate_paid", places[place].key)
            continue
        sale.becomes = _status_here(sale, is_young=_is_young(sale, found))
        places |= {place: sale} if sale.old_status == "paid" else {}


def _may_be_kept(sale: SaleFact, found: Judged, answers: Answers) -> bool:
    """Judge a row by itself; the first reason counts."""
    if sale.email is None:
        sale.end(REFUSED, INVALID_EMAIL)
        return False
    if reason := next(_open_questions(sale, found, answers), ""):
        answers.leave_open(sale, reason)
        return False
    if _is_young(sale, found) and not found.is_final:
        sale.end(DEFERRED, "pending_young")
        return False
    return True


def _open_questions(sale: SaleFact, found: Judged, answers: Answers) -> Iterator[str]:
    """Yield what the operator has not answered; an answer is put in as its question comes up."""
    if sale.course_id not in found.courses and not answers.course(sale, found.courses):
        yield UNKNOWN_COURSE
    if not _is_amount_known(sale, answers):
        yield UNREADABLE_AMOUNT if sale.has_amount else MISSING_AMOUNT
    if sale.old_status not in SALE_STATUSES and not answers.status(sale, SALE_STATUSES):
        yield UNKNOWN_STATUS


def _is_amount_known(sale: SaleFact, answers: Answers) -> bool:
    if sale.amount is not None:
        return True
    reason = UNREADABLE_AMOUNT if sale.has_amount else MISSING_AMOUNT
    decided = answers.amount(sale, reason)
    if decided is None:
        return False
    sale.amount = decided
    sale.list_price = decided if sale.list_price is None else sale.list_price
    if decided and sale.kind in Enrollment.UNPAID_KINDS:
        sale.kind = Enrollment.KIND_PAID
    return True


def _is_young(sale: SaleFact, found: Judged) -> bool:
    return sale.old_status == "pending" and found.book.exported_at - sale.created < YOUNG


def _shares_session(sale: SaleFact, sessions: dict[str, SaleFact], answers: Answers) -> bool:
    """Whether an earlier row has its Checkout Session, so that one payment would count twice."""
    if not sale.session or sale.session not in sessions:
        return False
    if answers.take(sale, "session_shared", "import"):
        sale.session = ""
        return False
    answers.leave_open(sale, "session_shared")
    return True


def _status_here(sale: SaleFact, *, is_young: bool) -> str:
    if sale.old_status == "pending":
        # Nobody pays for one that costs nothing: it would wait for ever.
        return Enrollment.PENDING if is_young and sale.amount else Enrollment.EXPIRED
    if sale.old_status == Enrollment.REFUNDED and not sale.amount:
        sale.notes.add("refunded_nothing")  # no money could go back: it ended, and that is all
        return Enrollment.CANCELLED
    return sale.old_status
