"""One past sale of the demo: enrollment, payment, commission, and a refund or dispute.

Stripe, the LMS and the mail server are not asked: payments are written as received, jobs and
e-mails as done.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings

from accounts.models import User
from affiliates import commissions, holds, ledger
from affiliates.models import Affiliate, Commission, LedgerEntry
from courses.models import Course
from enrollments import lms_jobs, mails
from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import MADE, SyncJob
from maaledu.db import transition
from maaledu.money import share
from maaledu.work.items import DONE, RUNNING
from notifications.models import Email
from payments import mails as payment_mails
from payments.models import Dispute, Payment, Refund

ACTOR = "demo"
RATE = 1500  # basis points
HOLD = timedelta(days=30)
REFUNDED_AFTER = timedelta(days=5)
AT_CHECKOUT_FOR = timedelta(minutes=4)
DISPUTED_AFTER = timedelta(days=25)
EVIDENCE_WITHIN = timedelta(days=30)
FULLY_REFUNDED, PARTLY_REFUNDED, DISPUTED = (3, 21, 109, 131), 15, 16  # which of the sales
FIRST_NAMES = (
    "Amina",
    "Bruno",
    "Clara",
    "Daniel",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Karim",
    "Lena",
    "Maya",
)
LAST_NAMES = ("Okafor", "Silva", "Novak", "Haddad", "Lindqvist", "Moreau", "Tanaka")


@dataclass(frozen=True)
class DemoSale:
    """One sale of the history; `number` counts them from the oldest."""

    number: int
    course: Course
    paid_at: datetime
    lms_row: str = ""  # of the enrollment in the sandbox's LMS, where it was put there

    @property
    def learner(self) -> str:
        first = FIRST_NAMES[self.number % len(FIRST_NAMES)]
        return f"{first} {LAST_NAMES[self.number % len(LAST_NAMES)]}"

    @property
    def email(self) -> str:
        return f"{self.learner.lower().replace(' ', '.')}{self.number}@example.com"

    @property
    def refunded(self) -> int:
        """What went back to the buyer, in minor units."""
        if self.number == PARTLY_REFUNDED:
            return self.course.price // 4
        return self.course.price if self.number in FULLY_REFUNDED else 0

    @property
    def refunded_at(self) -> datetime:
        return self.paid_at + REFUNDED_AFTER

    @property
    def is_disputed(self) -> bool:
        return self.number == DISPUTED


def write(affiliate: Affiliate | None, sale: DemoSale, *, by: User) -> Enrollment:
    """Write the sale as it is today, within the caller's transaction; `by` made its refund.

    `affiliate` is credited with it; None for a buyer who came through nobody's link.
    """
    enrollment = _enroll(affiliate, sale)
    payment = _pay(enrollment, sale)
    if affiliate:
        _earn(enrollment, sale)
    if sale.refunded:
        _refund(payment, sale, by)
    if sale.is_disputed:
        _dispute(payment, sale)
    return enrollment


def _enroll(affiliate: Affiliate | None, sale: DemoSale) -> Enrollment:
    course = sale.course
    enrollment = Enrollment(
        course=course,
        email=sale.email,
        name=sale.learner,
        kind=Enrollment.KIND_PAID,
        course_title=course.title,
        course_slug=course.slug,
        lms_platform=course.lms_platform,
        lms_course_id=course.lms_course_id,
        list_price=course.price,
        amount=course.price,
        currency=course.currency,
        **(_credit(affiliate, course) if affiliate else {}),
        status=Enrollment.PAID,
        lms_status=Enrollment.LMS_SUCCESS,
        lms_enrollment_id=sale.lms_row or f"demo-{sale.number}",
        lms_origin=MADE,
        lms_user_made=True,
        payment_reference=f"pi_demo_{sale.number}",
        created_at=sale.paid_at - AT_CHECKOUT_FOR,
        updated_at=sale.paid_at,
        paid_at=sale.paid_at,
        lms_synced_at=sale.paid_at,
    )
    enrollment.save(force_insert=True)
    _record(enrollment, Enrollment.PENDING, sale.paid_at)
    _give_access(enrollment, sale)
    return enrollment


def _credit(affiliate: Affiliate, course: Course) -> dict[str, Any]:
    return {
        "affiliate_id": affiliate.pk,
        "referral_code": affiliate.code,
        "referral_outcome": "credited",
        "commission_base": course.price,
        "commission_rate": RATE,
    }


def _give_access(enrollment: Enrollment, sale: DemoSale) -> None:
    lms_jobs.stage_job(enrollment)
    job = SyncJob.objects.get(dedupe_key=lms_jobs.job_key(enrollment))
    settle(job, sale.paid_at, lms_enrollment_id=enrollment.lms_enrollment_id)
    mails.stage_confirmation(enrollment)
    confirmation = Email.objects.get(dedupe_key=f"{mails.PURCHASE_CONFIRMATION}:{enrollment.pk}")
    settle(confirmation, sale.paid_at, sent_at=sale.paid_at)


def settle(item: SyncJob | Email, at: datetime, **changes: Any) -> None:
    """Settle a job or e-mail of this transaction as done back then, so that no worker claims it."""
    transition(item, RUNNING, fence=1)
    transition(item, DONE, created_at=at, updated_at=at, finished_at=at, **changes)


def _record(enrollment: Enrollment, before: str, at: datetime) -> None:
    EnrollmentEvent(
        enrollment=enrollment,
        from_status=before,
        to_status=enrollment.status,
        actor=ACTOR,
        created_at=at,
    ).save()


def _pay(enrollment: Enrollment, sale: DemoSale) -> Payment:
    payment = Payment(
        enrollment=enrollment,
        status=Payment.PAID,
        amount=enrollment.amount,
        currency=enrollment.currency,
        amount_received=enrollment.amount,
        currency_received=enrollment.currency,
        refund_committed=sale.refunded,
        idempotency_key=f"checkout-demo-{sale.number}",
        stripe_session_id=f"cs_demo_{sale.number}",
        stripe_payment_intent_id=enrollment.payment_reference,
        expires_at=sale.paid_at + settings.STRIPE_SESSION_LIFETIME,
        created_at=enrollment.created_at,
        updated_at=sale.paid_at,
        paid_at=sale.paid_at,
    )
    payment.save(force_insert=True)
    return payment


def _earn(enrollment: Enrollment, sale: DemoSale) -> None:
    """Book what `commissions` would have booked at the time."""
    # Not booked today and dated back: the ledger refuses every change of an entry.
    commission = _commission(enrollment, sale)
    commission.save(force_insert=True)
    ledger.write(_entry(commission, LedgerEntry.COMMISSION, commission.amount, at=sale.paid_at))
    if commission.reversed:
        ledger.write(
            _entry(commission, LedgerEntry.REVERSAL, -commission.reversed, at=sale.refunded_at)
        )
    if commission.is_held:
        holds.recount(commission.affiliate_id, commission.currency)


def _commission(enrollment: Enrollment, sale: DemoSale) -> Commission:
    amount = share(sale.course.price, RATE)
    return Commission(
        enrollment_id=enrollment.pk,
        affiliate_id=cast("UUID", enrollment.affiliate_id),
        course_slug=enrollment.course_slug,
        course_title=enrollment.course_title,
        base=sale.course.price,
        rate_basis_points=RATE,
        amount=amount,
        reversed=commissions.reversed_part(amount, refunded=sale.refunded, paid=sale.course.price),
        currency=enrollment.currency,
        steps=1 if sale.refunded else 0,
        is_disputed=sale.is_disputed,
        available_at=sale.paid_at + HOLD,
        created_at=sale.paid_at,
        updated_at=sale.refunded_at if sale.refunded else sale.paid_at,
    )


def _entry(commission: Commission, kind: str, amount: int, *, at: datetime) -> LedgerEntry:
    is_reversal = kind == LedgerEntry.REVERSAL
    return LedgerEntry(
        affiliate_id=commission.affiliate_id,
        kind=kind,
        amount=amount,
        currency=commission.currency,
        base=commission.base,
        rate_basis_points=commission.rate_basis_points,
        enrollment_id=commission.enrollment_id,
        source_key=f"{kind}:{commission.enrollment_id}" + (":1" if is_reversal else ""),
        available_at=commission.available_at,
        created_by=ACTOR,
        note=commission.course_title + (": refunded" if is_reversal else ""),
        created_at=at,
    )


# --- refunds and disputes -------------------------------------------------------------------------
def _refund(payment: Payment, sale: DemoSale, by: User) -> None:
    at = sale.refunded_at
    refund = Refund(
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        stripe_refund_id=f"re_demo_{sale.number}",
        idempotency_key=f"refund-demo-{sale.number}",
        amount=sale.refunded,
        currency=payment.currency,
        status=Refund.SUCCEEDED,
        reason=Refund.REASONS[0][0],
        source=Refund.STAFF,
        requested_by=by.get_username(),
        created_at=at,
        updated_at=at,
    )
    refund.save(force_insert=True)
    if refund.amount == payment.amount:
        _end(payment.enrollment, at)
    payment_mails.stage_refund(refund, actor=ACTOR)
    settle(Email.objects.get(dedupe_key=f"{payment_mails.REFUND_MADE}:{refund.pk}"), at, sent_at=at)


def _end(enrollment: Enrollment, at: datetime) -> None:
    transition(enrollment, Enrollment.REFUNDED, access_generation=1, updated_at=at)
    _record(enrollment, Enrollment.PAID, at)
    lms_jobs.ensure_revocation(enrollment)
    settle(SyncJob.objects.get(dedupe_key=lms_jobs.revocation_key(enrollment)), at)
    transition(enrollment, Enrollment.LMS_REVOKED, field="lms_status", updated_at=at)


def _dispute(payment: Payment, sale: DemoSale) -> None:
    at = sale.paid_at + DISPUTED_AFTER
    dispute = Dispute(
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        stripe_dispute_id=f"du_demo_{sale.number}",
        amount=payment.amount,
        currency=payment.currency,
        status=Dispute.OPEN,
        stripe_status="under_review",
        reason="product_not_received",
        evidence_due_by=at + EVIDENCE_WITHIN,
        created_at=at,
        updated_at=at,
    )
    dispute.save(force_insert=True)
