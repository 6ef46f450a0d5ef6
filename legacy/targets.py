"""The rows of this shop that one old row becomes, under keys that are the same in every run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import Model
from django.utils import timezone

from accounts.models import User
from affiliates.attribution import alias_key
from affiliates.codes import new_code
from affiliates.models import Affiliate
from courses.models import Course
from courses.searching import fold
from grants.models import Grant, GrantEvent, new_token
from legacy.facts import CourseFact, GrantFact, PartnerFact, PersonFact
from legacy.judged import Judged
from legacy.values import digest_of, key_of
from legacy.vocabulary import AFFILIATES, COURSES, GRANTS, SALES

ACTOR = "legacy import"
CURRENCY = "usd"
NO_PASSWORD = "!no password came along"  # noqa: S105 Django reads "!" as: nobody signs in by it
ASKED_AFTER = timedelta(days=1)  # nobody asks the LMS before
# What people change: a row in which one of these is another one now was changed here.
WATCHED: dict[str, tuple[str, ...]] = {
    "accounts.User": ("email", "name"),
    "courses.Course": ("title", "price"),
    "affiliates.Affiliate": ("status", "rate_basis_points", "email"),
    "grants.Grant": ("status", "percent", "code", "email", "enrollment_id", "expires_at"),
    "enrollments.Enrollment": (
        "status",
        "lms_status",
        "email",
        "amount",
        "list_price",
        "grant_id",
    ),
    "payments.Payment": ("status", "refund_committed"),
    "payments.Refund": ("status", "amount"),
}


@dataclass(slots=True)
class Target:
    """One row to be written: `fresh` is for a new row alone."""

    model: type[Model]
    pk: UUID | None
    fields: dict[str, Any]
    fresh: dict[str, Any] = field(default_factory=dict)
    # By which it is found where its key is the database's own.
    by: dict[str, Any] = field(default_factory=dict)
    # Written only while it is recent: not part of what is compared.
    is_passing: bool = False

    @property
    def label(self) -> str:
        return self.model._meta.label

    @property
    def watched(self) -> tuple[str, ...]:
        return WATCHED.get(self.label, ())

    @property
    def name(self) -> list[str]:
        return [self.label, str(self.pk or "")]

    def make(self) -> Model:
        key = {"pk": self.pk} if self.pk else {}
        return self.model(**key, **self.fields, **self.fresh)


@dataclass
class Here:
    """What is here already, and not of the import: people by address, courses by slug."""

    users: dict[str, UUID] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    judged: Judged | None = None

    def user_id(self, email: str) -> UUID:
        return self.users.get(email) or key_of("person", email)

    def course_of(self, fact: CourseFact) -> Course:
        """Return the course that an old one has become, saved or not."""
        known = self.courses.get(fact.slug)
        return known or Course(pk=key_of(COURSES, fact.slug), **_course_fields(fact))


def content_hash(targets: list[Target]) -> str:
    return digest_of([[t.label, str(t.pk), _plain(t.fields)] for t in targets if not t.is_passing])


def target_hash(rows: list[tuple[Target, dict[str, Any]]]) -> str:
    """Return the digest of what people change; `rows` has what each target holds now."""
    held = [
        [t.label, str(t.pk), _plain({name: values.get(name) for name in t.watched})]
        for t, values in rows
        if t.watched
    ]
    return digest_of(held)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, UUID) else value for name, value in fields.items()
    }


# --- people ---------------------------------------------------------------------------------------
def of_person(fact: PersonFact, here: Here) -> list[Target]:
    email = fact.email or ""
    if email in here.users:
        fact.notes.add("user_exists")
        return []
    return _account(
        email,
        name=fact.name,
        password=fact.password,
        created=fact.created,
        is_verified=fact.is_verified,
    )


def _account(
    email: str, *, name: str, password: str, created: datetime, is_verified: bool
) -> list[Target]:
    pk = key_of("person", email)
    user = Target(
        User,
        pk,
        {
            "email": email,
            "name": name,
            "password": password or NO_PASSWORD,
            "date_joined": created,
        },
    )
    address = Target(
        EmailAddress,
        None,
        {"verified": is_verified, "primary": True},
        by={"user_id": pk, "email": email},
    )
    return [user, address]


# --- the catalogue --------------------------------------------------------------------------------
def of_course(fact: CourseFact, here: Here) -> list[Target]:
    if fact.slug in here.courses:
        fact.notes.add("course_exists")
        return []
    asked_at = timezone.now() + ASKED_AFTER
    fresh = {"summary": "", "category": "", "lms_facts_due_at": asked_at}
    fields = _course_fields(fact)
    return [Target(Course, key_of(COURSES, fact.slug), fields, fresh)]


def _course_fields(fact: CourseFact) -> dict[str, Any]:
    return {
        "slug": fact.slug,
        "title": fact.title,
        "description": fact.description,
        "price": fact.price,
        "currency": CURRENCY,
        "lms_platform": Course.Platform.FRAPPE.value,
        "lms_course_id": fact.course_id,
        "search_text": fold(f"{fact.title}  "),
        "created_at": fact.created,
    }


# --- affiliates -----------------------------------------------------------------------------------
PARTNER_STATUSES = {"active": Affiliate.ACTIVE, "pending": Affiliate.APPLIED}


def affiliate_id(email: str) -> UUID:
    return key_of(AFFILIATES, email)


def of_partner(fact: PartnerFact, here: Here) -> list[Target]:
    email = fact.email or ""
    person = here.judged.people.get(email) if here.judged else None
    name = person.name if person and person.name else email.partition("@")[0]
    status = PARTNER_STATUSES.get(fact.old_status, Affiliate.SUSPENDED)
    affiliate = Target(
        Affiliate,
        affiliate_id(email),
        {
            "user_id": here.user_id(email),
            "email": email,
            "alias_key": alias_key(email),
            "name": name,
            "status": status,
            "rate_basis_points": fact.rate,
            "terms_accepted_at": fact.created,
            "created_at": fact.created,
            "activated_at": None if status == Affiliate.APPLIED else fact.created,
        },
        {"code": new_code(), "payout_method": Affiliate.LATER, "tax_country": ""},
    )
    if person or email in here.users:
        return [affiliate]
    made = _account(email, name="", password="", created=fact.created, is_verified=False)
    return [*made, affiliate]


# --- grants ---------------------------------------------------------------------------------------
def grant_id(key: str) -> UUID:
    return key_of(GRANTS, key)


def sale_id(key: str) -> UUID:
    return key_of(SALES, key)


def of_grant(fact: GrantFact, here: Here) -> list[Target]:
    pk = grant_id(fact.key)
    fields = _grant_fields(fact, here)
    grant = Target(Grant, pk, fields, {"token": new_token()})
    note = f"as {fact.old_status} in the old shop"
    happened = {"grant_id": pk, "what": "imported", "actor": ACTOR, "note": note}
    event = key_of(GRANTS, fact.key, "event")
    return [grant, Target(GrantEvent, event, {**happened, "created_at": fact.created})]


def _grant_fields(fact: GrantFact, here: Here) -> dict[str, Any]:
    course = here.course_of(here.judged.courses[fact.course_id]) if here.judged else Course()
    is_redeemed = fact.becomes == Grant.REDEEMED
    decided_at = None if fact.old_status == Grant.PENDING else fact.updated or fact.created
    return {
        "course_id": course.pk,
        "email": fact.email,
        "name": fact.name or (fact.email or "").partition("@")[0],
        "situation": fact.text,
        "motivation": "",
        "consented_at": fact.created,
        "answer_due_on": (fact.created + settings.GRANT_DEFAULT_LIFETIME).date(),
        "status": fact.becomes,
        "percent": fact.percent if fact.has_good_percent else None,
        "code": fact.code or None,
        "code_number": 1 if fact.code else 0,
        "expires_at": fact.expires_at,
        "price_at_approval": fact.price,
        "currency": CURRENCY,
        "note": fact.admin_notes,
        "reject_reason": "other" if fact.becomes == Grant.REJECTED else "",
        "decided_by": ACTOR if decided_at else "",
        "decided_at": decided_at,
        "enrollment_id": sale_id(fact.holder) if is_redeemed else None,
        "redeemed_at": (fact.used_at or _used_at(fact, here)) if is_redeemed else None,
        "redeemed_by": (fact.email or "") if is_redeemed else "",
        "created_at": fact.created,
    }


def _used_at(fact: GrantFact, here: Here) -> datetime:
    sale = here.judged.sale(fact.holder) if here.judged else None
    return sale.created if sale else fact.created


Builder = Callable[[Any, Here], list[Target]]
