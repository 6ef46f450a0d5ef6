"""The rows that one old sale becomes: enrollment, history, payment, refund, job, confirmation."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from enrollments import lms_jobs, mails
from enrollments.models import Enrollment, EnrollmentEvent, new_token
from grants.models import Grant
from legacy.facts import IMPORTED, MERGED, SaleFact
from legacy.judged import YOUNG, is_stuck
from legacy.targets import (
    ACTOR,
    ASKED_AFTER,
    CURRENCY,
    Here,
    Target,
    grant_id,
    sale_id,
)
from legacy.values import key_of
from legacy.vocabulary import GRANTS, SALES
from lms_sync.models import MADE, DeadLetter, SyncJob
from maaledu.work.items import DEAD, DONE, MAX_ERROR_LENGTH
from notifications.models import Email
from payments.models import Payment, Refund, StripeEvent

MOMENT = timedelta(milliseconds=1)
MONEY_CAME = (Enrollment.PAID, Enrollment.REFUNDED)


def of_sale(fact: SaleFact, here: Here) -> list[Target]:
    """Return all rows of a sale; of one that is withheld, only Stripe's events that it had."""
    targets = _stripe_events(fact)
    if fact.outcome == MERGED and fact.amount:
        return [*targets, _payment(fact, sale_id(fact.into), review=Payment.DUPLICATE)]
    if fact.outcome != IMPORTED:
        return targets
    targets += [_enrollment(fact, here), *_history(fact)]
    if fact.amount and fact.becomes in (*MONEY_CAME, Enrollment.PENDING):
        targets.append(_payment(fact, sale_id(fact.key)))
    if fact.becomes == Enrollment.REFUNDED:
        targets.append(_refund(fact))
    return [*targets, *_access(fact, here)]


# --- the enrollment -------------------------------------------------------------------------------
def _enrollment(fact: SaleFact, here: Here) -> Target:
    fresh = {
        "token": new_token(),
        "progress_due_at": timezone.now() + ASKED_AFTER,
        "request_id": "",
    }
    return Target(Enrollment, sale_id(fact.key), _fields(fact, here), fresh)


def _grant_of(fact: SaleFact, here: Here) -> UUID | None:
    """Return its grant's key, unless that one is not here, where the shop has one of its own."""
    grant = here.judged.book.of(GRANTS).get(fact.grant) if here.judged and fact.grant else None
    if grant is None:
        return None
    pk = grant_id(grant.key)
    return pk if not grant.is_kept_out or Grant.objects.filter(pk=pk).exists() else None


def _fields(fact: SaleFact, here: Here) -> dict[str, Any]:
    judged = here.judged
    if judged is None:
        raise ValueError("nothing was judged")
    course = here.course_of(judged.courses[fact.course_id])
    person = judged.people.get(fact.email or "")
    is_paid = fact.becomes == Enrollment.PAID
    progress = person.progress.get(fact.course_id) if person and is_paid else None
    return {
        "course_id": course.pk,
        "email": fact.email,
        "name": person.name if person else "",
        "kind": fact.kind,
        "course_title": course.title,
        "course_slug": course.slug,
        "lms_platform": course.lms_platform,
        "lms_course_id": course.lms_course_id,
        "list_price": fact.list_price,
        "amount": fact.amount,
        "currency": CURRENCY,
        "grant_id": _grant_of(fact, here),
        "discount_percent": fact.percent,
        "status": fact.becomes,
        "payment_reference": fact.intent or fact.reference or fact.session,
        "created_at": fact.created,
        "paid_at": fact.paid_at if fact.becomes in MONEY_CAME else None,
        "progress_percent": progress,
        "progress_at": fact.updated if progress is not None else None,
        **_lms_fields(fact),
    }


