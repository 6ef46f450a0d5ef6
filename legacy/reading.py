"""Read each document of the old database once, and keep what it says as a fact."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from courses.slugs import slug_of
from legacy import values
from legacy.errors import SourceUnreadable
from legacy.facts import (
    NO_CREATED,
    CourseFact,
    Fact,
    GrantFact,
    JobFact,
    PartnerFact,
    PersonFact,
)
from legacy.sales_reading import sale_of
from legacy.sources import Document, Source
from legacy.vocabulary import (
    AFFILIATES,
    COURSES,
    FAILED_JOBS,
    GRANTS,
    KNOWN,
    NEVER_IMPORTED,
    READ,
    RETRY_JOBS,
    SALES,
    USERS,
    Names,
)

LONGEST_TEXT = 4000
# What visitors write. A row of staff may be dated ahead, and a later moment would end a checkout
# that somebody may still be paying; an earlier one only waits.
TELLS_TIME = (USERS, SALES, *NEVER_IMPORTED)
Progress = Callable[[str, int], None]


@dataclass
class Book:
    """Everything that was read, by collection and key, and the moment of the export."""

    exported_at: datetime
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown_fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown_collections: list[str] = field(default_factory=list)

    def of(self, collection: str) -> dict[str, Any]:
        return self.facts.get(collection, {})

    def all(self) -> Iterator[Fact]:
        for facts in self.facts.values():
            yield from facts.values()


def read_all(
    source: Source, names: Names, *, exported_at: datetime | None = None, progress: Progress
) -> Book:
    """Read the whole source. Raises SourceUnreadable for one that is not the old database."""
    there = {names.collection(name): name for name in (*READ, *NEVER_IMPORTED)}
    found = source.collections()
    if not {names.collection(SALES), names.collection(USERS)} <= set(found):
        known = ", ".join(found[:8]) or "nothing"
        raise SourceUnreadable(
            f"{source.name} is not the old database: it has {known}, and no collections"
            f" “{names.collection(USERS)}” and “{names.collection(SALES)}”."
        )
    book = Book(exported_at or values.EPOCH)
    latest, counts = values.EPOCH, dict[str, int]()
    for theirs in found:
        name = there.get(theirs, theirs)
        if theirs not in there:
            book.unknown_collections.append(theirs)
        facts = book.facts.setdefault(name, {})
        for document in source.read(theirs):
            renamed = names.renamed(name, document)
            fact = _read(name, renamed, book)
            if facts.setdefault(fact.key, fact) is not fact:
                raise SourceUnreadable(f"{source.name}: {theirs} has {fact.key} twice.")
            latest = max(latest, _latest_in(renamed)) if name in TELLS_TIME else latest
            progress(name, len(facts))
        if name in READ:
            counts[theirs] = len(facts)
    source.refuse_changes(counts)
    book.exported_at = exported_at or latest
    return book


def _latest_in(document: Document) -> datetime:
    """Return when the document was last written: an export is no older than what is in it."""
    now = timezone.now()
    moments = [
        values.made_at(document.get("_id")),
        *(values.moment_of(document.get(name)) for name in ("createdAt", "updatedAt")),
    ]
    return max([each for each in moments if each and each <= now], default=values.EPOCH)


def _read(collection: str, document: Document, book: Book) -> Fact:
    if "_id" not in document:
        raise SourceUnreadable(f"{collection}: a document has no _id.")
    about = _about(collection, document)
    unknown = document.keys() - KNOWN.get(collection, document.keys())
    if unknown:
        about["notes"].add("unknown_field")
        book.unknown_fields.update((collection, values.text_of(name, 80)) for name in unknown)
    reader = READERS.get(collection, _other)
    return reader(document, about)


def _about(collection: str, document: Document) -> dict[str, Any]:
    """Return what all facts have: key, time, digest, and the notes about its date."""
    notes: set[str] = set()
    value = document.get("createdAt")
    created = values.moment_of(value)
    if created is None:
        created = values.made_at(document["_id"]) or values.EPOCH
        if collection not in NEVER_IMPORTED:
            notes.add(NO_CREATED)
    elif isinstance(value, str):
        notes.add("date_string")
    return {
        "collection": collection,
        "key": str(document["_id"]),
        "created": created,
        "digest": values.digest_of(document),
        "notes": notes,
    }


def _other(document: Document, about: dict[str, Any]) -> Fact:
    return Fact(**about)


def _person(document: Document, about: dict[str, Any]) -> Fact:
    bought = document.get("purchasedCourses")
    if document.get("role") == "admin":
        about["notes"].add("role_not_granted")
    return PersonFact(
        **about,
        email=address_in(document, "email", about["notes"]),
        written_email=values.text_of(document.get("email"), 254),
        name=values.name_of(document.get("name"), about["notes"]),
        password=values.password_of(document.get("password")),
        is_verified=_is_verified(document),
        progress=_progress(bought if isinstance(bought, list) else []),
    )


def address_in(document: Document, name: str, notes: set[str]) -> str | None:
    value = document.get(name)
    address = values.address_of(value)
    if address is not None and address != value:
        notes.add("email_spelling")
    return address


def _is_verified(document: Document) -> bool:
    # Anything but a plain yes or a date is taken for no: the owner then proves the address again.
    plain = any(document.get(name) is True for name in ("isVerified", "verified", "emailVerified"))
    return plain or values.moment_of(document.get("emailVerified")) is not None


def _progress(bought: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in bought:
        percent = values.whole_number(each.get("progress")) if isinstance(each, dict) else None
        course = each.get("courseId") if isinstance(each, dict) else None
        if isinstance(course, str) and percent is not None and 0 <= percent <= 100:
            # What was bought twice is listed twice: the place is that of the earlier payment.
            found.setdefault(course, percent)
    return found


def _course(document: Document, about: dict[str, Any]) -> Fact:
    course_id = document.get("courseId")
    course_id = course_id if isinstance(course_id, str) else ""
    entries = document.get("enrolledUsers")
    pushed, repeated = _pushed(entries if isinstance(entries, list) else [])
    notes = about["notes"]
    slug = slug_of(course_id)
    title = values.name_of(document.get("title"), set()) or course_id
    notes |= {"slug_changed"} if slug != course_id else set()
    notes |= {"html_in_title"} if "<" in title else set()
    return CourseFact(
        **about,
        course_id=course_id,
        slug=slug,
        title=title,
        description=values.text_of(document.get("description"), LONGEST_TEXT),
        price=values.minor_units(document.get("price"), notes),
        pushed=pushed,
        repeated=repeated,
        stored_total=values.whole_number(document.get("totalEnrollments")),
    )


def _pushed(entries: list[Any]) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return the addresses of enrolledUsers, without repeated entries, and how many were."""
    seen = {values.digest_of(each): each for each in entries if isinstance(each, dict)}
    addresses = [
        (values.text_of(each.get("email"), 254), values.address_of(each.get("email")) or "")
        for each in seen.values()
    ]
    return tuple(addresses), len(entries) - len(seen)


