"""One sale of the demo's affiliate: the place, its payment and commission, and what was taken back
of them.

Nothing is asked of Stripe, the LMS or the mail server: payments are written as received, jobs and
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
from lms_sync.models import SyncJob
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
FULLY_REFUNDED, PARTLY_REFUNDED, DISPUTED = (3, 21), 15, 16  # which of the sales
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
class Past:
    """One sale of the history: `number` is its place in it."""

    number: int
    course: Course
    paid_at: datetime

    @property
    def learner(self) -> str:
        return (
            f"{FIRST_NAMES[self.number % len(FIRST_NAMES)]}"
            f" {LAST_NAMES[self.number % len(LAST_NAMES)]}"
        )

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


def write(affiliate: Affiliate, past: Past, *, by: User) -> None:
    """Write the sale as it stands today, within the caller's transaction; its refund was asked for
    by `by`.
    """
    enrollment = _enroll(affiliate, past)
    payment = _pay(enrollment, past)
    _earn(enrollment, past)
    if past.refunded:
        _refund(payment, past, by)
    if past.is_disputed:
        _dispute(payment, past)


def _enroll(affiliate: Affiliate, past: Past) -> Enrollment:
    course, moments = (
        past.course,
        {"updated_at": past.paid_at, "paid_at": past.paid_at, "lms_synced_at": past.paid_at},
    )
    enrollment = Enrollment(
        course=course,
        email=f"{past.learner.lower().replace(' ', '.')}{past.number}@example.com",
        name=past.learner,
        kind=Enrollment.KIND_PAID,
        course_title=course.title,
        course_slug=course.slug,
        lms_platform=course.lms_platform,
        lms_course_id=course.lms_course_id,
        list_price=course.price,
        amount=course.price,
        currency=course.currency,
        affiliate_id=affiliate.pk,
        referral_code=affiliate.code,
        referral_outcome="credited",
        commission_base=course.price,
        commission_rate=RATE,
        status=Enrollment.PAID,
        lms_status=Enrollment.LMS_SUCCESS,
        lms_enrollment_id=f"demo-{past.number}",
        payment_reference=f"pi_demo_{past.number}",
        created_at=past.paid_at - AT_CHECKOUT_FOR,
        **moments,
    )
    enrollment.save(force_insert=True)
    _trace(enrollment, Enrollment.PENDING, past.paid_at)
    _give_access(enrollment, past)
    return enrollment


def _give_access(enrollment: Enrollment, past: Past) -> None:
    lms_jobs.stage_job(enrollment)
    job = SyncJob.objects.get(dedupe_key=lms_jobs.job_key(enrollment))
    _finish(job, past.paid_at, lms_enrollment_id=enrollment.lms_enrollment_id)
    mails.stage_confirmation(enrollment)
    confirmation = Email.objects.get(dedupe_key=f"{mails.PURCHASE_CONFIRMATION}:{enrollment.pk}")
    _finish(confirmation, past.paid_at, sent_at=past.paid_at)


def _finish(item: SyncJob | Email, at: datetime, **changes: Any) -> None:
    """Say of a job or e-mail of this transaction that it was done back then, so that no worker
    takes it up.
    """
    transition(item, RUNNING, fence=1)
    transition(item, DONE, created_at=at, updated_at=at, finished_at=at, **changes)


def _trace(enrollment: Enrollment, before: str, at: datetime) -> None:
    EnrollmentEvent(
        enrollment=enrollment,
        from_status=before,
        to_status=enrollment.status,
        actor=ACTOR,
        created_at=at,
    ).save()


def _pay(enrollment: Enrollment, past: Past) -> Payment:
    payment = Payment(
        enrollment=enrollment,
        status=Payment.PAID,
        amount=enrollment.amount,
        currency=enrollment.currency,
        amount_received=enrollment.amount,
        currency_received=enrollment.currency,
        refund_committed=past.refunded,
        idempotency_key=f"checkout-demo-{past.number}",
        stripe_session_id=f"cs_demo_{past.number}",
        stripe_payment_intent_id=enrollment.payment_reference,
        expires_at=past.paid_at + settings.STRIPE_SESSION_LIFETIME,
        created_at=enrollment.created_at,
        updated_at=past.paid_at,
        paid_at=past.paid_at,
    )
    payment.save(force_insert=True)
    return payment


def _earn(enrollment: Enrollment, past: Past) -> None:
    """Book what `commissions` would have booked at the time; the ledger takes no changes of a date
    afterwards.
    """
    commission = _commission(enrollment, past)
    commission.save(force_insert=True)
    ledger.write(_entry(commission, LedgerEntry.COMMISSION, commission.amount, at=past.paid_at))
    if commission.reversed:
        ledger.write(
            _entry(commission, LedgerEntry.REVERSAL, -commission.reversed, at=past.refunded_at)
        )
    if commission.is_held:
        holds.recount(commission.affiliate_id, commission.currency)


def _commission(enrollment: Enrollment, past: Past) -> Commission:
    amount = share(past.course.price, RATE)
    return Commission(
        enrollment_id=enrollment.pk,
        affiliate_id=cast("UUID", enrollment.affiliate_id),
        course_slug=enrollment.course_slug,
        course_title=enrollment.course_title,
        base=past.course.price,
        rate_basis_points=RATE,
        amount=amount,
        reversed=commissions.reversed_part(amount, refunded=past.refunded, paid=past.course.price),
        currency=enrollment.currency,
        steps=1 if past.refunded else 0,
        is_disputed=past.is_disputed,
        available_at=past.paid_at + HOLD,
        created_at=past.paid_at,
        updated_at=past.refunded_at if past.refunded else past.paid_at,
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


# --- what was taken back --------------------------------------------------------------------------
def _refund(payment: Payment, past: Past, by: User) -> None:
    at = past.refunded_at
    refund = Refund(
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        stripe_refund_id=f"re_demo_{past.number}",
        idempotency_key=f"refund-demo-{past.number}",
        amount=past.refunded,
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
    payment_mails.stage_refund(payment, refund)
    _finish(
        Email.objects.get(dedupe_key=f"{payment_mails.REFUND_MADE}:{refund.pk}"), at, sent_at=at
    )


def _end(enrollment: Enrollment, at: datetime) -> None:
    transition(enrollment, Enrollment.REFUNDED, access_generation=1, updated_at=at)
    _trace(enrollment, Enrollment.PAID, at)
    lms_jobs.ensure_revocation(enrollment)
    _finish(SyncJob.objects.get(dedupe_key=lms_jobs.revocation_key(enrollment)), at)
    transition(enrollment, Enrollment.LMS_REVOKED, field="lms_status", updated_at=at)


def _dispute(payment: Payment, past: Past) -> None:
    at = past.paid_at + DISPUTED_AFTER
    dispute = Dispute(
        payment=payment,
        payment_intent_id=payment.stripe_payment_intent_id,
        stripe_dispute_id=f"du_demo_{past.number}",
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
