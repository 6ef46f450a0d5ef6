"""A refund takes back only what we made in the LMS; a lost answer leaves nothing there twice."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from enrollments.models import Enrollment
from lms_sync import dead_letters
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from notifications.models import Email
from payments.models import Payment
from tests.affiliates.shop import BUYER, buy, drained, fresh, in_lms, provision
from tests.enrollments.places import Frappe, compare, counts, differences
from tests.enrollments.test_provisioning import buy as buy_alone
from tests.enrollments.test_revocation import refund, state, with_access
from tests.factories import make_course
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine
INSERT, READ = "POST /api/resource/LMS Enrollment", "GET /api/resource/LMS Enrollment"
LEFT = "A learner keeps access that we did not give"


def alerts() -> list[dict]:
    return [email.context for email in Email.objects.filter(kind="staff_alert")]


def enroll_elsewhere(sandbox: Sandbox, enrollment: Enrollment, **more: object) -> str:
    """Let somebody else enroll the learner in the LMS, and return the row's name."""
    row = {"member": enrollment.email, "course": enrollment.lms_course_id, **more}
    sandbox.lms(
        users=[{"email": enrollment.email, "first_name": "Ada"}],
        enrollments=[row],
    )
    return sandbox.enrollments(enrollment.email)[-1]["name"]


def answered_again() -> None:
    PlatformState.objects.update(state="closed", failures=0, opened_at=None, retry_at=None)


def test_what_we_made_is_taken_back_and_nobody_is_alerted(sandbox: Sandbox) -> None:
    enrollment, payment = with_access(sandbox)
    assert (enrollment.lms_origin, enrollment.lms_user_made) == ("made", True)
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)
    assert LEFT not in [alert["subject"] for alert in alerts()]


def test_a_refund_takes_it_back_from_a_learner_who_was_given_another_address_there(
    sandbox: Sandbox,
) -> None:
    enrollment, payment = with_access(sandbox)
    sandbox.lms(rename_user={"name": BUYER, "to": "new@example.com"})
    refund(payment)
    drained()
    assert (state(enrollment), sandbox.enrollments()) == (("refunded", "revoked"), [])


def test_a_refund_takes_it_back_where_the_course_was_given_another_name_there(
    sandbox: Sandbox,
) -> None:
    """L6."""
    enrollment, payment = with_access(sandbox)
    renamed = {"name": enrollment.lms_course_id, "to": "renamed-course"}
    sandbox.lms(courses_any=False, rename_course=renamed)
    refund(payment)
    drained()
    assert (state(enrollment), sandbox.enrollments()) == (("refunded", "revoked"), [])


def test_it_stays_with_a_learner_who_has_bought_the_course_by_the_new_address(
    sandbox: Sandbox,
) -> None:
    enrollment, payment = with_access(sandbox)
    sandbox.lms(rename_user={"name": BUYER, "to": "new@example.com"})
    again, _ = buy(sandbox, enrollment.course, email="new@example.com")
    drained()
    assert (fresh(again).lms_origin, fresh(again).has_access) == ("found", True)
    refund(payment)
    drained()
    assert state(enrollment) == ("refunded", "revoked")
    assert [row["member"] for row in sandbox.enrollments()] == ["new@example.com"]


def test_what_a_batch_of_the_lms_gave_stays_and_is_named_to_staff(sandbox: Sandbox) -> None:
    """L4."""
    enrollment, payment = buy(sandbox)
    row = enroll_elsewhere(sandbox, enrollment, enrollment_from_batch="spring")
    drained()
    assert (fresh(enrollment).lms_enrollment_id, fresh(enrollment).lms_origin) == (row, "found")
    assert not fresh(enrollment).lms_user_made
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 1)
    [alert] = [alert for alert in alerts() if alert["subject"] == LEFT]
    assert f"{row} (from a batch)" in alert["lines"][1]


