"""What staff see beside sales: requests, differences, batches, signals, keys, what was imported.

Imported in a process where the product is set up.
"""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import models

from accounts.models import ApiKey, User
from affiliates.models import Affiliate, Balance, FraudSignal, Payout, PayoutBatch
from bench.night_shop import DAY, affiliate_of, done, uid
from courses.models import Course
from courses.profiles import InstructorProfile
from enrollments.models import AccessComparison, AccessDifference, BatchRow, EnrollmentBatch
from grants.models import MessageTemplate
from legacy.models import ImportedRow, ImportProposal, ImportRun
from lms_sync.models import SyncJob
from notifications.models import MailState
from payments.models import Payment, Reconciliation, RefundRequest, WebhookProblem

OPEN = 40  # of each kind wait for staff, as many as in a smaller shop
BATCHES = 20
FRAPPE = {"platform": "frappe"}


class Office(NamedTuple):
    """What the rows point to; the first payments are the newest."""

    now: datetime
    staff: User
    courses: list[Course]
    payments: list[Payment]
    jobs: list[SyncJob]
    affiliates: list[Affiliate]


def state_of(number: int, waits: str, done_as: str) -> dict[str, str]:
    return {"status": waits if number < OPEN else done_as}


def fixed_rows(office: Office) -> list[models.Model]:
    """Return what there is a few of in each shop."""
    at = office.now
    batches: list[models.Model] = [
        EnrollmentBatch(
            id=uid(at, f"batch{number}"),
            course=office.courses[0],
            reason="A list",
            payer="A school",
            digest=f"digest{number}",
            status=EnrollmentBatch.STARTED,
            drafted_by=office.staff.email,
        )
        for number in range(BATCHES)
    ]
    return [
        *batches,
        ImportRun(id=uid(at, "run"), kind="final", source="old", report_hash="0", exported_at=at),
        AccessComparison(**FRAPPE),
        Reconciliation(kind="payments", since=at - DAY),
        WebhookProblem(kind=WebhookProblem.CLOCK),
        MailState(),
        InstructorProfile(name="Ada Tester"),
        MessageTemplate(name="Thanks", used_for=MessageTemplate.APPROVAL, text="Thank you."),
    ]


def partner(office: Office, number: int) -> list[models.Model]:
    """Return an affiliate who has sold nothing yet, and a payout to them in the newest batch."""
    at = office.now - DAY * number
    user = User(id=uid(at, f"partner{number}"), email=f"partner{number}@partners.example")
    own = {
        "id": uid(at, f"affiliate of partner{number}"),
        "code": f"PARTNER{number:05}",
        "created_at": at,
    }
    affiliate = affiliate_of(user, number, at)
    for name, value in own.items():
        setattr(affiliate, name, value)
    balance = Balance(affiliate=affiliate, currency="usd", matured_through=at)
    batch = PayoutBatch(
        id=uid(office.now, "newest batch"),
        currency="usd",
        method=Affiliate.BANK,
        payable_on=office.now.date(),
        minimum=0,
        drafted_by=office.staff,
        created_at=office.now,
    )
    payout = Payout(
        id=uid(office.now, f"payout{number}"),
        batch=batch,
        affiliate=affiliate,
        amount=5000,
        currency="usd",
        entry_count=1,
    )
    return [user, affiliate, balance, *([] if number else [batch]), payout]


def request(office: Office, number: int) -> list[models.Model]:
    """Return what a learner asks, and where an LMS does not agree."""
    at, payment = office.now - DAY * number / 5, office.payments[number]
    asked = RefundRequest(
        id=uid(at, f"asked{number}"),
        payment=payment,
        created_at=at,
        **state_of(number, RefundRequest.OPEN, RefundRequest.DECLINED),
    )
    differs = AccessDifference(
        id=uid(at, f"differs{number}"),
        enrollment_id=payment.enrollment_id,
        kind=AccessDifference.UNPAID,
        course_id=f"course-{number % 20}",
        opened_at=at,
        **FRAPPE,
        **state_of(number, AccessDifference.OPEN, AccessDifference.SETTLED),
    )
    return [asked, differs]


def listed(office: Office, number: int) -> list[models.Model]:
    """Return a line of a batch, and a row of the old shop."""
    at, moment = office.now - DAY * number / 100, {"created_at": office.now - DAY * number / 100}
    line = BatchRow(
        **done(at, f"line{number}"),
        batch_id=uid(office.now, f"batch{number % BATCHES}"),
        number=number,
        address=f"line{number}@lines.example",
        **FRAPPE,
    )
    imported = ImportedRow(
        id=uid(at, f"old{number}"),
        collection="enrollments",
        source_id=f"old{number}",
        outcome="imported",
        source_hash="0",
        run_id=uid(office.now, "run"),
        **moment,
    )
    return [line, imported]


def doubted(office: Office, number: int) -> list[models.Model]:
    """Return a signal about an affiliate, a proposal of the import, and a key for programs."""
    at = office.now - DAY * number / 5
    affiliate = office.affiliates[number % len(office.affiliates)]
    fields: dict[str, Any] = {"affiliate": affiliate, "created_at": at}
    signal = FraudSignal(
        id=uid(at, f"signal{number}"),
        kind=FraudSignal.REFUND_RATE,
        dedupe_key=f"signal{number}",
        detail="Many refunds",
        **fields,
        **state_of(number, FraudSignal.OPEN, FraudSignal.CLEARED),
    )
    proposal = ImportProposal(
        id=uid(at, f"proposal{number}"),
        kind=ImportProposal.KINDS[0][0],
        key=f"proposal{number}",
        named=f"Partner {number}",
        difference=100,
        currency="usd",
        **fields,
        **state_of(number, ImportProposal.OPEN, ImportProposal.REFUSED),
    )
    key = ApiKey(
        id=uid(at, f"key{number}"),
        user=office.staff,
        name=f"Program {number}",
        prefix=f"key{number}",
        scopes="",
        created_at=at,
    )
    return [signal, proposal, key]
