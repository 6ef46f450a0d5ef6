"""The commands that run the work, by hand, from cron or at night."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from courses import publishing
from courses.models import Course
from enrollments.models import Enrollment
from lms_sync.models import PlatformState, SyncJob
from notifications.models import Email
from operations import heartbeats, invariants, queues
from operations.models import Heartbeat
from payments.models import Payment, StripeEvent
from tests.factories import completed, deliver, make_course, make_pending
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
LONG_AGO = timedelta(days=91)


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_one_sweep_by_hand_takes_a_paid_enrollment_to_its_email(
    client: Client, sandbox: Sandbox
) -> None:
    enrollment, payment = make_pending()
    deliver(client, completed(payment))
    assert (
        run("run_due_work")
        == "stripe: 0 run, batches: 0 run, lms: 1 run, emails: 1 run, alerts: 0 run\n"
    )
    assert len(sandbox.enrollments(enrollment.email)) == 1
    assert len(sandbox.mails(enrollment.email)) == 1
    assert (
        run("run_due_work")
        == "stripe: 0 run, batches: 0 run, lms: 0 run, emails: 0 run, alerts: 0 run\n"
    )
    assert invariants.verify() == []


@pytest.mark.every_engine
def test_a_sweep_takes_up_what_a_lost_worker_held(client: Client, sandbox: Sandbox) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(
        status="running",
        lease_until=timezone.now() - timedelta(seconds=1),
        fence=1,
        claim_token="lost",
    )
    run("run_due_work")
    job = SyncJob.objects.get()
    assert (job.status, job.lapses, job.fence, job.attempts) == ("done", 1, 2, 0)


@pytest.mark.every_engine
def test_items_that_lose_worker_after_worker_end_dead(client: Client, sandbox: Sandbox) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(
        status="running", lease_until=timezone.now() - timedelta(seconds=1), fence=6, lapses=5
    )
    run("run_due_work")
    assert SyncJob.objects.get().last_error.startswith("WORKER_LOST")
    assert Email.objects.filter(kind="staff_alert").count() == 1
    assert invariants.verify() == []


@pytest.mark.every_engine
def test_what_is_stuck_for_a_day_is_found_and_staff_are_alerted_once(
    client: Client, sandbox: Sandbox
) -> None:
    """Requirement R129."""
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(created_at=timezone.now() - timedelta(hours=23))
    assert queues.stuck() == []
    SyncJob.objects.update(created_at=timezone.now() - timedelta(hours=25))
    [line] = queues.stuck()
    assert line.startswith("LMS jobs: ")
    assert str(SyncJob.objects.get().pk) in line
    run("nightly")
    run("nightly")
    assert [
        email.context["lines"]
        for email in Email.objects.filter(dedupe_key__contains="unfinished work")
    ] == [[line]]


@pytest.mark.every_engine
def test_finished_items_are_deleted_after_ninety_days_and_everything_still_holds(
    client: Client, sandbox: Sandbox
) -> None:
    """Requirement R130."""
    old, payment = make_pending()
    deliver(client, completed(payment))
    run("run_due_work")
    for model in (SyncJob, Email, StripeEvent):
        model.objects.update(finished_at=timezone.now() - LONG_AGO)
    Enrollment.objects.update(lms_synced_at=timezone.now() - LONG_AGO)
    _, recent = make_pending()
    deliver(client, completed(recent))
    assert run("clean_up") == (
        "1 deleted: finished items of the queue stripe\n"
        "1 deleted: finished items of the queue lms\n"
        "1 deleted: finished items of the queue emails\n"
    )
    assert (SyncJob.objects.count(), Email.objects.count(), StripeEvent.objects.count()) == (
        1,
        0,
        1,
    )
    old.refresh_from_db()
    assert old.has_access
    assert invariants.verify() == []


def test_unfinished_items_are_kept_however_old(client: Client) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(created_at=timezone.now() - LONG_AGO)
    assert run("clean_up") == ""
    assert SyncJob.objects.count() == 1


def test_the_nightly_steps_settle_check_and_clean(client: Client, sandbox: Sandbox) -> None:
    course = make_course(title="No Such Title")
    client.post(f"/checkout/{course.slug}/", {"email": "a@example.com", "accept_terms": "on"})
    sandbox.pay(Payment.objects.get().stripe_session_id)
    out = run("nightly")
    assert "1 changes at Stripe that no event reported" in out
    assert Enrollment.objects.get().status == "paid"
    assert invariants.verify() == []


def failing(name: str) -> tuple[str, str]:
    """Run a command that is to fail in the end, and return what it wrote and why it failed."""
    out = StringIO()
    with pytest.raises(CommandError) as failure:
        call_command(name, stdout=out, stderr=out)
    return out.getvalue(), str(failure.value)


def tasks_alerted_of() -> list[str]:
    mails = Email.objects.filter(kind="staff_alert", dedupe_key__contains="step:")
    return sorted(mail.context["subject"].replace("A regular task failed: ", "") for mail in mails)


def test_the_nightly_steps_go_on_without_stripe_and_lms(client: Client, sandbox: Sandbox) -> None:
    """An outage passes, so nobody is called for it; the exit code says what is missing of this
    night.
    """
    make_course()
    sandbox.fault("stripe", "down")
    sandbox.fault("lms", "down")
    out, why = failing("nightly")
    assert (
        why == "Not done tonight: reconciling with Stripe, asking Frappe LMS for its courses."
        " The log says why, as `step failed`."
    )
    assert "0 deleted: locks of lost workers" in out
    assert tasks_alerted_of() == []


@pytest.mark.every_engine
def test_a_platform_that_is_down_hides_nothing_of_the_other(
    sandbox: Sandbox, settings: Settings
) -> None:
    """What only differs is shown in the office, and is nothing to be called for each morning."""
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    lost = {"lms_platform": "openedx", "lms_course_id": "course-v1:Not+Shown+There"}
    sandbox.edx(courses=[{"id": lost["lms_course_id"], "visible": False}])
    make_course()
    make_course(slug="lost", **lost)
    sandbox.fault("lms", "down")
    failing("nightly")
    mail = Email.objects.get(kind="staff_alert", dedupe_key__contains="courses")
    assert mail.context["subject"] == "The nightly check of courses in Open edX found 1 problem(s)"
    sandbox.heal()
    Email.objects.all().delete()
    publishing.archive(Course.objects.get(slug="lost"))
    make_course(title="Called something else there")
    run("nightly")
    assert not Email.objects.filter(dedupe_key__contains="courses").exists()


def paid_at_stripe(sandbox: Sandbox, client: Client, email: str) -> Payment:
    course = make_course()
    client.post(f"/checkout/{course.slug}/", {"email": email, "accept_terms": "on"})
    payment = Payment.objects.get(enrollment__email=email)
    sandbox.pay(payment.stripe_session_id)
    return payment


def spoil(payment: Payment) -> None:
    """Keep its enrollment from being made paid: its job exists already, written by hand."""
    facts = {
        "platform": "frappe",
        "email": "x@example.com",
        "course_id": "x",
        "payload": {"enrollment_id": str(payment.enrollment_id)},
    }
    SyncJob.objects.create(dedupe_key=f"enroll:{payment.enrollment_id}", status="dead", **facts)


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_one_odd_payment_does_not_keep_the_others_from_being_found_at_night(
    client: Client, sandbox: Sandbox
) -> None:
    """The odd one is neither the first nor the last in Stripe's list; all later steps are run."""
    payments = [
        paid_at_stripe(sandbox, client, f"learner{number}@example.com") for number in range(3)
    ]
    spoil(payments[1])
    out = run("nightly")
    assert [Payment.objects.get(pk=payment.pk).status for payment in payments] == [
        "paid",
        "pending",
        "paid",
    ]
    assert out.splitlines()[-1] == "0 new differences of access"
    run("nightly")
    lines = Email.objects.get(dedupe_key__contains="unmended").context["lines"], "once a day"
    print(lines)


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_one_odd_payment_does_not_keep_the_other_overdue_ones_from_ending(
    client: Client, sandbox: Sandbox, caplog
) -> None:
    payments = [
        paid_at_stripe(sandbox, client, f"learner{number}@example.com") for number in range(4)
    ]
    for number, payment in enumerate(payments):
        Payment.objects.filter(pk=payment.pk).update(
            expires_at=timezone.now() - timedelta(hours=2, seconds=10 - number)
        )
    spoil(payments[0])
    spoil(payments[2])
    for _ in range(2):
        _, why = failing("run_due_work")
        assert why == "Not done: ending overdue payments. The log says why, as `step failed`."
    assert [Payment.objects.get(pk=payment.pk).status for payment in payments] == [
        "pending",
        "paid",
        "pending",
        "paid",
    ]
    assert tasks_alerted_of() == ["ending overdue payments"]
    [line, *_] = Email.objects.get(dedupe_key__contains="step:").context["lines"]
    assert (
        line == f"ROWS_FAILED: 2 could not be worked on: payment {payments[0].pk}, payment"
        f" {payments[2].pk}."
    )
    logged = [record for record in caplog.records if record.message == "row failed"]
    assert len(logged) == 4
    assert all(record.exc_info for record in logged)
    Payment.objects.filter(status="pending").update(status="expired")
    run("run_due_work")
    assert tasks_alerted_of() == ["Recovered: ending overdue payments", "ending overdue payments"]


