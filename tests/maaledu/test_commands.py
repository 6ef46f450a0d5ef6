"""The commands that run the work, by hand, from cron or at night."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from courses.models import Course
from enrollments import invariants
from enrollments.models import Enrollment, Payment, StripeEvent
from lms_sync.models import PlatformState, SyncJob
from maaledu import queues
from notifications.models import Email
from tests.factories import completed, deliver, make_course, make_pending
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=91)


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_one_sweep_by_hand_takes_a_paid_place_to_its_email(client: Client, sandbox: Sandbox) -> None:
    enrollment, payment = make_pending()
    deliver(client, completed(payment))
    assert run("run_due_work") == "stripe: 0 run, lms: 1 run, emails: 1 run\n"
    assert len(sandbox.enrollments(enrollment.email)) == 1
    assert len(sandbox.mails(enrollment.email)) == 1
    assert run("run_due_work") == "stripe: 0 run, lms: 0 run, emails: 0 run\n"
    assert invariants.verify() == []


def test_a_sweep_takes_up_what_a_lost_worker_held(client: Client, sandbox: Sandbox) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(status="running", lease_until=timezone.now() - timedelta(seconds=1), fence=1, claim_token="lost")
    run("run_due_work")
    job = SyncJob.objects.get()
    assert (job.status, job.lapses, job.fence, job.attempts) == ("done", 1, 2, 0)


def test_items_that_lose_worker_after_worker_are_buried(client: Client, sandbox: Sandbox) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(status="running", lease_until=timezone.now() - timedelta(seconds=1), fence=6, lapses=5)
    run("run_due_work")
    assert SyncJob.objects.get().last_error.startswith("WORKER_LOST")
    assert Email.objects.filter(kind="staff_alert").count() == 1
    assert invariants.verify() == []


def test_what_is_stuck_for_a_day_is_found_and_staff_are_told_once(client: Client, sandbox: Sandbox) -> None:
    """Requirement R129."""
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(created_at=timezone.now() - timedelta(hours=23))
    assert queues.stuck() == []
    SyncJob.objects.update(created_at=timezone.now() - timedelta(hours=25))
    [line] = queues.stuck()
    assert line.startswith("lms: ")
    assert str(SyncJob.objects.get().pk) in line
    run("nightly")
    run("nightly")
    assert [email.context["lines"] for email in Email.objects.filter(dedupe_key__contains="unfinished work")] == [[line]]


def test_finished_items_are_deleted_after_ninety_days_and_everything_still_holds(client: Client, sandbox: Sandbox) -> None:
    """Requirement R130."""
    old, payment = make_pending()
    deliver(client, completed(payment))
    run("run_due_work")
    for model in (SyncJob, Email, StripeEvent):
        model.objects.update(finished_at=timezone.now() - LONG_AGO)
    Enrollment.objects.update(lms_synced_at=timezone.now() - LONG_AGO)
    _, recent = make_pending()
    deliver(client, completed(recent))
    assert run("clean_up").startswith("3 finished items deleted")
    assert (SyncJob.objects.count(), Email.objects.count(), StripeEvent.objects.count()) == (1, 0, 1)
    old.refresh_from_db()
    assert old.has_access
    assert invariants.verify() == []


def test_unfinished_items_are_kept_however_old(client: Client) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    SyncJob.objects.update(created_at=timezone.now() - LONG_AGO)
    assert queues.clean_up() == 0
    assert SyncJob.objects.count() == 1


def test_the_nights_round_settles_checks_and_cleans(client: Client, sandbox: Sandbox) -> None:
    course = make_course(title="No Such Title")
    client.post(f"/checkout/{course.slug}/", {"email": "a@example.com", "accept_terms": "on"})
    sandbox.pay(Payment.objects.get().stripe_session_id)
    out = run("nightly")
    assert "1 payments settled" in out
    assert Enrollment.objects.get().status == "paid"
    assert invariants.verify() == []


def test_the_nights_round_goes_on_without_stripe_and_lms(client: Client, sandbox: Sandbox) -> None:
    make_course()
    sandbox.fault("stripe", "down")
    sandbox.fault("lms", "down")
    out = run("nightly")
    assert out.count("could not be asked") == 2
    assert "0 finished items deleted" in out


def test_reconciling_says_when_stripe_cannot_be_asked(sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "down")
    with pytest.raises(CommandError, match="unavailable"):
        run("reconcile_stripe")


def test_the_demo_is_seeded_once_however_often(settings) -> None:
    run("seed_demo")
    run("seed_demo")
    assert (Course.objects.count(), User.objects.filter(is_staff=True).count()) == (24, 2)
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        run("seed_demo")


def test_a_chore_that_fails_does_not_keep_the_others_from_running(sandbox: Sandbox) -> None:
    """The breaker's probe runs into a dead LMS; the sweep still ends what is overdue."""
    _, payment = make_pending()
    Payment.objects.filter(pk=payment.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    PlatformState.objects.create(name="frappe", state="open", retry_at=timezone.now())
    sandbox.fault("lms", "down")
    queues.run_chores()
    payment.refresh_from_db()
    assert payment.status == "expired"
