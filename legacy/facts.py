"""What one document of the old database says, once its values are read: small, and without secrets.

These are kept for all documents while an import runs; the documents themselves are not.
"""

from dataclasses import dataclass, field
from datetime import datetime

IMPORTED, MERGED, DEFERRED = "imported", "merged", "deferred"
DECISION, REFUSED, IGNORED = "decision", "refused", "ignored"
NO_CREATED = "no_created"  # a note: its time is that of its key, which knows whole seconds
OUTCOMES = (IMPORTED, MERGED, DEFERRED, DECISION, REFUSED, IGNORED)


@dataclass(slots=True)
class Fact:
    """One source row and its one outcome."""

    collection: str
    key: str
    created: datetime
    digest: str
    notes: set[str] = field(default_factory=set)
    outcome: str = IMPORTED
    reason: str = ""
    into: str = ""
    is_kept_out: bool = False  # what is here of the shop's own stays in its place

    def end(self, outcome: str, reason: str = "", into: str = "") -> None:
        self.outcome, self.reason, self.into = outcome, reason, into

    @property
    def is_imported(self) -> bool:
        return self.outcome == IMPORTED

    @property
    def order(self) -> tuple[datetime, str]:
        """Earlier is by the time it was made, then by its key."""
        return self.created, self.key


@dataclass(slots=True)
class PersonFact(Fact):
    email: str | None = None
    written_email: str = ""
    name: str = ""
    password: str = ""
    is_verified: bool = False
    progress: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class CourseFact(Fact):
    course_id: str = ""
    slug: str = ""
    title: str = ""
    description: str = ""
    price: int | None = None
    pushed: tuple[tuple[str, str], ...] = ()  # address as it was, and its normal form
    repeated: int = 0
    stored_total: int | None = None


@dataclass(slots=True)
class PartnerFact(Fact):
    email: str | None = None
    old_status: str = ""
    rate: int = 0  # basis points
    paid: int | None = 0
    stored_pending: int | None = None


@dataclass(slots=True)
class GrantFact(Fact):
    course_id: str = ""
    email: str | None = None
    name: str = ""
    old_status: str = ""
    percent: int | None = None
    has_good_percent: bool = True
    code: str = ""
    is_used: bool = False
    used_at: datetime | None = None
    expires_at: datetime | None = None
    price: int | None = None
    text: str = ""
    admin_notes: str = ""
    updated: datetime | None = None
    becomes: str = ""
    holder: str = ""  # the key of the sale that used it


@dataclass(slots=True)
class SaleFact(Fact):
    course_id: str = ""
    email: str | None = None
    old_status: str = ""
    has_amount: bool = True
    amount: int | None = None
    list_price: int | None = None
    kind: str = ""
    percent: int = 0
    coupon: str = ""
    session: str = ""
    intent: str = ""
    reference: str = ""
    events: tuple[tuple[str, str, datetime], ...] = ()
    updated: datetime | None = None
    paid_at: datetime | None = None
    lms_reason: str = ""  # why the learner is not in the LMS, "" where they are
    lms_id: str = ""
    synced_at: datetime | None = None
    # the commission, as the old shop stored it
    partner: str = ""
    is_referred: bool = False
    is_processed: bool = False
    processed_at: datetime | None = None
    rate: int = 0  # basis points
    stored: int | None = None
    # found out by judging
    becomes: str = ""
    grant: str = ""  # the key of the grant whose coupon it holds
    own_events: tuple[str, ...] = ()  # those that no earlier row has


@dataclass(slots=True)
class JobFact(Fact):
    sale: str = ""
    original: str = ""
    attempts: int = 0
    last_error: str = ""
    last_at: datetime | None = None
