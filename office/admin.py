"""Django looks here for what the office shows: each of these modules registers its pages."""

from office import (
    affiliates,
    commissions,
    courses,
    emails,
    enrollments,
    fraud,
    grants,
    ledger,
    lms,
    payments,
    payout_batches,
    payouts,
    people,
    programs,
    refunds,
    refusals,
)

__all__ = [
    "affiliates",
    "commissions",
    "courses",
    "emails",
    "enrollments",
    "fraud",
    "grants",
    "ledger",
    "lms",
    "payments",
    "payout_batches",
    "payouts",
    "people",
    "programs",
    "refunds",
    "refusals",
]
