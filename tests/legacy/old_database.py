"""A small old database by a seed: every kind of dirt that the import has to know, mixed.

Nothing in it is right or wrong by intention of a test: what must hold of any database is asserted
(each row has one outcome, sums add up, an undo leaves nothing). `hand_written` is the opposite: a
few rows, of which each test says what they become.
"""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
from bson import Binary, Decimal128, Int64, ObjectId, json_util
from bson.codec_options import CodecOptions

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PASSWORD = "an old pässword 7"
HASH = "$2b$04$pRRP8gdWJ.xhWXG0R1v5z.dQxdUL7fqF0nN1vpKBoxcVLLAVVSv5q"
# bcryptjs read the first 72 of its 80 bytes, and wrote 2a.
LONG_PASSWORD = "long " * 16
LONG_HASH = "$2a$04$OHIQSjK05J0U7b5VYJD5ZOI4M/BaK7ZMVRGzHEX6tY4Oo/zFOGY9m"
Documents = dict[str, list[dict[str, Any]]]
COURSES = [("sql-basics", 249), ("Old-Course_7", 99.5), ("free-talk", 0)]


def oid(at: datetime, number: int) -> ObjectId:
    return ObjectId(int(at.timestamp()).to_bytes(4, "big") + number.to_bytes(8, "big"))


