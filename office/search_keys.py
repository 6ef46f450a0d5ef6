"""What staff may search by: which columns a typed term can be a value of, or the beginning of."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, Q

from accounts.emails import normalize_email
from accounts.models import User
from affiliates import codes as affiliate_codes
from affiliates.models import Affiliate
from enrollments.models import Enrollment
from grants.codes import PREFIX, normalize_code
from grants.models import Grant
from lms_sync.models import SyncJob
from maaledu.unions import starting_with
from notifications.models import Email
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund, StripeEvent

LONGEST_TERM = 200
SHORTEST_BEGINNING = 3  # of a name or an address
LONGEST_COLUMN = 140
STRIPE_ID = re.compile(r"(cs|pi|re|pyr|du|dp|issfr|evt)_\w+")
SENDER = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
ENROLLMENT_TOKEN = re.compile(r"[\w-]{20,40}")
EXACT, BEGINNING = 0, 1


@dataclass(frozen=True)
class Key:
    """A column that is searched, by an index; `owner` is the address of whose row it is."""

    what: str
    model: type[Model]
    column: str
    owner: str = "email"
    shown: str = "name"

    @property
    def permission(self) -> str:
        opts = self.model._meta
        return f"{opts.app_label}.view_{opts.model_name}"


@dataclass(frozen=True)
class LookUp:
    """A key, and the rows that are asked for by it."""

    key: Key
    rows: Q
    rank: int = EXACT


OF_ENROLLMENT = {"owner": "enrollment__email", "shown": "enrollment__course_title"}
OF_PAYMENT = {
    "owner": "payment__enrollment__email",
    "shown": "payment__enrollment__course_title",
}
ADDRESSES = (
    Key("Learner", Enrollment, "email"),
    Key("Grant", Grant, "email"),
    Key("Account", User, "email"),
    Key("Affiliate", Affiliate, "email"),
    Key("E-mail", Email, "to", owner="to", shown="subject"),
)
# Their indexes can be entered by the beginning of a value, too.
BEGUN_ADDRESSES = (Key("Learner", Enrollment, "email"), Key("Account", User, "email"))
NAMES = (
    Key("Learner", Enrollment, "name"),
    Key("Grant", Grant, "name"),
    Key("Account", User, "name"),
)
IDS = (
    Key("Enrollment", Enrollment, "pk", shown="course_title"),
    Key("Grant", Grant, "pk"),
    Key("Payment", Payment, "pk", **OF_ENROLLMENT),
    Key("Refund", Refund, "pk", **OF_PAYMENT),
    Key("LMS job", SyncJob, "pk", shown="course_id"),
    Key("Account", User, "pk"),
    Key("Affiliate", Affiliate, "pk"),
    Key("E-mail", Email, "pk", owner="to", shown="subject"),
)
SESSION = Key("Payment", Payment, "stripe_session_id", **OF_ENROLLMENT)
EVENT = Key("Stripe event", StripeEvent, "event_id", owner="session_id", shown="type")
STRIPE = {
    "cs": SESSION,
    "pi": Key("Payment", Payment, "stripe_payment_intent_id", **OF_ENROLLMENT),
    "re": Key("Refund", Refund, "stripe_refund_id", **OF_PAYMENT),
    "pyr": Key("Refund", Refund, "stripe_refund_id", **OF_PAYMENT),
    "du": Key("Dispute", Dispute, "stripe_dispute_id", **OF_PAYMENT),
    "dp": Key("Dispute", Dispute, "stripe_dispute_id", **OF_PAYMENT),
    "issfr": Key("Fraud warning", EarlyFraudWarning, "stripe_warning_id", **OF_PAYMENT),
    "evt": EVENT,
}
COUPON = Key("Coupon", Grant, "code")
AFFILIATE_CODE = Key("Affiliate", Affiliate, "code")
TOKEN = Key("Enrollment", Enrollment, "token", shown="course_title")
LMS_ID = Key("Enrollment", Enrollment, "lms_enrollment_id", shown="course_title")


def look_ups(typed: str) -> Iterator[LookUp]:
    """Return what a typed term may be: exactly what its form says, else a code or a beginning."""
    term = _pasted(" ".join(typed.split()))[:LONGEST_TERM]
    if not term or not term.isprintable():
        return
    if stripe := STRIPE_ID.fullmatch(term):
        key = STRIPE[stripe[1]]
        yield LookUp(key, Q(**{key.column: term}))
    elif pk := _uuid(term):
        yield from (LookUp(key, Q(pk=pk)) for key in IDS)
    elif address := _address(term):
        yield from (LookUp(key, Q(**{key.column: address})) for key in ADDRESSES)
        yield from _beginnings(term)
    else:
        yield from _codes(term)
        yield from _beginnings(term)


def _pasted(term: str) -> str:
    """Return what a term names that was copied whole, such as an address of a page or a sender."""
    if sender := SENDER.search(term):
        return sender[1]
    if not term.startswith(("https://", "http://")):
        return term
    path = term.partition("://")[2].partition("?")[0].partition("#")[0]
    return path.rstrip("/").rpartition("/")[2]


def _codes(term: str) -> Iterator[LookUp]:
    if len(term) <= LONGEST_COLUMN:
        yield LookUp(LMS_ID, Q(lms_enrollment_id=term))
    if code := affiliate_codes.normalize_code(term):
        yield LookUp(AFFILIATE_CODE, Q(code=code))
    if any(c.isdigit() or c == "-" for c in term) or term.upper().startswith(PREFIX):
        yield LookUp(COUPON, Q(code=normalize_code(term)))
    if ENROLLMENT_TOKEN.fullmatch(term):
        yield LookUp(TOKEN, Q(token=term))


def _beginnings(term: str) -> Iterator[LookUp]:
    """A name as it was typed, or with capitals; an address in its own case, which is lower."""
    if not SHORTEST_BEGINNING <= len(term) <= LONGEST_COLUMN:
        return
    if "@" not in term:
        for key in NAMES:
            rows = starting_with("name", term) | starting_with("name", term.title())
            yield LookUp(key, rows, BEGINNING)
    if " " not in term:
        for key in BEGUN_ADDRESSES:
            yield LookUp(key, starting_with("email", term.lower()), BEGINNING)


def _uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


def _address(term: str) -> str:
    try:
        return normalize_email(term)
    except ValidationError:
        return ""
