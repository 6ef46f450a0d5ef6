"""Every check has teeth: the database is damaged in one way, and the check that guards it names the
row.
"""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from affiliates.models import Affiliate
from courses.models import Course
from enrollments import mails
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant, GrantEvent, Program
from lms_sync.models import SyncJob
from maaledu.db import transition
from notifications.models import Email
from operations import day_figures, heartbeats, invariants
from operations.invariants.access import (
    check_access_is_recorded,
    check_job_has_paid,
    check_one_confirmation,
    check_paid_has_job,
)
from operations.invariants.coupons import (
    check_budgets,
    check_coupon_at_most_once,
    check_coupon_is_not_stuck,
    check_grant_trails,
)
from operations.invariants.day_figures import check_day_figures
from operations.invariants.enrollments import (
    check_amounts_are_as_asked,
    check_audit,
    check_courses_exist,
    check_one_live_enrollment,
    check_one_open_payment,
    check_paid_is_paid_for,
    check_pending_ends,
    check_received_is_fulfilled,
)
from operations.invariants.reading import Scope
from operations.invariants.work import (
    check_attempts,
    check_dead_events,
    check_dead_letters,
    check_events_are_applied,
    check_events_once,
    check_queues,
)
from operations.models import DayFigures
from payments.models import Payment, StripeEvent
from tests.affiliates.make import make_affiliate, sell
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import buy_with, make_coupon
from tests.holding import worth_asking
from tests.operations import test_money_invariants
from tests.remembering import remembered
from tests.state_machine import Verifier

pytestmark = [pytest.mark.breaks_invariants, pytest.mark.any_engine]
LONG_AGO = timedelta(hours=3)


def lately() -> Scope:
    return Scope(since=timezone.now() - timedelta(minutes=10))


def bought(client: Client) -> Enrollment:
    """A paid enrollment with access: the state in which everything holds."""
    enrollment, payment = make_pending()
    deliver(client, completed(payment))
    enrollment.refresh_from_db()
    changes = {"lms_enrollment_id": "lms-1", "lms_synced_at": timezone.now()}
    transition(enrollment, Enrollment.LMS_SUCCESS, field="lms_status", **changes)
    done = {"status": "done", "finished_at": timezone.now(), "lms_enrollment_id": "lms-1"}
    SyncJob.objects.update(**done, fence=1)
    mails.stage_confirmation(enrollment)
    assert invariants.verify() == []
    return enrollment


def bought_once() -> Enrollment:
    return bought(Client())


def received_by_nobody(enrollment: Enrollment) -> None:
    Enrollment.objects.filter(pk=enrollment.pk).update(status="expired")


def unpaid_for(enrollment: Enrollment) -> None:
    enrollment.payments.update(status="expired")


def paid_another_amount(enrollment: Enrollment) -> None:
    enrollment.payments.update(amount_received=1)


def without_job(enrollment: Enrollment) -> None:
    Enrollment.objects.filter(pk=enrollment.pk).update(lms_status="pending")
    SyncJob.objects.all().delete()


def never_paid(enrollment: Enrollment) -> None:
    EnrollmentEvent.objects.all().delete()


def access_unrecorded(enrollment: Enrollment) -> None:
    Enrollment.objects.filter(pk=enrollment.pk).update(lms_status="pending")


def access_by_another_id(enrollment: Enrollment) -> None:
    SyncJob.objects.update(lms_enrollment_id="lms-2")


def without_mail(enrollment: Enrollment) -> None:
    Email.objects.all().delete()


def mail_without_access(enrollment: Enrollment) -> None:
    Email.objects.update(dedupe_key="purchase_confirmation:nobody")


def lease_forgotten(enrollment: Enrollment) -> None:
    Email.objects.update(status="running", lease_until=timezone.now() - LONG_AGO)


def running_without_lease(enrollment: Enrollment) -> None:
    StripeEvent.objects.update(status="running", lease_until=None)


def dead_in_silence(enrollment: Enrollment) -> None:
    SyncJob.objects.update(status="dead")


def event_dead(enrollment: Enrollment) -> None:
    StripeEvent.objects.update(status="dead")


def pending_for_ever(enrollment: Enrollment) -> None:
    other, _ = make_pending()
    ended = {name: timezone.now() - LONG_AGO for name in ("created_at", "expires_at")}
    Payment.objects.filter(enrollment=other).update(**ended)
    Enrollment.objects.filter(pk=other.pk).update(created_at=timezone.now() - LONG_AGO)


def amount_asked_changed(enrollment: Enrollment) -> None:
    enrollment.payments.update(amount=1)


def currency_asked_changed(enrollment: Enrollment) -> None:
    enrollment.payments.update(currency="eur")