def _lms_fields(fact: SaleFact) -> dict[str, Any]:
    if fact.becomes == Enrollment.PAID and not fact.lms_reason:
        state, synced_at = Enrollment.LMS_SUCCESS, fact.synced_at
    elif fact.becomes == Enrollment.PAID:
        state, synced_at = Enrollment.LMS_FAILED, None
    elif fact.becomes == Enrollment.REFUNDED:
        # What is still there, the nightly comparison with the LMS shows to staff.
        state, synced_at = Enrollment.LMS_REVOKED, None
    else:
        state, synced_at = Enrollment.LMS_PENDING, None
    was_there = fact.becomes in MONEY_CAME and fact.lms_id
    return {
        "lms_status": state,
        "lms_synced_at": synced_at,
        "lms_enrollment_id": fact.lms_id if was_there else "",
        "lms_origin": MADE if was_there else "",
    }


def _history(fact: SaleFact) -> list[Target]:
    """Return the moves from pending to where it is, at the old times."""
    paid_at = max(fact.paid_at or fact.created, fact.created)
    ended_at = max(fact.updated or paid_at, paid_at + MOMENT)
    steps: list[tuple[str, str, datetime]] = []
    if fact.becomes in MONEY_CAME:
        steps.append((Enrollment.PENDING, Enrollment.PAID, paid_at))
    if fact.becomes == Enrollment.REFUNDED:
        steps.append((Enrollment.PAID, Enrollment.REFUNDED, ended_at))
    if fact.becomes == Enrollment.EXPIRED:
        steps.append((Enrollment.PENDING, Enrollment.EXPIRED, fact.created + YOUNG))
    if fact.becomes in (Enrollment.FAILED, Enrollment.CANCELLED):
        steps.append((Enrollment.PENDING, fact.becomes, ended_at))
    return [
        Target(
            EnrollmentEvent,
            key_of(SALES, fact.key, f"event {number}"),
            {
                "enrollment_id": sale_id(fact.key),
                "from_status": before,
                "to_status": after,
                "actor": ACTOR,
                "created_at": at,
            },
        )
        for number, (before, after, at) in enumerate(steps)
    ]


# --- money ----------------------------------------------------------------------------------------
def payment_id(key: str) -> UUID:
    return key_of(SALES, key, "payment")


def _payment(fact: SaleFact, enrollment: UUID, *, review: str = "") -> Target:
    is_open = fact.becomes == Enrollment.PENDING and not review
    fields = {
        "enrollment_id": enrollment,
        "status": Payment.PENDING if is_open else Payment.PAID,
        "amount": fact.amount,
        "currency": CURRENCY,
        "amount_received": None if is_open else fact.amount,
        "currency_received": "" if is_open else CURRENCY,
        "refund_committed": fact.amount if fact.becomes == Enrollment.REFUNDED else 0,
        "idempotency_key": f"legacy:{fact.key}"[:80],
        "stripe_session_id": fact.session or None,
        "stripe_payment_intent_id": fact.intent,
        "expires_at": fact.created + YOUNG,
        "review_reason": review,
        "paid_at": None if is_open else fact.paid_at,
    }
    # One that is still open counts from now on: the sweep has to have had its time.
    created = {"created_at": timezone.now() if is_open else fact.created}
    return Target(Payment, payment_id(fact.key), fields, created)


def _refund(fact: SaleFact) -> Target:
    fields = {
        "payment_id": payment_id(fact.key),
        "payment_intent_id": fact.intent,
        "idempotency_key": f"legacy:{fact.key}:refund"[:80],
        "amount": fact.amount,
        "currency": CURRENCY,
        "status": Refund.SUCCEEDED,
        "source": Refund.STRIPE,
        "note": "Refunded by the old platform",
        "created_at": fact.updated or fact.created,
    }
    return Target(Refund, key_of(SALES, fact.key, "refund"), fields)


def _stripe_events(fact: SaleFact) -> list[Target]:
    """Return Stripe's events that no earlier row has, as done: a redelivery is known then."""
    return [
        Target(
            StripeEvent,
            key_of("stripe event", key),
            {
                "event_id": key,
                "type": kind,
                "session_id": fact.session,
                "payload": {},
                "outcome": ACTOR,
                "status": DONE,
                "livemode": settings.STRIPE_LIVEMODE,
                "fence": 1,
                "created_at": at,
                "next_attempt_at": at,
                "finished_at": at,
            },
            {"request_id": ""},
        )
        for key, kind, at in fact.events
        if key in fact.own_events
    ]