def _partner(document: Document, about: dict[str, Any]) -> Fact:
    notes = about["notes"]
    paid = document.get("totalPaid")
    return PartnerFact(
        **about,
        email=address_in(document, "email", notes),
        old_status=values.text_of(document.get("status"), 40),
        rate=values.rate_of(document.get("commissionRate"), notes),
        paid=0 if paid is None else values.minor_units(paid, notes),
        stored_pending=values.minor_units(document.get("pendingCommissions"), notes),
    )


def _grant(document: Document, about: dict[str, Any]) -> Fact:
    notes = about["notes"]
    more = document.get("couponMetadata")
    expires = more.get("expiresAt") if isinstance(more, dict) else None
    notes |= {"date_string"} if isinstance(expires, str) else set()
    code = document.get("couponCode")
    notes |= {"code_spelling"} if isinstance(code, str) and code != code.upper() else set()
    percent = values.whole_number(document.get("discountPercentage"))
    texts = (values.text_of(document.get(n), 2000) for n in ("reason", "situation", "motivation"))
    return GrantFact(
        **about,
        course_id=values.text_of(document.get("courseId"), 140),
        email=address_in(document, "email", notes),
        name=values.name_of(document.get("name"), notes),
        old_status=values.text_of(document.get("status"), 40),
        percent=percent,
        has_good_percent=percent is not None and 10 <= percent <= 100,
        code=values.coupon_code(code),
        is_used=document.get("couponUsed") is True,
        used_at=values.moment_of(document.get("couponUsedAt")),
        expires_at=values.moment_of(expires),
        price=values.minor_units(document.get("originalPrice"), set()),
        text="\n\n".join(text for text in texts if text)[:LONGEST_TEXT],
        admin_notes=values.text_of(document.get("adminNotes"), 500),
        updated=values.moment_of(document.get("updatedAt")),
    )


def _job(document: Document, about: dict[str, Any], *, error_in: str) -> Fact:
    return JobFact(
        **about,
        sale=str(document.get("enrollmentId", "")),
        original=str(document.get("originalJobId", "")),
        attempts=min(max(values.whole_number(document.get("attempts")) or 0, 0), 1000),
        last_error=values.text_of(document.get(error_in), 500),
        last_at=values.moment_of(document.get("updatedAt")),
    )


READERS: dict[str, Callable[[Document, dict[str, Any]], Fact]] = {
    USERS: _person,
    COURSES: _course,
    AFFILIATES: _partner,
    GRANTS: _grant,
    SALES: sale_of,
    RETRY_JOBS: partial(_job, error_in="lastError"),
    FAILED_JOBS: partial(_job, error_in="failureReason"),
}
