"""Read one document of `enrollments`: the sale, its Stripe ids, its LMS state, its commission."""

from datetime import datetime
from typing import Any

from enrollments.models import Enrollment
from legacy import values
from legacy.facts import Fact, SaleFact
from legacy.sources import Document

COMPLETED = "checkout.session.completed"
DATES_OF_SYNC = ("syncedAt", "lastSyncedAt", "completedAt", "lastSyncAt", "updatedAt")
LONGEST_ID = 255


def sale_of(document: Document, about: dict[str, Any]) -> Fact:
    """Read everything that one sale of the old shop says."""
    notes = about["notes"]
    raw = document.get("email")
    email = values.address_of(raw)
    notes |= {"email_spelling"} if email is not None and email != raw else set()
    amount = values.minor_units(document.get("amount"), notes)
    updated = values.moment_of(document.get("updatedAt"))
    fact = SaleFact(
        **about,
        course_id=values.text_of(document.get("courseId"), 140),
        email=email,
        old_status=values.text_of(document.get("status"), 40),
        has_amount=document.get("amount") is not None,
        amount=amount,
        list_price=_list_price(document, amount, notes),
        coupon=values.coupon_code(document.get("couponCode")),
        updated=updated,
        **_stripe_ids(document),
    )
    fact.percent = _percent(document, fact)
    fact.kind = _kind(document, fact)
    fact.paid_at = fact.events[0][2] if fact.events else fact.created
    _read_sync(document, fact)
    _read_referral(document, fact)
    return fact


def _list_price(document: Document, amount: int | None, notes: set[str]) -> int | None:
    if document.get("originalAmount") is None:
        return amount
    found = values.minor_units(document["originalAmount"], notes)
    if found is None:
        notes.add("list_price_unreadable")
        return amount
    return found


# --- Stripe ---------------------------------------------------------------------------------------
def _stripe_ids(document: Document) -> dict[str, Any]:
    """Return session, intent and events; a `STRIPE_PARTIAL_` id holds the session's."""
    payment_id = values.text_of(document.get("paymentId"), LONGEST_ID)
    inner = payment_id.removeprefix("STRIPE_PARTIAL_").removeprefix("STRIPE_")
    session = values.text_of(document.get("stripeSessionId"), LONGEST_ID)
    return {
        "session": session or (inner if inner.startswith("cs_") else ""),
        "intent": inner if inner.startswith("pi_") else "",
        "reference": payment_id,
        "events": _events(document),
    }


def _events(document: Document) -> tuple[tuple[str, str, datetime], ...]:
    found: dict[str, tuple[str, str, datetime]] = {}
    fallback = values.moment_of(document.get("updatedAt")) or values.EPOCH
    for name in ("stripeEvents", "processedEvents"):
        entries = document.get(name)
        for each in entries if isinstance(entries, list) else ():
            key = values.text_of(each.get("eventId"), LONGEST_ID) if isinstance(each, dict) else ""
            if key:
                kind = values.text_of(each.get("eventType"), 100) or COMPLETED
                at = values.moment_of(each.get("processedAt")) or fallback
                found.setdefault(key, (key, kind, at))
    return tuple(found.values())


# --- what kind of sale it is ----------------------------------------------------------------------
def _percent(document: Document, fact: SaleFact) -> int:
    """Return the discount in whole percent: as it was written, else as the two prices say."""
    more = document.get("grantData")
    places = (document, more if isinstance(more, dict) else {})
    written = [values.whole_number(place.get("discountPercentage")) for place in places]
    stated = [each for each in written if each is not None and 0 < each <= 100]
    if stated:
        return stated[0]
    if not fact.coupon or not fact.list_price or fact.amount is None:
        return 0
    off = max(fact.list_price - fact.amount, 0)
    return (200 * off + fact.list_price) // (2 * fact.list_price)


def _kind(document: Document, fact: SaleFact) -> str:
    """Return the kind by what was paid, never by the old type alone."""
    if not fact.amount:
        return Enrollment.KIND_GRANT if fact.coupon else Enrollment.KIND_FREE
    is_reduced = fact.amount < (fact.list_price or 0)
    is_marked = fact.reference.startswith("STRIPE_PARTIAL_")
    return (
        Enrollment.KIND_PARTIAL_GRANT
        if fact.coupon and (is_reduced or is_marked)
        else Enrollment.KIND_PAID
    )


# --- the LMS --------------------------------------------------------------------------------------
def _read_sync(document: Document, fact: SaleFact) -> None:
    """Decide by lmsSync, then frappeSync, whether the learner is in the LMS (L6)."""
    ours = [
        document[name] for name in ("lmsSync", "frappeSync") if isinstance(document.get(name), dict)
    ]
    ids = [text for text in (_id_of(each) for each in ours) if text]
    fact.lms_id = ids[0] if ids else ""
    if ids or any(_says_success(each) for each in ours):
        moments = [values.moment_of(each.get(name)) for each in ours for name in DATES_OF_SYNC]
        known = [each for each in moments if each]
        fact.synced_at = known[0] if known else fact.updated or fact.created
        return
    fact.lms_reason = _stuck_reason(document, ours)


def _id_of(sync: Document) -> str:
    value = sync.get("enrollmentId")
    return values.text_of(value if isinstance(value, str) else str(value or ""), LONGEST_ID)


def _says_success(sync: Document) -> bool:
    return sync.get("synced") is True and sync.get("syncStatus") == "success"


def _stuck_reason(document: Document, ours: list[Document]) -> str:
    if not ours:
        is_old = isinstance(document.get("openedxSync"), dict)
        return "openedx_only" if is_old else "sync_missing"
    if ours[0].get("synced"):
        return "sync_contradiction"
    return values.text_of(ours[0].get("syncStatus"), 40) or "sync_missing"


# --- the commission -------------------------------------------------------------------------------
def _read_referral(document: Document, fact: SaleFact) -> None:
    data = document.get("affiliateData")
    if not isinstance(data, dict) or not data:
        return
    fact.is_referred = True
    # What it was computed on is found out from the two prices: this only notes how it is written.
    values.minor_units(document.get("commissionBaseAmount"), fact.notes)
    fact.partner = values.address_of(data.get("affiliateEmail")) or ""
    fact.is_processed = data.get("commissionProcessed") is True
    fact.processed_at = values.moment_of(data.get("commissionProcessedAt"))
    fact.rate = values.rate_of(data.get("commissionRate"), fact.notes)
    if data.get("commissionAmount") is not None:
        fact.stored = values.minor_units(data["commissionAmount"], fact.notes)
