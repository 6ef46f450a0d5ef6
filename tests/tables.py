"""Which status may follow which, written out from decisions and architecture: what the models say
is held against this.
"""

Moves = set[tuple[str, str]]


def moves(*lines: str) -> Moves:
    """Read lines such as "pending -> paid, failed"."""
    found: Moves = set()
    for line in lines:
        before, _, after = line.partition(" -> ")
        found |= {(before, to) for to in after.split(", ")}
    return found


ENROLLMENT = moves(
    "pending -> paid, failed, expired, cancelled",
    "failed -> paid",
    "expired -> paid, failed, cancelled",
    "cancelled -> paid",
    "paid -> refunded",
)
LMS = moves(
    "pending -> retrying, awaiting_account, failed, success, revoked",
    "retrying -> retrying, awaiting_account, failed, success, revoked",
    "awaiting_account -> failed, success, revoked",
    "failed -> pending, success, revoked",
    "success -> lost, revoked",
    "lost -> success, pending, revoked",
)
PAYMENT = moves(
    "pending -> processing, paid, failed, expired, cancelled",
    "processing -> paid, failed, expired",
    "failed -> paid",
    "expired -> paid, failed, cancelled",
    "cancelled -> paid",
)
REFUND = moves(
    "requested -> pending, succeeded, failed", "pending -> succeeded, failed", "succeeded -> failed"
)
REFUND_REQUEST = moves("open -> refunded, declined")
DISPUTE = moves("warning -> open, won, lost", "open -> won, lost", "won -> lost")
GRANT = moves(
    "pending -> approved, rejected, withdrawn",
    "approved -> reserved, redeemed, expired, revoked",
    "reserved -> approved, redeemed",
    "redeemed -> approved",
    "expired -> redeemed",
)
COURSE = moves("draft -> published, archived", "published -> archived", "archived -> published")
AFFILIATE = moves(
    "applied -> active, closed",
    "active -> suspended, closed",
    "suspended -> active, closed",
    "closed -> active",
)
FRAUD_SIGNAL = moves("open -> cleared, confirmed", "cleared -> confirmed", "confirmed -> cleared")
PAYOUT_BATCH = moves("draft -> released, cancelled", "released -> paid, cancelled")
PAYOUT = moves("draft -> released, cancelled", "released -> paid, cancelled", "paid -> cancelled")
DEAD_LETTER = moves(
    "open -> open, replayed, dismissed", "replayed -> open", "dismissed -> open, replayed"
)
PROPOSAL = moves("open -> accepted, refused")
DIFFERENCE = moves(
    "open -> repairing, left, settled",
    "repairing -> open, settled",
    "left -> repairing, settled",
    "settled -> open",
)
WORK = moves("pending -> running", "running -> pending, done, dead", "dead -> pending")

OF_MODELS = {
    ("enrollments.Enrollment", "TRANSITIONS"): ENROLLMENT,
    ("enrollments.Enrollment", "LMS_STATUS_TRANSITIONS"): LMS,
    ("enrollments.AccessDifference", "TRANSITIONS"): DIFFERENCE,
    ("enrollments.EnrollmentBatch", "TRANSITIONS"): moves(
        "draft -> started, discarded", "started -> stopped", "discarded -> draft"
    ),
    ("enrollments.BatchRow", "TRANSITIONS"): WORK,
    ("payments.Payment", "TRANSITIONS"): PAYMENT,
    ("payments.Refund", "TRANSITIONS"): REFUND,
    ("payments.RefundRequest", "TRANSITIONS"): REFUND_REQUEST,
    ("payments.Dispute", "TRANSITIONS"): DISPUTE,
    ("payments.StripeEvent", "TRANSITIONS"): WORK,
    ("grants.Grant", "TRANSITIONS"): GRANT,
    ("courses.Course", "TRANSITIONS"): COURSE,
    ("affiliates.Affiliate", "TRANSITIONS"): AFFILIATE,
    ("affiliates.FraudSignal", "TRANSITIONS"): FRAUD_SIGNAL,
    ("affiliates.PayoutBatch", "TRANSITIONS"): PAYOUT_BATCH,
    ("affiliates.Payout", "TRANSITIONS"): PAYOUT,
    ("lms_sync.SyncJob", "TRANSITIONS"): WORK,
    ("lms_sync.DeadLetter", "TRANSITIONS"): DEAD_LETTER,
    ("legacy.ImportProposal", "TRANSITIONS"): PROPOSAL,
    ("notifications.Email", "TRANSITIONS"): WORK,
    ("notifications.AlertNotice", "TRANSITIONS"): WORK,
}

EXCEPTIONS_OF_MODELS = {
    ("enrollments.Enrollment", "EXCEPTIONS"): {
        "reinstate": moves("refunded -> paid"),
        "withdraw": moves("paid -> withdrawn"),
        "give_back": moves("withdrawn -> paid"),
        "lms_refused": moves("paid -> failed"),
    },
    ("enrollments.Enrollment", "LMS_STATUS_EXCEPTIONS"): {
        "reinstate": moves(
            "pending -> pending",
            "retrying -> pending",
            "awaiting_account -> pending",
            "failed -> pending",
            "success -> pending",
            "lost -> pending",
            "revoked -> pending",
        ),
    },
}