class Database:
    """Documents that are made one after the other, each with a key of its own."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.documents: Documents = defaultdict(list)
        self.number = 0

    def add(self, collection: str, at: datetime, **fields: Any) -> dict[str, Any]:
        self.number += 1
        key = oid(at, self.number)
        document = {"_id": key, "createdAt": at, "updatedAt": at, "__v": 0, **fields}
        self.documents[collection].append(document)
        return document


def hand_written() -> Documents:
    """A sale of each kind, one learner, one affiliate, one coupon that is good and one used."""
    made, day = Database(), timedelta(days=1)
    start = NOW - 200 * day
    for number, (course, price) in enumerate(COURSES):
        at = start + number * day
        made.add("courses", at, courseId=course, title=course.title(), price=price)
    made.add(
        "users",
        start,
        email=" Ada@Example.com",
        name="Ada",
        password=HASH,
        isVerified=True,
        role="user",
        purchasedCourses=[{"courseId": "sql-basics", "progress": 40}],
    )
    made.add("affiliates", start, email="partner@agency.example", status="active",
             commissionRate=10, totalPaid=10, pendingCommissions=0)  # fmt: skip
    sale = {"courseId": "sql-basics", "status": "paid", "originalAmount": 249}
    synced = {"synced": True, "syncStatus": "success", "enrollmentId": "LMS-1"}
    referral = {
        "affiliateEmail": "Partner@agency.example",
        "commissionRate": 10,
        "commissionProcessed": True,
    }
    event = {"eventId": "evt_first", "eventType": "checkout.session.completed"}
    made.add("enrollments", start + 3 * day, **sale, email="ADA@example.com", amount="249.00",
             paymentId="pi_first", stripeSessionId="cs_first", frappeSync=synced,
             stripeEvents=[{**event, "processedAt": start + 3 * day}],
             affiliateData={**referral, "commissionAmount": 24.9})  # fmt: skip
    made.add("enrollments", start + 4 * day, **sale, email="half@example.com",
             amount=124.49999999999999, couponCode="HALF1234", discountPercentage=50,
             stripeSessionId="cs_half",
             paymentId="STRIPE_PARTIAL_cs_half",
             frappeSync={"synced": False, "syncStatus": "failed"},
             affiliateData={**referral, "commissionAmount": 12.45})  # fmt: skip
    made.add("enrollments", start + 5 * day, **sale, email="ada@example.com", amount=249,
             paymentId="pi_again", stripeSessionId="cs_again")  # fmt: skip
    made.add("enrollments", start + 6 * day, **sale, email="lost@example.com")
    made.add("enrollments", start + 7 * day, courseId="sql-basics", status="refunded",
             email="back@example.com", amount=249, paymentId="pi_back",
             stripeSessionId="cs_back", frappeSync=synced)  # fmt: skip
    made.add("enrollments", NOW - timedelta(hours=2), courseId="sql-basics", status="pending",
             email="young@example.com", amount=249, stripeSessionId="cs_young")  # fmt: skip
    coupon = {"courseId": "sql-basics", "status": "approved", "discountPercentage": 50,
              "originalPrice": 249, "reason": "I cannot pay all of it."}  # fmt: skip
    good = {"couponMetadata": {"expiresAt": NOW + 400 * day}}
    made.add("grants", start, email="half@example.com", couponCode="HALF1234", couponUsed=True,
             **coupon, **good)  # fmt: skip
    made.add("grants", start + day, email="new@example.com", couponCode="test100", **coupon, **good)
    made.add("sessions", NOW, userId=made.documents["users"][0]["_id"])
    return made.documents


# --- by a seed ------------------------------------------------------------------------------------
def by_seed(seed: int, *, sales: int = 30) -> Documents:
    """Return a database in which anything may be wrong with any row."""
    made = Database(seed)
    roll = made.random
    for course, price in COURSES:
        made.add("courses", _moment(roll), courseId=course, title=course, price=price,
                 totalEnrollments=roll.randrange(9), enrolledUsers=_pushed(roll))  # fmt: skip
    emails = [f"person{number}@example.com" for number in range(sales // 2)]
    for email in [*emails, emails[0].upper(), "no address", ""]:
        made.add("users", _moment(roll), **_person(roll, email))
    for number in range(4):
        made.add("affiliates", _moment(roll), **_partner(roll, number))
    for number in range(sales // 2):
        made.add("grants", _moment(roll), **_grant(roll, number, emails))
    for number in range(sales):
        row = made.add("enrollments", _moment(roll), **_sale(roll, number, emails))
        if roll.random() < 0.3:
            tried = {"attempts": roll.randrange(6), "status": "retrying", "lastError": "timeout"}
            job = made.add("retryjobs", _moment(roll), enrollmentId=row["_id"], **tried)
            made.add("failedjobs", _moment(roll), originalJobId=job["_id"], failureReason="500")
    made.add("retryjobs", _moment(roll), enrollmentId=oid(NOW, 999_999), status="pending")
    made.add("mystery", _moment(roll), anything={"deep": [1, {"x": None}]})
    for document in [row for rows in made.documents.values() for row in rows]:
        _spoil(roll, document)
    return made.documents


def _moment(roll: random.Random) -> datetime:
    at = NOW - timedelta(minutes=roll.randrange(60, 500_000), milliseconds=roll.randrange(1000))
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _pushed(roll: random.Random) -> list[dict[str, Any]]:
    entry = {"email": "somebody@example.com", "paymentId": "pi_x"}
    return [dict(entry) for _ in range(roll.randrange(3))]


def _person(roll: random.Random, email: str) -> dict[str, Any]:
    return {
        "email": roll.choice([email, email.upper(), f" {email} "]),
        "name": roll.choice(["Ada", "<b>Eve</b>", "N\0ul" + "x" * 200, None, 7]),
        "password": roll.choice([HASH, "plain text", None, "$2a$10$short"]),
        roll.choice(["isVerified", "emailVerified"]): roll.choice([True, False, NOW, None]),
        "role": roll.choice(["user", "user", "admin"]),
        "purchasedCourses": [{"courseId": "sql-basics", "progress": roll.choice([0, 55, 900])}],
    }


def _partner(roll: random.Random, number: int) -> dict[str, Any]:
    return {
        "email": roll.choice([f"person{number}@example.com", f"P{number % 2}@agency.example"]),
        "status": roll.choice(["active", "inactive", "pending"]),
        "commissionRate": roll.choice([10, 10, 7.5]),
        "totalPaid": roll.choice([0, 50, "12.50", "much", 10_000]),
        "pendingCommissions": roll.choice([0, 3, None]),
    }


def _grant(roll: random.Random, number: int, emails: list[str]) -> dict[str, Any]:
    more = {"couponMetadata": {"expiresAt": NOW + timedelta(days=roll.choice([-9, 40]))}}
    return {
        "email": roll.choice(emails),
        "courseId": roll.choice(["sql-basics", "sql-basics", "nowhere"]),
        "status": roll.choice(["approved", "approved", "pending", "rejected", "odd"]),
        "couponCode": roll.choice([f"CODE{number}", f"code-{number // 2}", None, "X" * 40]),
        "discountPercentage": roll.choice([50, 100, 100, 5, 120, "80"]),
        "adminNotes": roll.choice(["", "Automatically expired"]),
        "originalPrice": roll.choice([249, "?"]),
        **roll.choice([{}, {"couponUsed": True}, {"couponUsed": False}]),
        **roll.choice([more, more, {}]),
    }


def _sale(roll: random.Random, number: int, emails: list[str]) -> dict[str, Any]:
    amounts = [249, 249, 124.5, "249.00", 249.00000000000003, 0, Decimal128("249"), "249,50 USD",
               {"value": 5}, float("nan"), None, -3, True]  # fmt: skip
    session = f"cs_{roll.choice([number, number, number // 3])}"
    return {
        "email": roll.choice([roll.choice(emails), roll.choice(emails).upper(), "a@b@c", ""]),
        "courseId": roll.choice(["sql-basics", "Old-Course_7", "free-talk", "nowhere"]),
        "status": roll.choice(["paid", "paid", "paid", "pending", "failed", "refunded", "odd"]),
        "amount": roll.choice(amounts),
        "originalAmount": roll.choice([249, None, "x"]),
        "couponCode": roll.choice([None, None, f"CODE{number // 2}"]),
        "stripeSessionId": roll.choice([session, session, None]),
        "paymentId": roll.choice([f"pi_{number}", f"STRIPE_PARTIAL_{session}", "FREE_1", None]),
        "stripeEvents": [{"eventId": f"evt_{number // 2}"}, {"no": "id"}, "text"],
        "affiliateData": roll.choice([None, {}, _referral(roll)]),
        **_sync(roll),
    }


def _referral(roll: random.Random) -> dict[str, Any]:
    return {
        "affiliateEmail": roll.choice(["person0@example.com", "p1@agency.example", "nobody"]),
        "commissionRate": 10,
        "commissionProcessed": roll.choice([True, True, False]),
        "commissionAmount": roll.choice([24.9, 12.45, 51.13, None, "24.90", "?"]),
        "commissionProcessedAt": NOW - timedelta(days=roll.randrange(90)),
    }


def _sync(roll: random.Random) -> dict[str, Any]:
    states = [
        {},
        {"synced": True, "syncStatus": "success"},
        {"synced": False, "syncStatus": "failed"},
        {"synced": True, "syncStatus": "pending"},
        {"synced": False, "syncStatus": "pending", "enrollmentId": "LMS-9"},
        {"synced": True, "syncStatus": "success", "syncedAt": NOW - timedelta(days=3)},
    ]
    names = roll.sample(["lmsSync", "frappeSync", "openedxSync"], roll.randrange(4))
    return {name: roll.choice(states) for name in names}


def _spoil(roll: random.Random, document: dict[str, Any]) -> None:
    """Write a date as text, leave it out, or add what nobody knows."""
    if roll.random() < 0.1:
        document["createdAt"] = document["createdAt"].isoformat()
    elif roll.random() < 0.1:
        del document["createdAt"]
    if roll.random() < 0.1:
        odd = [Int64(2**40), Binary(b"\0\1"), {"a": [1]}, None, "x", NOW]
        document[roll.choice(["utmSource", "_migrated"])] = roll.choice(odd)


# --- as files -------------------------------------------------------------------------------------
def write_json(documents: Documents, folder: Path, *, relaxed: bool = False) -> Path:
    """Write what `mongoexport` writes: a file for each collection, a document a line."""
    folder.mkdir(parents=True, exist_ok=True)
    options = json_util.RELAXED_JSON_OPTIONS if relaxed else json_util.CANONICAL_JSON_OPTIONS
    for collection, rows in documents.items():
        lines = [json_util.dumps(row, json_options=options) for row in rows]
        (folder / f"{collection}.json").write_text("".join(f"{line}\n" for line in lines))
    return folder


def write_array(documents: Documents, folder: Path) -> Path:
    """Write what `mongoexport --jsonArray` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    for collection, rows in documents.items():
        options = json_util.CANONICAL_JSON_OPTIONS
        text = ",\n".join(json_util.dumps(row, json_options=options) for row in rows)
        (folder / f"{collection}.json").write_text(f"[{text}]\n")
    return folder


def write_bson(documents: Documents, folder: Path) -> Path:
    """Write what `mongodump` writes."""
    home = folder / "dump" / "maaledu"
    home.mkdir(parents=True, exist_ok=True)
    codec: CodecOptions[Any] = CodecOptions(tz_aware=True)
    for collection, rows in documents.items():
        whole = b"".join(bson.encode(row, codec_options=codec) for row in rows)
        (home / f"{collection}.bson").write_bytes(whole)
        (home / f"{collection}.metadata.json").write_text("{}")
    return folder