# --- access ---------------------------------------------------------------------------------------
def _access(fact: SaleFact, here: Here) -> list[Target]:
    """Return the job of somebody who has paid: dead where it never came, done where it did.

    What is done and older than finished work is kept for has no rows: nothing asks for them.
    """
    if fact.becomes != Enrollment.PAID:
        return []
    enrollment = Enrollment(pk=sale_id(fact.key), request_id="", **_fields(fact, here))
    if is_stuck(fact):
        return _dead_job(fact, enrollment, here)
    synced_at = fact.synced_at or fact.created
    if synced_at < timezone.now() - settings.WORK_KEEP_FINISHED:
        return []
    job = _job(fact, enrollment, status=DONE, finished_at=synced_at, attempts=1, fence=1)
    job.fields["lms_enrollment_id"] = enrollment.lms_enrollment_id
    job.is_passing = True
    kind = mails.CONFIRMATIONS.get(enrollment.kind, mails.PURCHASE_CONFIRMATION)
    key = f"{mails.PURCHASE_CONFIRMATION}:{enrollment.pk}"
    return [job, _sent(enrollment, kind, key=key, at=synced_at)]


def _job(fact: SaleFact, enrollment: Enrollment, **state: Any) -> Target:
    fields = {
        **lms_jobs.job_fields(enrollment),
        "dedupe_key": lms_jobs.job_key(enrollment),
        "created_at": fact.paid_at or fact.created,
        "next_attempt_at": fact.paid_at or fact.created,
        # Named here, for a job that was given up and is done at the next moment, or the reverse.
        "last_error": "",
        "lms_enrollment_id": "",
        **state,
    }
    return Target(SyncJob, key_of(SALES, fact.key, "job"), fields)


def _sent(enrollment: Enrollment, kind: str, *, key: str, at: datetime) -> Target:
    """Return a mail that is sent once, as sent, so that it never is."""
    return Target(
        Email,
        key_of("mail", key),
        {
            "dedupe_key": key,
            "kind": kind,
            "to": enrollment.email,
            "status": DONE,
            "fence": 1,
            "sent_at": at,
            "next_attempt_at": at,
            "finished_at": at,
            "created_at": at,
        },
        {"request_id": ""},
        is_passing=True,
    )


def _dead_job(fact: SaleFact, enrollment: Enrollment, here: Here) -> list[Target]:
    jobs = here.judged.jobs.get(fact.key, []) if here.judged else []
    attempts = max([1, *(job.attempts for job in jobs)])
    moments = sorted(job.last_at or job.created for job in jobs) or [fact.paid_at or fact.created]
    error = next((job.last_error for job in reversed(jobs) if job.last_error), "")
    error = error or f"Never enrolled by the old platform: {fact.lms_reason}"
    died_at = moments[-1]
    job = _job(fact, enrollment, status=DEAD, finished_at=died_at, attempts=attempts)
    job.fields |= {"fence": attempts, "last_error": error[:MAX_ERROR_LENGTH]}
    letter = {
        "job_id": job.pk,
        "reason": fact.lms_reason[:40],
        "last_error": error,
        "attempts": attempts,
        "first_attempt_at": moments[0],
        "last_attempt_at": died_at,
        # The report tells of it: nobody is alerted of each.
        "notification_sent_at": died_at,
        "created_at": died_at,
    }
    targets = [job, Target(DeadLetter, key_of(SALES, fact.key, "letter"), letter)]
    paid_at = fact.paid_at or fact.created
    if paid_at < timezone.now() - settings.WORK_KEEP_FINISHED:
        return targets
    # Whoever has paid and waits would be told so: they bought elsewhere, and hear of it from staff.
    key = mails.received_key(enrollment)
    return [*targets, _sent(enrollment, mails.PAYMENT_RECEIVED, key=key, at=paid_at)]
