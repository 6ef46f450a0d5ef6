"""What must hold of enrollments, their payments and their history."""

from collections.abc import Iterator
from itertools import islice

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils import timezone

from courses.models import Course
from enrollments.models import Enrollment, EnrollmentEvent
from operations.invariants.reading import BATCH, GRACE
from payments.models import Payment


def check_one_live_enrollment() -> list[str]:
    """I17: at most one live enrollment for each course and e-mail."""
    groups = (
        Enrollment.objects.live()
        .order_by()
        .values("course_id", "email")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    return [
        f"{g['rows']} live enrollments of {g['email']} in course {g['course_id']}" for g in groups
    ]


def check_one_open_payment() -> list[str]:
    """I3: at most one open payment for each enrollment."""
    groups = (
        Payment.objects.filter(status__in=Payment.OPEN)
        .order_by()
        .values("enrollment_id")
        .annotate(rows=Count("pk"))
        .filter(rows__gt=1)
    )
    return [f"{g['rows']} open payments of enrollment {g['enrollment_id']}" for g in groups]


def check_paid_is_paid_for() -> list[str]:
    """I15, I7: a paid enrollment has one payment of its own amount, and a free one has none."""
    found = []
    for enrollment, payments in _with_payments(Enrollment.objects.paid()):
        fulfilled = [
            p
            for p in payments
            if p.status == Payment.PAID and p.review_reason not in Payment.UNFULFILLED
        ]
        expected = 0 if enrollment.kind in Enrollment.UNPAID_KINDS else 1
        exact = all(
            (p.amount_received, p.currency_received) == (enrollment.amount, enrollment.currency)
            for p in fulfilled
        )
        if len(fulfilled) != expected or not exact:
            found.append(
                f"enrollment {enrollment.pk} is paid by {len(fulfilled)} payments instead of"
                f" {expected}, or by another amount"
            )
    return found


def check_amounts_are_as_asked() -> list[str]:
    """I7: a payment asks for its enrollment's amount, and received it unless set aside for that."""
    found = []
    for p in Payment.objects.select_related("enrollment").order_by().iterator(BATCH):
        asked = (p.amount, p.currency)
        if asked != (p.enrollment.amount, p.enrollment.currency):
            found.append(f"payment {p.pk} asks for {p.amount} {p.currency}, not its enrollment's")
        is_exact = p.status != Payment.PAID or asked == (p.amount_received, p.currency_received)
        if not is_exact and p.review_reason != Payment.AMOUNT_MISMATCH:
            found.append(f"payment {p.pk} asked for {p.amount} {p.currency} and received another")
    return found


def check_courses_exist() -> list[str]:
    """R036: the course that an enrollment was bought for is never deleted."""
    courses = set(Course.objects.order_by().values_list("pk", flat=True))
    named = Enrollment.objects.order_by().values_list("course_id", flat=True).distinct()
    gone = [pk for pk in named if pk not in courses]
    return [f"course {pk} was deleted, and enrollments point to it" for pk in gone]


def check_received_is_fulfilled() -> list[str]:
    """I4: money that was received and not set aside for review has made its enrollment paid."""
    unset = Payment.objects.filter(status=Payment.PAID).exclude(
        review_reason__in=Payment.UNFULFILLED
    )
    ended = [Enrollment.PAID, Enrollment.REFUNDED]
    return [
        f"payment {p.pk} was received and its enrollment is {p.enrollment.status}"
        for p in unset.select_related("enrollment").iterator(BATCH)
        if p.enrollment.status not in ended
    ]


def check_pending_ends() -> list[str]:
    """I16: no enrollment is pending an hour after its session ended, but for a slow bank."""
    limit_at = timezone.now() - settings.STRIPE_SESSION_LIFETIME - GRACE
    old = Enrollment.objects.filter(status=Enrollment.PENDING, created_at__lt=limit_at)
    over = (
        enrollment for enrollment, payments in _with_payments(old) if not _is_processing(payments)
    )
    return [f"enrollment {e.pk} is pending since {e.created_at:%Y-%m-%d %H:%M}" for e in over]


def _with_payments(enrollments: QuerySet[Enrollment]) -> Iterator[tuple[Enrollment, list[Payment]]]:
    """Yield each with its payments, which are read for BATCH enrollments at a time."""
    rows = enrollments.iterator(BATCH)
    while batch := list(islice(rows, BATCH)):
        payments: dict[object, list[Payment]] = {enrollment.pk: [] for enrollment in batch}
        for payment in Payment.objects.filter(enrollment_id__in=list(payments)):
            payments[payment.enrollment_id].append(payment)
        yield from ((enrollment, payments[enrollment.pk]) for enrollment in batch)


def _is_processing(payments: list[Payment]) -> bool:
    recent = timezone.now() - settings.STRIPE_SESSION_LIFETIME - GRACE
    return any(
        p.status == Payment.PROCESSING or (p.status == Payment.PENDING and p.created_at > recent)
        for p in payments
    )


def check_audit() -> list[str]:
    """I18: the events of an enrollment lead from pending, one by one, to the status it has."""
    trails: dict[object, list[tuple[str, str]]] = {}
    for event in EnrollmentEvent.objects.order_by("created_at", "pk").iterator(BATCH):
        trails.setdefault(event.enrollment_id, []).append((event.from_status, event.to_status))
    statuses = Enrollment.objects.values_list("pk", "status")
    return [
        f"the trail of enrollment {pk} does not lead to {status}"
        for pk, status in statuses.iterator(BATCH)
        if not _leads(trails.get(pk, []), status)
    ]


def _leads(trail: list[tuple[str, str]], status: str) -> bool:
    at = Enrollment.PENDING
    for before, after in trail:
        if before != at:
            return False
        at = after
    return at == status