def amount_of_an_open_payment_changed(enrollment: Enrollment) -> None:
    other, _ = make_pending()
    other.payments.update(amount=1)


def amount_received_changed(enrollment: Enrollment) -> None:
    enrollment.payments.update(amount_received=1)


def event_waiting(enrollment: Enrollment) -> None:
    waits_since = timezone.now() - timedelta(days=3, minutes=1)
    StripeEvent.objects.update(status="pending", created_at=waits_since)


def trail_cut(enrollment: Enrollment) -> None:
    EnrollmentEvent.objects.update(to_status="expired")


def event_without_outcome(enrollment: Enrollment) -> None:
    StripeEvent.objects.update(outcome="")


def attempts_invented(enrollment: Enrollment) -> None:
    SyncJob.objects.update(attempts=7)


def coupon_unredeemed(enrollment: Enrollment) -> None:
    grant = make_coupon(enrollment.course, email=enrollment.email)
    Enrollment.objects.filter(pk=enrollment.pk).update(grant_id=grant.pk)


def coupon_stuck(enrollment: Enrollment) -> None:
    make_coupon(enrollment.course, email=enrollment.email)
    Grant.objects.update(status="reserved", enrollment_id=enrollment.pk)


def budget_miscounted(enrollment: Enrollment) -> None:
    program = Program.objects.create(name="Fund", currency="usd")
    make_coupon(enrollment.course, program=program)
    Program.objects.update(committed_amount=1)


def trail_of_a_grant_deleted(enrollment: Enrollment) -> None:
    make_coupon(enrollment.course)
    GrantEvent.objects.all().delete()


def decision_about_a_grant_deleted(enrollment: Enrollment) -> None:
    buy_with(make_coupon(email="trail@example.com"))
    GrantEvent.objects.filter(what__startswith="approved").delete()


def percentage_of_a_grant_raised(enrollment: Enrollment) -> None:
    make_coupon(enrollment.course)
    Grant.objects.update(percent=100)


def figures_of_a_day_wrong(enrollment: Enrollment) -> None:
    later = timezone.now() + timedelta(minutes=20)
    day_figures.keep()
    DayFigures.objects.update(figures={}, counted_at=later)
    heartbeats.note(day_figures.NAME, at=later)


DAMAGES: dict[Callable[[Enrollment], None], Callable[[], list[str]]] = {
    received_by_nobody: check_received_is_fulfilled,
    unpaid_for: check_paid_is_paid_for,
    paid_another_amount: check_paid_is_paid_for,
    without_job: check_paid_has_job,
    never_paid: check_job_has_paid,
    access_unrecorded: check_access_is_recorded,
    access_by_another_id: check_access_is_recorded,
    without_mail: check_one_confirmation,
    mail_without_access: check_one_confirmation,
    lease_forgotten: check_queues,
    running_without_lease: check_queues,
    dead_in_silence: check_dead_letters,
    event_dead: check_dead_events,
    amount_asked_changed: check_amounts_are_as_asked,
    currency_asked_changed: check_amounts_are_as_asked,
    amount_of_an_open_payment_changed: check_amounts_are_as_asked,
    amount_received_changed: check_amounts_are_as_asked,
    event_waiting: check_events_are_applied,
    pending_for_ever: check_pending_ends,
    trail_cut: check_audit,
    event_without_outcome: check_events_once,
    attempts_invented: check_attempts,
    coupon_unredeemed: check_coupon_at_most_once,
    coupon_stuck: check_coupon_is_not_stuck,
    budget_miscounted: check_budgets,
    trail_of_a_grant_deleted: check_grant_trails,
    decision_about_a_grant_deleted: check_grant_trails,
    percentage_of_a_grant_raised: check_grant_trails,
    figures_of_a_day_wrong: check_day_figures,
}
# What a unique constraint keeps out of the database is damaged with the constraint gone, in the
# next test.
BY_CONSTRAINT = {check_one_live_enrollment, check_one_open_payment, check_courses_exist}


@pytest.mark.every_engine
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named_by_the_check_that_guards_it(
    db: None, damage: Callable[[Enrollment], None]
) -> None:
    damage(remembered(bought_once))
    check = DAMAGES[damage]
    assert check() != []
    assert check(lately()) == check()
    assert any(line.startswith(check.__name__) for line in invariants.verify())
    assert check in worth_asking()


@pytest.mark.every_engine
def test_who_asks_again_notices_what_others_have_broken_meanwhile(client: Client) -> None:
    """As the sweeps do after each cut (tests.state_machine)."""
    enrollment, broken = bought(client), Verifier().verify_written_elsewhere
    assert broken() == []
    received_by_nobody(enrollment)
    assert broken() == invariants.verify() != []


