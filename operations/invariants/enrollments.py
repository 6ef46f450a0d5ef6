"""What must hold of enrollments, their payments and their history."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils import timezone

from courses.models import Course
from enrollments.models import SOLD, Enrollment, EnrollmentEvent
from operations.invariants.reading import ALL, GRACE, Scope, batches, in_batches, keys
from payments.models import Payment


def check_one_live_enrollment(scope: Scope = ALL) -> list[str]:
    """I17: at most one live enrollment for each course and e-mail."""
    live = Enrollment.objects.live()
    if scope.since:
        emails = sorted(set(keys(scope.of(live, "pk"), "email")))
        parts = [live.filter(email__in=part) for part in batches(emails)]
    else:
        parts = [live]
    return [
        f"{g['rows']} live enrollments of {g['email']} in course {g['course_id']}"
        for part in parts
        for g in repeated(part, "course_id", "email")
    ]


def check_one_open_payment(scope: Scope = ALL) -> list[str]:
    """I3: at most one open payment for each enrollment."""
    opened = Payment.objects.filter(status__in=Payment.OPEN)
    return [
        f"{g['rows']} open payments of enrollment {g['enrollment_id']}"
        for g in repeated(opened, "enrollment_id")
    ]


def repeated(rows: QuerySet[Any], *fields: str) -> Iterable[dict[str, Any]]:
    """Return the values that more than one row has together, as the database counts them."""
    return rows.order_by().values(*fields).annotate(rows=Count("pk")).filter(rows__gt=1)


def check_paid_is_paid_for(scope: Scope = ALL) -> list[str]:
    """I15, I7: a paid enrollment has one payment of its own amount, and a free one has none."""
    found = []
    paid = Enrollment.objects.paid().only("kind", "amount", "currency")
    for enrollment, payments in _with_payments(scope.of(paid, "pk")):
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


def check_amounts_are_as_asked(scope: Scope = ALL) -> list[str]:
    """I7: a payment asks for its enrollment's amount, and received it unless set aside for that.

    One that was rebuilt as a duplicate asked for the amount of another enrollment.
    """
    found = []
    fields = ["pk", "status", "review_reason", "amount", "currency", "amount_received"]
    fields += ["currency_received", "enrollment__amount", "enrollment__currency"]
    for pk, status, reason, *asked, got, got_in, due, due_in in (
        row for batch in in_batches(scope.of(Payment.objects.values_list(*fields))) for row in batch
    ):
        amount, currency = asked
        if (amount, currency) != (due, due_in) and reason != Payment.DUPLICATE:
            found.append(f"payment {pk} asks for {amount} {currency}, not its enrollment's")
        is_exact = status != Payment.PAID or (amount, currency) == (got, got_in)
        if not is_exact and reason != Payment.AMOUNT_MISMATCH:
            found.append(f"payment {pk} asked for {amount} {currency} and received another")
    return found


def check_courses_exist(scope: Scope = ALL) -> list[str]:
    """R036: the course that an enrollment was bought for is never deleted."""
    courses = set(Course.objects.order_by().values_list("pk", flat=True))
    named = {
        pk
        for part in scope.of(Enrollment.objects.all(), "pk")
        for pk in part.order_by().values_list("course_id", flat=True).distinct()
    }
    gone = sorted(named - courses)
    return [f"course {pk} was deleted, and enrollments point to it" for pk in gone]


def check_received_is_fulfilled(scope: Scope = ALL) -> list[str]:
    """I4: money that was received and not set aside for review has made its enrollment paid."""
    unset = Payment.objects.filter(status=Payment.PAID).exclude(
        review_reason__in=Payment.UNFULFILLED
    )
    unfulfilled = unset.exclude(enrollment__status__in=SOLD)
    return [
        f"payment {pk} was received and its enrollment is {status}"
        for part in scope.of(unfulfilled.values_list("pk", "enrollment__status"))
        for pk, status in part
    ]


def check_pending_ends(scope: Scope = ALL) -> list[str]:
    """I16: no enrollment is pending an hour after its session ended, but for a slow bank."""
    limit_at = timezone.now() - settings.STRIPE_SESSION_LIFETIME - GRACE
    old = Enrollment.objects.filter(status=Enrollment.PENDING, created_at__lt=limit_at)
    over = (
        enrollment for enrollment, payments in _with_payments([old]) if not _is_processing(payments)
    )
    return [f"enrollment {e.pk} is pending since {e.created_at:%Y-%m-%d %H:%M}" for e in over]


def _with_payments(
    enrollments: Iterable[QuerySet[Enrollment]],
) -> Iterator[tuple[Enrollment, list[Payment]]]:
    """Yield each with its payments."""
    for batch in in_batches(enrollments):
        payments: dict[object, list[Payment]] = {enrollment.pk: [] for enrollment in batch}
        for payment in Payment.objects.filter(enrollment_id__in=list(payments)):
            payments[payment.enrollment_id].append(payment)
        yield from ((enrollment, payments[enrollment.pk]) for enrollment in batch)


def _is_processing(payments: list[Payment]) -> bool:
    now = timezone.now()
    recent = now - settings.STRIPE_SESSION_LIFETIME - GRACE
    return any(
        p.status == Payment.PROCESSING
        # A session of the old platform may be paid for a day.
        or (p.status == Payment.PENDING and (p.created_at > recent or p.expires_at > now - GRACE))
        for p in payments
    )


def check_audit(scope: Scope = ALL) -> list[str]:
    """I18: the events of an enrollment lead from pending, one by one, to the status it has."""
    found = []
    statuses = Enrollment.objects.values_list("pk", "status")
    for batch in in_batches(scope.of(statuses, "pk")):
        trails: dict[object, list[tuple[str, str]]] = defaultdict(list)
        events = EnrollmentEvent.objects.filter(enrollment_id__in=[pk for pk, _ in batch])
        fields = "enrollment_id", "from_status", "to_status"
        for key, before, after in events.order_by("created_at", "pk").values_list(*fields):
            trails[key].append((before, after))
        found += [
            f"the trail of enrollment {pk} does not lead to {status}"
            for pk, status in batch
            if not _leads(trails[pk], status)
        ]
    return found


def _leads(trail: list[tuple[str, str]], status: str) -> bool:
    at = Enrollment.PENDING
    for before, after in trail:
        if before != at:
            return False
        at = after
    return at == status
