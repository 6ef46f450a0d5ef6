"""The tables whose rows make up what happened to a learner, and what of each row is shown.

`shown` names the column behind each of the columns that all sources share, such as
"state=status actor=requested_by".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import BigIntegerField, F, Model, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from accounts.models import LearnerNote, User
from affiliates.models import Affiliate, LedgerEntry
from enrollments.models import AccessDifference, Enrollment, EnrollmentEvent
from grants.models import Grant, GrantEvent
from lms_sync.models import DeadLetter, SyncAttempt, SyncJob
from maaledu.unions import branch
from notifications.models import Email, UndeliverableAddress
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund, RefundRequest, StripeEvent

# What the rows of a source are found by.
ADDRESS, ENROLLMENTS, PAYMENTS = "address", "enrollments", "payments"
SESSIONS, JOBS, GRANTS, IDS = "sessions", "jobs", "grants", "ids"
TEXTS = ("title", "state", "actor", "note", "ref", "more", "of", "currency")


@dataclass(frozen=True)
class Source:
    """The rows of one table: when each was, what they are found by, and the columns shown."""

    kind: str
    model: type[Model]
    at: str
    found_by: str
    by: str
    shown: str = ""
    amount: str = ""
    only: Q = field(default_factory=Q, hash=False)

    @property
    def permission(self) -> str:
        opts = self.model._meta
        return f"{opts.app_label}.view_{opts.model_name}"

    def rows(self, keys: Sequence[Any], until: datetime | None, most: int) -> QuerySet[Any, Any]:
        """Return its newest rows as the columns that all sources share."""
        found = self.model._default_manager.filter(self.only, **{f"{self.by}__in": list(keys)})
        if until:
            found = found.filter(**{f"{self.at}__lte": until})
        return branch(found.order_by(f"-{self.at}"), self._columns(), most)

    def _columns(self) -> dict[str, Any]:
        named = dict(pair.split("=") for pair in self.shown.split())
        texts = {name: F(named[name]) if name in named else Value("") for name in TEXTS}
        return {
            "t_kind": Value(self.kind, output_field=TextField()),
            "t_at": F(self.at),
            "t_key": Cast(F("pk"), TextField()),
            "t_amount": Cast(F(self.amount) if self.amount else Value(None), BigIntegerField()),
            **{f"t_{name}": Cast(column, TextField()) for name, column in texts.items()},
        }


PAYMENT = Source(
    "payment",
    Payment,
    "created_at",
    ENROLLMENTS,
    "enrollment_id",
    "title=refund_committed state=status note=review_reason ref=stripe_session_id"
    " more=stripe_payment_intent_id of=enrollment_id currency=currency",
    amount="amount",
)
JOB = Source(
    "job",
    SyncJob,
    "created_at",
    ADDRESS,
    "email",
    "title=action state=status actor=platform note=last_error ref=lms_enrollment_id more=course_id",
)
MAIL = Source(
    "mail",
    Email,
    "created_at",
    ADDRESS,
    "to",
    "title=kind state=status note=last_error ref=message_id more=subject",
)
GRANT = Source(
    "grant",
    Grant,
    "created_at",
    ADDRESS,
    "email",
    "title=course__title state=status note=note ref=code more=percent",
)
ACCOUNT = Source("account", User, "date_joined", ADDRESS, "email", "title=name")
AFFILIATE = Source(
    "affiliate",
    Affiliate,
    "created_at",
    ADDRESS,
    "email",
    "title=name state=status note=status_reason ref=code",
)
UNDELIVERABLE = Source(
    "undeliverable",
    UndeliverableAddress,
    "reported_at",
    ADDRESS,
    "email",
    "title=reason note=sentence",
)
# Whose keys others hang on, or that say who the address is.
BEHIND = (PAYMENT, JOB, MAIL, GRANT, ACCOUNT, AFFILIATE, UNDELIVERABLE)
SOURCES = (
    *BEHIND,
    Source(
        "checkout",
        Enrollment,
        "created_at",
        ADDRESS,
        "email",
        "title=course_title state=kind note=referral_code ref=request_id currency=currency",
        amount="amount",
    ),
    Source(
        "change",
        EnrollmentEvent,
        "created_at",
        ENROLLMENTS,
        "enrollment_id",
        "title=from_status state=to_status actor=actor note=note of=enrollment_id",
    ),
    Source(
        "refund",
        Refund,
        "created_at",
        PAYMENTS,
        "payment_id",
        "state=status actor=requested_by note=note ref=stripe_refund_id more=failure_reason"
        " of=payment_id currency=currency",
        amount="amount",
    ),
    Source(
        "request",
        RefundRequest,
        "created_at",
        PAYMENTS,
        "payment_id",
        "state=status actor=decided_by note=reason more=note of=payment_id",
    ),
    Source(
        "dispute",
        Dispute,
        "created_at",
        PAYMENTS,
        "payment_id",
        "title=reason state=status note=stripe_status ref=stripe_dispute_id of=payment_id"
        " currency=currency",
        amount="amount",
    ),
    Source(
        "warning",
        EarlyFraudWarning,
        "warned_at",
        PAYMENTS,
        "payment_id",
        "title=fraud_type actor=closed_by ref=stripe_warning_id of=payment_id",
    ),
    Source(
        "event",
        StripeEvent,
        "created_at",
        SESSIONS,
        "session_id",
        "title=type state=status note=outcome ref=event_id more=last_error",
    ),
    Source(
        "attempt",
        SyncAttempt,
        "started_at",
        JOBS,
        "job_id",
        "title=outcome state=http_status note=request more=response of=job_id",
    ),
    Source(
        "letter",
        DeadLetter,
        "created_at",
        JOBS,
        "job_id",
        "title=reason state=status actor=resolved_by note=note more=last_error of=job_id",
    ),
    Source(
        "grant change",
        GrantEvent,
        "created_at",
        GRANTS,
        "grant_id",
        "title=what actor=actor note=note of=grant_id",
    ),
    Source(
        "commission",
        LedgerEntry,
        "created_at",
        ENROLLMENTS,
        "enrollment_id",
        "title=kind actor=created_by note=note currency=currency of=enrollment_id",
        amount="amount",
    ),
    Source(
        "difference",
        AccessDifference,
        "opened_at",
        ENROLLMENTS,
        "enrollment_id",
        "title=kind state=status actor=decided_by note=reason more=course_id of=enrollment_id",
    ),
    Source("sign-in", User, "last_login", ADDRESS, "email", only=Q(last_login__isnull=False)),
    Source(
        "staff",
        LogEntry,
        "action_time",
        IDS,
        "object_id",
        "title=object_repr actor=user__email note=change_message",
    ),
    Source("note", LearnerNote, "created_at", ADDRESS, "email", "actor=written_by note=text"),
)