def test_a_chore_that_fails_keeps_neither_the_others_nor_the_queues_from_running(
    client: Client, sandbox: Sandbox, settings, caplog
) -> None:
    """Whatever it fails with: here the reminders' days are missing, which is no fault of the
    database.
    """
    settings.GRANT_REMINDER_DAYS = ()
    enrollment, payment = make_pending()
    deliver(client, completed(payment))
    _, left = make_pending()
    Payment.objects.filter(pk=left.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    out, why = failing("run_due_work")
    assert why == "Not done: reminding holders of coupons. The log says why, as `step failed`."
    assert out == "stripe: 0 run, batches: 0 run, lms: 1 run, emails: 3 run, alerts: 0 run\n", (
        "the alert goes out with the confirmation, and with one about the session unknown to Stripe"
    )
    left.refresh_from_db()
    assert left.status == "expired"
    assert len(sandbox.mails(enrollment.email)) == 1
    assert tasks_alerted_of() == ["reminding holders of coupons"]
    assert [record.exc_info[0] for record in caplog.records if record.message == "step failed"] == [
        ValueError
    ]
    failing("run_due_work")
    assert tasks_alerted_of() == ["reminding holders of coupons"], "once a day"


def test_a_stripe_that_is_down_ends_the_look_at_overdue_payments_after_three(
    client: Client, sandbox: Sandbox
) -> None:
    for _ in range(5):
        _, payment = make_pending()
        Payment.objects.filter(pk=payment.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    sandbox.fault("stripe", "500")
    assert run("run_due_work").startswith("stripe: 0 run")
    assert len(sandbox.calls("stripe", "POST /v1/checkout/sessions/")) == 3
    assert tasks_alerted_of() == []
    sandbox.heal("stripe")
    run("run_due_work")
    assert set(Payment.objects.values_list("status", flat=True)) == {"expired"}


def test_one_session_stripe_cannot_find_does_not_keep_the_others_from_ending(
    client: Client, sandbox: Sandbox
) -> None:
    payments = [make_pending()[1] for _ in range(3)]
    for number, payment in enumerate(payments):
        Payment.objects.filter(pk=payment.pk).update(
            expires_at=timezone.now() - timedelta(hours=1, seconds=10 - number)
        )
    sandbox.fault("stripe", "500", f"POST /v1/checkout/sessions/{payments[0].stripe_session_id}")
    run("run_due_work")
    assert [Payment.objects.get(pk=payment.pk).status for payment in payments] == [
        "pending",
        "expired",
        "expired",
    ]


def test_reconciling_says_when_stripe_cannot_be_asked(sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "down")
    with pytest.raises(CommandError, match="unavailable"):
        run("reconcile_stripe")


@pytest.mark.every_engine
def test_the_demo_is_seeded_once_however_often(settings) -> None:
    run("seed_demo")
    run("seed_demo")
    assert (Course.objects.count(), User.objects.filter(is_staff=True).count()) == (24, 7)
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        run("seed_demo")


def test_a_dead_lms_does_not_keep_the_sweep_from_its_other_chores(sandbox: Sandbox) -> None:
    """The breaker's probe runs into it; the sweep still ends what is overdue."""
    _, payment = make_pending()
    Payment.objects.filter(pk=payment.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    PlatformState.objects.create(name="frappe", state="open", retry_at=timezone.now())
    sandbox.fault("lms", "down")
    assert queues.run_chores() == []
    payment.refresh_from_db()
    assert payment.status == "expired"


def test_the_health_check_of_a_container_asks_for_one_heartbeat() -> None:
    heartbeats.note(heartbeats.WORKER)
    Heartbeat.objects.create(
        name=heartbeats.SCHEDULER, at=timezone.now() - timedelta(minutes=3, seconds=1)
    )
    said = run("heartbeats")
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "worker",
        "scheduler",
        "nightly",
        "backup",
    ]
    assert "nightly: never" in said
    assert run("heartbeats", "worker").startswith(f"worker: {timezone.now():%Y-%m-%d}")
    for silent in ("scheduler", "nightly", "backup"):
        with pytest.raises(CommandError, match=f"Silent: {silent}."):
            run("heartbeats", "worker", silent)
    with pytest.raises(CommandError, match="There is no wroker"):
        run("heartbeats", "wroker")
