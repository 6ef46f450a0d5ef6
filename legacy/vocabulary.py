"""The names of the old database: its collections and fields, and what a customer calls them.

Source: contracts/legacy, section 1. A field that is not here is counted and listed, and not
imported.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from legacy.errors import InvalidAnswers
from legacy.sources import Document

USERS, COURSES, AFFILIATES, GRANTS = "users", "courses", "affiliates", "grants"
SALES, RETRY_JOBS, FAILED_JOBS = "enrollments", "retryjobs", "failedjobs"
NEVER_IMPORTED = ("accounts", "sessions", "verification_tokens")
READ = (USERS, COURSES, AFFILIATES, GRANTS, SALES, RETRY_JOBS, FAILED_JOBS)
ANY = "_id __v createdAt updatedAt"
FIELDS = {
    USERS: "email password verified isVerified emailVerified role purchasedCourses progress"
    " totalSpent name image resetToken resetTokenExpiry resetPasswordToken resetPasswordExpires"
    " verificationToken verificationTokenExpiry verifyToken",
    COURSES: "courseId title price enrolledUsers totalEnrollments description level features"
    " isActive image category instructor duration",
    AFFILIATES: "email name userId status commissionRate totalPaid pendingCommissions stats"
    " affiliateLink affiliateCode paymentMethod statsLastUpdated statsCacheExpiry",
    GRANTS: "email name userId courseId status couponCode couponUsed couponUsedAt couponUsedBy"
    " reservedAt enrollmentId couponMetadata originalPrice discountPercentage adminNotes reason"
    " motivation situation",
    SALES: "email courseId userId status amount originalAmount commissionBaseAmount enrollmentType"
    " discountPercentage grantId couponCode grantData paymentId stripeSessionId stripeEvents"
    " processedEvents affiliateData frappeSync openedxSync lmsSync lmsContext",
    RETRY_JOBS: "jobType enrollmentId payload attempts maxAttempts nextRetryAt status lastError"
    " frappeEnrollmentId idempotencyKey completedAt",
    FAILED_JOBS: "originalJobId jobType payload failureReason requiresManualReview"
    " notificationSent",
}
KNOWN = {name: frozenset(f"{ANY} {fields}".split()) for name, fields in FIELDS.items()}


@dataclass(frozen=True)
class Names:
    """A customer's own names, by ours: of collections, and of the fields of each."""

    collections: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)

    def collection(self, ours: str) -> str:
        return self.collections.get(ours, ours)

    def renamed(self, collection: str, document: Document) -> Document:
        """Return the document under our names; a dotted name of theirs is looked up inside."""
        ours = dict(document)
        for name, theirs in self.fields.get(collection, {}).items():
            outer, _, _ = theirs.partition(".")
            value, is_there = _looked_up(document, theirs)
            ours.pop(outer, None)
            if is_there:
                ours[name] = value
        return ours


def _looked_up(document: Any, dotted: str) -> tuple[Any, bool]:
    for name in dotted.split("."):
        if not isinstance(document, dict) or name not in document:
            return None, False
        document = document[name]
    return document, True


def read_names(path: Path | None) -> Names:
    """Read a file such as `[users]`, `email = "emailAddress"`. Raises InvalidAnswers."""
    if path is None:
        return Names()
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidAnswers(f"{path} cannot be read: {error}.") from error
    collections = found.pop("collections", {})
    wrong = [name for name in collections if name not in READ]
    wrong += [name for name in found if name not in READ]
    wrong += [
        f"{name}.{each}"
        for name, fields in found.items()
        if name in READ
        for each, theirs in (fields.items() if isinstance(fields, dict) else [("?", None)])
        if each not in KNOWN[name] or not isinstance(theirs, str)
    ]
    if wrong:
        raise InvalidAnswers(f"{path} names what the old platform never had: {', '.join(wrong)}.")
    return Names(collections, found)
