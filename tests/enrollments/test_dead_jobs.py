"""A job that died: reported each time, retried in one way everywhere, and closed when it is done.

A wrong course id is corrected, and the job follows it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from courses.models import Course
from enrollments import coupons, lms_jobs
from enrollments.models import Enrollment, EnrollmentEvent
from enrollments.provisioning import LMS_JOBS
from lms_sync import dead_letters
from lms_sync.models import DeadLetter, PlatformState, SyncAttempt, SyncJob
from maaledu.work.items import replay
from maaledu.work.queue import drain
from notifications.models import Alert, Email
from operations.invariants.work import check_dead_letters
from storefront.status import describe
from tests.affiliates.rivals import rival_before
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import completed, deliver, make_course, make_pending, refund_of, refunded
from tests.grants.make import make_coupon
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

BOSS = "boss@example.com"
RIGHT = [{"name": "right-id", "title": "Right id"}]


@pytest.fixture
def lms(sandbox: Sandbox) -> Sandbox:
    """An LMS that knows no course but one."""
    sandbox.lms(courses_any=False, courses=RIGHT)
    return sandbox


def alerts() -> list[dict]:
    return [
        email.context for email in Email.objects.filter(kind="staff_alert").order_by("created_at")
    ]


def from_the_enrollment(enrollment: Enrollment) -> bool:
    return lms_jobs.retry_now(Enrollment.objects.get(pk=enrollment.pk), by=BOSS)


def from_the_job(enrollment: Enrollment) -> bool:
    return dead_letters.retry(SyncJob.objects.get(dedupe_key=lms_jobs.job_key(enrollment)), by=BOSS)


def from_the_letter(enrollment: Enrollment) -> bool:
    return dead_letters.replay(DeadLetter.objects.get(), by=BOSS)


WAYS = [from_the_enrollment, from_the_job, from_the_letter]


def died(client: Client, **course: Any) -> Enrollment:
    """Buy a course that the LMS refuses, and return the enrollment after its job has died."""
    enrollment = buy(client, **course)
    assert run_lms_job().status == "dead"
    return enrollment


# --- every death is reported ----------------------------------------------------------------------


@pytest.mark.parametrize("dismissed", [False, True], ids=["open", "dismissed"])
@pytest.mark.parametrize("bring_back", WAYS)
def test_a_job_that_dies_again_is_reported_again(
    buyer: Client, lms: Sandbox, bring_back: Callable, dismissed: bool
) -> None:
    """Requirement R135, whichever way the job came back and whatever had become of its letter."""
    enrollment = died(buyer)
    if dismissed:
        dead_letters.settle(DeadLetter.objects.get(), by=BOSS, how="withdrew")
    assert bring_back(enrollment)
    lms.fault("lms", "417", "GET /api/resource/User")
    assert run_lms_job().status == "dead"
    letter = DeadLetter.objects.get()
    assert (letter.status, letter.reason, letter.resolved_by) == ("open", "LMS_REFUSED", "")
    assert letter.notification_sent_at is not None
    assert [alert["subject"] for alert in alerts()] == ["Frappe sync permanently failed"] * 2
    assert "LMS_COURSE_UNKNOWN" in alerts()[0]["lines"][1]
    assert "LMS_REFUSED" in alerts()[1]["lines"][1]
    drain(LMS_JOBS)
    assert len(alerts()) == 2


@pytest.mark.every_engine
def test_one_cause_alerts_once_until_its_letters_are_settled(buyer: Client, lms: Sandbox) -> None:
    def dies() -> None:
        buy(buyer)
        drain(LMS_JOBS, limit=1)

    for _ in range(3):
        dies()
    assert DeadLetter.objects.open().exclude(notification_sent_at=None).count() == 3
    assert len(alerts()) == 1
    about = alerts()[0]["about"]
    assert about.endswith("?status__exact=open&reason=LMS_COURSE_UNKNOWN&platform=frappe")
    for letter in DeadLetter.objects.open():
        dead_letters.settle(letter, by=BOSS, how="withdrew")
    dies()
    assert len(alerts()) == 2
    Alert.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    dies()
    assert len(alerts()) == 3


@pytest.mark.parametrize("bring_back", WAYS)
def test_a_job_that_succeeds_after_all_leaves_no_open_letter(
    buyer: Client, lms: Sandbox, bring_back: Callable
) -> None:
    enrollment = died(buyer)
    lms.lms(courses_any=True)
    assert bring_back(enrollment)
    assert run_lms_job().status == "done"
    enrollment.refresh_from_db()
    assert (
        enrollment.has_access,
        DeadLetter.objects.get().status,
        DeadLetter.objects.get().resolved_by,
    ) == (True, "replayed", BOSS)
    assert len(alerts()) == 1


def test_a_letter_that_was_left_open_is_closed_by_the_success(buyer: Client, lms: Sandbox) -> None:
    """A job that came back some other way, such as with a restored backup."""
    died(buyer)
    lms.lms(courses_any=True)
    assert replay(SyncJob.objects.get())
    assert run_lms_job().status == "done"
    assert (DeadLetter.objects.get().status, DeadLetter.objects.get().note) == (
        "replayed",
        dead_letters.DONE_AFTER_ALL,
    )


@pytest.mark.parametrize("bring_back", WAYS)
def test_a_second_click_brings_nothing_back_twice(
    buyer: Client, lms: Sandbox, bring_back: Callable
) -> None:
    enrollment = died(buyer)
    assert bring_back(enrollment)
    for again in WAYS:
        again(enrollment)
    assert (
        SyncJob.objects.get().status,
        SyncJob.objects.get().attempts,
        DeadLetter.objects.get().status,
    ) == ("pending", 0, "replayed")


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_a_dead_job_whose_letter_is_of_an_earlier_death_and_a_letter_left_open_are_named(
    buyer: Client, lms: Sandbox
) -> None:
    died(buyer)
    SyncJob.objects.update(finished_at=timezone.now() + timedelta(hours=1))
    assert ["no alert was sent when it died" in line for line in check_dead_letters()] == [True]
    SyncJob.objects.update(status="pending", finished_at=None)
    assert ["is open and its job is pending" in line for line in check_dead_letters()] == [True]


# --- what the learner and the office see meanwhile ------------------------------------------------


def test_a_learner_whose_job_was_brought_back_reads_that_it_goes_on(
    buyer: Client, lms: Sandbox
) -> None:
    enrollment = died(buyer)
    enrollment.refresh_from_db()
    assert describe(enrollment).state == "attention"
    from_the_letter(enrollment)
    assert describe(enrollment).state == "paid_setting_up"
    lms.fault("lms", "query_timeout")
    run_lms_job()
    enrollment.refresh_from_db()
    assert (enrollment.lms_status, describe(enrollment).state) == ("retrying", "retrying")


def test_a_free_enrollment_whose_job_is_at_it_again_is_not_rolled_back(
    buyer: Client, lms: Sandbox
) -> None:
    course = make_course()
    grant = make_coupon(course, email="ada@example.com", percent=100)
    form = {"email": "ada@example.com", "coupon": grant.code, "accept_terms": "on"}
    assert buyer.post(f"/checkout/{course.slug}/", form).status_code == 302
    enrollment = Enrollment.objects.get()
    assert run_lms_job().status == "dead"
    from_the_letter(enrollment)
    lms.fault("lms", "query_timeout")
    run_lms_job()
    assert not coupons.roll_back(Enrollment.objects.get(), by=BOSS)


# --- a wrong course id ----------------------------------------------------------------------------


@pytest.mark.parametrize("bring_back", WAYS)
def test_a_corrected_course_id_is_what_the_job_and_its_enrollment_go_by(
    buyer: Client, lms: Sandbox, bring_back: Callable
) -> None:
    enrollment = died(buyer, lms_course_id="wrong-id")
    correct("right-id")
    assert bring_back(enrollment)
    assert run_lms_job().status == "done"
    enrollment.refresh_from_db()
    assert (enrollment.has_access, enrollment.lms_course_id) == (True, "right-id")
    assert "right-id" in enrollment.course_link
    assert len(lms.enrollments(enrollment.email, "right-id")) == 1
    assert [record.outcome for record in SyncAttempt.objects.all()] == [
        "LMS_COURSE_UNKNOWN",
        "rerouted",
        "done",
    ]
    event = EnrollmentEvent.objects.order_by("created_at").last()
    assert event
    assert (event.from_status, event.to_status) == ("paid", "paid")
    assert event.note == "In the LMS it is right-id in frappe, not wrong-id in frappe."


def test_nothing_moves_by_itself_and_an_enrollment_with_access_never(
    buyer: Client, lms: Sandbox
) -> None:
    enrollment = buy(buyer, lms_course_id="right-id")
    correct("another-id")
    assert run_lms_job().status == "done"
    assert not from_the_enrollment(enrollment)
    assert not from_the_job(enrollment)
    enrollment.refresh_from_db()
    assert (enrollment.lms_course_id, SyncJob.objects.get().course_id) == ("right-id", "right-id")


@pytest.mark.every_engine
def test_access_that_is_given_again_is_given_where_it_was(buyer: Client, lms: Sandbox) -> None:
    """The learner may be enrolled under the old id still: under another they would be twice."""
    enrollment = buy(buyer, lms_course_id="right-id")
    run_lms_job()
    payment = enrollment.payments.get()
    refund = refund_of(payment)
    deliver(buyer, refunded(refund))
    deliver(buyer, refunded({**refund, "status": "failed"}, "refund.failed"))
    correct("another-id")
    enrollment.refresh_from_db()
    assert from_the_enrollment(enrollment)
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert (enrollment.has_access, enrollment.lms_course_id) == (True, "right-id")


def test_a_refund_after_the_correction_revokes_access_where_it_was_given(
    buyer: Client, lms: Sandbox
) -> None:
    enrollment = died(buyer, lms_course_id="wrong-id")
    correct("right-id")
    from_the_enrollment(enrollment)
    assert run_lms_job().status == "done"
    deliver(buyer, refunded(refund_of(enrollment.payments.get())))
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status, lms.enrollments(enrollment.email)) == (
        "refunded",
        "revoked",
        [],
    )


@pytest.mark.engines("postgres")
def test_a_refund_that_read_the_enrollment_before_the_correction_revokes_access_where_it_is(
    buyer: Client, lms: Sandbox
) -> None:
    enrollment = died(buyer, lms_course_id="wrong-id")
    correct("right-id")
    from_the_enrollment(enrollment)
    with rival_before(
        'UPDATE "enrollments_enrollment" SET "status"', lambda: drain(LMS_JOBS, limit=1)
    ) as ran:
        deliver(buyer, refunded(refund_of(enrollment.payments.get())))
    assert (ran, len(lms.enrollments(enrollment.email, "right-id"))) == ([1], 1)
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status, lms.enrollments(enrollment.email)) == (
        "refunded",
        "revoked",
        [],
    )


def test_an_enrollment_that_was_refunded_meanwhile_is_left_as_it_was(
    buyer: Client, lms: Sandbox
) -> None:
    enrollment = died(buyer, lms_course_id="wrong-id")
    correct("right-id")
    from_the_letter(enrollment)
    deliver(buyer, refunded(refund_of(enrollment.payments.get())))
    SyncJob.objects.filter(status="pending").update(next_attempt_at=timezone.now())
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_course_id, lms.enrollments()) == (
        "refunded",
        "wrong-id",
        [],
    )
    assert DeadLetter.objects.get().status == "replayed"


def correct(lms_course_id: str) -> None:
    course = Course.objects.get()
    course.lms_course_id = lms_course_id
    course.save()


# --- a platform without a driver ------------------------------------------------------------------


def test_a_course_of_a_platform_without_a_driver_cannot_be_bought(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = strand(make_course())
    assert buyer.get(f"/checkout/{course.slug}/").status_code == 404
    assert (
        buyer.post(
            f"/checkout/{course.slug}/", {"email": "ada@example.com", "accept_terms": "on"}
        ).status_code
        == 404
    )
    assert buyer.get(course.get_absolute_url()).status_code == 404
    assert course.title not in buyer.get("/courses/").content.decode()
    assert Enrollment.objects.count() == 0


@pytest.mark.every_engine
def test_who_had_bought_it_waits_visibly_and_gets_in_once_the_course_is_corrected(
    buyer: Client, sandbox: Sandbox
) -> None:
    course = strand(make_course())
    enrollment = bought(buyer, course)
    drain(LMS_JOBS)
    assert list(PlatformState.objects.values_list("name", "state")) == [("openedx", "parked")]
    assert describe(enrollment).state == "lms_unavailable"
    Course.objects.update(lms_platform="frappe", lms_course_id="a-course")
    assert from_the_enrollment(enrollment)
    assert run_lms_job().status == "done"
    enrollment.refresh_from_db()
    assert (enrollment.has_access, enrollment.lms_platform, enrollment.lms_course_id) == (
        True,
        "frappe",
        "a-course",
    )


def strand(course: Course) -> Course:
    """Put a course on sale on a platform without a driver, as an earlier version let staff do."""
    Course.objects.filter(pk=course.pk).update(
        lms_platform="openedx", lms_course_id="course-v1:A+B+C"
    )
    course.refresh_from_db()
    return course


def bought(client: Client, course: Course) -> Enrollment:
    enrollment, payment = make_pending(course)
    deliver(client, completed(payment))
    enrollment.refresh_from_db()
    return enrollment


# --- a link that cannot be made -------------------------------------------------------------------


@pytest.mark.parametrize(
    "template", ["{base}/x", "{0}/x", "{base_url", "{base_url.x}/x", "{course_id[a]}", "}"]
)
def test_a_template_that_cannot_be_filled_in_keeps_nobody_out(
    buyer: Client, sandbox: Sandbox, settings, template: str
) -> None:
    settings.LMS_COURSE_URL = template
    enrollment = buy(buyer)
    assert run_lms_job().status == "done"
    enrollment.refresh_from_db()
    assert (enrollment.has_access, enrollment.course_link) == (True, settings.FRAPPE_LMS_BASE_URL)
    assert Email.objects.get().context["course_link"] == settings.FRAPPE_LMS_BASE_URL
    assert buyer.get(enrollment.get_absolute_url()).status_code == 200
