"""Access after a refund: revoked by one job, given again by another.

In whatever order they run, access ends as the enrollment says.
"""

import random
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from enrollments import dead_jobs, lms_jobs, mails
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync import dead_letters
from lms_sync.models import DeadLetter, SyncJob
from maaledu.work.items import DEAD, DONE, PENDING, RUNNING
from maaledu.work.queue import Finish, Queue, drain, reap
from notifications.models import Email
from operations import invariants
from payments import refund_requests
from payments.models import Payment, Refund, StripeEvent
from payments.refund_requests import Request
from payments.webhooks import EVENTS
from tests.affiliates.make import make_affiliate
from tests.affiliates.rivals import rival_before
from tests.affiliates.shop import buy, deliver_events, drained, fresh, in_lms, provision, visitor
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import race
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.lms_passing import others_get_through
from tests.sandbox_client import Sandbox, wait_until

pytestmark = pytest.mark.any_engine

STAFF = "staff@example.com"


def refund(payment: Payment, amount: int = 0) -> Refund:
    return refund_requests.request(
        payment, Request(amount or payment.amount, "requested_by_customer", STAFF)
    )


def state(enrollment: Enrollment) -> tuple[str, str]:
    enrollment.refresh_from_db()
    return enrollment.status, enrollment.lms_status


def jobs() -> list[tuple[str, str]]:
    return list(SyncJob.objects.order_by("created_at").values_list("action", "status"))


def confirmations() -> int:
    return Email.objects.filter(kind__in=mails.CONFIRMATION_KINDS).count()


def with_access(sandbox: Sandbox, **more: Any) -> tuple[Enrollment, Payment]:
    enrollment, payment = buy(sandbox, **more)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("paid", "success"),
        1,
        1,
    )
    return enrollment, payment


# --- taken away -----------------------------------------------------------------------------------


def test_a_full_refund_takes_access_away_by_a_job(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "success"), 1)
    assert jobs() == [("enroll", "done"), ("revoke", "pending")]
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)
    assert jobs() == [("enroll", "done"), ("revoke", "done")]
    assert (confirmations(), enrollment.has_access) == (1, False)


def test_the_users_other_courses_stay(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    other, _ = buy(sandbox, make_course())
    neighbor, _ = buy(
        sandbox, Enrollment.objects.get(pk=enrollment.pk).course, email="neighbor@example.com"
    )
    drained()
    refund(payment)
    drained()
    assert [in_lms(sandbox, each) for each in (enrollment, other, neighbor)] == [0, 1, 1]


def test_a_partial_refund_leaves_access_alone(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment, 49899)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), len(jobs())) == (
        ("paid", "success"),
        1,
        1,
    )


def test_a_lost_dispute_takes_access_away_and_an_open_or_won_one_does_not(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    dispute = sandbox.dispute(payment.stripe_payment_intent_id)
    deliver_events(sandbox)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("paid", "success"), 1)
    sandbox.close_dispute(dispute["id"], "lost")
    deliver_events(sandbox)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)
    assert Email.objects.filter(kind="enrollment_ended").count() == 1
    won, payment = buy(sandbox, make_course())
    dispute = sandbox.dispute(payment.stripe_payment_intent_id)
    sandbox.close_dispute(dispute["id"], "won")
    deliver_events(sandbox)
    drained()
    assert (state(won), in_lms(sandbox, won)) == (("paid", "success"), 1)


@pytest.mark.breaks_invariants
def test_access_is_kept_where_the_setting_says_so(sandbox: Sandbox, settings):
    settings.REVOKE_ON_REFUND = False
    enrollment, payment = with_access(sandbox)
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "success"), 1)
    assert jobs() == [("enroll", "done")]
    assert invariants.verify() == []
    settings.REVOKE_ON_REFUND = True
    wrong = f"enrollment {enrollment.pk} is refunded, has access, and no job takes it away"
    assert invariants.verify() == [f"check_ended_enrollments: {wrong}"]


