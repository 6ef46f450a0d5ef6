"""How each thing that happened reads: a sentence, its state, and its technical part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.urls import NoReverseMatch, reverse

from affiliates.models import LedgerEntry
from courses.models import Course
from enrollments.models import AccessDifference, Enrollment
from grants.models import Grant
from lms_sync.letter import in_words as cause_in_words
from lms_sync.models import SyncJob
from maaledu.money import Money
from maaledu.work.items import DEAD, DONE, PENDING, RUNNING
from notifications.models import UndeliverableAddress
from office.cells import OF_STRIPE, actor_words
from office.timeline import Row
from office.timeline_sources import SOURCES

MODELS = {source.kind: source.model for source in SOURCES}
# Whose row has no page of its own: its parent's, which it names, is shown.
PARENTS = {"change": Enrollment, "attempt": SyncJob}
GOOD, BAD, WAITS, CAREFUL = "success", "danger", "info", "warning"
COLORS = {
    **dict.fromkeys((DONE, "paid", "succeeded", "redeemed", "active", "won", "settled"), GOOD),
    **dict.fromkeys((DEAD, "failed", "lost", "open", "rejected", "closed"), BAD),
    **dict.fromkeys((PENDING, RUNNING, "processing", "requested", "approved", "applied"), WAITS),
    **dict.fromkeys(
        ("expired", "cancelled", "refunded", "reserved", "revoked", "suspended", "withdrawn"),
        CAREFUL,
    ),
}
PLATFORMS = {value: str(label) for value, label in Course.Platform.choices}
ACTIONS = {
    SyncJob.ENROLL: "Access asked for",
    SyncJob.REVOKE: "Access taken away",
    SyncJob.LOOK: "Looked whether access is there twice",
    SyncJob.REPAIR: "Repair of a difference with the LMS",
    SyncJob.LEAVE: "Access taken from the old address",
}
KINDS = {
    Enrollment.KIND_PAID: "Checkout begun",
    Enrollment.KIND_PARTIAL_GRANT: "Checkout begun with a grant",
    Enrollment.KIND_GRANT: "Enrolled by a grant",
    Enrollment.KIND_FREE: "Enrolled for free",
    Enrollment.KIND_INVITED: "Enrolled by staff",
}


@dataclass(frozen=True)
class Entry:
    """One thing that happened, as it is read; `technical` is folded."""

    row: Row
    title: str
    about: str = ""  # the course
    url: str = ""
    body: str = ""
    technical: list[tuple[str, str]] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        return self.row.at

    @property
    def color(self) -> str:
        return COLORS.get(self.row.state, "")

    @property
    def state(self) -> str:
        return self.row.state.replace("_", " ") if self.row.kind in WITH_STATE else ""

    @property
    def actor(self) -> str:
        """Who did it; of what an LMS is asked, the platform by its own name.

        What an event of Stripe's did names that event, which is technical.
        """
        actor = actor_words(self.row.actor)
        return PLATFORMS.get(actor, actor) if self.row.kind == "job" else actor

    @property
    def money(self) -> Money | None:
        amount = self.row.amount
        return Money(amount, self.row.currency) if amount is not None else None


WITH_STATE = {"payment", "refund", "request", "dispute", "event", "job", "letter", "mail", "grant"}
WITH_STATE |= {"difference", "affiliate"}


def in_words(text: str) -> str:
    plain = text.replace("_", " ").strip()
    return f"{plain[:1].upper()}{plain[1:]}"


def _change(row: Row) -> str:
    if row.title == row.state:
        return "Noted on the enrollment"
    taken, given = "Enrollment taken away", "Enrollment given back"
    moves = {row.title: given, row.state: taken}
    return moves.get(Enrollment.WITHDRAWN, f"Enrollment {row.state}")


def _attempt(row: Row) -> str:
    asked = "The LMS was asked"
    return asked if row.title == DONE else f"{asked}: {cause_in_words(row.title).lower()}"


def _grant(row: Row) -> str:
    return f"Applied for a grant, {row.more} %" if row.more else "Applied for a grant"


def grant_event_words(what: str) -> str:
    """Return what happened to a grant, a rejection with its reason and not its code."""
    begin, _, code = what.partition(": ")
    reason = dict(Grant.REASONS).get(code)
    return f"{begin}: {reason}" if reason else what


def _mail(row: Row) -> str:
    return f"E-mail: {row.more or in_words(row.title)}"


def _staff(row: Row) -> str:
    is_said = row.note and row.note[0] != "["
    return f"{row.note[:1].upper()}{row.note[1:]}" if is_said else "Changed by staff"


def _undeliverable(row: Row) -> str:
    return f"E-mails do not arrive: {UndeliverableAddress.Reason(row.title).label.lower()}"


def _dispute(row: Row) -> str:
    return f"Dispute: {in_words(row.title).lower() or 'no reason given'}"


TITLES: Mapping[str, Callable[[Row], str]] = {
    "checkout": lambda row: KINDS.get(row.state, "Enrollment"),
    "change": _change,
    "payment": lambda row: "Payment" if row.state == "paid" else "Payment asked for",
    "refund": lambda row: "Refund",
    "request": lambda row: "Asked for their money back",
    "dispute": _dispute,
    "warning": lambda row: f"Fraud warning of the card's issuer: {in_words(row.title).lower()}",
    "event": lambda row: f"Stripe reported {row.title}",
    "job": lambda row: ACTIONS.get(row.title, in_words(row.title)),
    "attempt": _attempt,
    "letter": lambda row: f"Dead letter: {cause_in_words(row.title).lower()}",
    "mail": _mail,
    "grant": _grant,
    "grant change": lambda row: f"Grant {grant_event_words(row.title)}",
    "commission": lambda row: str(dict(LedgerEntry.KINDS).get(row.title, in_words(row.title))),
    "difference": lambda row: (
        f"Difference with the LMS: {dict(AccessDifference.KINDS).get(row.title, row.title)}"
    ),
    "account": lambda row: "Account made",
    "sign-in": lambda row: "Signed in last",
    "affiliate": lambda row: "Became an affiliate",
    "undeliverable": _undeliverable,
    "staff": _staff,
    "note": lambda row: "Note",
}
# Notes that stand under the title; those of the others are part of it, or technical.
SAID = {
    "change",
    "payment",
    "refund",
    "request",
    "dispute",
    "letter",
    "grant",
    "grant change",
    "commission",
}
SAID |= {"difference", "affiliate", "undeliverable", "note"}
WITH_COURSE = {"checkout", "grant"}
NAMES = {"ref": "Reference", "more": "Details", "note": "Note"}
LABELS = {
    "payment": {"ref": "Checkout session", "more": "Payment intent"},
    "refund": {"ref": "Stripe's id", "more": "Why it failed"},
    "request": {"more": "What was answered"},
    "dispute": {"ref": "Stripe's id"},
    "warning": {"ref": "Stripe's id"},
    "event": {"ref": "Stripe's id", "more": "Last error", "note": "Outcome"},
    "job": {"ref": "LMS enrollment", "more": "LMS course", "note": "Last error"},
    "attempt": {"note": "Asked", "more": "Answered"},
    "letter": {"more": "Last error"},
    "mail": {"ref": "Message-ID", "note": "Last error"},
    "grant": {"ref": "Coupon"},
    "checkout": {"ref": "Request", "note": "Referral code"},
    "affiliate": {"ref": "Code"},
    "difference": {"more": "LMS course"},
}


def describe(row: Row, courses: Mapping[str, str], bodies: Mapping[str, str]) -> Entry:
    """Return how a row reads; `courses` are the titles by enrollment or payment, `bodies` the texts
    of e-mails.
    """
    title = TITLES[row.kind](row)
    about = row.title if row.kind in WITH_COURSE else courses.get(plain(row.of), "")
    body = bodies.get(plain(row.key), "") or (row.note if row.kind in SAID else "")
    # The note of a commission is its course, which is named already.
    body = "" if body == about else _words_of_review(row, body)
    return Entry(row, title, about, _url(row), body, _technical(row))


def _words_of_review(row: Row, body: str) -> str:
    return f"Set aside: {body.replace('_', ' ')}" if row.kind == "payment" and body else body


def plain(key: str) -> str:
    """Return a key as all databases give it, without dashes."""
    return key.replace("-", "")


def _url(row: Row) -> str:
    model = PARENTS.get(row.kind, MODELS[row.kind])
    key = row.of if row.kind in PARENTS else row.key
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    try:
        return reverse(name, args=[key]) if key and row.kind != "staff" else ""
    except NoReverseMatch:
        return ""


def _technical(row: Row) -> list[tuple[str, str]]:
    labels = {**LABELS.get(row.kind, {})}
    if row.kind not in SAID and row.kind not in ("staff", "note"):
        labels.setdefault("note", NAMES["note"])
    hidden = {"mail": ("more",), "grant": ("more",), "staff": ("ref", "more", "note")}
    facts = [
        (labels.get(name, NAMES[name]), getattr(row, name))
        for name in ("ref", "note", "more")
        if getattr(row, name) and name in labels and name not in hidden.get(row.kind, ())
    ]
    if row.actor.startswith(OF_STRIPE):
        facts.append(("Stripe's event", row.actor))
    if row.kind == "attempt" and row.state:
        facts.insert(0, ("Status", row.state))
    return facts
