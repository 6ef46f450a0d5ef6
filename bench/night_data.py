"""Fill a fresh database with three years of a shop, for the night to work on.

Imported in a process where the product is set up. Everything agrees as the invariants want it, and
is derived from a row's number, so that a second database of this size has the same rows. Finished
work of the last 90 days is there, and that of BACKLOG before, as if the nights had not been run.

PostgreSQL copies the first BASE enrollments with all that belongs to them, until there are enough.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.utils import timezone

from accounts.models import User
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
    ReferralVisit,
)
from courses.models import Course
from demo.courses import seed_courses
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant, GrantEvent, Program, Refusal
from lms_sync.models import SyncAttempt, SyncJob
from maaledu.models import LimitCount
from notifications.models import Alert, AlertNotice, Email
from operations.models import Trouble
from payments.models import Payment, Refund, StripeEvent

YEARS = timedelta(days=3 * 365)
BACKLOG = timedelta(days=30)
SLICE, BASE = 2000, 20_000
# All that is copied, whoever is pointed to first.
GROWN: tuple[type[models.Model], ...] = (
    User,
    Affiliate,
    Program,
    Balance,
    Enrollment,
    EnrollmentEvent,
    Payment,
    Refund,
    Grant,
    GrantEvent,
    Commission,
    LedgerEntry,
    PayoutBatch,
    Payout,
    PayoutItem,
    SyncJob,
    SyncAttempt,
    Email,
    StripeEvent,
    ReferralVisit,
    Refusal,
    Trouble,
    Alert,
    AlertNotice,
    Session,
    LimitCount,
)
ENROLLMENTS_OF_AN_AFFILIATE = 500
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ENDS = [("paid", 0.82), ("refunded", 0.85), ("expired", 0.95), ("failed", 0.97), ("cancelled", 1)]


class Shop(NamedTuple):
    """What the enrollments of a grown shop point to."""

    now: datetime
    size: int
    courses: list[Course]
    affiliates: list[Affiliate]
    staff: list[User]
    program: Program

    def moment(self, number: int) -> datetime:
        """Return when the enrollment of this number was begun; the last one an hour ago."""
        return self.now - timedelta(hours=1) - YEARS * (1 - (number + 1) / self.size)

    def keeps(self, moment: datetime) -> bool:
        """Return whether finished work of that moment is still there."""
        return moment > self.now - settings.WORK_KEEP_FINISHED - BACKLOG


def fill(size: int) -> None:
    """Write `size` enrollments, and what belongs to them."""
    copies = max(size // BASE, 1) if connection.vendor == "postgresql" else 1
    _fill(size // copies)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # no keys, no triggers
            for model in GROWN if copies > 1 else ():
                cursor.execute(_copying(model), {"last": copies - 1})
            cursor.execute("SET session_replication_role = DEFAULT")
            cursor.execute("VACUUM ANALYZE")


def _copying(model: type[models.Model]) -> str:
    """Return the statement that writes copies of a table's rows, each with keys of its own."""
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join(_copied(field) for field in fields)
    table = model._meta.db_table
    return (
        f"INSERT INTO {table} ({columns})"
        f" SELECT {values} FROM {table}, generate_series(1, %(last)s) AS copy"
    )


def _copied(field: models.Field) -> str:
    column, mark = f'"{field.column}"', "'-7' || lpad(to_hex(copy), 3, '0') || '-'"
    marked = f"replace({column}::text, '-7000-', {mark})"
    if field.related_model is Course:
        return column
    if isinstance(field, models.EmailField):
        return f"replace({column}, '@', '-' || copy || '@')"
    if isinstance(field.target_field if field.is_relation else field, models.UUIDField):
        return f"{marked}::uuid"
    if field.unique:
        other = f"{column} || '~' || copy"
        return f"CASE WHEN {column} LIKE '%%-7000-%%' THEN {marked} ELSE {other} END"
    return column