def test_the_status_page_of_a_refunded_enrollment_says_so(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    for _ in range(2):
        page = visitor().get(enrollment.get_absolute_url())
        text = page.content.decode()
        assert (page.status_code, "Refunded" in text, "has ended" in text) == (200, True, True)
        assert "Your course is ready" not in text
        assert enrollment.course_link not in text
        drained()


# --- before access was given ----------------------------------------------------------------------


def test_a_refund_before_access_was_given_gives_none_and_sends_no_confirmation(sandbox: Sandbox):
    enrollment, payment = buy(sandbox)
    refund(payment)
    calls = len(sandbox.calls("lms"))
    drain(LMS_JOBS, limit=1)
    assert (jobs(), len(sandbox.calls("lms"))) == (
        [("enroll", "done"), ("revoke", "pending")],
        calls,
    )
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("refunded", "revoked"),
        0,
        0,
    )
    assert sandbox.calls("lms", "POST") == []


@pytest.mark.every_engine
@pytest.mark.parametrize("then", ["enroll", "revoke"])
def test_whichever_job_runs_first_the_end_is_the_same(sandbox: Sandbox, then: str):
    enrollment, payment = buy(sandbox)
    refund(payment)
    SyncJob.objects.exclude(action=then).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    drain(LMS_JOBS)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("refunded", "revoked"),
        0,
        0,
    )


def running(queue: Queue = LMS_JOBS) -> threading.Thread:
    """Start the worker in a thread, and return when it has taken a job."""

    def run() -> None:
        try:
            drain(queue, limit=1)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: SyncJob.objects.filter(status=RUNNING).exists() or not thread.is_alive())
    return thread


@pytest.mark.every_engine
def test_a_refund_while_access_is_being_given_ends_without_it(sandbox: Sandbox):
    sandbox.lms(latency=0.4)
    enrollment, payment = buy(sandbox)
    worker = running()
    time.sleep(0.5)
    refund(payment)
    drain(LMS_JOBS)
    assert SyncJob.objects.get(action=SyncJob.REVOKE).status == "pending", (
        "it waits for the call that is under way"
    )
    worker.join(30)
    sandbox.lms(latency=0)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("refunded", "revoked"),
        0,
        0,
    )
    assert jobs() == [("enroll", "done"), ("revoke", "done")]


def test_a_worker_lost_after_giving_access_does_not_bring_it_back(sandbox: Sandbox):
    """The worker stored the LMS's id and died before the settle; the job runs after the refund."""
    enrollment, payment = with_access(sandbox)
    job = SyncJob.objects.get()
    Enrollment.objects.filter(pk=enrollment.pk).update(
        lms_status="pending", lms_enrollment_id="", lms_synced_at=None
    )
    Email.objects.filter(kind="purchase_confirmation").delete()
    SyncJob.objects.filter(pk=job.pk).update(status="pending", finished_at=None)
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("refunded", "revoked"),
        0,
        0,
    )


# --- reinstated -----------------------------------------------------------------------------------


def test_a_refund_that_fails_gives_access_back_by_a_new_job_and_sends_no_second_confirmation(
    sandbox: Sandbox,
):
    affiliate = make_affiliate()
    enrollment, payment = with_access(sandbox, through=affiliate)
    made = refund(payment)
    drained()
    assert in_lms(sandbox, enrollment) == 0
    sandbox.fail_refund(made.stripe_refund_id)
    deliver_events(sandbox)
    assert state(enrollment) == ("paid", "pending")
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("paid", "success"),
        1,
        1,
    )
    assert enrollment.lms_enrollment_id == sandbox.enrollments(enrollment.email)[0]["name"]
    assert jobs() == [("enroll", "done"), ("revoke", "done"), ("enroll", "done")]
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)
    assert SyncJob.objects.filter(action=SyncJob.REVOKE).count() == 2


