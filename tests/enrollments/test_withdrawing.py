"""A free enrollment is taken away and given back: access, coupon, mails and books go along."""

import pytest
from django.test import Client

from courses.models import Course
from enrollments import withdrawing
from enrollments.errors import EnrolledOrPaying
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant, Program
from lms_sync.models import SyncJob
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.queue import EMAILS
from operations import invariants
from payments import checkout
from payments.checkout import Buyer
from tests.affiliates.shop import drained, fresh, in_lms
from tests.enrollments.places import Frappe, compare, counts
from tests.factories import completed, deliver, make_course, make_pending
from tests.grants.make import HOLDER, make_coupon
from tests.office.test_lists import member
from tests.sandbox_client import Sandbox

BOSS, WHY = "boss@example.com", "Enrolled by mistake."
CONFIRMED, ENDED = "grant_course_enrollment", "enrollment_withdrawn"


def by_grant(course: Course) -> Enrollment:
    """Return an enrollment by a grant of 100 %, with access."""
    program = Program.objects.create(name="Spring")
    grant = make_coupon(course, percent=100, program=program)
    checkout.start(course.slug, Buyer(HOLDER, coupon=grant.code or ""))
    settle()
    enrollment = Enrollment.objects.get(email=HOLDER)
    assert enrollment.has_access
    return enrollment


def settle() -> None:
    drained()
    drain(EMAILS)


def told() -> list[str]:
    sent = Email.objects.filter(kind__in=[CONFIRMED, ENDED], status="done")
    return list(sent.order_by("created_at").values_list("kind", flat=True))


def state(enrollment: Enrollment) -> tuple[str, str]:
    enrollment = fresh(enrollment)
    return enrollment.status, enrollment.lms_status


def books(enrollment: Enrollment) -> tuple[str, int, int]:
    """Return the state of its coupon, what its program has given, and the enrollment's events."""
    grant = Grant.objects.get(pk=enrollment.grant_id)
    given = Program.objects.get(pk=grant.program_id).committed_grants
    return grant.status, given, EnrollmentEvent.objects.filter(enrollment=enrollment).count()


def test_access_ends_and_comes_back_while_the_coupon_stays_used(sandbox: Sandbox) -> None:
    lms = Frappe(sandbox)
    enrollment = by_grant(lms.courses()[0])
    assert books(enrollment) == ("redeemed", 1, 1)
    assert withdrawing.withdraw(enrollment, by=BOSS, reason=WHY)
    assert not withdrawing.withdraw(fresh(enrollment), by=BOSS, reason=WHY)
    settle()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("withdrawn", "revoked"), 0)
    assert books(enrollment) == ("redeemed", 1, 2)
    # It is away there as it is here: neither missing, nor there without a right to it.
    assert counts(compare(lms)) == {"looked_at": 1, "agrees": 1}
    page = Client().get(enrollment.get_absolute_url()).content.decode()
    assert "Our team ended this free enrollment" in page
    assert invariants.verify() == []

    assert withdrawing.give_back(fresh(enrollment), by=BOSS, reason=WHY)
    settle()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("paid", "success"), 1)
    assert told() == [CONFIRMED, ENDED, CONFIRMED]
    assert not withdrawing.give_back(fresh(enrollment), by=BOSS, reason=WHY)
    assert books(enrollment) == ("redeemed", 1, 3)


def test_given_back_at_once_nothing_is_taken_away_and_nobody_is_told(sandbox: Sandbox) -> None:
    enrollment = by_grant(make_course())
    withdrawing.withdraw(enrollment, by=BOSS, reason=WHY)
    withdrawing.give_back(fresh(enrollment), by=BOSS, reason=WHY)
    settle()
    assert (state(enrollment), in_lms(sandbox, enrollment)) == (("paid", "success"), 1)
    assert told() == [CONFIRMED]
    assert set(SyncJob.objects.values_list("status", flat=True)) == {"done"}


def test_what_was_paid_for_is_not_taken_away(client: Client, sandbox: Sandbox) -> None:
    enrollment, payment = make_pending()
    deliver(client, completed(payment))
    before = Enrollment.objects.values().get(), SyncJob.objects.count(), Email.objects.count()
    assert not withdrawing.withdraw(fresh(enrollment), by=BOSS, reason=WHY)
    after = Enrollment.objects.values().get(), SyncJob.objects.count(), Email.objects.count()
    assert after == before


def test_it_is_not_given_back_beside_another_one(sandbox: Sandbox) -> None:
    course = make_course()
    enrollment = by_grant(course)
    withdrawing.withdraw(enrollment, by=BOSS, reason=WHY)
    make_pending(course, email=HOLDER)
    with pytest.raises(EnrolledOrPaying):
        withdrawing.give_back(fresh(enrollment), by=BOSS, reason=WHY)
    assert fresh(enrollment).status == "withdrawn"
    assert books(enrollment) == ("redeemed", 1, 2)


def test_support_does_both_on_the_learners_page(sandbox: Sandbox) -> None:
    enrollment = by_grant(make_course())
    make_pending(email=HOLDER)
    office = member("view_enrollment", "view_enrollmentevent", "comp_enrollment")
    learner = f"/admin/learners/{HOLDER}/"
    for name, done in (("withdraw", "taken away"), ("give_back", "given back")):
        page = f"/admin/enrollments/enrollment/{enrollment.pk}/{name}/"
        assert office.get(learner).content.decode().count(f"/{name}/") == 1
        answer = office.post(f"{page}?back={learner}", {"reason": WHY}, follow=True)
        assert f"{done.capitalize()}: {WHY}" in answer.content.decode()
        assert f"Enrollment {done}" in answer.content.decode()
    assert [row.note for row in EnrollmentEvent.objects.filter(note__contains=WHY)]