@pytest.mark.parametrize("damage", [unpaid_for, trail_cut, without_mail])
def test_damage_of_long_ago_is_named_by_the_full_run(
    client: Client, damage: Callable[[Enrollment], None]
) -> None:
    damage(bought(client))
    assert invariants.verify(scope=Scope(since=timezone.now())) == []
    assert invariants.verify() != []


def test_a_night_looks_at_what_changed_since_the_last_good_one_and_weekly_at_everything(
    client: Client,
) -> None:
    bought(client)
    now = timezone.now()
    for name in (heartbeats.INVARIANTS, heartbeats.ALL_INVARIANTS):
        heartbeats.note(name, at=now + invariants.OVERLAP)
    Email.objects.all().delete()
    assert invariants.verify_nightly() == []
    since = heartbeats.last_seen()[heartbeats.ALL_INVARIANTS].at
    assert since == now + invariants.OVERLAP
    heartbeats.note(heartbeats.ALL_INVARIANTS, at=now - timedelta(days=7))
    for _ in range(2):
        assert [line.partition(":")[0] for line in invariants.verify_nightly()] == [
            "check_one_confirmation"
        ]
    mails.stage_confirmation(Enrollment.objects.get())
    assert invariants.verify_nightly() == []
    assert heartbeats.last_seen()[heartbeats.ALL_INVARIANTS].at >= now


def test_what_a_night_found_is_found_each_night_until_it_is_mended(client: Client) -> None:
    enrollment = bought(client)
    since = timezone.now() - timedelta(minutes=1)
    for name in (heartbeats.INVARIANTS, heartbeats.ALL_INVARIANTS):
        heartbeats.note(name, at=since)
    unpaid_for(enrollment)
    assert len(invariants.verify_nightly()) == len(invariants.verify_nightly()) > 0
    assert heartbeats.last_seen()[heartbeats.INVARIANTS].at == since
    enrollment.payments.update(status="paid")
    assert invariants.verify_nightly() == []
    assert heartbeats.last_seen()[heartbeats.INVARIANTS].at > since


@pytest.mark.engines("sqlite")  # where keys can be left unchecked for a moment
def test_a_course_that_was_deleted_below_its_enrollments_is_named(client: Client) -> None:
    enrollment = bought(client)
    course = enrollment.course_id
    enrollment.course.refresh_from_db()
    with connection.constraint_checks_disabled():
        try:
            Course.objects.filter(pk=course)._raw_delete(using="default")
            assert check_courses_exist() == [
                f"course {course} was deleted, and enrollments point to it"
            ]
        finally:
            enrollment.course.save(force_insert=True)
    assert check_courses_exist() == []


@pytest.mark.every_engine
def test_an_event_that_waits_for_less_than_three_days_is_not_named(client: Client) -> None:
    bought(client)
    since = timezone.now() - timedelta(days=3) + timedelta(minutes=1)
    StripeEvent.objects.update(status="pending", created_at=since)
    assert check_events_are_applied() == []


def test_every_check_is_shown_to_have_teeth() -> None:
    elsewhere = set(test_money_invariants.DAMAGES)
    assert set(DAMAGES.values()) | BY_CONSTRAINT | elsewhere == set(invariants.CHECKS)


def test_the_command_lists_what_does_not_hold_and_fails(client: Client) -> None:
    enrollment = bought(client)
    out = StringIO()
    call_command("verify_invariants", stdout=out)
    assert "invariants hold" in out.getvalue()
    without_job(enrollment)
    with pytest.raises(CommandError):
        call_command("verify_invariants", stdout=out)
    assert f"enrollment {enrollment.pk} is paid and has no LMS job" in out.getvalue()


def sold_and_taken_back(client: Client, affiliate: Affiliate, sales: int) -> None:
    """Let so many referred sales stand, and as many each be refunded in part, whole, and lost."""
    for kind in ("stands", "partly", "whole", "lost"):
        for _ in range(sales):
            _, payment = sell(client, affiliate)
            if kind == "lost":
                deliver(client, disputed(dispute_of(payment, "lost")))
            elif kind != "stands":
                amount = payment.amount if kind == "whole" else 100
                deliver(client, refunded(refund_of(payment, amount)))


def test_the_checks_ask_no_more_of_the_database_as_sales_and_refunds_grow(client: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert invariants.verify() == []
        return len(captured)

    affiliate = make_affiliate()
    sold_and_taken_back(client, affiliate, 1)
    few = asked()
    sold_and_taken_back(client, affiliate, 3)
    assert asked() == few