@pytest.mark.every_engine
@pytest.mark.parametrize("late", ["revoke", "enroll"])
def test_a_job_from_before_that_runs_late_does_not_undo_what_came_after(
    sandbox: Sandbox, late: str
):
    enrollment, payment = with_access(sandbox) if late == "revoke" else buy(sandbox)
    made = refund(payment)
    sandbox.fail_refund(made.stripe_refund_id)
    deliver_events(sandbox)
    old = SyncJob.objects.filter(action=late).earliest("created_at")
    SyncJob.objects.filter(pk=old.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    drain(LMS_JOBS)
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("paid", "success"), 1)
    given = enrollment.lms_enrollment_id
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("paid", "success"),
        1,
        1,
    )
    assert enrollment.lms_enrollment_id == given


@pytest.mark.every_engine
def test_an_old_job_that_knows_an_lms_id_of_before_does_not_claim_access_with_it(sandbox: Sandbox):
    """Given, lost before the settle, revoked, given again: the old job must not record access."""
    enrollment, payment = with_access(sandbox)
    old = SyncJob.objects.get()
    Enrollment.objects.filter(pk=enrollment.pk).update(
        lms_status="pending", lms_enrollment_id="", lms_synced_at=None
    )
    Email.objects.filter(kind="purchase_confirmation").delete()
    SyncJob.objects.filter(pk=old.pk).update(
        status="running", finished_at=None, lease_until=timezone.now() + timedelta(hours=1)
    )
    made = refund(payment)
    drain(LMS_JOBS)
    assert in_lms(sandbox, enrollment) == 0
    sandbox.fail_refund(made.stripe_refund_id)
    deliver_events(sandbox)
    SyncJob.objects.exclude(pk=old.pk).filter(status="pending").update(
        next_attempt_at=timezone.now() + timedelta(hours=1)
    )
    SyncJob.objects.filter(pk=old.pk).update(lease_until=timezone.now() - timedelta(hours=1))
    reap(LMS_JOBS)
    drain(LMS_JOBS)
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("paid", "pending"),
        0,
        0,
    )
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("paid", "success"),
        1,
        1,
    )
    assert enrollment.lms_enrollment_id == sandbox.enrollments(enrollment.email)[0]["name"]


# --- bought again ---------------------------------------------------------------------------------