@pytest.mark.every_engine
@pytest.mark.parametrize("of_batch", ["free-course", "other-course"])
def test_what_a_batch_that_was_joined_later_counts_on_stays_and_is_named_to_staff(
    sandbox: Sandbox, of_batch: str
) -> None:
    """L4: it makes no enrollment of its own where there is one, which does not name it either."""
    sandbox.lms(courses=[{"name": "free-course"}, {"name": "other-course"}])
    enrollment, payment = buy(sandbox, make_course(lms_course_id="free-course"))
    drained()
    row = fresh(enrollment).lms_enrollment_id
    batch = {"name": "spring", "courses": [of_batch], "members": [enrollment.email]}
    sandbox.lms(batches=[batch])
    refund(payment)
    drained()
    stays = of_batch == "free-course"
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), stays)
    assert fresh(enrollment).lms_origin == ("found" if stays else "made")
    left = [alert["lines"][1] for alert in alerts() if alert["subject"] == LEFT]
    assert [f"{row} (from a batch)" in line for line in left] == [True] * stays
    assert counts(compare(Frappe(sandbox)))["looked_at"] == (not stays)
    assert differences() == []


def test_an_enrollment_made_for_an_earlier_purchase_is_ours_in_the_next(sandbox: Sandbox) -> None:
    """The first one's revocation is overtaken by the second purchase, which finds the row."""
    first, payment = with_access(sandbox)
    refund(payment)
    later = timezone.now() + timedelta(hours=1)
    SyncJob.objects.filter(action=SyncJob.REVOKE).update(next_attempt_at=later)
    second, payment = buy(sandbox, first.course)
    provision()
    assert fresh(second).lms_origin == "found"
    SyncJob.objects.filter(action=SyncJob.ENROLL).delete()  # as finished jobs are, after 90 days
    provision()
    assert in_lms(sandbox, second) == 1
    refund(payment)
    drained()
    assert in_lms(sandbox, second) == 0


def test_an_enrollment_whose_answer_was_lost_is_ours_when_the_next_attempt_finds_it(
    sandbox: Sandbox,
) -> None:
    enrollment, payment = buy(sandbox)
    sandbox.fault("lms", "503", READ, skip=1)
    sandbox.fault("lms", "lost_answer", INSERT, times=1)
    provision()
    job = SyncJob.objects.get()
    assert (job.creates_sent, job.lms_enrollment_id, in_lms(sandbox, enrollment)) == (1, "", 1)
    sandbox.heal()
    drained()
    assert (fresh(enrollment).lms_origin, SyncJob.objects.get().creates_sent) == ("made", 1)
    refund(payment)
    drained()
    assert in_lms(sandbox, enrollment) == 0


def test_what_was_made_and_never_seen_is_taken_back_as_well(sandbox: Sandbox) -> None:
    enrollment, payment = buy(sandbox)
    sandbox.fault("lms", "503", READ, skip=1)
    sandbox.fault("lms", "lost_answer", INSERT, times=1)
    provision()
    sandbox.heal()
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)