def _fill(size: int) -> None:
    shop = _shop(size)
    entries: dict[uuid.UUID, list[LedgerEntry]] = defaultdict(list)
    for numbers in _sliced(range(size)):
        rows: list[models.Model] = []
        for number in numbers:
            rows += _purchase(shop, number, entries)
        _write(rows)
    for affiliate in shop.affiliates:
        _write(_balance(affiliate, entries[affiliate.pk], shop))
    _write_payouts(shop, entries)
    _write_grown_beside(shop)
    _count_budget(shop.program)


def uid(moment: datetime, seed: object) -> uuid.UUID:
    """Return an id as the product makes them, in the order of time; its copies have another 000."""
    noise = int.from_bytes(blake2b(str(seed).encode(), digest_size=8).digest())
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | noise >> 2)


def _chance(seed: object) -> float:
    """Return a number from 0 to 1 that is this seed's own."""
    return int.from_bytes(blake2b(str(seed).encode(), digest_size=4).digest()) / 2**32


def _sliced(rows: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(rows)
    while part := list(islice(left, SLICE)):
        yield part


def _write(rows: Iterable[models.Model]) -> None:
    """Insert rows of several models, those of one model together, in the order they first come."""
    by_model: dict[type[models.Model], list[models.Model]] = {}
    for row in rows:
        by_model.setdefault(type(row), []).append(row)
    for model, of_model in by_model.items():
        model._base_manager.bulk_create(of_model, batch_size=SLICE)


# --- who and what ---------------------------------------------------------------------------------
def _shop(size: int) -> Shop:
    seed_courses()
    now = timezone.now().replace(microsecond=0)
    courses = list(Course.objects.filter(price__gt=0, currency="usd").order_by("slug"))
    staff = [User(id=uid(now - YEARS, n), email=f"staff{n}@maaledu.example") for n in range(2)]
    count = max(size // ENROLLMENTS_OF_AN_AFFILIATE, 20)
    learners = [
        User(id=uid(now - YEARS, f"user{n}"), email=f"buyer{n}@buyers.example")
        for n in range(count)
    ]
    affiliates = [_affiliate(learner, n, now - YEARS) for n, learner in enumerate(learners)]
    program = Program(id=uid(now - YEARS, "program"), name="Growth", currency="usd")
    for part in _sliced([*staff, *learners, *affiliates, program]):
        _write(part)
    return Shop(now, size, courses, affiliates, staff, program)


def _affiliate(user: User, number: int, at: datetime) -> Affiliate:
    return Affiliate(
        id=uid(at, f"affiliate{number}"),
        user=user,
        email=user.email,
        alias_key=user.email,
        name=f"Affiliate {number}",
        code=f"AFF{number:07}",
        status=Affiliate.ACTIVE,
        rate_basis_points=1000,
        payout_method=Affiliate.BANK,
        terms_accepted_at=at,
        created_at=at,
        updated_at=at,
        activated_at=at,
    )


# --- one purchase ---------------------------------------------------------------------------------
def _purchase(
    shop: Shop, number: int, entries: dict[uuid.UUID, list[LedgerEntry]]
) -> Iterator[models.Model]:
    at, course = shop.moment(number), shop.courses[number % len(shop.courses)]
    status = next(name for name, below in ENDS if _chance(f"end{number}") < below)
    granted = _chance(f"grant{number}")
    discount = (50 if granted < 0.06 else 100) if status == "paid" and granted < 0.12 else 0
    sent_by = int(_chance(f"sent by{number}") / 0.22 * len(shop.affiliates))
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
    for what in ("applied", "approved", "redeemed"):
        yield GrantEvent(
            id=uid(at, f"{what}{enrollment.token}"),
            grant_id=enrollment.grant_id,
            what=what,
            actor="bench",
            created_at=at,
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


# --- the queues -----------------------------------------------------------------------------------
def _finished_work(enrollment: Enrollment, number: int) -> Iterator[models.Model]:
    at = enrollment.created_at + 2 * MINUTE
    job = SyncJob(
        **_done(at, f"job{number}"),
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
            **_done(enrollment.updated_at, f"revoke{number}"),
            dedupe_key=f"revoke:{enrollment.pk}:0",
            action=SyncJob.REVOKE,
            platform="frappe",
            email=enrollment.email,
        )
    yield _sent_confirmation(enrollment, number, at)
    yield from _finished_events(enrollment, number, at)


def _sent_confirmation(enrollment: Enrollment, number: int, at: datetime) -> Email:
    return Email(
        **_done(at, f"mail{number}"),
        dedupe_key=f"purchase_confirmation:{enrollment.pk}",
        kind="purchase_confirmation",
        to=enrollment.email,
        context={"course_title": enrollment.course_title, "customer_name": enrollment.name},
        sent_at=at,
    )


def _finished_events(enrollment: Enrollment, number: int, at: datetime) -> Iterator[models.Model]:
    for kind in ("checkout.session.completed", "payment_intent.succeeded"):
        yield StripeEvent(
            **_done(at, f"{kind}{number}"),
            event_id=f"evt_{kind}_{number}",
            type=kind,
            livemode=False,
            session_id=f"cs_{number}",
            payload={"id": f"cs_{number}", "metadata": {"enrollment": str(enrollment.pk)}},
            outcome="applied",
        )


def _done(at: datetime, seed: str) -> dict[str, Any]:
    moments = {"created_at": at, "updated_at": at, "finished_at": at, "next_attempt_at": at}
    return {"id": uid(at, seed), "status": "done", "fence": 1, "claim_token": seed[:32], **moments}


# --- what affiliates have and got -----------------------------------------------------------------
def _balance(
    affiliate: Affiliate, entries: list[LedgerEntry], shop: Shop
) -> Iterator[models.Model]:
    later = [entry for entry in entries if entry.available_at > shop.now]
    pending = sum(entry.amount for entry in later)
    paid = _payable_before(entries, _payable_on(shop))
    paid = max(paid, 0)
    yield Balance(
        id=uid(shop.now, f"balance{affiliate.pk}"),
        affiliate=affiliate,
        currency="usd",
        pending=pending,
        payable=sum(entry.amount for entry in entries) - pending - paid,
        paid=paid,
        matured_through=shop.now,
        matures_at=min((entry.available_at for entry in later), default=None),
        version=len(entries),
    )


def _payable_on(shop: Shop) -> datetime:
    return shop.now - 60 * DAY


def _payable_before(entries: list[LedgerEntry], moment: datetime) -> int:
    return sum(entry.amount for entry in entries if entry.available_at < moment)


def _write_payouts(shop: Shop, entries: dict[uuid.UUID, list[LedgerEntry]]) -> None:
    """Pay out what was payable two months ago: each affiliate's months, each in one payout."""
    batches: dict[str, PayoutBatch] = {}
    for affiliate in shop.affiliates:
        rows: list[models.Model] = []
        of_month: dict[str, list[LedgerEntry]] = defaultdict(list)
        until = _payable_on(shop)
        payable = [entry for entry in entries[affiliate.pk] if entry.available_at < until]
        if sum(entry.amount for entry in payable) <= 0:
            continue
        for entry in payable:
            of_month[f"{entry.available_at:%Y-%m}"].append(entry)
        for month, paid_out in sorted(of_month.items()):
            if month not in batches:
                batches[month] = _batch(month, paid_out[0].available_at, shop)
                _write([batches[month]])
            rows += _payout(batches[month], affiliate, paid_out)
        _write(rows)


def _batch(month: str, at: datetime, shop: Shop) -> PayoutBatch:
    drafted_by, released_by = shop.staff
    return PayoutBatch(
        id=uid(at, f"batch{month}"),
        currency="usd",
        method=Affiliate.BANK,
        payable_on=at.date(),
        minimum=5000,
        status="paid",
        drafted_by=drafted_by,
        released_by=released_by,
        released_at=at,
        paid_at=at,
        reference=month,
        created_at=at,
        updated_at=at,
    )


def _payout(
    batch: PayoutBatch, affiliate: Affiliate, entries: list[LedgerEntry]
) -> Iterator[models.Model]:
    amount, at = sum(entry.amount for entry in entries), batch.created_at
    payout = Payout(
        id=uid(at, f"payout{batch.pk}{affiliate.pk}"),
        batch=batch,
        affiliate=affiliate,
        amount=abs(amount),
        currency="usd",
        entry_count=len(entries),
        payee_name=affiliate.name,
        status="paid",
        created_at=at,
        updated_at=at,
    )
    yield payout
    for entry in entries:
        yield PayoutItem(
            id=uid(at, f"item{entry.pk}"),
            payout=payout,
            affiliate_id=affiliate.pk,
            entry=entry,
            amount=entry.amount,
        )
    yield LedgerEntry(
        id=uid(at, f"booked{payout.pk}"),
        affiliate=affiliate,
        kind=LedgerEntry.PAYOUT,
        amount=-amount,
        currency="usd",
        payout_id=payout.pk,
        source_key=f"payout:{payout.pk}",
        available_at=at,
        created_by="bench",
        created_at=at,
    )


# --- what else grows ------------------------------------------------------------------------------
def _write_grown_beside(shop: Shop) -> None:
    """Write what grows with visits, sign-ins, limits and troubles, some past its retention."""
    grown: list[Callable[[Shop, int], models.Model]] = [
        _session,
        _limit_count,
        _visit,
        _refusal,
        _trouble,
        _alert,
    ]
    for make in grown:
        for numbers in _sliced(range(shop.size // 10)):
            _write(make(shop, number) for number in numbers)
    for alerts in _sliced(Alert.objects.order_by("pk").values_list("pk", "created_at")):
        _write(
            AlertNotice(
                **_done(at, f"notice{pk}"), alert_id=pk, dedupe_key=f"{pk}:slack", channel="slack"
            )
            for pk, at in alerts
        )


def _lately(shop: Shop, number: int) -> datetime:
    """Return a moment of the last 120 days, of which 30 are past what is kept."""
    return shop.now - 120 * DAY * (number + 1) / (shop.size // 10)


def _session(shop: Shop, number: int) -> models.Model:
    expires_at = _lately(shop, number) + 100 * DAY
    return Session(session_key=f"session{number}", session_data="x" * 200, expire_date=expires_at)


def _limit_count(shop: Shop, number: int) -> models.Model:
    return LimitCount(key=f"limit{number}", count=3, ends_at=_lately(shop, number))


def _visit(shop: Shop, number: int) -> models.Model:
    at, affiliate = _lately(shop, number), shop.affiliates[number % len(shop.affiliates)]
    return ReferralVisit(
        id=uid(at, f"visit{number}"),
        affiliate=affiliate,
        day=at.date(),
        visitor_key=f"visitor{number}",
        created_at=at,
    )


def _refusal(shop: Shop, number: int) -> models.Model:
    at = _lately(shop, number)
    return Refusal(
        id=uid(at, f"refusal{number}"), reason="unknown", tried_by="g…@example.com", created_at=at
    )


def _trouble(shop: Shop, number: int) -> models.Model:
    at = _lately(shop, number)
    return Trouble(
        id=uid(at, f"trouble{number}"),
        open_key=f"queues:{number}",
        cause="queues",
        level="yellow",
        worst="yellow",
        text="work is waiting",
        began_at=at,
        seen_at=at,
        ended_at=at,
    )


def _alert(shop: Shop, number: int) -> models.Model:
    at = _lately(shop, number)
    return Alert(
        id=uid(at, f"alert{number}"),
        key=f"level:{number}",
        kind="level",
        subject="Now yellow: work is waiting",
        lines=["12 due."],
        since=at,
        created_at=at,
        recovered_at=at,
    )


def _count_budget(program: Program) -> None:
    held = Grant.objects.filter(program=program, holds_budget=True)
    sums = held.aggregate(amount=models.Sum("committed_amount"), grants=models.Count("pk"))
    Program.objects.filter(pk=program.pk).update(
        committed_amount=sums["amount"] or 0, committed_grants=sums["grants"]
    )