def test_who_buys_again_keeps_access_though_the_old_job_comes_late(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    revocation = SyncJob.objects.get(action=SyncJob.REVOKE)
    SyncJob.objects.filter(pk=revocation.pk).update(
        next_attempt_at=timezone.now() + timedelta(hours=1)
    )
    again, _ = buy(sandbox, enrollment.course)
    drain(LMS_JOBS)
    assert (state(again), in_lms(sandbox, again)) == (("paid", "success"), 1)
    drained()
    assert (state(enrollment), state(again), in_lms(sandbox, again)) == (
        ("refunded", "revoked"),
        ("paid", "success"),
        1,
    )
    assert confirmations() == 2


@pytest.mark.every_engine
def test_who_buys_again_gets_access_though_the_old_job_is_at_it(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    sandbox.lms(latency=0.3)
    worker = running()
    again, _ = buy(sandbox, enrollment.course)
    drain(LMS_JOBS)
    worker.join(30)
    sandbox.lms(latency=0)
    drained()
    assert (state(enrollment), state(again), in_lms(sandbox, again)) == (
        ("refunded", "revoked"),
        ("paid", "success"),
        1,
    )


def test_who_bought_the_same_lms_course_under_another_name_keeps_it(sandbox: Sandbox):
    """A course of ours may have been replaced by another that is the same one in the LMS."""
    enrollment, payment = with_access(sandbox, course=make_course(lms_course_id="shared"))
    other, _ = buy(sandbox, make_course(lms_course_id="shared"))
    drained()
    refund(payment)
    drained()
    assert (state(enrollment)[0], state(other), in_lms(sandbox, other)) == (
        "refunded",
        ("paid", "success"),
        1,
    )


def test_a_course_that_moved_in_the_lms_is_taken_away_where_it_was(sandbox: Sandbox):
    course = make_course(lms_course_id="before")
    enrollment, payment = with_access(sandbox, course=course)
    course.lms_course_id = "after"
    course.save()
    refund(payment)
    again, _ = buy(sandbox, course)
    drained()
    assert (in_lms(sandbox, enrollment), in_lms(sandbox, again)) == (0, 1)


def test_a_refund_that_fails_after_a_second_purchase_marks_the_first_payment_as_one_too_many(
    sandbox: Sandbox,
):
    affiliate = make_affiliate()
    first, payment = with_access(sandbox, through=affiliate)
    made = refund(payment)
    second, other = buy(sandbox, first.course, through=affiliate)
    drained()
    sandbox.fail_refund(made.stripe_refund_id)
    deliver_events(sandbox)
    drained()
    assert (state(first), state(second), in_lms(sandbox, second)) == (
        ("refunded", "revoked"),
        ("paid", "success"),
        1,
    )
    payment.refresh_from_db()
    assert (payment.review_reason, payment.refundable, fresh(other).review_reason) == (
        "duplicate",
        49900,
        "",
    )
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    subjects = [
        email.context["subject"]
        for email in Email.objects.filter(kind="staff_alert").order_by("created_at")
    ]
    assert subjects == [
        "A refund failed: the buyer does not have the money",
        "A refund failed after its enrollment had ended",
    ]
    refund(payment)
    deliver_events(sandbox)
    drained()
    assert (state(first)[0], state(second), in_lms(sandbox, second)) == (
        "refunded",
        ("paid", "success"),
        1,
    )
    assert balance_of(affiliate) == (4990, 0, 0, 0)


@pytest.mark.parametrize("paid_anyway", [False, True])
def test_a_refund_that_fails_while_the_learner_is_at_a_new_checkout_reinstates_the_enrollment(
    sandbox: Sandbox, paid_anyway: bool
):
    first, payment = with_access(sandbox)
    made = refund(payment)
    client = visitor()
    client.post(f"/checkout/{first.course_slug}/", {"email": first.email, "accept_terms": "on"})
    second = Enrollment.objects.get(status="pending")
    sandbox.fail_refund(made.stripe_refund_id)
    deliver_events(sandbox)
    drained()
    assert (state(first), state(second)[0], in_lms(sandbox, first)) == (
        ("paid", "success"),
        "cancelled",
        1,
    )
    if paid_anyway:
        other = second.payments.get()
        sandbox.pay(other.stripe_session_id)
        deliver_events(sandbox)
        assert (fresh(other).review_reason, state(first), state(second)[0]) == (
            "duplicate",
            ("paid", "success"),
            "cancelled",
        )


# --- the LMS is down ------------------------------------------------------------------------------


def test_a_revocation_is_tried_again_until_the_lms_answers(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    others_get_through()
    sandbox.fault("lms", "query_timeout")
    provision(2)
    assert SyncJob.objects.get(action=SyncJob.REVOKE).attempts == 2
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "success"), 1)
    sandbox.heal()
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)


@pytest.mark.parametrize("mode", ["lost_answer", "half_answer"])
def test_an_answer_lost_after_access_was_taken_away_is_no_harm(sandbox: Sandbox, mode: str):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    sandbox.fault("lms", mode, "DELETE", times=1)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)


def dead(settings: Any, sandbox: Sandbox) -> SyncJob:
    """Let the LMS refuse until the attempts are used up, and return the job that is dead then."""
    settings.LMS_BREAKER_FAILURES = 100
    others_get_through()
    sandbox.fault("lms", "query_timeout")
    provision(7)
    sandbox.heal()
    return SyncJob.objects.get(status=DEAD)


def test_a_dead_revocation_tells_staff_that_the_learner_still_has_access(
    sandbox: Sandbox, settings
):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    job = dead(settings, sandbox)
    assert job.action == SyncJob.REVOKE
    alert = Email.objects.get(kind="staff_alert")
    assert dead_jobs.STILL_HAS_ACCESS in " ".join(alert.context["lines"])
    assert dead_jobs.HAS_NO_ACCESS not in " ".join(alert.context["lines"])
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "success"), 1)
    assert dead_letters.replay(DeadLetter.objects.get(), by=STAFF)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)