def test_a_create_that_was_surely_refused_makes_nothing_ours(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Staff enroll the learner by hand after the refusal, then replay the job."""
    enrollment = buy_alone(buyer)
    sandbox.fault("lms", "417", INSERT, times=1)
    provision()
    assert (SyncJob.objects.get().status, SyncJob.objects.get().creates_sent) == ("dead", 0)
    enroll_elsewhere(sandbox, enrollment)
    assert dead_letters.replay(DeadLetter.objects.get(), by="boss@example.com")
    provision()
    assert fresh(enrollment).lms_origin == "found"


@pytest.mark.every_engine
@pytest.mark.parametrize("mode", ["down", "502"])
def test_a_create_without_an_answer_waits_until_its_server_has_given_it_up(
    buyer: Client, sandbox: Sandbox, mode: str
) -> None:
    """L5: the LMS may still commit it for two minutes."""
    buy_alone(buyer)
    sandbox.fault("lms", mode, INSERT, times=1)
    before = timezone.now()
    provision()
    assert (SyncJob.objects.get().next_attempt_at - before).total_seconds() >= 130
    answered_again()
    sandbox.fault("lms", "query_timeout", INSERT, times=1)
    provision()
    assert (SyncJob.objects.get().next_attempt_at - timezone.now()).total_seconds() < 130


def test_the_double_of_a_late_commit_is_removed_by_a_later_look(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy_alone(buyer)
    sandbox.fault("lms", "502", INSERT, times=1)
    provision()
    provision()
    ours = fresh(enrollment).lms_enrollment_id
    look = SyncJob.objects.get(action=SyncJob.LOOK)
    assert 590 < (look.next_attempt_at - timezone.now()).total_seconds() <= 600
    late = enroll_elsewhere(sandbox, enrollment, creation="2026-01-01 00:00:00.000000")
    assert in_lms(sandbox, enrollment) == 2
    drained()
    assert [row["name"] for row in sandbox.enrollments(enrollment.email)] == [late] != [ours]
    assert fresh(enrollment).lms_enrollment_id == late
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}
    assert Payment.objects.get().status == "paid"


def test_both_of_a_late_commit_are_taken_back_by_a_refund_before_the_look(
    sandbox: Sandbox,
) -> None:
    enrollment, payment = buy(sandbox, make_course())
    sandbox.fault("lms", "502", INSERT, times=1)
    provision()
    SyncJob.objects.update(next_attempt_at=timezone.now())
    provision()
    enroll_elsewhere(sandbox, enrollment)
    refund(payment)
    drained()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)
    assert LEFT not in [alert["subject"] for alert in alerts()]


def test_a_create_that_takes_effect_after_the_refund_is_taken_back_as_well(
    sandbox: Sandbox,
) -> None:
    """L5: the LMS commits it two minutes later, when nobody would know of it any more."""
    enrollment, payment = buy(sandbox)
    sandbox.fault("lms", "502", INSERT, times=1)
    provision()
    refund(payment)
    provision(3)
    revoke = SyncJob.objects.get(action=SyncJob.REVOKE)
    assert (revoke.status, revoke.attempts) == ("pending", 0)
    assert revoke.last_error.startswith("LMS_CREATE_OPEN")
    assert 100 < (revoke.next_attempt_at - timezone.now()).total_seconds() <= 130
    enroll_elsewhere(sandbox, enrollment)
    provision()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("refunded", "revoked"), 0)
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}


def test_one_that_never_takes_effect_is_waited_for_no_longer_than_its_server(
    sandbox: Sandbox,
) -> None:
    enrollment, payment = buy(sandbox)
    sandbox.fault("lms", "502", INSERT, times=1)
    provision()
    refund(payment)
    provision(2)
    long_ago = timezone.now() - timedelta(seconds=131)
    SyncJob.objects.filter(action=SyncJob.ENROLL).update(updated_at=long_ago)
    provision()
    assert state(enrollment) == ("refunded", "revoked")
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}


def test_a_course_key_with_signs_in_it_is_taken_as_it_is(
    sandbox: Sandbox, settings: Settings
) -> None:
    """On Open edX every key has some: what is ours there is found by it, and taken back."""
    settings.OPENEDX_BASE_URL = sandbox.edx_url
    sandbox.edx(accounts=[{"email": BUYER, "username": "asha"}])
    key = "course-v1:Maal+DS101+2026"
    enrollment, payment = buy(sandbox, make_course(lms_platform="openedx", lms_course_id=key))
    drained()
    assert (fresh(enrollment).lms_origin, fresh(enrollment).has_access) == ("made", True)
    SyncJob.objects.all().delete()  # as finished jobs are, after 90 days
    refund(payment)
    drained()
    assert state(enrollment) == ("refunded", "revoked")
    assert [row["is_active"] for row in sandbox.edx()["enrollments"]] == [False]


@pytest.mark.every_engine
def test_the_name_in_another_case_is_the_same_course(sandbox: Sandbox) -> None:
    """L6: the revocation of an old enrollment leaves the access that a newer one has."""
    first, payment = with_access(sandbox)
    refund(payment)
    later = timezone.now() + timedelta(hours=1)
    SyncJob.objects.filter(action=SyncJob.REVOKE).update(next_attempt_at=later)
    second, payment = buy(sandbox, first.course)
    true_name = second.lms_course_id.upper()
    Enrollment.objects.filter(pk=second.pk).update(lms_course_id=true_name)
    SyncJob.objects.filter(status="pending", action=SyncJob.ENROLL).update(course_id=true_name)
    drained()
    assert (fresh(second).has_access, in_lms(sandbox, first)) == (True, 1)
    refund(payment)
    drained()
    assert (state(second), in_lms(sandbox, first)) == (("refunded", "revoked"), 0)
