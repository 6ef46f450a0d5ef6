import itertools

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from enrollments.models import Enrollment, EnrollmentEvent
from lms_sync.models import DeadLetter, SyncJob
from maaledu.db import transition
from notifications.models import Email
from payments.models import Payment, StripeEvent
from tests import tables
from tests.factories import make_course, make_payment, make_pending

pytestmark = [pytest.mark.breaks_invariants, pytest.mark.any_engine]


ENROLLMENT = ["pending", "paid", "failed", "expired", "cancelled", "refunded"]
LMS = ["pending", "success", "failed", "retrying", "revoked"]
PAYMENT = ["pending", "processing", "paid", "failed", "expired", "cancelled"]


def pairs(statuses: list[str]) -> list[tuple[str, str]]:
    return list(itertools.product(statuses, repeat=2))


@pytest.mark.parametrize(("before", "after"), pairs(ENROLLMENT))
def test_every_pair_of_enrollment_statuses(before: str, after: str) -> None:
    enrollment, _ = make_pending(status=before)
    allowed = (before, after) in tables.ENROLLMENT
    assert transition(enrollment, after) is allowed
    enrollment.refresh_from_db()
    assert enrollment.status == (after if allowed else before)


@pytest.mark.parametrize(("before", "after"), pairs(LMS))
def test_every_pair_of_lms_statuses(before: str, after: str) -> None:
    enrollment, _ = make_pending(lms_status=before)
    allowed = (before, after) in tables.LMS
    assert transition(enrollment, after, field="lms_status") is allowed
    enrollment.refresh_from_db()
    assert (enrollment.lms_status, enrollment.status) == (after if allowed else before, "pending")


@pytest.mark.parametrize(("before", "after"), pairs(PAYMENT))
def test_every_pair_of_payment_statuses(before: str, after: str) -> None:
    _, payment = make_pending()
    Payment.objects.filter(pk=payment.pk).update(status=before)
    allowed = (before, after) in tables.PAYMENT
    assert transition(payment, after) is allowed
    payment.refresh_from_db()
    assert payment.status == (after if allowed else before)


@pytest.mark.every_engine
@pytest.mark.parametrize(("first", "second"), pairs(ENROLLMENT))
def test_at_most_one_live_enrollment_for_each_course_and_email(first: str, second: str) -> None:
    enrollment, _ = make_pending(status=first)
    if first in Enrollment.LIVE and second in Enrollment.LIVE:
        with pytest.raises(IntegrityError):
            make_pending(enrollment.course, email=enrollment.email, status=second)
    else:
        make_pending(enrollment.course, email=enrollment.email, status=second)
    live = Enrollment.objects.live().filter(email=enrollment.email)
    assert live.count() == min(1, sum(s in Enrollment.LIVE for s in (first, second)))


@pytest.mark.every_engine
def test_at_most_one_open_payment_for_each_enrollment() -> None:
    enrollment, _ = make_pending()
    with pytest.raises(IntegrityError):
        make_payment(enrollment, attempt=2)


@pytest.mark.every_engine
def test_a_live_enrollment_in_another_course_or_of_another_person_is_no_obstacle() -> None:
    enrollment, _ = make_pending()
    make_pending(enrollment.course)
    make_pending(make_course(), email=enrollment.email)
    assert Enrollment.objects.live().count() == 3


def test_tokens_are_long_random_and_unique() -> None:
    tokens = {make_pending()[0].token for _ in range(50)}
    assert len(tokens) == 50
    assert min(len(token) for token in tokens) >= 32


@pytest.mark.every_engine
def test_what_is_spent_is_derived_from_paid_enrollments_per_currency() -> None:
    course = make_course(price=19999, currency="eur")
    make_pending(status="paid", email="a@example.com")
    make_pending(status="paid", email="a@example.com")
    make_pending(course, status="paid", email="a@example.com")
    make_pending(status="expired", email="a@example.com")
    make_pending(status="paid", email="b@example.com")
    totals = Enrollment.objects.filter(email="a@example.com").totals_spent()
    assert sorted(map(str, totals)) == ["$998.00", "€199.99"]


def test_how_many_are_enrolled_is_counted_from_paid_enrollments() -> None:
    """Requirement R029."""
    course = make_course()
    for status in ENROLLMENT:
        make_pending(course, status=status)
    make_pending(make_course(), status="paid")
    make_pending(course, status="paid")
    assert course.enrolled == 2


@pytest.mark.every_engine
@pytest.mark.parametrize(
    "bad", ["", "no-at", "a@b\r\nBcc: x@y.example", "a b@example.com", "x" * 140 + "@example.com"]
)
def test_a_malformed_email_does_not_pass_validation(bad: str) -> None:
    enrollment, _ = make_pending()
    enrollment.email = bad
    with pytest.raises(ValidationError):
        enrollment.full_clean()


def test_lists_are_indexed_by_what_they_are_searched_and_sorted_by() -> None:
    """Requirement R198.

    Status, e-mail, course, compound (course, e-mail, status), created-at descending, session, event
    id.
    """
    indexed = {tuple(index.fields) for index in Enrollment._meta.indexes}
    assert {
        ("course", "email", "status"),
        ("email", "-created_at"),
        ("lms_status", "status", "-created_at"),
        ("-created_at",),
    } <= indexed
    assert Payment._meta.get_field("stripe_session_id").unique
    assert StripeEvent._meta.get_field("event_id").unique
    for model in (Enrollment, EnrollmentEvent, Payment, StripeEvent, SyncJob, DeadLetter, Email):
        assert ("-created_at",) in {tuple(index.fields) for index in model._meta.indexes}, model
    for model in (StripeEvent, SyncJob, Email):
        assert ("status", "next_attempt_at") in {
            tuple(index.fields) for index in model._meta.indexes
        }, model