def test_a_revocation_of_who_has_paid_again_asks_the_lms_nothing(sandbox: Sandbox):
    enrollment, payment = with_access(sandbox)
    refund(payment)
    again, _ = buy(sandbox, enrollment.course)
    SyncJob.objects.filter(dedupe_key=lms_jobs.job_key(again)).update(
        next_attempt_at=timezone.now() + timedelta(hours=1)
    )
    calls = len(sandbox.calls("lms"))
    drain(LMS_JOBS)
    assert len(sandbox.calls("lms")) == calls
    assert (state(enrollment), in_lms(sandbox, again)) == (("refunded", "revoked"), 1)
    drained()
    assert (state(again), in_lms(sandbox, again)) == (("paid", "success"), 1)


@pytest.mark.every_engine
def test_a_dead_job_of_a_refunded_enrollment_does_not_alert_about_a_missing_access(
    sandbox: Sandbox, settings
):
    enrollment, payment = buy(sandbox)
    payload = refunded(refund_of(payment, payment_intent=payment.stripe_payment_intent_id))
    SyncJob.objects.update(email="not an address")

    def run(job: SyncJob) -> Finish | None:
        """The refund arrives just after the job has looked at the enrollment."""
        try:
            return LMS_JOBS.run(job)
        finally:
            deliver(Client(), payload)

    drain(replace(LMS_JOBS, run=run), limit=1)
    lines = " ".join(Email.objects.get(kind="staff_alert").context["lines"])
    assert dead_jobs.SUPERSEDED in lines
    assert dead_jobs.HAS_NO_ACCESS not in lines
    assert state(enrollment) == ("refunded", "pending")


# --- between two lines ----------------------------------------------------------------------------


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize("outcome", ["refunded", "reinstated"])
def test_a_job_that_waits_for_its_turn_looks_at_the_enrollment_again(
    sandbox: Sandbox, outcome: str
):
    """The enrollment ends, and may be reinstated, after the job's look and before its call."""
    enrollment, payment = buy(sandbox)

    def change() -> Any:
        made = refund(payment)
        if outcome == "reinstated":
            sandbox.fail_refund(made.stripe_refund_id)
            deliver_events(sandbox)
        return drain(LMS_JOBS)

    with rival_before('INSERT INTO "lms_sync_synclock"', change) as ran:
        drain(LMS_JOBS, limit=1)
    assert ran == [1 if outcome == "refunded" else 2]
    is_over = outcome == "refunded"
    assert in_lms(sandbox, enrollment) == (0 if is_over else 1)
    assert len(sandbox.calls("lms", "POST /api/resource/LMS Enrollment")) == (0 if is_over else 1)
    drained()
    assert state(enrollment) == (("refunded", "revoked") if is_over else ("paid", "success"))
    assert confirmations() == (0 if is_over else 1)


@pytest.mark.engines("postgres")
def test_a_refund_between_the_look_and_the_record_of_access_leaves_no_confirmation(
    sandbox: Sandbox,
):
    enrollment, payment = buy(sandbox)

    def refund_and_revoke() -> Any:
        deliver(
            Client(), refunded(refund_of(payment, payment_intent=payment.stripe_payment_intent_id))
        )
        return fresh(enrollment).status

    with rival_before('UPDATE "enrollments_enrollment" SET "lms_status"', refund_and_revoke) as ran:
        drain(LMS_JOBS, limit=1)
    assert ran == ["refunded"]
    assert (confirmations(), state(enrollment)) == (0, ("refunded", "pending"))
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("refunded", "revoked"),
        0,
        0,
    )


@pytest.mark.engines("postgres")
def test_an_enrollment_reinstated_between_the_revocation_and_its_record_is_not_called_revoked(
    sandbox: Sandbox,
):
    enrollment, payment = with_access(sandbox)
    made = refund(payment)
    payload = {**sandbox.book("refunds")[0], "status": "failed"}
    assert made.stripe_refund_id == payload["id"]

    def put_back() -> Any:
        deliver(Client(), refunded(payload, "refund.failed"))
        return fresh(enrollment).status

    with rival_before('UPDATE "enrollments_enrollment" SET "lms_status"', put_back) as ran:
        drain(LMS_JOBS, limit=1)
    assert (ran, state(enrollment)) == (["paid"], ("paid", "pending"))
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment), confirmations()) == (
        ("paid", "success"),
        1,
        1,
    )


