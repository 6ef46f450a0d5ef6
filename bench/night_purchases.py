"""One purchase of a grown shop with all that belongs to it, finished work while it is kept."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import models

from affiliates.models import Commission, LedgerEntry
from bench.night_shop import DAY, MINUTE, Shop, chance, done, uid
from courses.models import Course
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant, GrantEvent
from lms_sync.models import SyncAttempt, SyncJob
from notifications.models import Email
from payments.models import Payment, Refund, StripeEvent

ENDS = [("paid", 0.82), ("refunded", 0.85), ("expired", 0.95), ("failed", 0.97), ("cancelled", 1)]


def purchase(
    shop: Shop, number: int, entries: dict[uuid.UUID, list[LedgerEntry]]
) -> Iterator[models.Model]:
    at, course = shop.moment(number), shop.courses[number % len(shop.courses)]
    status = next(name for name, below in ENDS if chance(f"end{number}") < below)
    granted = chance(f"grant{number}")
    discount = (50 if granted < 0.06 else 100) if status == "paid" and granted < 0.12 else 0
    sent_by = int(chance(f"sent by{number}") / 0.22 * len(shop.affiliates))
    affiliate = shop.affiliates[sent_by] if sent_by < len(shop.affiliates) else None
    enrollment = _enrollment(number, at, course=course, status=status, discount=discount)
    if affiliate:
        enrollment.affiliate_id = affiliate.pk
        enrollment.referral_code, enrollment.referral_outcome = affiliate.code, "credited"
        enrollment.commission_base, enrollment.commission_rate = course.price, 1000
        enrollment.network_key = f"{number:032x}"
    yield enrollment
    yield _event(enrollment, "pending", "paid" if status == "refunded" else status, at + MINUTE)
    if discount:
        yield from _grant(enrollment, shop)
    if discount < 100:
        yield from _payment(enrollment, number)
    if status == "refunded":
        yield _event(enrollment, "paid", "refunded", at + 5 * DAY)
    if status in ("paid", "refunded"):
        if affiliate and discount < 100:
            yield from _commission(enrollment, entries[affiliate.pk])
        if shop.keeps(at):
            yield from _finished_work(enrollment, number)


def _enrollment(
    number: int, at: datetime, *, course: Course, status: str, discount: int
) -> Enrollment:
    was_paid = status in ("paid", "refunded")
    lms = {"paid": Enrollment.LMS_SUCCESS, "refunded": Enrollment.LMS_REVOKED}
    kinds = {0: Enrollment.KIND_PAID, 50: Enrollment.KIND_PARTIAL_GRANT}
    return Enrollment(
        id=uid(at, f"enrollment{number}"),
        token=f"token{number}",
        course_id=course.pk,
        email=f"learner{number // 4}+{number}@buyers.example",
        name=f"Learner {number}",
        kind=kinds.get(discount, Enrollment.KIND_GRANT),
        course_title=course.title,
        course_slug=course.slug,
        lms_platform="frappe",
        lms_course_id=course.lms_course_id,
        list_price=course.price,
        amount=course.price * (100 - discount) // 100,
        currency=course.currency,
        discount_percent=discount,
        grant_id=uid(at, f"grant{number}") if discount else None,
        status=status,
        payment_reference=f"pi_{number}" if was_paid and discount < 100 else "",
        lms_status=lms.get(status, Enrollment.LMS_PENDING),
        access_generation=1 if status == "refunded" else 0,
        lms_enrollment_id=f"LE-{number}" if was_paid else "",
        lms_synced_at=at + 2 * MINUTE if was_paid else None,
        created_at=at,
        updated_at=at + (5 * DAY if status == "refunded" else 2 * MINUTE),
        paid_at=at + MINUTE if was_paid else None,
    )


def _event(enrollment: Enrollment, before: str, after: str, at: datetime) -> EnrollmentEvent:
    return EnrollmentEvent(
        id=uid(at, f"{enrollment.pk}{after}"),
        enrollment_id=enrollment.pk,
        from_status=before,
        to_status=after,
        actor="bench",
        created_at=at,
    )


def _payment(enrollment: Enrollment, number: int) -> Iterator[models.Model]:
    at, was_refunded = enrollment.created_at, enrollment.status == Enrollment.REFUNDED
    was_paid = enrollment.paid_at is not None
    payment = Payment(
        id=uid(at, f"payment{number}"),
        enrollment_id=enrollment.pk,
        status=Payment.PAID if was_paid else enrollment.status,
        amount=enrollment.amount,
        currency=enrollment.currency,
        amount_received=enrollment.amount if was_paid else None,
        currency_received=enrollment.currency if was_paid else "",
        refund_committed=enrollment.amount if was_refunded else 0,
        idempotency_key=f"growth-{number}",
        stripe_session_id=f"cs_{number}",
        stripe_payment_intent_id=f"pi_{number}",
        expires_at=at + 36 * MINUTE,
        created_at=at,
        updated_at=enrollment.updated_at,
        paid_at=enrollment.paid_at,
    )
    yield payment
    if was_refunded:
        yield Refund(
            id=uid(enrollment.updated_at, f"refund{number}"),
            payment_id=payment.pk,
            payment_intent_id=f"pi_{number}",
            stripe_refund_id=f"re_{number}",
            idempotency_key=f"growth-refund-{number}",
            amount=enrollment.amount,
            currency=enrollment.currency,
            status=Refund.SUCCEEDED,
            source=Refund.STRIPE,
            created_at=enrollment.updated_at,
            updated_at=enrollment.updated_at,
        )


def _grant(enrollment: Enrollment, shop: Shop) -> Iterator[models.Model]:
    at = enrollment.created_at
    yield Grant(
        id=enrollment.grant_id,
        token=f"g{enrollment.token}",
        course_id=enrollment.course_id,
        program=shop.program,
        email=enrollment.email,
        name=enrollment.name,
        situation="A situation told in some words. " * 8,
        motivation="A motivation told in some words. " * 8,
        consented_at=at,
        answer_due_on=at.date(),
        status=Grant.REDEEMED,
        percent=enrollment.discount_percent,
        code=f"G{enrollment.token}",
        code_number=1,
        expires_at=at + 60 * DAY,
        price_at_approval=enrollment.list_price,
        currency=enrollment.currency,
        committed_amount=enrollment.list_price - enrollment.amount,
        holds_budget=True,
        enrollment_id=enrollment.pk,
        redeemed_at=at,
        redeemed_by=enrollment.email,
        created_at=at,
        updated_at=at,
    )
    for number, what in enumerate(("applied", "approved", "redeemed")):
        yield GrantEvent(
            id=uid(at, f"{what}{enrollment.token}"),
            grant_id=enrollment.grant_id,
            what=what,
            actor="bench",
            created_at=at + timedelta(milliseconds=number),
        )


def _commission(enrollment: Enrollment, entries: list[LedgerEntry]) -> Iterator[models.Model]:
    at, amount = enrollment.created_at, (enrollment.list_price + 5) // 10
    was_refunded = enrollment.status == Enrollment.REFUNDED
    yield Commission(
        id=uid(at, f"commission{enrollment.token}"),
        enrollment_id=enrollment.pk,
        affiliate_id=enrollment.affiliate_id,
        course_slug=enrollment.course_slug,
        course_title=enrollment.course_title,
        base=enrollment.list_price,
        rate_basis_points=1000,
        amount=amount,
        reversed=amount if was_refunded else 0,
        currency=enrollment.currency,
        steps=1 if was_refunded else 0,
        available_at=at + 30 * DAY,
        created_at=at,
        updated_at=enrollment.updated_at,
    )
    booked = [(LedgerEntry.COMMISSION, amount, at)]
    booked += [(LedgerEntry.REVERSAL, -amount, at + 5 * DAY)] if was_refunded else []
    for kind, signed, moment in booked:
        entries.append(
            LedgerEntry(
                id=uid(moment, f"{kind}{enrollment.pk}"),
                affiliate_id=enrollment.affiliate_id,
                kind=kind,
                amount=signed,
                currency=enrollment.currency,
                base=enrollment.list_price,
                rate_basis_points=1000,
                enrollment_id=enrollment.pk,
                source_key=f"{kind}:{enrollment.pk}",
                available_at=at + 30 * DAY,
                created_by="bench",
                created_at=moment,
            )
        )
        yield entries[-1]


def _finished_work(enrollment: Enrollment, number: int) -> Iterator[models.Model]:
    at = enrollment.created_at + 2 * MINUTE
    job = SyncJob(
        **done(at, f"job{number}"),
        dedupe_key=f"enroll:{enrollment.pk}",
        platform="frappe",
        email=enrollment.email,
        full_name=enrollment.name,
        course_id=enrollment.lms_course_id,
        payload={"enrollment_id": str(enrollment.pk), "course": str(enrollment.course_id)},
        lms_enrollment_id=enrollment.lms_enrollment_id,
    )
    yield job
    yield SyncAttempt(
        id=uid(at, f"attempt{number}"),
        job_id=job.pk,
        number=1,
        started_at=at,
        duration_ms=120,
        request="GET /api/resource/User/learner " * 8,
        response='{"data": {"name": "LE"}} ' * 8,
        http_status=200,
        outcome="done",
    )
    if enrollment.status == Enrollment.REFUNDED:
        yield SyncJob(
            **done(enrollment.updated_at, f"revoke{number}"),
            dedupe_key=f"revoke:{enrollment.pk}:0",
            action=SyncJob.REVOKE,
            platform="frappe",
            email=enrollment.email,
        )
    yield _sent_confirmation(enrollment, number, at)
    yield from _finished_events(enrollment, number, at)


def _sent_confirmation(enrollment: Enrollment, number: int, at: datetime) -> Email:
    return Email(
        **done(at, f"mail{number}"),
        dedupe_key=f"purchase_confirmation:{enrollment.pk}",
        kind="purchase_confirmation",
        to=enrollment.email,
        context={"course_title": enrollment.course_title, "customer_name": enrollment.name},
        sent_at=at,
    )


def _finished_events(enrollment: Enrollment, number: int, at: datetime) -> Iterator[models.Model]:
    for kind in ("checkout.session.completed", "payment_intent.succeeded"):
        yield StripeEvent(
            **done(at, f"{kind}{number}"),
            event_id=f"evt_{kind}_{number}",
            type=kind,
            livemode=False,
            session_id=f"cs_{number}",
            payload={"id": f"cs_{number}", "metadata": {"enrollment": str(enrollment.pk)}},
            outcome="applied",
        )