# --- all at once ----------------------------------------------------------------------------------

ROUNDS = {"postgresql": 40}.get(connection.vendor, 12)


def steps_of(dice: random.Random, payment: Payment) -> tuple[list[Any], bool]:
    """Return what happens to one purchase, unordered, and whether the enrollment ends."""
    payload = refund_of(payment, payment_intent=payment.stripe_payment_intent_id)
    fate = dice.choice(["refunded", "failed", "partial", "lost", "won"])
    events = {
        "refunded": [refunded(payload), refunded(payload, "refund.updated")],
        "failed": [refunded(payload), refunded({**payload, "status": "failed"}, "refund.failed")],
        "partial": [
            refunded({**payload, "amount": 100}),
            refunded({**payload, "id": f"{payload['id']}2", "amount": payment.amount - 100}),
        ],
        "lost": [
            disputed(dispute_of(payment)),
            disputed(dispute_of(payment, "lost"), "charge.dispute.closed"),
        ],
        "won": [
            disputed(dispute_of(payment)),
            disputed(dispute_of(payment, "won"), "charge.dispute.closed"),
        ],
    }[fate]
    if fate in ("lost", "won"):
        for event in events:
            event["data"]["object"]["payment_intent"] = payment.stripe_payment_intent_id
    steps: list[Any] = [lambda event=event: deliver(Client(), event) for event in events]
    steps += [
        lambda: deliver(
            Client(), completed(payment, payment_intent=payment.stripe_payment_intent_id)
        )
    ]
    steps += [lambda: drain(LMS_JOBS), lambda: drain(LMS_JOBS)]
    mine = SyncJob.objects.filter(email=payment.enrollment.email)
    steps += [
        lambda: lms_jobs.retry_now(fresh(payment.enrollment)),
        lambda: [replay(job) for job in mine.all()],
    ]
    dice.shuffle(steps)
    return steps, fate in ("refunded", "partial", "lost")


def replay(job: SyncJob) -> bool:
    """What staff or a restored backup may cause: a job that is done is run once more."""
    return (
        SyncJob.objects.filter(pk=job.pk, status=DONE).update(
            status=PENDING, next_attempt_at=timezone.now()
        )
        == 1
    )


@pytest.mark.every_engine
@pytest.mark.slow
def test_refunds_workers_and_replays_at_once_end_in_what_the_enrollment_says(sandbox: Sandbox):
    """Contracts, F40 and I11: the final desired state wins."""
    dice, ends = random.Random(20261120), []
    affiliate = make_affiliate()
    for number in range(ROUNDS):
        enrollment, payment = buy_quickly(affiliate, number)
        if dice.random() < 0.5:
            drained()
        steps, is_over = steps_of(dice, payment)
        results = race(lambda n, steps=steps: steps[n](), threads=len(steps))
        assert [result for result in results if isinstance(result, Exception)] == []
        StripeEvent.objects.filter(status=PENDING).update(next_attempt_at=timezone.now())
        drain(EVENTS)
        drained()
        assert state(enrollment) == (("refunded", "revoked") if is_over else ("paid", "success")), (
            number
        )
        assert in_lms(sandbox, enrollment) == (0 if is_over else 1), number
        ends.append(is_over)
    assert DeadLetter.objects.count() == 0
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}
    assert ROUNDS // 4 < sum(ends) < ROUNDS * 7 // 8
    assert balance_of(affiliate) == (4990 * (ROUNDS - sum(ends)), 0, 0, 0)


def buy_quickly(affiliate: Any, number: int) -> tuple[Enrollment, Payment]:
    course = make_course()
    enrollment, payment = make_pending(
        course,
        email=f"learner{number}@example.com",
        affiliate_id=affiliate.pk,
        referral_code=affiliate.code,
        referral_outcome="credited",
        commission_base=course.price,
        commission_rate=1000,
    )
    assert deliver(Client(), completed(payment)).status_code == 200
    return fresh(enrollment), fresh(payment)
